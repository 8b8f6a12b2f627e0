#include "xception/train/checkpoint.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>

#include <filesystem>
#include <latch>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "data/file_testing.h"
#include "xception/core/files.h"
#include "xception/train/history.h"
#include "xception/train/tensorboard.h"

namespace xception {
namespace {

class SmallModel : public Classifier {
 public:
  explicit SmallModel(std::int64_t channels = 4) {
    conv_ = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, channels, 3)));
    bn_ = register_module("bn", torch::nn::BatchNorm2d(channels));
  }

 private:
  ClassifierOutput compute(const torch::Tensor& images) override {
    return {bn_->forward(conv_->forward(images)).mean({2, 3}), {}};
  }

  torch::nn::Conv2d conv_{nullptr};
  torch::nn::BatchNorm2d bn_{nullptr};
};

/// Something with a tensor and a value.
class Counter : public Stateful {
 public:
  std::string state_name() const override { return "counter"; }
  State state() const override { return {.tensors = {{"tensor", tensor}}, .values = {{"n", n}}}; }
  void load_state(const State& state) override {
    restore_tensor(state, "tensor", tensor);
    n = state.values.at("n").get<int>();
  }

  torch::Tensor tensor = torch::zeros({3});
  int n = 0;
};

class CheckpointTest : public FolderTest {
 protected:
  CheckpointTest() { directory.create(); }

  void save(std::int64_t step, bool best) {
    save_checkpoint(directory, {.epoch = step, .step = step}, {model, {&counter}}, best);
  }
  std::size_t folders() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory.checkpoints())) {
      count += entry.is_directory() && !entry.is_symlink() ? 1 : 0;
    }
    return count;
  }

  RunDirectory directory{folder / "run"};
  SmallModel model;
  Counter counter;
};

void flip_bit(const std::filesystem::path& file, std::size_t byte) {
  auto content = read_file(file, "test");
  content.at(byte) = static_cast<char>(content[byte] ^ 4);
  write_file_atomic(file, content);
}

