#include <algorithm>
#include <system_error>

#include "../in_threads.h"
#include "../shards/shard_index.h"
#include "../shards/shard_names.h"
#include "tar_writer.h"
#include "writers.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/random.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

/// A shard to be written: the images at `begin` to `end` of a subset's order.
struct Shard {
  Split subset;
  fs::path file;
  std::size_t begin;
  std::size_t end;
};

/// The order in which a subset's images are written.
std::vector<std::int64_t> writing_order(const Dataset& dataset, Split subset, bool keep) {
  const auto n = dataset.images->size(subset);
  if (subset == Split::train && !keep) {
    return random_permutation(n, CounterRandom(0, RandomStream::shards, 0, 1));
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  return order;
}

void write_shard(const Dataset& dataset, const Shard& shard, const std::vector<std::int64_t>& order,
                 std::int64_t image_size, ConvertCount& count) {
  TarWriter tar(shard.file);
  for (auto place = shard.begin; place < shard.end; ++place) {
    const auto index = order[place];
    const auto image = image_file(dataset, shard.subset, index, image_size);
    const auto key = fmt::format("{:08}", index);
    tar.add(key + ".cls", std::to_string(dataset.images->label(shard.subset, index)));
    tar.add(fmt::format("{}.{}", key, image.extension), image.bytes);
    count.add_written(image);
  }
  tar.finish();
}

void check_class_names(const Dataset& dataset) {
  for (const auto& name : dataset.class_names) {
    if (name.empty() || name.find_first_of("\r\n") != std::string::npos) {
      throw input_error("data", "class name '{}': expected one line, as {} has one for each class",
                        name, kShardClassesFile);
    }
  }
}

}  // namespace

void write_shards(const Dataset& dataset, const fs::path& to, const ConvertOptions& options,
                  ConvertCount& count) {
  check_class_names(dataset);
  std::string names;
  for (const auto& name : dataset.class_names) names += name + '\n';
  write_file_atomic(to / kShardClassesFile, names);
  for (const auto subset : {Split::train, Split::validation, Split::test}) {
    const auto order = writing_order(dataset, subset, options.keep_order);
    if (order.empty()) continue;
    const auto folder = to / subset_folder(subset);
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw run_error("data", "{}: cannot be made: {}", folder.string(), error.message());
    std::vector<Shard> shards;
    const auto step = static_cast<std::size_t>(options.shard_images);
    for (std::size_t begin = 0; begin < order.size(); begin += step) {
      shards.push_back({.subset = subset,
                        .file = folder / fmt::format("{:06}.tar", shards.size()),
                        .begin = begin,
                        .end = std::min(begin + step, order.size())});
    }
    for_each_in_threads(shards.size(), [&](std::size_t i) {
      const auto& shard = shards[i];
      std::error_code missing;
      const bool kept = fs::exists(shard.file, missing);
      if (kept) {
        count.add_kept(static_cast<std::int64_t>(shard.end - shard.begin));
      } else {
        write_shard(dataset, shard, order, options.image_size, count);
      }
      const auto found = load_shard_index(shard.file).samples.size();
      if (found != shard.end - shard.begin) {
        throw input_error("data", "{}: {} images, expected {}: remove it and convert again",
                          shard.file.string(), found, shard.end - shard.begin);
      }
    });
  }
}

}  // namespace xception
