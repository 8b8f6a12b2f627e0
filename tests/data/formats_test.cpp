// Data sets of other layouts: MNIST's, CIFAR-100's, tar shards; and conversion between layouts.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "data/file_testing.h"
#include "support/python.h"
#include "xception/core/safetensors.h"
#include "xception/data/convert.h"
#include "xception/data/loader.h"
#include "xception/data/statistics.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

DataConfig config_of(const fs::path& dir, const std::string& format = "auto") {
  DataConfig config;
  config.format = format;
  config.dir = dir.string();
  config.validation_size = 0;
  return config;
}

Dataset open(const fs::path& dir, const std::string& format = "auto") {
  return load_dataset(config_of(dir, format));
}

torch::Tensor image_of(const Dataset& dataset, Split subset, std::int64_t i) {
  const auto image = dataset.images->read(subset, i);
  return torch::tensor(std::vector<std::uint8_t>(image.pixels), torch::kUInt8)
      .view({image.height, image.width, 3});
}

/// An image's pixels as text, so that sets of images can be compared.
std::string pixels_of(const Dataset& dataset, Split subset, std::int64_t i) {
  const auto image = dataset.images->read(subset, i);
  return {image.pixels.begin(), image.pixels.end()};
}

class DataFormats : public FolderTest {
 protected:
  TensorMap make() const { return run_python("data_sets.py", "make " + folder.string()); }
};

TEST_F(DataFormats, OfMnistAreReadAsTorchvisionReadsThem) {
  const auto expected = make();
  const auto set = open(folder / "MNIST");
  EXPECT_EQ(set.format, "idx");
  EXPECT_EQ(set.num_classes(), 10);
  const auto pixels = set.images->pixels(Split::train);  // (60, 3, 28, 28)
  ASSERT_EQ(pixels.size(0), 60);
  for (int color = 0; color < 3; ++color) {
    EXPECT_TRUE(torch::equal(pixels.select(1, color), expected.at("mnist/images")));
    EXPECT_TRUE(torch::equal(set.images->pixels(Split::test).select(1, color),
                             expected.at("mnist/test_images")));
  }
  for (std::int64_t i = 0; i < 60; ++i) {
    EXPECT_EQ(set.images->label(Split::train, i), expected.at("mnist/labels")[i].item<int>());
  }
  // Damaged: one line that names the file.
  const auto file = folder / "MNIST/raw/train-images-idx3-ubyte";
  fs::resize_file(file, 1000);
  EXPECT_THAT(error_of([&] { (void)open(folder / "MNIST"); }), HasSubstr(file.string()));
  fs::remove(file);
  EXPECT_THAT(error_of([&] { (void)open(folder / "MNIST", "idx"); }), HasSubstr("train-images"));
}

TEST_F(DataFormats, OfCifar100AreRecordsWithTwoLabels) {
  std::string records, names;
  for (int i = 0; i < 6; ++i) {
    records += static_cast<char>(i);           // coarse
    records += static_cast<char>(10 * i + 3);  // fine
    records += std::string(3072, static_cast<char>(40 * i));
  }
  for (int i = 0; i < 100; ++i) names += fmt::format("name {}\n", i);
  write("train.bin", records);
  write("test.bin", records.substr(0, 2 * 3074));
  write("fine_label_names.txt", names);
  const auto set = open(folder);
  EXPECT_EQ(set.format, "cifar100");
  EXPECT_FALSE(set.original);
  ASSERT_EQ(set.num_classes(), 100);
  EXPECT_EQ(set.images->size(Split::train), 6);
  EXPECT_EQ(set.images->size(Split::test), 2);
  EXPECT_EQ(set.images->label(Split::train, 4), 43);
  EXPECT_EQ(set.images->read(Split::train, 4).pixels.front(), 160);
  write("test.bin", records.substr(0, 100));
  EXPECT_THAT(error_of([&] { (void)open(folder); }), HasSubstr("test.bin"));
}

TEST_F(DataFormats, OfWebDatasetAreReadInTheirOrder) {
  const auto expected = make();
  const auto set = open(folder / "shards");
  EXPECT_EQ(set.format, "shards");
  const auto& labels = expected.at("shards/labels");
  ASSERT_EQ(set.images->size(Split::train), labels.size(0));
  EXPECT_EQ(set.images->size(Split::validation), 4);
  for (std::int64_t i = 0; i < labels.size(0); ++i) {
    EXPECT_EQ(set.images->label(Split::train, i), labels[i].item<int>());
    EXPECT_TRUE(
        torch::equal(image_of(set, Split::train, i), expected.at("shards/" + std::to_string(i))));
  }
  // With the index that the first time left, with a damaged one, without one.
  const auto index = folder / "shards/train/000000.tar.idx";
  ASSERT_TRUE(fs::exists(index));
  EXPECT_EQ(open(folder / "shards").checksum, set.checksum);
  fs::resize_file(index, fs::file_size(index) - 3);
  EXPECT_EQ(open(folder / "shards").checksum, set.checksum);
  // A shard that is cut short is no shard.
  const auto tar = folder / "shards/train/000001.tar";
  fs::resize_file(tar, 2000);
  EXPECT_THAT(error_of([&] { (void)open(folder / "shards"); }), HasSubstr("000001.tar"));
}

