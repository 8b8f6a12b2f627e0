#include <algorithm>

#include "config_option.h"
#include "data_convert.h"
#include "subcommands.h"
#include "xception/core/error.h"
#include "xception/core/log.h"
#include "xception/core/output_path.h"
#include "xception/data/cifar10.h"
#include "xception/data/dataset.h"
#include "xception/data/image_grid.h"
#include "xception/data/loader.h"
#include "xception/data/statistics.h"
#include "xception/data/synthetic.h"
#include "xception/kernels/worker_pool.h"
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
  bool statistics = false;
  bool overwrite = false;
};

RunConfig config_of(const DataArguments& arguments) {
  auto config = load_config(arguments.config, arguments.overrides);
  if (!arguments.data.empty()) config.data.dir = arguments.data;
  return config;
}

std::vector<std::int64_t> class_counts(const Dataset& dataset, Split subset) {
  std::vector<std::int64_t> counts(dataset.class_names.size());
  for (std::int64_t i = 0; i < dataset.images->size(subset); ++i) {
    ++counts[static_cast<std::size_t>(dataset.images->label(subset, i))];
  }
  return counts;
}

/// Three numbers as a list of a config.
std::string config_list(const nlohmann::ordered_json& values) {
  return fmt::format("[{:.4f},{:.4f},{:.4f}]", values[0].get<double>(), values[1].get<double>(),
                     values[2].get<double>());
}

nlohmann::ordered_json statistics_of(const Dataset& dataset) {
  const auto found = channel_statistics(dataset, ImageProgress("reading"));
  StatusLine::clear();
  const auto counts = class_counts(dataset, Split::train);
  const auto [fewest, most] = std::minmax_element(counts.begin(), counts.end());
  nlohmann::ordered_json json;
  json["mean"] = found.mean;
  json["std"] = found.std;
  json["pixels"] = found.pixels;
  json["fewest_images_of_a_class"] = *fewest;
  json["most_images_of_a_class"] = *most;
  json["config"] = fmt::format("augment.mean={} augment.std={}", config_list(json["mean"]),
                               config_list(json["std"]));
  return json;
}

void show_statistics(const nlohmann::ordered_json& info) {
  const auto& found = info["statistics"];
  const auto fewest = found["fewest_images_of_a_class"].get<std::int64_t>();
  const auto most = found["most_images_of_a_class"].get<std::int64_t>();
  spdlog::info("  classes   {}", fewest == most
                                     ? fmt::format("balanced, {} training images each", most)
                                     : fmt::format("{} to {} training images", fewest, most));
  spdlog::info("  channels  of {} training images, {} pixels; in a config:",
               info["train"].get<std::int64_t>(), found["pixels"].get<std::int64_t>());
  spdlog::info("  'augment.mean={}' 'augment.std={}'", config_list(found["mean"]),
               config_list(found["std"]));
}

void show_info(const DataArguments& arguments) {
  const auto dataset = load_dataset(config_of(arguments).data);
  nlohmann::ordered_json json;
  json["name"] = dataset.name;
  json["original"] = dataset.original;
  json["folder"] = dataset.folder.string();
  json["checksum"] = dataset.checksum;
  json["classes"] = dataset.class_names;
  const auto train = dataset.images->size(Split::train);
  const auto test = dataset.images->size(Split::test);
  const auto pixels = dataset.images->pixels(Split::train);
  json["train"] = train;
  const auto validation = dataset.images->size(Split::validation);
  if (validation > 0) json["validation"] = validation;
  if (!dataset.notes.empty()) json["notes"] = dataset.notes;
  json["test"] = test;
  if (pixels.defined()) json["image"] = pixels.sizes().slice(1).vec();
  json["train_class_counts"] = class_counts(dataset, Split::train);
  json["test_class_counts"] = class_counts(dataset, Split::test);
  if (arguments.statistics) json["statistics"] = statistics_of(dataset);
  if (arguments.json) {
    print_json(json);
    return;
  }
  spdlog::info("{} in {}", dataset.name, dataset.folder.string());
  spdlog::info(
      "  images    {} training, {} test, {}", train, test,
      pixels.defined() ? fmt::format("{} x {} px", pixels.size(2), pixels.size(3)) : "of any size");
  spdlog::info("  checksum  {}", dataset.checksum);
  for (const auto& note : dataset.notes) spdlog::info("  {}", note);
  for (std::size_t i = 0; i < dataset.class_names.size(); ++i) {
    spdlog::info("  {:<2} {:<14} {:>6} training {:>6} test", i, dataset.class_names[i],
                 json["train_class_counts"][i].get<std::int64_t>(),
                 json["test_class_counts"][i].get<std::int64_t>());
  }
  if (arguments.statistics) show_statistics(json);
}

