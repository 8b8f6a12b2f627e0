// Runs and checkpoints that eval, predict and --resume must refuse, and images that predict must.
#include <gmock/gmock.h>

#include <fstream>

#include "commands/command_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

class BadCheckpointTest : public CommandTest {
 protected:
  BadCheckpointTest() : run(copied_run()) {}

  static ProcessResult eval(const fs::path& directory, const std::string& checkpoint = "last") {
    return run_xception({"eval", "--run", directory.string(), "--device", "cpu", "--checkpoint",
                         checkpoint, "--json"});
  }
  /// Goes on for an epoch more.
  ProcessResult resume() const {
    return run_xception(train_arguments(run, {"--resume", "train.epochs=3"}));
  }
  fs::path last(const std::string& file) const { return run / "checkpoints/last" / file; }

  fs::path run;
};

TEST_F(BadCheckpointTest, FolderHoldsNoRun) {
  const auto none = (folder / "none").string();
  EXPECT_TRUE(fails(eval(none), 2, {"--run", none, "no such folder", "xception train"}));
  const auto empty = folder / "empty";
  fs::create_directory(empty);
  EXPECT_TRUE(fails(eval(empty), 2, {"--run", empty.string(), "holds no run"}));
  const auto image = write("text.png", "text").string();
  EXPECT_TRUE(fails(run_xception({"predict", "--run", empty.string(), image}), 2,
                    {"--run", empty.string(), "holds no run"}));
  EXPECT_TRUE(
      fails(run_xception({"predict", "--run", complete_run().string(), image}), 2, {"text.png"}));
}

TEST_F(BadCheckpointTest, NothingWasSavedYet) {
  fs::remove_all(run / "checkpoints");
  EXPECT_TRUE(fails(eval(run), 2, {run.string(), "no checkpoint last"}));
}

TEST_F(BadCheckpointTest, ConfigIsMissing) {
  // What was saved must not make room for a new run.
  fs::remove(run / "config.json");
  const auto before = snapshot(run);
  EXPECT_TRUE(fails(eval(run), 2, {"config.json", "no such file"}));
  EXPECT_TRUE(fails(resume(), 2, {"config.json", "no such file"}));
  EXPECT_TRUE(fails(run_xception(train_arguments(run)), 2, {run.string(), "already holds a run"}));
  EXPECT_EQ(snapshot(run), before);
}

TEST_F(BadCheckpointTest, ModelIsTruncated) {
  const auto file = last("model.safetensors");
  fs::resize_file(file, fs::file_size(file) / 2);
  EXPECT_TRUE(fails(eval(run), 2, {"model.safetensors", "cut short", "another checkpoint"}));
  EXPECT_TRUE(fails(resume(), 2, {"model.safetensors", "cut short"}));
}

TEST_F(BadCheckpointTest, ModelIsEmptyOrMissing) {
  fs::resize_file(last("model.safetensors"), 0);
  EXPECT_TRUE(fails(eval(run), 2, {"model.safetensors"}));
  fs::remove(last("model.safetensors"));
  EXPECT_TRUE(fails(eval(run), 2, {"model.safetensors", "no such file"}));
}

TEST_F(BadCheckpointTest, OneBitOfTheModel) {
  flip_bit(last("model.safetensors"));
  EXPECT_TRUE(fails(eval(run), 2, {"model.safetensors", "SHA-256", "altered"}));
  const auto before = snapshot(run / "checkpoints");
  EXPECT_TRUE(fails(resume(), 2, {"model.safetensors", "SHA-256", "altered"}));
  EXPECT_EQ(snapshot(run / "checkpoints"), before);
}

TEST_F(BadCheckpointTest, OneBitOfTheOptimizer) {
  flip_bit(last("optimizer.safetensors"));
  EXPECT_TRUE(succeeds(eval(run)));  // which doesn't read it
  const auto before = snapshot(run / "checkpoints");
  EXPECT_TRUE(fails(resume(), 2, {"optimizer.safetensors", "SHA-256", "altered"}));
  EXPECT_EQ(snapshot(run / "checkpoints"), before);
}

