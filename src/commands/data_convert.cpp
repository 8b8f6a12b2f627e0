#include "data_convert.h"

#include <chrono>

#include "xception/core/log.h"
#include "xception/core/paths.h"
#include "xception/data/convert.h"

namespace xception {
namespace {

struct ConvertArguments {
  std::string from;
  std::string to;
  std::vector<std::string> overrides;
  ConvertOptions options;
};

void convert(const ConvertArguments& arguments) {
  auto config = load_config({}, arguments.overrides).data;
  config.dir = text_of_path(arguments.from);
  const auto dataset = load_dataset(config);
  const auto done =
      convert_dataset(dataset, arguments.to, arguments.options, ImageProgress("converting"));
  StatusLine::clear();
  spdlog::info(
      "{}: {} images of {}: {} left from an earlier attempt, {} files copied, {} made smaller, "
      "{} PNG",
      arguments.to, done.images, dataset.name, done.kept, done.copied, done.resized,
      done.images - done.kept - done.copied - done.resized);
}

}  // namespace

void ImageProgress::operator()(std::int64_t done, std::int64_t total) {
  constexpr auto kPause = std::chrono::milliseconds(100);
  const std::lock_guard lock(*mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < kPause || !StatusLine::available()) return;
  last_ = now;
  constexpr std::int64_t kWidth = 30;
  const auto filled = static_cast<std::size_t>(kWidth * done / std::max<std::int64_t>(total, 1));
  StatusLine::show(fmt::format("{} [{}{}] {} of {} images", what_, std::string(filled, '#'),
                               std::string(kWidth - filled, '.'), done, total));
}

void add_data_convert(CLI::App& data) {
  auto arguments = std::make_shared<ConvertArguments>();
  auto& options = arguments->options;
  auto* command = data.add_subcommand("convert", "Write a data set in another layout");
  command->add_option("from", arguments->from, "Folder of the data set")->required();
  command->add_option("to", arguments->to, "Folder to write to")->required();
  command->add_option("overrides", arguments->overrides, "key=value ..., such as data.format");
  command->add_option("--format", options.format, "Layout to write")
      ->check(CLI::IsMember(convert_formats()))
      ->capture_default_str();
  command->add_option("--shard-images", options.shard_images, "Images a shard")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command
      ->add_option("--image-size", options.image_size,
                   "Make images smaller whose shorter side is longer, px: loading is then faster "
                   "(a little above data.image_size is enough)")
      ->check(CLI::Range(1, 100'000));
  command->add_flag("--keep-order", options.keep_order,
                    "Shards in the data set's own order (default: training images shuffled)");
  command->footer(
      "JPEG, PNG and WebP files are copied as they are. Interrupted, the same command goes on.\n"
      "Example: xception data convert data shards --format shards");
  command->callback([arguments] { convert(*arguments); });
}

}  // namespace xception