/// Decodes the images that opening the data set left alone. Returns a line for each bad one.
std::vector<std::string> bad_images(const Dataset& dataset) {
  std::vector<std::string> bad;
  for (const auto subset : {Split::train, Split::validation, Split::test}) {
    if (dataset.images->pixels(subset).defined()) continue;
    const auto n = dataset.images->size(subset);
    std::vector<std::string> problems(static_cast<std::size_t>(n));
    run_parts(n, [&](std::int64_t i) {
      try {
        (void)dataset.images->read(subset, i);
      } catch (...) {
        problems[static_cast<std::size_t>(i)] = describe_error(std::current_exception()).message;
      }
    });
    std::copy_if(problems.begin(), problems.end(), std::back_inserter(bad),
                 [](const auto& problem) { return !problem.empty(); });
  }
  return bad;
}

void verify(const DataArguments& arguments) {
  const auto dataset = load_dataset(config_of(arguments).data);
  const auto& images = *dataset.images;
  for (const auto& note : dataset.notes) spdlog::info("{}: {}", dataset.folder.string(), note);
  const auto bad = bad_images(dataset);
  for (const auto& line : bad) spdlog::warn("{}", line);
  if (!bad.empty()) {
    throw input_error(
        "data",
        "{}: {} of {} images cannot be read; replace or remove them, or train with "
        "data.on_error=skip",
        dataset.folder.string(), bad.size(),
        images.size(Split::train) + images.size(Split::validation) + images.size(Split::test));
  }
  const auto validation = images.size(Split::validation);
  spdlog::info("{}: good: {}; {} training{} and {} test images, every size and label checked; {}",
               dataset.folder.string(), dataset.name, images.size(Split::train),
               validation > 0 ? fmt::format(", {} validation", validation) : "",
               images.size(Split::test), dataset.checksum);
}

/// What the network sees of an epoch, in its order.
void preview(const DataArguments& arguments) {
  if (!arguments.out.empty() && !arguments.overwrite) {
    refuse_existing(arguments.out, "--out", "data");
  }
  const auto config = config_of(arguments);
  const auto dataset = load_dataset(config.data);
  const auto split = parse_split(arguments.split);
  const bool train = split == Split::train;
  const auto splits = split_dataset(dataset, config.data, static_cast<std::uint64_t>(config.seed));
  const auto loader = make_loader(dataset, config,
                                  {.split = split,
                                   .indices = splits.of(split),
                                   .order = train ? Order::shuffled : Order::ascending,
                                   .transforms = train ? TransformList::train : TransformList::test,
                                   .steps = PixelSteps::unnormalized,
                                   .progressive = train},
                                  torch::kCPU);
  loader->start_epoch(arguments.epoch);
  const auto n = std::min(arguments.count, loader->size());
  const auto file = arguments.out.empty() ? free_path("preview", ".png").string() : arguments.out;
  write_png(file, image_grid(loader->next(n).images.permute({0, 2, 3, 1})));
  spdlog::info("{}: {} images of the {} split, epoch {}, after {}", file, n, arguments.split,
               arguments.epoch, train ? "augment.train" : "augment.test");
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
  info->add_option("overrides", arguments->overrides, "key=value ..., such as data.format");
  info->add_flag("--json", arguments->json, "Print JSON");
  info->add_flag("--statistics", arguments->statistics,
                 "Also mean and deviation of the training images' channels (reads all of them)");
  info->footer("Example: xception data info --data data --json");
  info->callback([arguments] { show_info(*arguments); });

  auto* check = command->add_subcommand("verify", "Check every file and label");
  check->add_option("--data", arguments->data, "Folder of the data set");
  check->add_option("overrides", arguments->overrides, "key=value ..., such as data.format");
  check->footer("Example: xception data verify --data data");
  check->callback([arguments] { verify(*arguments); });

  auto* grid = command->add_subcommand("preview", "Draw what the network sees, as PNG");
  grid->add_option("--data", arguments->data, "Folder of the data set");
  add_config_options(*grid, arguments->config);
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

  add_data_convert(*command);

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