TEST_F(BadCheckpointTest, OneBitOfTheState) {
  flip_bit(last("state.json"));
  EXPECT_TRUE(fails(eval(run), 2, {"state.json", "damaged or altered"}));
  EXPECT_TRUE(fails(resume(), 2, {"state.json", "damaged or altered"}));
}

TEST_F(BadCheckpointTest, StateIsMissing) {
  // A damaged checkpoint is no reason to start from the beginning over what is left of it.
  fs::remove(last("state.json"));
  EXPECT_TRUE(fails(resume(), 2, {"state.json", "no such file"}));
  EXPECT_TRUE(fs::exists(last("model.safetensors")));
}

TEST_F(BadCheckpointTest, FolderIsMissing) {
  fs::remove_all(fs::canonical(run / "checkpoints/last"));
  const auto history = content_of(run / "history.csv");
  EXPECT_TRUE(fails(resume(), 2, {"checkpoints/last", "missing"}));
  EXPECT_EQ(content_of(run / "history.csv"), history);
}

TEST_F(BadCheckpointTest, CheckpointOfAnotherModel) {
  auto config = json_of(run / "config.json");
  config["model"]["width"] = 0.25;
  write("run/config.json", config.dump());
  EXPECT_TRUE(fails(eval(run), 2, {"model.safetensors", "expected [", "another model"}));
  config["model"]["name"] = "inception_v3";
  config["model"]["variant"] = "torchvision";
  config["model"]["width"] = 1.0;
  config["data"]["image_size"] = 75;
  config["model"]["middle_blocks"] = 8;
  write("run/config.json", config.dump());
  EXPECT_TRUE(fails(eval(run), 2, {"model.safetensors", "another model"}));
}

TEST_F(BadCheckpointTest, BestIsPointedAtAgainAfterACutShortSaving) {
  // As after a kill between the two links of a checkpoint that is the best.
  const auto state = json_of(last("state.json"));
  if (!state["best"].get<bool>()) {
    // Make it so: the run's best was the first epoch, so take a run that was stopped there.
    run = folder / "first";
    ASSERT_TRUE(succeeds(run_xception(train_arguments(run, {"train.epochs=1"}))));
  }
  ASSERT_EQ(fs::read_symlink(run / "checkpoints/best"), fs::read_symlink(run / "checkpoints/last"));
  fs::remove(run / "checkpoints/best");
  fs::remove(run / "summary.json");
  ASSERT_TRUE(succeeds(run_xception(train_arguments(run, {"--resume"}))));
  EXPECT_EQ(fs::read_symlink(run / "checkpoints/best"), fs::read_symlink(run / "checkpoints/last"));
}

class BadImageTest : public CommandTest {
 protected:
  static ProcessResult predict(const fs::path& image) {
    return run_xception(
        {"predict", "--run", complete_run().string(), "--device", "cpu", image.string(), "--json"});
  }
  fs::path preview() const {
    const auto file = folder / "image.png";
    EXPECT_TRUE(succeeds(
        run_xception({"data", "preview", "--data", small_data().string(), "--out", file.string(),
                      "--count", "1", "data.image_size=71", "data.validation_size=40"})));
    return file;
  }
};

TEST_F(BadImageTest, Missing) {
  EXPECT_TRUE(fails(predict("none.png"), 2, {"none.png: no such file"}));
}

TEST_F(BadImageTest, Unreadable) {
  EXPECT_TRUE(fails(predict(folder), 2, {folder.string(), "holds no picture"}));
  const auto file = preview();
  fs::permissions(file, fs::perms::none);
  if (std::ifstream(file)) GTEST_SKIP() << "this user reads everything";
  EXPECT_TRUE(fails(predict(file), 2, {"image.png", "cannot be read", "Permission denied"}));
}

TEST_F(BadImageTest, Text) {
  EXPECT_TRUE(fails(predict(write("a.png", "no image\n")), 2, {"a.png", "found text", "JPEG"}));
  EXPECT_TRUE(fails(predict(write("b.png", "")), 2, {"b.png", "empty file", "JPEG, PNG or WebP"}));
}

TEST_F(BadImageTest, Truncated) {
  const auto file = preview();
  fs::resize_file(file, fs::file_size(file) / 2);
  EXPECT_TRUE(fails(predict(file), 2, {"image.png", "damaged PNG", "download the file again"}));
}

}  // namespace
}  // namespace xception
