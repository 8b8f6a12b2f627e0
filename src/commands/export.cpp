#include <filesystem>

#include "model_choice.h"
#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/format.h"
#include "xception/core/log.h"
#include "xception/models/kernel_choice.h"
#include "xception/train/checkpoint.h"
#include "xception/train/experiment.h"
#include "xception/train/model_card.h"
#include "xception/weights/export.h"

namespace xception {
namespace {

struct ExportArguments {
  ModelChoice model;
  std::string format;
  std::string out;
  std::int64_t image_size = 0;
  bool fold_batch_norm = false;
  bool overwrite = false;
};

/// The format that a file's name asks for.
std::string format_of(const ExportArguments& arguments) {
  if (!arguments.format.empty()) return arguments.format;
  const auto extension = std::filesystem::path(arguments.out).extension().string();
  if (extension == ".safetensors") return "safetensors";
  if (extension == ".pt" || extension == ".pth" || extension == ".bin") return "pytorch";
  if (extension == ".onnx") return "onnx";
  throw input_error("export",
                    "--out {}: its name tells no format; expected .safetensors, .pt, .pth or "
                    ".onnx, or give --format",
                    arguments.out);
}

void check_arguments(const ExportArguments& arguments, const std::string& format) {
  if (format != "onnx" && (arguments.fold_batch_norm || arguments.image_size > 0)) {
    throw input_error(
        "export", "--fold-batch-norm and --image-size: only with --format onnx, found {}", format);
  }
  if (std::filesystem::exists(arguments.out) && !arguments.overwrite) {
    throw input_error("export", "--out {}: exists already; add --overwrite to replace it",
                      arguments.out);
  }
}

void run_export(const ExportArguments& arguments) {
  const auto format = format_of(arguments);
  check_arguments(arguments, format);
  const torch::Device cpu(torch::kCPU);
  const auto loaded = arguments.model.load("export", cpu);
  auto card = model_card(loaded.config, loaded.class_names);
  if (format == "safetensors") {
    save_safetensors(arguments.out, model_tensors(*loaded.model), card);
  } else if (format == "pytorch") {
    write_pytorch(arguments.out, *loaded.model);
  } else {
    place_model(*loaded.model, cpu, torch::kFloat32, /*channels_last=*/false);
    use_kernels(*loaded.model, Kernels::reference);
    for (auto& parameter : loaded.model->parameters()) parameter.set_requires_grad(false);
    card.erase("format");
    write_onnx(arguments.out, *loaded.model,
               {.image_size =
                    arguments.image_size > 0 ? arguments.image_size : loaded.config.data.image_size,
                .fold_batch_norm = arguments.fold_batch_norm,
                .metadata = card,
                .name = loaded.config.model.name});
  }
  spdlog::info("{}: {} ({}), {} classes, {}", arguments.out, loaded.config.model.name, format,
               loaded.config.model.num_classes,
               format_bytes(static_cast<std::int64_t>(std::filesystem::file_size(arguments.out))));
}

}  // namespace

void add_export_command(CLI::App& program, Invocation& /*invocation*/) {
  auto arguments = std::make_shared<ExportArguments>();
  auto* command = program.add_subcommand("export", "Write a model for other programs");
  arguments->model.add_options(*command);
  command->add_option("--out", arguments->out, "File to write")->required();
  command
      ->add_option("--format", arguments->format,
                   "safetensors, pytorch (a state_dict) or onnx; default: by --out's name")
      ->check(CLI::IsMember({"safetensors", "pytorch", "onnx"}));
  command
      ->add_option("--image-size", arguments->image_size,
                   "onnx: side of the images, px (default: the model's)")
      ->check(CLI::Range(32, 2048));
  command->add_flag("--fold-batch-norm", arguments->fold_batch_norm,
                    "onnx: put each BatchNorm into the convolution before it");
  command->add_flag("--overwrite", arguments->overwrite, "Replace --out if it exists");
  command->footer("Example: xception export --run runs/xception --out xception.onnx");
  command->callback([arguments] { run_export(*arguments); });
}

}  // namespace xception
