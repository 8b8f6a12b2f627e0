#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/data/image_io.h"
#include "xception/data/pipeline.h"
#include "xception/train/experiment.h"
#include "xception/train/load_run.h"
#include "xception/train/precision.h"
#include "xception/train/run_directory.h"

namespace xception {
namespace {

struct PredictArguments {
  std::string run;
  std::vector<std::string> images;
  std::string checkpoint = "best";
  std::string device = "auto";
  std::int64_t top_k = 5;
  bool json = false;
};

/// The class names that the run was trained on; numbers where it recorded none.
std::vector<std::string> class_names(const RunDirectory& directory, std::int64_t classes) {
  std::vector<std::string> names;
  if (std::filesystem::exists(directory.summary())) {
    names = read_json(directory.summary(), "predict")
                .value("/data/classes"_json_pointer, std::vector<std::string>());
  }
  for (auto i = static_cast<std::int64_t>(names.size()); i < classes; ++i) {
    names.push_back(fmt::format("class {}", i));
  }
  return names;
}

/// Probabilities of one picture: float32 (classes), CPU.
torch::Tensor classify(const LoadedRun& run, const RgbImage& picture, const torch::Device& device) {
  const torch::NoGradGuard no_grad;
  const auto images = torch::from_blob(const_cast<std::uint8_t*>(picture.pixels.data()),
                                       {1, picture.height, picture.width, 3},
                                       torch::TensorOptions().dtype(torch::kUInt8))
                          .permute({0, 3, 1, 2})
                          .to(device);
  const Pipeline pipeline(run.config.augment.test, "augment.test", run.config.augment,
                          run.config.data.image_size, {picture.height, picture.width}, device,
                          pixel_steps(run.kernels));
  const auto drawn = pipeline.draw(static_cast<std::uint64_t>(run.config.seed), 0,
                                   torch::zeros({1}, torch::kInt64));
  const auto weights = run.model->parameters().front().options();
  const auto precision = parse_precision(run.config.train.eval_precision);
  const auto input =
      pipeline.apply(images, drawn, precision.images(c10::typeMetaToScalarType(weights.dtype())),
                     run.config.train.channels_last);
  const Autocast autocast(precision, device.type());
  return run.model->forward(input).logits.to(torch::kFloat32).softmax(1).squeeze(0).cpu();
}

nlohmann::ordered_json top_classes(const torch::Tensor& probabilities,
                                   const std::vector<std::string>& names, std::int64_t top_k) {
  const auto k = std::min(top_k, probabilities.size(0));
  const auto [values, classes] = probabilities.topk(k);
  auto top = nlohmann::ordered_json::array();
  for (std::int64_t i = 0; i < k; ++i) {
    const auto index = classes[i].item<std::int64_t>();
    top.push_back({{"class", index},
                   {"label", names[static_cast<std::size_t>(index)]},
                   {"probability", values[i].item<float>()}});
  }
  return top;
}

void predict(const PredictArguments& arguments) {
  if (arguments.json) start_log(/*to_standard_error=*/true);
  const auto device = parse_device(arguments.device);
  // All pictures are read first: a bad one is reported before any work.
  std::vector<RgbImage> pictures;
  for (const auto& file : arguments.images) pictures.push_back(read_image(file));
  const auto run = load_run(arguments.run, arguments.checkpoint, device);
  const auto names = class_names(RunDirectory(arguments.run), run.config.model.num_classes);
  auto results = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto top = top_classes(classify(run, pictures[i], device), names, arguments.top_k);
    results.push_back({{"image", arguments.images[i]}, {"top", top}});
  }
  if (arguments.json) {
    print_json(results);
    return;
  }
  for (const auto& result : results) {
    std::string line = result["image"].get<std::string>() + ": ";
    for (const auto& item : result["top"]) {
      line +=
          fmt::format("{}{} {:.1f} %", &item == &result["top"].front() ? "" : ", ",
                      item["label"].get<std::string>(), 100.0 * item["probability"].get<double>());
    }
    spdlog::info(line);
  }
}

}  // namespace

void add_predict_command(CLI::App& program, Invocation& /*invocation*/) {
  auto arguments = std::make_shared<PredictArguments>();
  auto* command = program.add_subcommand("predict", "Classify JPEG and PNG files");
  command->add_option("--run", arguments->run, "Run directory")->required();
  command->add_option("images", arguments->images, "JPEG or PNG files")->required();
  command->add_option("--checkpoint", arguments->checkpoint, "best or last")
      ->check(CLI::IsMember({"best", "last"}))
      ->capture_default_str();
  command->add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--top-k", arguments->top_k, "Classes to show of each image")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer("Example: xception predict --run runs/xception cat.jpg dog.png --top-k 3");
  command->callback([arguments] { predict(*arguments); });
}

}  // namespace xception
