#include <gtest/gtest.h>

#include "data/file_testing.h"
#include "data/made_up_format.h"
#include "xception/data/loader.h"

namespace xception {
namespace {

InputConfig config_of_format(const std::string& format) {
  InputConfig config;
  config.data.format = format;
  config.data.image_size = 32;
  config.seed = 5;
  return config;
}

Dataset made_up_data() {
  auto formats = dataset_formats();
  formats.push_back({"made_up", "made up as it is read", made_up::open, {}});
  return load_dataset(config_of_format("made_up").data, formats);
}

std::vector<std::int64_t> up_to(std::int64_t n) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  return indices;
}

std::unique_ptr<Loader> loader_of(const Dataset& dataset, Split split,
                                  Order order = Order::shuffled) {
  return make_loader(dataset, config_of_format("made_up"),
                     {.split = split,
                      .indices = up_to(dataset.images->size(split)),
                      .order = order,
                      .transforms = TransformList::train},
                     torch::kCPU);
}

TEST(Formats, TheUnknownAreToldTheKnown) {
  EXPECT_EQ(error_of([] { (void)load_dataset(config_of_format("cifar11").data); }),
            "[config] data.format: found \"cifar11\", expected one of auto, cifar10, cifar100, "
            "idx, shards, folder");
}

TEST(Formats, BringTheirOwnValidationImages) {
  const auto dataset = made_up_data();
  auto config = config_of_format("made_up").data;
  config.validation_size = 1'000'000;  // of the training images, if these had to give them
  auto splits = split_dataset(dataset, config, 1);
  EXPECT_EQ(splits.train, up_to(made_up::kTrain));
  EXPECT_EQ(splits.validation, up_to(made_up::kValidation));
  EXPECT_EQ(splits.test, up_to(made_up::kTest));
  config.validation_limit = 2;
  EXPECT_EQ(split_dataset(dataset, config, 1).validation, up_to(2));
  EXPECT_EQ(dataset.subset_of(Split::validation), Split::validation);
}

TEST(StreamedLoader, ReadsEachImageOfAnEpochOnceAndTheSameHoweverItIsAsked) {
  const auto dataset = made_up_data();
  const auto loader = loader_of(dataset, Split::train);
  EXPECT_FALSE(loader->recordable());
  loader->start_epoch(2);
  const auto whole = loader->next(made_up::kTrain);
  EXPECT_EQ(whole.images.sizes(), (std::vector<std::int64_t>{made_up::kTrain, 3, 32, 32}));
  EXPECT_TRUE(whole.images.is_contiguous(torch::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(whole.images.isfinite().all().item<bool>());
  EXPECT_TRUE(std::get<0>(whole.indices.sort()).equal(torch::arange(made_up::kTrain)));
  EXPECT_FALSE(whole.indices.equal(torch::arange(made_up::kTrain)));
  EXPECT_TRUE(whole.targets.equal(whole.indices.remainder(3)));
  const auto expect_part = [&](const Input& part, std::int64_t first) {
    const auto n = part.indices.size(0);
    EXPECT_TRUE(part.indices.equal(whole.indices.narrow(0, first, n))) << first;
    EXPECT_TRUE(part.targets.equal(whole.targets.narrow(0, first, n))) << first;
    EXPECT_TRUE(part.images.equal(whole.images.narrow(0, first, n))) << first;
  };
  // Batches as one rank of two reads them, in two parts; then from the middle of the epoch.
  loader->start_epoch(2);
  for (std::int64_t first = 0; first + 8 <= made_up::kTrain; first += 8) {
    expect_part(loader->read(4, 2), first + 4);
    expect_part(loader->read(6, 2), first + 6);
    loader->advance(8);
  }
  loader->seek(9);
  expect_part(loader->next(6), 9);
  expect_part(loader->next(8), 15);
  loader->start_epoch(3);
  EXPECT_FALSE(loader->next(made_up::kTrain).indices.equal(whole.indices));
}

/// The same images, read one by one.
class OneByOne : public ImageCatalog {
 public:
  explicit OneByOne(std::shared_ptr<const ImageCatalog> images) : images_(std::move(images)) {}
  [[nodiscard]] std::int64_t size(Split subset) const override { return images_->size(subset); }
  [[nodiscard]] std::int64_t label(Split subset, std::int64_t index) const override {
    return images_->label(subset, index);
  }
  [[nodiscard]] RgbImage read(Split subset, std::int64_t index) const override {
    return images_->read(subset, index);
  }

 private:
  std::shared_ptr<const ImageCatalog> images_;
};

/// Goes through `epochs` with both loaders of 40 images.
void expect_same_batches(const InputConfig& config, std::int64_t epochs) {
  at::manual_seed(0);
  const ImageSet set{torch::randint(0, 256, {40, 3, 24, 24}).to(torch::kUInt8),
                     torch::randint(0, 3, {40}, torch::kInt64)};
  const Dataset resident{.images = in_memory(set)};
  const Dataset streamed{.images = std::make_shared<OneByOne>(resident.images)};
  const auto loader = [&](const Dataset& dataset) {
    return make_loader(dataset, config,
                       {.indices = up_to(40),
                        .order = Order::shuffled,
                        .transforms = TransformList::train,
                        .progressive = true},
                       torch::kCPU);
  };
  const auto expected = loader(resident);
  const auto found = loader(streamed);
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    expected->start_epoch(epoch);
    found->start_epoch(epoch);
    EXPECT_EQ(found->image_size(), epoch_image_size(config.data, epoch));
    EXPECT_EQ(expected->image_size(), found->image_size());
    for (std::int64_t batch = 0; batch < 4; ++batch) {
      const auto a = expected->next(10);
      const auto b = found->next(10);
      EXPECT_EQ(a.images.size(3), found->image_size());
      EXPECT_TRUE(a.indices.equal(b.indices));
      EXPECT_TRUE(a.targets.equal(b.targets));
      EXPECT_EQ(a.images.strides(), b.images.strides());
      EXPECT_TRUE(a.images.equal(b.images));
    }
  }
}

TEST(StreamedLoader, EqualsTheResidentOne) {
  expect_same_batches(config_of_format("made_up"), 2);
}

TEST(StreamedLoader, EqualsTheResidentOneWithEveryAugmentation) {
  auto config = config_of_format("made_up");
  config.augment.train = {
      {{"name", "alternating_flip"}},
      {{"name", "pad_and_crop"}, {"padding_mode", "reflect"}},
      {{"name", "color_jitter"}, {"brightness", 0.4}, {"contrast", 0.4}, {"hue", 0.1}},
      {{"name", "rand_augment"}},
      {{"name", "resize"}, {"size", 30}},
      {{"name", "trivial_augment"}},
      {{"name", "random_resized_crop"}},
      {{"name", "cutout"}, {"size", 9}},
      {{"name", "random_erasing"}, {"value", 0.5}}};
  config.data.image_size = 48;
  config.data.progressive_size = 32;
  config.data.progressive_start = 1;
  config.data.progressive_end = 4;
  expect_same_batches(config, 5);
}

TEST(ProgressiveSize, GrowsInMultiplesOfEight) {
  DataConfig config;
  config.image_size = 227;
  EXPECT_EQ(epoch_image_size(config, 0), 227);
  config.progressive_size = 131;
  config.progressive_start = 2;
  config.progressive_end = 8;
  // numpy.interp([0 .. 9], [2, 8], [131, 227]) is 131, 131, 131, 147, 163, 179, 195, 211, 227, 227.
  const std::vector<std::int64_t> expected = {131, 131, 131, 144, 160, 176, 192, 208, 227, 227};
  for (std::size_t epoch = 0; epoch < expected.size(); ++epoch) {
    EXPECT_EQ(epoch_image_size(config, static_cast<std::int64_t>(epoch)), expected[epoch]) << epoch;
  }
  EXPECT_NO_THROW(check_progressive_size(config, 131));
  EXPECT_THROW(check_progressive_size(config, 132), Error);
  config.progressive_end = 2;
  EXPECT_THROW(check_progressive_size(config, 32), Error);
}

TEST(StreamedLoader, NamesTheImageThatCannotBeRead) {
  const auto loader = loader_of(made_up_data(), Split::test, Order::ascending);
  loader->start_epoch(0);
  (void)loader->next(4);
  EXPECT_EQ(error_of([&] { (void)loader->read(0, 3); }, Error::Kind::run),
            "[data] test image 4 of made up: the disk");
  EXPECT_EQ(error_of([&] { (void)loader->read(1, 2); }),
            "[data] test image 5 of made up: 5.jpg: damaged");
  EXPECT_EQ(error_of([&] { (void)loader->read(2, 1); }, Error::Kind::run),
            "[data] test image 6 of made up: read as 4 x 4 px with 1 bytes");
  loader->seek(0);
  EXPECT_EQ(loader->next(4).indices.size(0), 4);
}

TEST(StreamedLoader, PutsAnotherOfTheClassInTheDamagedOnesPlace) {
  auto config = config_of_format("made_up");
  config.data.on_error = "skip";
  const auto read = [&](std::vector<std::int64_t> indices, TransformList transforms) {
    const auto loader =
        make_loader(made_up_data(), config,
                    {.split = Split::test, .indices = std::move(indices), .transforms = transforms},
                    torch::kCPU);
    loader->start_epoch(1);
    return loader->next(loader->size());
  };
  const auto found = read({0, 1, 2, 3, 5}, TransformList::test);
  EXPECT_TRUE(found.targets.equal(torch::tensor({0, 1, 2, 0, 2}, torch::kInt64)));
  EXPECT_TRUE(found.images[4].equal(found.images[2]));  // class 2: 5 is damaged, 2 follows
  EXPECT_FALSE(found.images[3].equal(found.images[0]));
  // Whatever else is read, and in whichever order.
  const auto augmented = read({0, 1, 2, 3, 5}, TransformList::train);
  EXPECT_TRUE(read({1, 5, 2}, TransformList::train).images[1].equal(augmented.images[4]));
  EXPECT_EQ(error_of([&] {
              (void)read({0, 5}, TransformList::test);
            }),
            "[data] test image 5 of made up: 5.jpg: damaged");
  EXPECT_EQ(error_of(
                [&] {
                  (void)read({1, 4}, TransformList::test);
                },
                Error::Kind::run),
            "[data] test image 4 of made up: the disk");  // not the image's fault
}

TEST(StreamedLoader, GivesTheSameFromMemoryAndWithAnyNumberOfThreads) {
  std::vector<torch::Tensor> found;
  for (const auto& [cache, workers] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {100, 3}}) {
    auto config = config_of_format("made_up");
    config.data.cache_mb = cache;
    config.data.workers = workers;
    const auto loader = make_loader(made_up_data(), config,
                                    {.indices = up_to(made_up::kTrain),
                                     .order = Order::shuffled,
                                     .transforms = TransformList::train},
                                    torch::kCPU);
    for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
      loader->start_epoch(epoch);
      found.push_back(loader->next(made_up::kTrain).images);
    }
  }
  EXPECT_TRUE(found[0].equal(found[2]));
  EXPECT_TRUE(found[1].equal(found[3]));
}

TEST(StreamedLoader, EndsWithImagesStillToRead) {
  for (int i = 0; i < 20; ++i) {
    const auto loader = loader_of(made_up_data(), Split::train);
    loader->start_epoch(0);
    loader->advance(4);
    (void)loader->next(1);  // four more are on their way
  }
}

}  // namespace
}  // namespace xception
