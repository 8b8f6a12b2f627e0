#include "xception/data/cifar10.h"

#include <cstring>

#include "../cifar10_files.h"
#include "../in_threads.h"
#include "writers.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using namespace cifar10;

Cifar10Records records_of(const Dataset& dataset, Split subset, ConvertCount& count) {
  const auto n = static_cast<std::size_t>(dataset.images->size(subset));
  constexpr auto kPixels = static_cast<std::size_t>(kSide * kSide);
  Cifar10Records records{.images = std::vector<std::uint8_t>(n * 3 * kPixels),
                         .labels = std::vector<std::uint8_t>(n)};
  for_each_in_threads(n, [&](std::size_t i) {
    const auto index = static_cast<std::int64_t>(i);
    records.labels[i] = static_cast<std::uint8_t>(dataset.images->label(subset, index));
    RgbImage image;
    naming_the_image(dataset, subset, index, [&] {
      image = dataset.images->read(subset, index);
      if (image.height != kSide || image.width != kSide) {
        throw input_error("data",
                          "{} x {} px, expected {} x {}, the only size of CIFAR-10's layout",
                          image.height, image.width, kSide, kSide);
      }
    });
    for (std::size_t pixel = 0; pixel < kPixels; ++pixel) {
      for (std::size_t c = 0; c < 3; ++c) {
        records.images[(3 * i + c) * kPixels + pixel] = image.pixels[3 * pixel + c];
      }
    }
    count.add_written({});
  });
  return records;
}

}  // namespace

void write_cifar10_layout(const Dataset& dataset, const std::filesystem::path& to,
                          ConvertCount& count) {
  const auto train = dataset.images->size(Split::train);
  const auto test = dataset.images->size(Split::test);
  const auto validation = dataset.images->size(Split::validation);
  if (dataset.num_classes() != kClasses || train > kTrainBatches * kBatchRecords ||
      test > kBatchRecords || test < 1 || validation > 0) {
    throw input_error("data",
                      "{}: {} classes, {} training, {} validation and {} test images; CIFAR-10's "
                      "layout has ten classes, up to {}, none and up to {}: convert to shards or "
                      "folder",
                      dataset.name, dataset.num_classes(), train, validation, test,
                      kTrainBatches * kBatchRecords, kBatchRecords);
  }
  write_cifar10(to, {.train = records_of(dataset, Split::train, count),
                     .test = records_of(dataset, Split::test, count),
                     .class_names = dataset.class_names,
                     .name = dataset.name,
                     .checksum = {}});
}

}  // namespace xception
