// Run directories that cannot be used, disks that fill up, memory that runs out.
#include <gmock/gmock.h>
#include <sys/mount.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "commands/command_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class StorageTest : public CommandTest {
 protected:
  fs::path run = folder / "run";
  fs::path checkpoints = run / "checkpoints";

  /// Names of what lies in the folder of the checkpoints.
  std::vector<std::string> checkpoint_names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(checkpoints)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_F(StorageTest, OutIsNotWritable) {
  const auto file = write("file", "");
  for (const auto& out : {file / "run", file, fs::path("/proc/run")}) {
    EXPECT_TRUE(fails(run_xception(train_arguments(out)), 2,
                      {"--out " + out.string(), "cannot be written", "choose another folder"}));
  }
}

TEST_F(StorageTest, OutAlreadyHoldsARun) {
  run = copied_run();
  const auto before = snapshot(run);
  EXPECT_TRUE(
      fails(run_xception(train_arguments(run)), 2,
            {"--out " + run.string(), "already holds a run", "--resume", "another folder"}));
  EXPECT_EQ(snapshot(run), before);
}

TEST_F(StorageTest, TwoProcessesOnOneDirectory) {
  Process first(xception_command(train_arguments(run, {"train.epochs=1000"})));
  ASSERT_TRUE(first.wait_for("epoch 1:"));
  EXPECT_TRUE(fails(run_xception(train_arguments(run, {"--resume", "train.epochs=2"})), 2,
                    {run.string(), "another process", "choose another folder"}));
  EXPECT_EQ(json_of(run / "config.json")["train"]["epochs"], 1000);  // left as it was
  first.send(SIGKILL);
  first.wait();
  // The lock went with its owner.
  const auto done = json_of(run / "checkpoints/last/state.json")["epoch"].get<int>();
  EXPECT_TRUE(succeeds(run_xception(
      train_arguments(run, {"--resume", "train.epochs=" + std::to_string(done + 1)}))));
}

/// A run of one epoch, then `full` until it fails, then a resume that ends as if nothing had been.
class FullDiskTest : public StorageTest {
 protected:
  void start_run() {
    ASSERT_TRUE(succeeds(run_xception(train_arguments(run, {"train.epochs=1"}))));
    before_ = snapshot(fs::canonical(checkpoints / "last"));
  }
  /// Checks what a failed attempt left, and goes on from there.
  void check_and_resume(const ProcessResult& failed) {
    EXPECT_TRUE(fails(
        failed, 1,
        {"checkpoint of step", "was not saved", ".safetensors", "the previous one is intact"}));
    EXPECT_EQ(snapshot(fs::canonical(checkpoints / "last")), before_);
    EXPECT_EQ(checkpoint_names(), (std::vector<std::string>{"best", "last", "step-9"}));
    EXPECT_EQ(json_of(run / "summary.json")["status"], "failed");
    EXPECT_TRUE(succeeds(run_xception({"eval", "--run", run.string(), "--device", "cpu"})));
    const auto resumed = run_xception(train_arguments(run, {"--resume"}));
    EXPECT_TRUE(succeeds(resumed));
    EXPECT_THAT(resumed.out, HasSubstr("resume: from epoch 2 of 2, step 0 of 9"));
    const auto whole = fs::canonical(complete_run() / "checkpoints/last");
    EXPECT_EQ(content_of(checkpoints / "last/model.safetensors"),
              content_of(whole / "model.safetensors"));
    EXPECT_EQ(json_of(run / "summary.json")["status"], "complete");
    // The row of the epoch whose checkpoint failed was written twice, and cut off once.
    EXPECT_EQ(csv_rows(run / "history.csv").size(), 2U);
    EXPECT_EQ(read_events(run)["loss/train"].size(), 2U);
    EXPECT_EQ(read_events(run)["loss/step"].size(), 16U);
  }

 private:
  std::map<std::string, std::string> before_;
};

