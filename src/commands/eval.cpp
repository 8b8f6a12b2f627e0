#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
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
  bool json = false;
  bool predictions = false;
};

void evaluate_run(const EvalArguments& arguments) {
  if (arguments.json) start_log(/*to_standard_error=*/true);
  const auto split = parse_split(arguments.split);
  const auto device = parse_device(arguments.device);
  auto run = load_run(arguments.run, arguments.checkpoint, device);
  if (!arguments.data.empty()) run.config.data.dir = arguments.data;
  const Experiment experiment(run.config, device);
  const auto source = experiment.source(split, Order::ascending, experiment.test_pipeline());
  auto options = experiment.evaluation_options();
  options.progress = [&](std::int64_t images) {
    StatusLine::show(fmt::format("{} of {} images", images, source->size()));
  };
  const auto evaluation = evaluate(*run.model, *source, experiment.test_pipeline(), options);
  StatusLine::clear();
  if (arguments.predictions) {
    save_predictions(RunDirectory(arguments.run).predictions(arguments.checkpoint, arguments.split),
                     *evaluation);
  }
  const auto& metrics = evaluation->metrics;
  if (arguments.json) {
    const nlohmann::ordered_json json = {{"accuracy", metrics.accuracy},
                                         {"loss", metrics.loss},
                                         {"count", metrics.count},
                                         {"split", arguments.split},
                                         {"checkpoint", arguments.checkpoint}};
    print_json(json);
  } else {
    spdlog::info("{}, {} split, checkpoint {}: accuracy {:.2f} %  loss {:.4f}  ({} images)",
                 experiment.dataset().name, arguments.split, arguments.checkpoint,
                 100.0 * metrics.accuracy, metrics.loss, metrics.count);
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
  command->add_flag("--predictions", arguments->predictions,
                    "Write predictions-<checkpoint>-<split>.safetensors into the run directory");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer("Example: xception eval --run runs/xception --split validation --json");
  command->callback([arguments] { evaluate_run(*arguments); });
}

}  // namespace xception
