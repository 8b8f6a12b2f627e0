#include "xception/train/train_step.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "xception/core/log.h"

namespace xception {

TrainStep::TrainStep(StepParts parts, StepOptions options, const torch::Device& device)
    : parts_(parts),
      options_(options),
      device_(device),
      parameters_(named_parameters(parts.model)) {
  const auto counter = torch::TensorOptions().dtype(torch::kInt64).device(device);
  step_in_epoch_ = torch::zeros({1}, counter);
  global_step_ = torch::zeros({}, counter);
}

void TrainStep::start_epoch(const std::vector<double>& rates, std::int64_t first_global_step,
                            std::int64_t step_in_epoch, std::int64_t batch_size) {
  // The fused CUDA kernels read a float32 learning rate; on the CPU double is what Python passes.
  const auto dtype = device_.is_cuda() ? torch::kFloat32 : torch::kFloat64;
  const auto values =
      torch::tensor(rates, torch::kFloat64).to(torch::TensorOptions(device_).dtype(dtype));
  const bool same_place = rates_.defined() && rates_.sizes() == values.sizes();
  if (same_place) {
    rates_.copy_(values);  // where a recorded step reads them
  } else {
    rates_ = values;
  }
  const auto side = parts_.loader.image_size();
  if (graph_ && (!same_place || batch_size != full_batch_ || side != image_size_)) {
    graph_ = make_graph_(device_);
  }
  image_size_ = side;
  if (parts_.low_precision != nullptr) parts_.low_precision->refresh();
  full_batch_ = batch_size;
  parts_.loader.seek(step_in_epoch * batch_size);
  step_in_epoch_.fill_(step_in_epoch);
  global_step_.fill_(first_global_step + step_in_epoch);
}

void TrainStep::use_graph(StepGraphMaker make, bool quiet) {
  if (!parts_.loader.recordable()) return;
  make_graph_ = std::move(make);
  graph_ = make_graph_(device_);
  graph_reported_ = quiet;
}

void TrainStep::report_graph() {
  if (graph_reported_) return;
  if (graph_->is_recorded()) {
    spdlog::info("train.cuda_graph: the step is recorded");
  } else if (!graph_->obstacle().empty()) {
    spdlog::warn("warning: train.cuda_graph: off: {}", graph_->obstacle());
  }
  graph_reported_ = graph_->is_recorded() || !graph_->obstacle().empty();
}

void TrainStep::run(std::int64_t batch_size, StepProbe* probe) {
  if (!graph_ || probe != nullptr) {
    compute(batch_size, probe);
  } else if (batch_size == full_batch_) {
    graph_->run([&] { compute(batch_size, nullptr); });
    report_graph();
  } else {
    graph_->run_once([&] { compute(batch_size, nullptr); });
  }
}

void TrainStep::compute(std::int64_t batch_size, StepProbe* probe) {
  mark_phase(probe, StepPhase::start);
  for (const auto& [name, parameter] : parameters_) parameter.mutable_grad() = torch::Tensor();
  if (parts_.low_precision != nullptr) parts_.low_precision->clear_gradients();
  const auto share = share_of_batch(batch_size, options_.rank, options_.ranks);
  const bool counts = share.count > 0;
  if (parts_.statistics != nullptr) parts_.statistics->counts = counts;
  // Images that don't count are the batch's first ones.
  const auto first = counts ? share.first : 0;
  const auto images = counts ? share.count : std::min<std::int64_t>(2, batch_size);
  // A part of one image would leave BatchNorm nothing to average over; and all ranks must have as
  // many parts as the one with the fewest images.
  const auto smallest = smallest_share(batch_size, options_.ranks);
  const auto parts = static_cast<int>(
      std::clamp<std::int64_t>(options_.accumulate, 1, std::max<std::int64_t>(1, smallest / 2)));
  for (int i = 0; i < parts; ++i) {
    const auto part = share_of_items(images, i, parts);
    run_part({.images = {first + part.first, part.count},
              .whole = batch_size,
              .counts = counts,
              .last = i + 1 == parts},
             probe);
  }

  const auto grads = gradients(parameters_);
  parts_.scaler.unscale(grads, parts_.low_precision != nullptr ? parts_.low_precision->gradients()
                                                               : std::vector<torch::Tensor>());
  if (options_.clip_norm > 0) {
    const torch::NoGradGuard no_grad;
    clip_gradients(grads, options_.clip_norm);
  }
  const auto rate = rates_.index_select(0, step_in_epoch_).squeeze(0);
  parts_.optimizer.step(rate, parts_.scaler.found_inf(), parts_.scaler.inverse());
  parts_.scaler.update();
  for (const auto& hook : parts_.hooks.after_update) hook();

  parts_.loader.advance(batch_size);
  step_in_epoch_.add_(1);
  global_step_.add_(1);
  mark_phase(probe, StepPhase::optimizer);
}

void TrainStep::run_part(const Part& part, StepProbe* probe) {
  if (parts_.reducer != nullptr && part.last) parts_.reducer->start_forward();
  auto batch = parts_.loader.read(part.images.first, part.images.count);
  const auto format = batch.images.suggest_memory_format();
  for (const auto& hook : parts_.hooks.on_batch) hook(batch);
  batch.images =
      batch.images.contiguous(format);  // some operations lose it, and the kernels' speed
  mark_phase(probe, StepPhase::data);
  Loss::Value loss;
  torch::Tensor logits;  // (N, classes)
  {
    const Autocast autocast(options_.precision, device_.type());
    std::optional<LowPrecisionWeights::Use> low_precision;
    if (parts_.low_precision != nullptr) low_precision.emplace(*parts_.low_precision);
    const auto output = parts_.model.forward(batch.images);
    mark_phase(probe, StepPhase::forward);
    logits = output.logits;
    loss = options_.loss(output, batch.targets);
  }
  const auto mean = part.counts ? loss.total / static_cast<double>(part.whole) : loss.total * 0.0;
  const auto scaled = parts_.scaler.scale(mean);
  mark_phase(probe, StepPhase::loss);
  if (parts_.reducer != nullptr) {
    parts_.reducer->backward(scaled);
  } else {
    scaled.backward();
  }
  mark_phase(probe, StepPhase::backward);
  if (part.counts) parts_.metrics.add(loss.main, logits, batch.targets, loss.total, global_step_);
  mark_phase(probe, StepPhase::metrics);
}

NamedParameters named_parameters(const Classifier& model) {
  NamedParameters parameters;
  for (const auto& item : model.named_parameters()) {
    if (item.value().requires_grad()) parameters.emplace_back(item.key(), item.value());
  }
  return parameters;
}

}  // namespace xception
