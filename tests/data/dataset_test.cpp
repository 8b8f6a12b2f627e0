#include "xception/data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "xception/core/error.h"
#include "xception/data/loader.h"

namespace xception {
namespace {

/// 100 training and 20 test images of 5 uneven classes; every pixel of image i is i.
Dataset numbered_dataset() {
  const auto make = [](std::int64_t n) {
    ImageSet set;
    set.labels = torch::arange(n).remainder(10).clamp_max(4).to(torch::kInt64);
    set.images =
        torch::arange(n).to(torch::kUInt8).view({-1, 1, 1, 1}).expand({n, 3, 4, 4}).clone();
    return set;
  };
  return {.images = in_memory(make(100), make(20)), .class_names = {"a", "b", "c", "d", "e"}};
}

TEST(Split, IsDisjointCompleteAndSeeded) {
  const auto dataset = numbered_dataset();
  DataConfig config;
  config.validation_size = 30;
  const auto splits = split_dataset(dataset, config, 1);
  EXPECT_EQ(splits.train.size(), 70U);
  EXPECT_EQ(splits.validation.size(), 30U);
  EXPECT_EQ(splits.test.size(), 20U);
  std::set<std::int64_t> all(splits.train.begin(), splits.train.end());
  all.insert(splits.validation.begin(), splits.validation.end());
  EXPECT_EQ(all.size(), 100U);
  EXPECT_EQ(split_dataset(dataset, config, 1).validation, splits.validation);
  EXPECT_NE(split_dataset(dataset, config, 2).validation, splits.validation);
}

TEST(Split, StratifiedKeepsTheShares) {
  const auto dataset = numbered_dataset();
  DataConfig config;
  config.validation_size = 30;
  config.stratified = true;
  const auto splits = split_dataset(dataset, config, 1);
  std::map<std::int64_t, int> counts;
  for (const auto index : splits.validation) ++counts[dataset.images->label(Split::train, index)];
  EXPECT_EQ(counts, (std::map<std::int64_t, int>{{0, 3}, {1, 3}, {2, 3}, {3, 3}, {4, 18}}));
}

TEST(Split, LimitsTakeTheFirst) {
  const auto dataset = numbered_dataset();
  DataConfig config;
  config.validation_size = 30;
  config.train_limit = 5;
  config.validation_limit = 4;
  config.test_limit = 3;
  const auto splits = split_dataset(dataset, config, 1);
  EXPECT_EQ(splits.train.size(), 5U);
  EXPECT_EQ(splits.validation.size(), 4U);
  EXPECT_EQ(splits.test, (std::vector<std::int64_t>{0, 1, 2}));
  config.train_limit = 0;
  const auto whole = split_dataset(dataset, config, 1).train;
  EXPECT_TRUE(std::includes(whole.begin(), whole.end(), splits.train.begin(), splits.train.end()));
}

TEST(Split, ValidationMustLeaveSomethingToTrainOn) {
  DataConfig config;
  config.validation_size = 100;
  EXPECT_THROW((void)split_dataset(numbered_dataset(), config, 1), Error);
}

/// As make_loader does for training, of images of 4 px that are flipped and not normalized.
std::unique_ptr<Loader> training_loader(const Dataset& dataset,
                                        const std::vector<std::int64_t>& indices) {
  InputConfig config;
  config.seed = 7;
  config.data.image_size = 4;
  config.augment.train = {{{"name", "horizontal_flip"}}};
  return make_loader(dataset, config,
                     {.indices = indices,
                      .order = Order::shuffled,
                      .transforms = TransformList::train,
                      .steps = PixelSteps::unnormalized},
                     torch::kCPU);
}

TEST(ResidentLoader, ReadsInTheEpochsOrder) {
  const auto dataset = numbered_dataset();
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 10; i < 60; ++i) indices.push_back(i);
  const auto loader = training_loader(dataset, indices);
  EXPECT_EQ(loader->size(), 50);
  EXPECT_TRUE(loader->recordable());
  loader->start_epoch(0);
  const auto everything = loader->read(0, 50);
  // Each image once, its own label and pixels with it.
  auto seen = std::get<0>(everything.indices.sort());
  EXPECT_TRUE(seen.equal(torch::arange(10, 60)));
  EXPECT_FALSE(everything.indices.equal(seen));
  EXPECT_TRUE(everything.images.select(1, 0)
                  .select(1, 0)
                  .select(1, 0)
                  .to(torch::kInt64)
                  .equal(everything.indices));
  EXPECT_TRUE(everything.targets.equal(everything.indices.remainder(10).clamp_max(4)));
  // A part is a part of the whole; the next epoch is another order, and the first comes again.
  const auto from = [&](std::int64_t first, std::int64_t count) {
    return everything.indices.narrow(0, first, count);
  };
  EXPECT_TRUE(loader->next(5).indices.equal(from(0, 5)));
  EXPECT_TRUE(loader->read(2, 3).indices.equal(from(7, 3)));
  EXPECT_TRUE(loader->next(5).indices.equal(from(5, 5)));
  loader->seek(40);
  EXPECT_TRUE(loader->next(10).indices.equal(from(40, 10)));
  loader->start_epoch(1);
  EXPECT_FALSE(loader->next(50).indices.equal(everything.indices));
  loader->start_epoch(0);
  EXPECT_TRUE(loader->next(50).indices.equal(everything.indices));
}

TEST(MakeLoader, RefusesAnEmptySplit) {
  EXPECT_THROW((void)training_loader(numbered_dataset(), {}), Error);
}

}  // namespace
}  // namespace xception