TEST_F(FullDiskTest, FileGrowsTooLarge) {
  start_run();
  check_and_resume(
      run_xception(train_arguments(run, {"--resume", "train.epochs=2"}), {.file_bytes = 300'000}));
}

/// A file system of a few megabytes, for the lifetime of the object.
class SmallDisk {
 public:
  SmallDisk(fs::path folder, const std::string& size) : folder_(std::move(folder)) {
    fs::create_directories(folder_);
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  fs::path folder_;
  bool mounted_ = false;
};

TEST_F(FullDiskTest, NoSpaceLeft) {
  const SmallDisk disk(run, "6m");
  if (!disk.mounted()) GTEST_SKIP() << "may not mount";
  start_run();
  // A checkpoint needs 1.6 MB; leave 1 MB.
  const auto filler = run / "filler";
  const auto space = fs::space(run).available;
  ASSERT_GT(space, 1'000'000U);
  std::ofstream(filler, std::ios::binary) << std::string(space - 1'000'000, 'x');
  const auto failed = run_xception(train_arguments(run, {"--resume", "train.epochs=2"}));
  EXPECT_THAT(failed.err, HasSubstr("No space left"));
  fs::remove(filler);
  check_and_resume(failed);
}

TEST_F(FullDiskTest, NoSpaceAtAll) {
  const SmallDisk disk(run, "6m");
  if (!disk.mounted()) GTEST_SKIP() << "may not mount";
  start_run();
  std::ofstream filler(run / "filler", std::ios::binary);
  filler << std::string(fs::space(run).available, 'x') << std::flush;
  filler.close();
  const auto failed = run_xception(train_arguments(run, {"--resume", "train.epochs=2"}));
  EXPECT_TRUE(fails(failed, 1, {run.string(), "No space left"}));
  fs::remove(run / "filler");
  EXPECT_TRUE(succeeds(run_xception(train_arguments(run, {"--resume", "train.epochs=2"}))));
}

TEST_F(FullDiskTest, FillsUpWhileTraining) {
  const SmallDisk disk(run, "8m");
  if (!disk.mounted()) GTEST_SKIP() << "may not mount";
  Process process(xception_command(train_arguments(run, {"train.epochs=1000"})));
  ASSERT_TRUE(process.wait_for("epoch 2:"));
  std::ofstream filler(run / "filler", std::ios::binary);
  while (!process.ended()) {  // also what a removed checkpoint frees
    filler.clear();
    filler << std::string(4096, 'x') << std::flush;
  }
  filler.close();
  EXPECT_TRUE(fails(process.wait(), 1, {run.string(), "No space left"}));
  fs::remove(run / "filler");
  const auto resumed = run_xception(train_arguments(run, {"--resume", "train.epochs=3"}));
  EXPECT_TRUE(succeeds(resumed));
  EXPECT_THAT(resumed.out, HasSubstr("resume: from epoch "));
  const auto rows = csv_rows(run / "history.csv");
  EXPECT_EQ(read_events(run)["loss/train"].size(), rows.size());
}

TEST_F(StorageTest, FirstCheckpointIsNotSaved) {
  const auto failed =
      run_xception(train_arguments(run, {"train.epochs=1"}), {.file_bytes = 300'000});
  EXPECT_TRUE(fails(failed, 1, {"checkpoint of step 9", "File too large"}));
  EXPECT_TRUE(checkpoint_names().empty());
  const auto resumed = run_xception(train_arguments(run, {"--resume"}));
  EXPECT_TRUE(succeeds(resumed));
  EXPECT_THAT(resumed.out, HasSubstr("starting from the beginning"));
}

TEST_F(StorageTest, MemoryRunsOut) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer reserves more than any limit";
#endif
  const auto failed = run_xception(
      train_arguments(run, {"train.batch_size=260", "data.image_size=600", "model.width=1"}),
      {.address_bytes = rlim_t{8} << 30});
  EXPECT_TRUE(fails(failed, 1,
                    {"out of memory at batch size 260", "600 px", "lower train.batch_size",
                     "data.image_size", "train.accumulate"}));
  EXPECT_EQ(json_of(run / "summary.json")["status"], "failed");
}

}  // namespace
}  // namespace xception