class ReadingOrder : public DataFormats {
 protected:
  /// The images of an epoch, batch by batch, `parts` times a part of each.
  static std::vector<std::int64_t> epoch(const Dataset& set, std::int64_t number,
                                         std::int64_t window, std::int64_t parts = 1,
                                         std::int64_t from = 0) {
    InputConfig config;
    config.data = config_of(set.folder);
    config.data.image_size = 32;
    config.data.shuffle_window = window;
    config.augment.train = nlohmann::json::array({{{"name", "random_resized_crop"}}});
    std::vector<std::int64_t> indices;
    for (std::int64_t i = 0; i < set.images->size(Split::train); ++i) indices.push_back(i);
    const auto loader = make_loader(
        set, config,
        {.indices = indices, .order = Order::shuffled, .transforms = TransformList::train},
        torch::kCPU);
    loader->start_epoch(number);
    loader->seek(from);
    std::vector<std::int64_t> order;
    for (auto place = from; place < loader->size(); place += 4) {
      const auto batch = std::min<std::int64_t>(4, loader->size() - place);
      for (std::int64_t part = 0; part < parts; ++part) {
        const auto first = batch * part / parts;
        const auto count = batch * (part + 1) / parts - first;
        if (count == 0) continue;
        const auto read = loader->read(first, count).indices;
        for (std::int64_t i = 0; i < count; ++i) order.push_back(read[i].item<std::int64_t>());
      }
      loader->advance(batch);
    }
    return order;
  }
};

TEST_F(ReadingOrder, OfShardsIsTheSameForAllWhoRead) {
  make();
  const auto set = open(folder / "shards");
  const auto first = epoch(set, 0, 6);
  EXPECT_EQ(std::set<std::int64_t>(first.begin(), first.end()).size(), 20U);
  EXPECT_NE(first, epoch(set, 1, 6));
  EXPECT_EQ(first, epoch(set, 0, 6, /*parts=*/2));  // as two ranks read
  const auto resumed = epoch(set, 0, 6, 1, /*from=*/8);
  EXPECT_TRUE(std::equal(resumed.begin(), resumed.end(), first.begin() + 8));
  // A window has images of neighboring shards only: 7, 5 and 8 images.
  const auto shard = [](std::int64_t i) { return i < 7 ? 0 : i < 12 ? 1 : 2; };
  std::set<int> shards;
  for (int i = 0; i < 6; ++i) shards.insert(shard(first[static_cast<std::size_t>(i)]));
  EXPECT_LE(shards.size(), 2U);
  // All together, it is the order of any other set of as many images.
  EXPECT_EQ(epoch(set, 0, 0), epoch(set, 0, 20));
}

class Convert : public DataFormats {
 protected:
  /// Twelve random images of 32 x 32 px in ten classes.
  Dataset small() const {
    at::manual_seed(1);
    auto names = std::vector<std::string>{"a/b", "..", "c", "d", "e", "f", "g", "h", "i", "j"};
    const ImageSet train{torch::randint(0, 256, {12, 3, 32, 32}).to(torch::kUInt8),
                         torch::arange(12) % 10};
    const ImageSet test{torch::randint(0, 256, {3, 3, 32, 32}).to(torch::kUInt8), torch::arange(3)};
    return {.images = in_memory(train, test),
            .class_names = std::move(names),
            .name = "small",
            .checksum = "abc",
            .folder = "x"};
  }
  /// Each image with its label.
  static std::multiset<std::pair<std::int64_t, std::string>> contents(const Dataset& set,
                                                                      Split subset) {
    std::multiset<std::pair<std::int64_t, std::string>> all;
    for (std::int64_t i = 0; i < set.images->size(subset); ++i) {
      all.emplace(set.images->label(subset, i), pixels_of(set, subset, i));
    }
    return all;
  }
};

TEST_F(Convert, KeepsEveryImageInEveryLayout) {
  const auto set = small();
  for (const std::string format : {"shards", "folder", "cifar10"}) {
    const auto to = folder / format;
    const auto done = convert_dataset(set, to, {.format = format, .shard_images = 5});
    EXPECT_EQ(done.images, 15) << format;
    const auto read = open(to);
    EXPECT_EQ(read.format, format);
    for (const auto subset : {Split::train, Split::test}) {
      EXPECT_EQ(contents(read, subset).size(), contents(set, subset).size()) << format;
    }
    if (format == "folder") continue;  // whose classes come in the order of their names
    EXPECT_EQ(contents(read, Split::train), contents(set, Split::train)) << format;
    EXPECT_EQ(read.num_classes(), 10);
  }
  // Nothing was written beside the folders.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 3);
}