TEST_F(CheckpointTest, RestoresModelStateAndPlace) {
  counter.n = 7;
  counter.tensor.fill_(2.5);
  save(12, true);
  SmallModel other;
  // A model in another memory format takes the same values.
  for (auto& parameter : other.parameters()) {
    if (parameter.dim() == 4) {
      parameter.set_data(parameter.contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
  Counter restored;
  const auto place = load_checkpoint(directory, "last", {other, {&restored}});
  EXPECT_EQ(place.step, 12);
  EXPECT_EQ(restored.n, 7);
  EXPECT_TRUE(restored.tensor.equal(counter.tensor));
  for (const auto& [name, tensor] : model_tensors(model)) {
    EXPECT_TRUE(model_tensors(other).at(name).equal(tensor)) << name;
  }
}

TEST_F(CheckpointTest, KeepsLastAndBest) {
  save(1, true);
  save(2, false);
  save(3, false);
  EXPECT_EQ(folders(), 2U);
  SmallModel other;
  EXPECT_EQ(load_checkpoint_model(directory, "best", other).step, 1);
  EXPECT_EQ(load_checkpoint_model(directory, "last", other).step, 3);
  save(4, true);
  EXPECT_EQ(folders(), 1U);
}

TEST_F(CheckpointTest, TheSameStepMayBeSavedAgain) {
  save(5, true);
  counter.n = 9;
  save(5, false);
  Counter restored;
  (void)load_checkpoint(directory, "last", {model, {&restored}});
  EXPECT_EQ(restored.n, 9);
  (void)load_checkpoint(directory, "best", {model, {&restored}});
  EXPECT_EQ(restored.n, 0);
}

TEST_F(CheckpointTest, OneBitIsNoticedInEveryFile) {
  save(1, true);
  const auto step = directory.checkpoints() / "step-1";
  for (const auto* name : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    const auto size = std::filesystem::file_size(step / name);
    for (const std::size_t byte : {std::size_t{9}, size / 2, size - 2}) {
      flip_bit(step / name, byte);
      const auto message = error_of([&] {
        (void)load_checkpoint(directory, "last", {model, {&counter}});
      });
      EXPECT_NE(message.find(name), std::string::npos) << message;
      flip_bit(step / name, byte);
    }
  }
  (void)load_checkpoint(directory, "last", {model, {&counter}});
}

TEST_F(CheckpointTest, AnotherModelIsRefused) {
  save(1, true);
  SmallModel wide(5);
  const auto message = error_of([&] { (void)load_checkpoint_model(directory, "last", wide); });
  EXPECT_NE(message.find("another model"), std::string::npos) << message;
}

TEST_F(CheckpointTest, HistoryIsCutToTheCheckpoint) {
  HistoryWriter history(directory);
  TensorBoardWriter tensorboard(directory.root());
  EpochRecord record;
  record.epoch = 1;
  history.on_epoch(record);
  tensorboard.on_epoch(record);
  save_checkpoint(directory, {.step = 1}, {model, {&history, &tensorboard}}, true);
  const auto rows = read_file(directory.history_jsonl(), "test");
  const auto table = read_file(directory.history_csv(), "test");
  record.epoch = 2;
  history.on_epoch(record);
  tensorboard.on_epoch(record);
  EXPECT_NE(read_file(directory.history_csv(), "test"), table);
  (void)load_checkpoint(directory, "last", {model, {&history, &tensorboard}});
  EXPECT_EQ(read_file(directory.history_jsonl(), "test"), rows);
  EXPECT_EQ(read_file(directory.history_csv(), "test"), table);
  // Whatever became of the files, a spreadsheet's line ends among them.
  std::filesystem::remove(directory.history_jsonl());
  write_file_atomic(directory.history_csv(), "epoch\r\n1\r\n");
  HistoryWriter another(directory);
  (void)load_checkpoint(directory, "last", {model, {&another}});
  EXPECT_EQ(read_file(directory.history_jsonl(), "test"), rows);
  EXPECT_EQ(read_file(directory.history_csv(), "test"), table);
}

TEST_F(CheckpointTest, HistoryOfAnEarlierVersionIsReadFromItsFile) {
  HistoryWriter history(directory);
  EpochRecord record;
  record.epoch = 1;
  history.on_epoch(record);
  const auto rows = read_file(directory.history_jsonl(), "test");
  const auto table = read_file(directory.history_csv(), "test");
  record.epoch = 2;
  history.on_epoch(record);
  State lengths;
  lengths.values = {{"jsonl", rows.size()}, {"csv", table.size()}};
  HistoryWriter another(directory);
  another.load_state(lengths);
  EXPECT_EQ(read_file(directory.history_jsonl(), "test"), rows);
  EXPECT_EQ(read_file(directory.history_csv(), "test"), table);
  std::filesystem::resize_file(directory.history_jsonl(), 3);
  EXPECT_NE(error_of([&] { another.load_state(lengths); }).find("altered"), std::string::npos);
}

TEST(Crc32c, KnownAnswers) {
  // RFC 3720, appendix B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
}

TEST_F(CheckpointTest, StartsAtOnceGetDirectoriesOfTheirOwn) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.root());
  constexpr int kStarts = 4;
  constexpr int kRuns = 200;  // each, so that two meet
  std::latch together(kStarts);
  std::mutex mutex;
  std::set<std::filesystem::path> claimed;
  {
    std::vector<std::jthread> starts;
    for (int i = 0; i < kStarts; ++i) {
      starts.emplace_back([&] {
        together.arrive_and_wait();
        for (int run = 0; run < kRuns; ++run) {
          const auto root = claim_run_directory("tiny").root();
          const std::lock_guard lock(mutex);
          claimed.insert(root);
        }
      });
    }
  }
  std::filesystem::current_path(before);
  EXPECT_EQ(claimed.size(), kStarts * kRuns);
  EXPECT_TRUE(claimed.contains("runs/tiny"));
  EXPECT_TRUE(claimed.contains(fmt::format("runs/tiny-{}", kStarts * kRuns)));
}

TEST_F(CheckpointTest, OneProcessADirectory) {
  const RunLock lock(directory);
  const auto message = error_of([&] { const RunLock second(directory); });
  EXPECT_NE(message.find("another process"), std::string::npos);
}

}  // namespace
}  // namespace xception
