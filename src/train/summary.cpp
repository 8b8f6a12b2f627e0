#include "xception/train/summary.h"

#include "xception/core/seconds_since.h"

namespace xception {
namespace {

template <class Json>
Json or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::optional<double> optional_of(const nlohmann::json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

}  // namespace

Summary::Summary(const Experiment& experiment) : experiment_(experiment) {}

bool Summary::record_epoch(std::int64_t epoch, std::optional<double> validation_accuracy) {
  epochs_ = epoch;
  const bool best =
      !validation_accuracy || !best_accuracy_ || *validation_accuracy > *best_accuracy_;
  if (best) {
    best_epoch_ = epoch;
    best_accuracy_ = validation_accuracy;
  }
  return best;
}

void Summary::forget_best() {
  best_epoch_ = epochs_;
  best_accuracy_.reset();
}

void Summary::add_train_seconds(double seconds, std::int64_t images) {
  train_seconds_ += seconds;
  images_ += images;
  epoch_seconds_ += seconds;
  epoch_images_ += images;
}

std::pair<double, double> Summary::finish_epoch_time() {
  const double seconds = epoch_seconds_;
  const auto images = static_cast<double>(epoch_images_);
  epoch_seconds_ = 0.0;
  epoch_images_ = 0;
  return {seconds, seconds > 0 ? images / seconds : 0.0};
}

void Summary::set_best_test(double accuracy, double loss) {
  test_accuracy_ = accuracy;
  test_loss_ = loss;
}

double Summary::wall_seconds() const {
  return earlier_wall_seconds_ + seconds_since(start_);
}

nlohmann::ordered_json Summary::to_json(RunStatus status) const {
  using Json = nlohmann::ordered_json;
  const auto& config = experiment_.config();
  const auto& splits = experiment_.splits();
  const auto& dataset = experiment_.dataset();
  Json json;
  json["status"] = status;
  json["model"] = config.model.name;
  json["variant"] = config.model.variant;
  json["parameters"] = complexity_.parameters;
  json["multiply_adds"] = complexity_.multiply_adds;
  json["activations"] = complexity_.activations;
  json["image_size"] = config.data.image_size;
  json["epochs"] = epochs_;
  if (stopped_early_) json["stopped_early"] = true;
  if (config.average.name != "none") json["average"] = config.average.name;
  json["best_epoch"] = best_epoch_ > 0 ? Json(best_epoch_) : Json(nullptr);
  json["validation_accuracy"] = or_null<Json>(best_accuracy_);
  json["test_accuracy"] = or_null<Json>(test_accuracy_);
  json["test_loss"] = or_null<Json>(test_loss_);
  json["last_test_accuracy"] = or_null<Json>(last_test_accuracy_);
  json["train_seconds"] = train_seconds_;
  if (train_joules_ > 0) json["train_energy_joules"] = train_joules_;
  if (suspended_seconds_ > 0) json["suspended_seconds"] = suspended_seconds_;
  json["wall_seconds"] = wall_seconds();
  json["images_per_second"] =
      train_seconds_ > 0 ? Json(static_cast<double>(images_) / train_seconds_) : Json(nullptr);
  json["seed"] = config.seed;
  json["device"] = experiment_.device().str();
  json["ranks"] = ranks_;
  if (reduction_ && reduction_->steps > 0) {
    const auto steps = static_cast<double>(reduction_->steps);
    json["reduction"] = {{"bytes_per_step", reduction_->bytes},
                         {"buckets", reduction_->buckets},
                         {"backward_seconds_per_step", reduction_->backward_seconds / steps},
                         {"reducing_seconds_per_step", reduction_->reducing_seconds / steps},
                         {"exposed_seconds_per_step", reduction_->exposed_seconds / steps}};
  }
  json["precision"] = config.train.precision;
  json["data"] = {{"name", dataset.name},         {"original", dataset.original},
                  {"checksum", dataset.checksum}, {"classes", dataset.class_names},
                  {"train", splits.train.size()}, {"validation", splits.validation.size()},
                  {"test", splits.test.size()}};
  return json;
}

State Summary::state() const {
  State state;
  state.values = {{"epochs", epochs_},
                  {"best_epoch", best_epoch_},
                  {"best_accuracy", or_null<nlohmann::json>(best_accuracy_)},
                  {"train_seconds", train_seconds_},
                  {"train_energy_joules", train_joules_},
                  {"suspended_seconds", suspended_seconds_},
                  {"images", images_},
                  {"epoch_seconds", epoch_seconds_},
                  {"epoch_images", epoch_images_},
                  {"wall_seconds", wall_seconds()},
                  {"data_checksum", experiment_.dataset().checksum}};
  return state;
}

void Summary::load_state(const State& state) {
  const auto& values = state.values;
  epochs_ = values.at("epochs").get<std::int64_t>();
  best_epoch_ = values.at("best_epoch").get<std::int64_t>();
  best_accuracy_ = optional_of(values.at("best_accuracy"));
  train_seconds_ = values.at("train_seconds").get<double>();
  train_joules_ = values.value("train_energy_joules", 0.0);
  suspended_seconds_ = values.value("suspended_seconds", 0.0);
  images_ = values.at("images").get<std::int64_t>();
  epoch_seconds_ = values.at("epoch_seconds").get<double>();
  epoch_images_ = values.at("epoch_images").get<std::int64_t>();
  earlier_wall_seconds_ = values.at("wall_seconds").get<double>();
}

}  // namespace xception
