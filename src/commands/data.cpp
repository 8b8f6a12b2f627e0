#include <algorithm>

#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/log.h"
#include "xception/core/output_path.h"
#include "xception/data/batch_source.h"
#include "xception/data/cifar10.h"
#include "xception/data/dataset.h"
#include "xception/data/image_grid.h"
#include "xception/data/pipeline.h"
#include "xception/data/synthetic.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

struct DataArguments {
  std::string data;
  std::string out;
  std::optional<std::filesystem::path> config;
  std::vector<std::string> overrides;
  std::string split = "train";
  std::int64_t epoch = 0;
  std::int64_t count = 64;
  std::int64_t train_images = 10000;
  std::int64_t test_images = 2000;
  std::int64_t seed = 0;
  bool json = false;
  bool overwrite = false;
};

DataConfig data_config(const DataArguments& arguments) {
  DataConfig config;
  config.dir = arguments.data;
  return config;
}

nlohmann::ordered_json class_counts(const ImageSet& set, std::int64_t classes) {
  const auto counts = torch::bincount(set.labels, {}, classes);
  return std::vector<std::int64_t>(counts.const_data_ptr<std::int64_t>(),
                                   counts.const_data_ptr<std::int64_t>() + classes);
}

void show_info(const DataArguments& arguments) {
  const auto dataset = load_dataset(data_config(arguments));
  nlohmann::ordered_json json;
  json["name"] = dataset.name;
  json["original"] = dataset.original;
  json["folder"] = dataset.folder.string();
  json["checksum"] = dataset.checksum;
  json["classes"] = dataset.class_names;
  json["train"] = dataset.train.size();
  json["test"] = dataset.test.size();
  json["image"] = dataset.train.images.sizes().slice(1).vec();
  json["train_class_counts"] = class_counts(dataset.train, dataset.num_classes());
  json["test_class_counts"] = class_counts(dataset.test, dataset.num_classes());
  if (arguments.json) {
    print_json(json);
    return;
  }
  spdlog::info("{} in {}", dataset.name, dataset.folder.string());
  spdlog::info("  images    {} training, {} test, {} x {} px", dataset.train.size(),
               dataset.test.size(), dataset.train.images.size(2), dataset.train.images.size(3));
  spdlog::info("  checksum  {}", dataset.checksum);
  for (std::size_t i = 0; i < dataset.class_names.size(); ++i) {
    spdlog::info("  {:<2} {:<14} {:>6} training {:>6} test", i, dataset.class_names[i],
                 json["train_class_counts"][i].get<std::int64_t>(),
                 json["test_class_counts"][i].get<std::int64_t>());
  }
}

void verify(const DataArguments& arguments) {
  const auto dataset = load_dataset(data_config(arguments));
  spdlog::info("{}: good: {}; {} training and {} test images, every size and label checked; {}",
               dataset.folder.string(), dataset.name, dataset.train.size(), dataset.test.size(),
               dataset.checksum);
}

/// What the network sees of an epoch, in its order.
void preview(const DataArguments& arguments) {
  if (!arguments.out.empty() && !arguments.overwrite) {
    refuse_existing(arguments.out, "--out", "data");
  }
  auto config = load_config(arguments.config, arguments.overrides);
  if (!arguments.data.empty()) config.data.dir = arguments.data;
  const auto dataset = load_dataset(config.data);
  const auto seed = static_cast<std::uint64_t>(config.seed);
  const auto splits = split_dataset(dataset, config.data, seed);
  const auto split = parse_split(arguments.split);
  const bool train = split == Split::train;
  const auto& set = split == Split::test ? dataset.test : dataset.train;
  const std::string key = train ? "augment.train" : "augment.test";
  const Pipeline pipeline(train ? config.augment.train : config.augment.test, key, config.augment,
                          config.data.image_size, {set.images.size(2), set.images.size(3)},
                          torch::kCPU);
  ResidentSource source(set, splits.of(split), train ? Order::shuffled : Order::ascending, seed,
                        pipeline, torch::kCPU);
  source.start_epoch(arguments.epoch);
  const auto n = std::min(arguments.count, source.size());
  const auto batch = source.at(torch::arange(n, torch::kInt64));
  const auto file = arguments.out.empty() ? free_path("preview", ".png").string() : arguments.out;
  write_png(file, image_grid(pipeline.transformed(batch.images, batch.drawn)));
  spdlog::info("{}: {} images of the {} split, epoch {}, after {}", file, n, arguments.split,
               arguments.epoch, key);
}

void synthesize(const DataArguments& arguments) {
  // The names are written last: without them an earlier attempt was cut short.
  if (std::filesystem::exists(std::filesystem::path(arguments.out) / cifar10::kFolder /
                              cifar10::kNamesFile)) {
    throw input_error("data", "--out {}: already holds a {}; choose another folder", arguments.out,
                      cifar10::kFolder);
  }
  const auto files = synthesize_cifar10(static_cast<std::uint64_t>(arguments.seed),
                                        arguments.train_images, arguments.test_images);
  write_cifar10(arguments.out, files);
  spdlog::info("{}/{}: {} training and {} test images of ten classes", arguments.out,
               cifar10::kFolder, files.train.size(), files.test.size());
}

}  // namespace

void add_data_command(CLI::App& program, Invocation& /*invocation*/) {
  auto arguments = std::make_shared<DataArguments>();
  auto* command = program.add_subcommand("data", "Inspect, check, draw or make a data set");
  command->require_subcommand(1);
  command->footer("Example: xception data info --data data");

  auto* info = command->add_subcommand("info", "Sizes, classes and checksum");
  info->add_option("--data", arguments->data, "Folder of the data set");
  info->add_flag("--json", arguments->json, "Print JSON");
  info->footer("Example: xception data info --data data --json");
  info->callback([arguments] { show_info(*arguments); });

  auto* check = command->add_subcommand("verify", "Check every file and label");
  check->add_option("--data", arguments->data, "Folder of the data set");
  check->footer("Example: xception data verify --data data");
  check->callback([arguments] { verify(*arguments); });

  auto* grid = command->add_subcommand("preview", "Draw what the network sees, as PNG");
  grid->add_option("--data", arguments->data, "Folder of the data set");
  grid->add_option("--config", arguments->config, "JSON config");
  grid->add_option("overrides", arguments->overrides, "key=value ...");
  grid->add_option("--out", arguments->out,
                   "PNG file (default: preview.png, or the next free number)");
  grid->add_flag("--overwrite", arguments->overwrite, "Also where --out exists");
  grid->add_option("--split", arguments->split, "train, validation or test")
      ->check(CLI::IsMember({"test", "validation", "train"}))
      ->capture_default_str();
  grid->add_option("--epoch", arguments->epoch, "Epoch, counted from 0")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  grid->add_option("--count", arguments->count, "Images")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  grid->footer("Example: xception data preview --config configs/xception.json --out grid.png");
  grid->callback([arguments] { preview(*arguments); });

  auto* synthetic = command->add_subcommand("synthesize", "Draw a ten-class set to try things on");
  synthetic->add_option("--out", arguments->out, "Folder to write to")->required();
  synthetic->add_option("--train", arguments->train_images, "Training images")
      ->check(CLI::Range(10, 50000))
      ->capture_default_str();
  synthetic->add_option("--test", arguments->test_images, "Test images")
      ->check(CLI::Range(10, 10000))
      ->capture_default_str();
  synthetic->add_option("--seed", arguments->seed, "Seed")->capture_default_str();
  synthetic->footer("Example: xception data synthesize --out data/synthetic");
  synthetic->callback([arguments] { synthesize(*arguments); });
}

}  // namespace xception