TEST_F(ReadingOrder, OfEachWindowIsItsOwn) {
  at::manual_seed(1);
  const ImageSet images{torch::randint(0, 256, {12, 3, 32, 32}).to(torch::kUInt8),
                        torch::zeros({12}, torch::kInt64)};
  convert_dataset({.images = in_memory(images), .class_names = {"a"}, .name = "one shard"},
                  folder / "to", {.keep_order = true});
  const auto order = epoch(open(folder / "to"), 0, /*window=*/4);
  std::set<std::vector<std::int64_t>> orders;
  for (std::size_t first = 0; first < 12; first += 4) {
    std::vector<std::int64_t> within;
    for (std::size_t i = first; i < first + 4; ++i) {
      within.push_back(order[i] - static_cast<std::int64_t>(first));
      EXPECT_TRUE(within.back() >= 0 && within.back() < 4);
    }
    orders.insert(within);
  }
  EXPECT_GT(orders.size(), 1U);
}

TEST_F(Convert, IsReadByWebDataset) {
  const auto set = small();
  convert_dataset(set, folder / "to", {.shard_images = 5, .keep_order = true});
  const auto read = run_python("data_sets.py", "read " + (folder / "to/train").string());
  ASSERT_EQ(read.at("shards/labels").size(0), 12);
  for (std::int64_t i = 0; i < 12; ++i) {
    EXPECT_EQ(read.at("shards/labels")[i].item<int>(), set.images->label(Split::train, i));
    EXPECT_TRUE(
        torch::equal(read.at("shards/" + std::to_string(i)), image_of(set, Split::train, i)));
  }
}

TEST_F(Convert, GoesOnAfterAnInterruption) {
  const auto set = small();
  const auto to = folder / "to";
  struct Stop {};
  const auto interrupted = [](std::int64_t done, std::int64_t) {
    if (done == 8) throw Stop();
  };
  EXPECT_ANY_THROW(convert_dataset(set, to, {.shard_images = 3}, interrupted));
  const auto done = convert_dataset(set, to, {.shard_images = 3});
  EXPECT_EQ(done.images, 15);
  EXPECT_GT(done.kept, 0);
  EXPECT_EQ(contents(open(to), Split::train), contents(set, Split::train));
  EXPECT_THAT(error_of([&] { (void)convert_dataset(set, to, {.shard_images = 4}); }),
              HasSubstr("other options"));
}

TEST_F(Convert, MakesLargeImagesSmallerAsTorchvisionDoes) {
  const auto expected = make();
  const auto photos = open(folder / "photos", "folder");
  for (const std::string format : {"folder", "shards"}) {
    const auto to = folder / ("small " + format);
    const auto done =
        convert_dataset(photos, to, {.format = format, .keep_order = true, .image_size = 16});
    EXPECT_EQ(done.resized, 3);
    EXPECT_EQ(done.copied, 2);
    const auto read = open(to);
    for (std::int64_t i = 0; i < 5; ++i) {
      const bool copied = i > 2;  // of 16 x 90 and 12 x 10 px
      const bool lossy = i == 0;  // a JPEG
      const auto image = image_of(read, Split::train, i);
      const auto reference =
          copied ? image_of(photos, Split::train, i) : expected.at("photos/" + std::to_string(i));
      ASSERT_EQ(image.sizes(), reference.sizes()) << i;
      const auto off = (image.to(torch::kFloat32) - reference.to(torch::kFloat32)).abs();
      EXPECT_LE(off.mean().item<double>(), lossy ? 6 : copied ? 0 : 0.25) << i;
      EXPECT_LE(off.max().item<double>(), lossy ? 64 : 1) << i;
      const auto bytes = read.images->encoded(Split::train, i).bytes;
      EXPECT_EQ(bytes.starts_with("\xFF\xD8"), i == 0 || i == 4) << i;
    }
  }
  EXPECT_THAT(
      error_of([&] { convert_dataset(photos, folder / "small folder", {.format = "folder"}); }),
      HasSubstr("other options"));
  EXPECT_THAT(error_of([&] {
                convert_dataset(photos, folder / "x", {.format = "cifar10", .image_size = 16});
              }),
              HasSubstr("--image-size 16"));
}

TEST_F(Convert, SaysWhatALayoutCantHold) {
  make();
  EXPECT_THAT(error_of([&] {
                convert_dataset(open(folder / "shards"), folder / "to", {.format = "cifar10"});
              }),
              HasSubstr("CIFAR-10's layout has ten classes"));
}

TEST(Statistics, AreThoseOfAllPixels) {
  at::manual_seed(2);
  const auto images = torch::randint(0, 256, {9, 3, 7, 5}).to(torch::kUInt8);
  const Dataset set{.images = in_memory({images, torch::zeros({9}, torch::kInt64)}),
                    .class_names = {"a"}};
  const auto found = channel_statistics(set);
  const auto values = images.to(torch::kFloat64) / 255.0;
  for (int c = 0; c < 3; ++c) {
    const auto channel = values.select(1, c);
    const auto at = static_cast<std::size_t>(c);
    EXPECT_NEAR(found.mean[at], channel.mean().item<double>(), 1e-12);
    EXPECT_NEAR(found.std[at], channel.std(/*unbiased=*/false).item<double>(), 1e-12);
  }
  EXPECT_EQ(found.pixels, 9 * 7 * 5);
}

}  // namespace
}  // namespace xception
