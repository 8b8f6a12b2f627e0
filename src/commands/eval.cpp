#include <algorithm>
#include <filesystem>

#include "model_choice.h"
#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/models/registry.h"
#include "xception/train/evaluator.h"
#include "xception/train/experiment.h"
#include "xception/train/load_run.h"
#include "xception/train/predictions.h"
#include "xception/train/run_directory.h"

namespace xception {
namespace {

struct EvalArguments {
  std::string run;
  std::string data;
  std::string checkpoint = "best";
  std::string split = "test";
  std::string device = "auto";
  std::string tta = "none";
  bool json = false;
  bool predictions = false;
};

/// Says where the data differ from those that a run was trained on. Returns whether they are the
/// same, or nobody knows.
bool tell_other_data(const RunDirectory& directory, const Dataset& dataset) {
  if (!std::filesystem::exists(directory.summary())) return true;
  const auto summary = read_json(directory.summary(), "eval");
  const auto own = summary.value("/data/checksum"_json_pointer, std::string());
  if (own.empty() || own == dataset.checksum) return true;
  spdlog::info("note: other data than the run's: checksum {}..., the run's is {}...",
               dataset.checksum.substr(0, 12), own.substr(0, 12));
  const auto classes = summary.value("/data/classes"_json_pointer, std::vector<std::string>());
  for (std::size_t i = 0; i < std::min(classes.size(), dataset.class_names.size()); ++i) {
    if (classes[i] == dataset.class_names[i]) continue;
    spdlog::info(
        "note: class {} is \"{}\", the run's is \"{}\": its answers are counted by number, so "
        "where the order differs the accuracy means nothing",
        i, dataset.class_names[i], classes[i]);
    break;
  }
  return false;
}

void evaluate_run(const EvalArguments& arguments) {
  if (arguments.json) start_log(/*to_standard_error=*/true);
  const auto split = parse_split(arguments.split);
  const auto device = parse_device(arguments.device);
  auto run = load_run(arguments.run, arguments.checkpoint, device);
  if (!arguments.data.empty()) run.config.data.dir = arguments.data;
  const Experiment experiment(run.config, device);
  const auto loader = experiment.evaluation_loader(split);
  auto options = experiment.evaluation_options();
  options.views =
      views_of(arguments.tta, run.config.data.image_size, min_image_size(run.config.model));
  options.progress = [&](std::int64_t images) {
    StatusLine::show(fmt::format("{} of {} images", images, loader->size()));
  };
  const RunDirectory directory(arguments.run);
  const auto& dataset = experiment.dataset();
  const bool own_data = tell_other_data(directory, dataset);
  const auto evaluation = evaluate(*run.model, *loader, options);
  StatusLine::clear();
  if (arguments.predictions) {
    const auto split_name =
        arguments.split + (own_data ? "" : "-of-" + dataset.checksum.substr(0, 12));
    const auto file = directory.predictions(arguments.checkpoint, split_name);
    save_predictions(file, *evaluation,
                     prediction_origin(arguments.checkpoint, run.place, arguments.split, dataset));
    if (!arguments.json) spdlog::info("wrote {}", file.string());
  }
  const auto& metrics = evaluation->metrics;
  if (arguments.json) {
    nlohmann::ordered_json json = {
        {"accuracy", metrics.accuracy},
        {"loss", metrics.loss},
        {"count", metrics.count},
        {"split", arguments.split},
        {"checkpoint", arguments.checkpoint},
        {"data",
         {{"name", dataset.name}, {"checksum", dataset.checksum}, {"of_the_run", own_data}}}};
    if (evaluation->views) {
      json["tta"] = {{"name", arguments.tta},
                     {"views", options.views.size()},
                     {"accuracy", evaluation->views->accuracy},
                     {"loss", evaluation->views->loss}};
    }
    print_json(json);
  } else {
    spdlog::info("{}, {} split, checkpoint {}: accuracy {:.2f} %  loss {:.4f}  ({} images)",
                 dataset.name, arguments.split, arguments.checkpoint, 100.0 * metrics.accuracy,
                 metrics.loss, metrics.count);
    if (evaluation->views) {
      spdlog::info("with --tta {}, the mean over {} views: accuracy {:.2f} %  loss {:.4f}",
                   arguments.tta, options.views.size(), 100.0 * evaluation->views->accuracy,
                   evaluation->views->loss);
    }
  }
}

}  // namespace

void add_eval_command(CLI::App& program, Invocation& /*invocation*/) {
  auto arguments = std::make_shared<EvalArguments>();
  auto* command = program.add_subcommand("eval", "Evaluate a trained model on a split");
  command->add_option("--run", arguments->run, "Run directory")->required();
  command->add_option("--data", arguments->data, "Folder of the data set (default: the run's)");
  command->add_option("--checkpoint", arguments->checkpoint, "best or last")
      ->check(CLI::IsMember({"best", "last"}))
      ->capture_default_str();
  command->add_option("--split", arguments->split, "test, validation or train")
      ->check(CLI::IsMember({"test", "validation", "train"}))
      ->capture_default_str();
  command->add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  add_tta_option(*command, arguments->tta);
  command->add_flag("--predictions", arguments->predictions,
                    "Write predictions-<checkpoint>-<split>.safetensors into the run directory; of "
                    "other data than the run's -<split>-of-<checksum>");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer("Example: xception eval --run runs/xception --split validation --json");
  command->callback([arguments] { evaluate_run(*arguments); });
}

}  // namespace xception
