// Runs that were copied, with what copying does to links, and results of other data: nothing that
// was trained is lost, and nothing is taken for what it isn't.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include "commands/command_testing.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// What a way of copying does to a run's folder.
struct Copying {
  std::string name;
  std::function<void(const fs::path& checkpoints)> alter;
};

void PrintTo(const Copying& copying, std::ostream* stream) {
  *stream << copying.name;
}

void lose_links(const fs::path& checkpoints) {
  for (const auto* name : {"last", "best"}) fs::remove(checkpoints / name);
}

std::string target_of(const fs::path& link) {
  return fs::read_symlink(link).filename().string();
}

class CopiedRunTest : public CommandTest {
 protected:
  static Arguments arguments(const fs::path& out, const Arguments& more) {
    Arguments all = {"train.epochs=4", "train.checkpoint_interval=4"};
    all.insert(all.end(), more.begin(), more.end());
    return train_arguments(out, all);
  }
  /// Two of four epochs, made once; its best checkpoint is not its last one.
  static const fs::path& half() {
    static const fs::path out = [] {
      const auto run = complete_run().parent_path() / "half";
      EXPECT_TRUE(succeeds(run_xception(arguments(run, {"train.stop_after_epoch=2"}))));
      return run;
    }();
    return out;
  }
  /// All four, undisturbed.
  static const fs::path& whole() {
    static const fs::path out = [] {
      const auto run = complete_run().parent_path() / "whole";
      EXPECT_TRUE(succeeds(run_xception(arguments(run, {}))));
      return run;
    }();
    return out;
  }

  CopiedRunTest() {
    fs::copy(half(), run, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }

  ProcessResult resume(const Arguments& more = {}) const {
    Arguments all = {"--resume", "train.stop_after_epoch=0"};
    all.insert(all.end(), more.begin(), more.end());
    return run_xception(arguments(run, all));
  }
  ProcessResult eval(const std::string& checkpoint) const {
    return run_xception(
        {"eval", "--run", run.string(), "--device", "cpu", "--checkpoint", checkpoint});
  }
  void expect_whole() const {
    for (const auto* file :
         {"checkpoints/last/model.safetensors", "checkpoints/last/optimizer.safetensors",
          "checkpoints/best/model.safetensors", "predictions-best-test.safetensors"}) {
      EXPECT_TRUE(content_of(run / file) == content_of(whole() / file)) << file;
    }
    EXPECT_EQ(csv_rows(run / "history.csv").size(), 4U);
    EXPECT_EQ(folders(), folders_of(whole()));
  }
  static std::vector<std::string> folders_of(const fs::path& run) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  [[nodiscard]] std::vector<std::string> folders() const { return folders_of(run); }

  fs::path run = folder / "run";
  fs::path checkpoints = run / "checkpoints";
};

class CopyingTest : public CopiedRunTest, public testing::WithParamInterface<Copying> {};

TEST_P(CopyingTest, TheRunIsEvaluatedAndGoesOn) {
  GetParam().alter(checkpoints);
  const auto before = snapshot(run);
  for (const auto* checkpoint : {"last", "best"}) EXPECT_TRUE(succeeds(eval(checkpoint)));
  EXPECT_TRUE(snapshot(run) == before);
  const auto result = resume();
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("from epoch 3 of 4"));
  expect_whole();
  EXPECT_TRUE(fs::is_symlink(checkpoints / "last"));
  EXPECT_TRUE(fs::is_symlink(checkpoints / "best"));
}

INSTANTIATE_TEST_SUITE_P(
    Ways, CopyingTest,
    testing::Values(Copying{"links_lost", lose_links},
                    Copying{"links_become_folders",
                            [](const fs::path& checkpoints) {  // cp -rL, scp -r
                              for (const auto* name : {"last", "best"}) {
                                const auto folder = fs::canonical(checkpoints / name);
                                fs::remove(checkpoints / name);
                                fs::copy(folder, checkpoints / name);
                              }
                            }},
                    Copying{"only_links_become_folders",
                            [](const fs::path& checkpoints) {  // rsync -L last best
                              for (const auto* name : {"last", "best"}) {
                                const auto folder = fs::canonical(checkpoints / name);
                                fs::remove(checkpoints / name);
                                fs::copy(folder, checkpoints / name);
                              }
                              for (const auto& entry : fs::directory_iterator(checkpoints)) {
                                if (entry.path().filename().string().starts_with("step-")) {
                                  fs::remove_all(entry.path());
                                }
                              }
                            }},
                    Copying{"links_become_files",
                            [](const fs::path& checkpoints) {  // where nobody makes links
                              for (const auto* name : {"last", "best"}) {
                                const auto target = target_of(checkpoints / name);
                                fs::remove(checkpoints / name);
                                std::ofstream(checkpoints / name) << target << "\n";
                              }
                            }},
                    Copying{"links_become_empty_files",
                            [](const fs::path& checkpoints) {
                              lose_links(checkpoints);
                              for (const auto* name : {"last", "best"}) {
                                std::ofstream empty(checkpoints / name);
                              }
                            }},
                    Copying{"one_link_is_lost",
                            [](const fs::path& checkpoints) { fs::remove(checkpoints / "last"); }},
                    Copying{"files_are_read_only",
                            [](const fs::path& checkpoints) {
                              for (const auto& entry :
                                   fs::recursive_directory_iterator(checkpoints.parent_path())) {
                                if (!entry.is_regular_file()) continue;
                                fs::permissions(entry.path(), fs::perms::owner_read);
                                fs::last_write_time(entry.path(), {});
                              }
                            }}),
    [](const auto& way) { return way.param.name; });

TEST_F(CopiedRunTest, APartlyCopiedCheckpointIsPassedOver) {
  // The newest one is cut short: the best, an epoch before, is whole.
  const auto newest = checkpoints / target_of(checkpoints / "last");
  const auto older = target_of(checkpoints / "best");
  ASSERT_NE(newest.filename(), older);
  const auto file = newest / "optimizer.safetensors";
  fs::resize_file(file, fs::file_size(file) / 2);
  lose_links(checkpoints);
  const auto result = resume();
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("using " + older));
  EXPECT_THAT(result.out, HasSubstr(newest.filename().string() + " is damaged"));
  EXPECT_EQ(csv_rows(run / "history.csv").size(), 4U);
}

TEST_F(CopiedRunTest, NoIntactCheckpointIsRefused) {
  lose_links(checkpoints);
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    fs::remove(entry.path() / "model.safetensors");
  }
  const auto before = snapshot(run);
  EXPECT_TRUE(fails(resume(), 2, {"checkpoints/last", "step-", "damaged or not whole"}));
  EXPECT_TRUE(fails(eval("last"), 2, {"checkpoints/last", "step-", "damaged or not whole"}));
  auto after = snapshot(run);
  after.at((run / "log.txt").string()) = before.at((run / "log.txt").string());
  EXPECT_TRUE(after == before);
}

TEST_F(CopiedRunTest, ARunThatLostItsCheckpointsIsNotBegunAgain) {
  fs::remove_all(checkpoints);
  const auto before = snapshot(run);
  EXPECT_TRUE(fails(resume(), 2, {run.string(), "2 epochs but no checkpoint", "restore"}));
  EXPECT_TRUE(snapshot(run) == before);
  fs::remove(run / "config.json");
  EXPECT_TRUE(fails(run_xception(arguments(run, {})), 2, {"already holds a run"}));
}

TEST_F(CopiedRunTest, WhatSomebodyKeepsStays) {
  const auto last = checkpoints / target_of(checkpoints / "last");
  const std::vector<std::string> kept = {last.filename().string() + "-keep",
                                         "step-1",
                                         "step-99999",
                                         "step-8.7",
                                         "mine.tmp.old",
                                         ".tmp-mine"};
  for (const auto& name : kept) fs::copy(last, checkpoints / name);
  std::ofstream(checkpoints / "notes.txt") << "keep step 1\n";
  const auto model = content_of(last / "model.safetensors");
  EXPECT_TRUE(succeeds(resume()));
  for (const auto& name : kept) {
    EXPECT_TRUE(content_of(checkpoints / name / "model.safetensors") == model) << name;
  }
  EXPECT_TRUE(fs::exists(checkpoints / "notes.txt"));
  EXPECT_FALSE(fs::exists(last)) << "what the run itself has superseded goes";
}

TEST_F(CopiedRunTest, AKeptCheckpointThatLastPointsAtStays) {
  // Also under a name that the program might have given.
  const auto original = checkpoints / target_of(checkpoints / "last");
  for (const auto& kept : {original.filename().string() + "-keep", std::string("step-7")}) {
    SCOPED_TRACE(kept);
    fs::remove_all(run);
    fs::copy(half(), run, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    fs::copy(original, checkpoints / kept);
    fs::remove(checkpoints / "last");
    fs::create_symlink(kept, checkpoints / "last");
    EXPECT_TRUE(succeeds(resume()));
    EXPECT_TRUE(fs::exists(checkpoints / kept / "model.safetensors"));
  }
}

TEST_F(CopiedRunTest, ALostBestCheckpointIsTold) {
  const auto last = target_of(checkpoints / "last");
  fs::remove(checkpoints / "best");
  // Only one that wasn't the best when it was saved is left.
  const auto state = json_of(checkpoints / last / "state.json");
  ASSERT_FALSE(state["best"].get<bool>());
  for (const auto& entry : fs::directory_iterator(checkpoints)) {
    const auto name = entry.path().filename();
    if (name != "last" && name != last) fs::remove_all(entry.path());
  }
  EXPECT_TRUE(fails(eval("best"), 2, {"no checkpoint best", "--checkpoint last"}));
  const auto result = resume();
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("best checkpoint, of epoch"));
  EXPECT_EQ(csv_rows(run / "history.csv").size(), 4U);
}

TEST_F(CopiedRunTest, HistoriesAreWrittenAnew) {
  auto text = content_of(run / "history.csv");
  std::string spreadsheet;
  for (const char c : text) spreadsheet += c == '\n' ? std::string("\r\n") : std::string(1, c);
  std::ofstream(run / "history.csv", std::ios::binary) << spreadsheet;
  fs::remove(run / "history.jsonl");
  EXPECT_TRUE(succeeds(resume()));
  EXPECT_THAT(content_of(run / "history.csv"), Not(HasSubstr("\r")));
  expect_whole();
  EXPECT_EQ(content_of(run / "history.csv").substr(0, text.size()), text);
}

TEST_F(CopiedRunTest, ResultsOfOtherDataAreNotTheRuns) {
  fs::remove_all(run);
  run = copied_run();
  const auto other = copied_data();
  // Every label is 3, and the classes have other names.
  for (const auto& entry : fs::recursive_directory_iterator(other)) {
    if (entry.path().filename() == "batches.meta.txt") {
      auto names = content_of(entry.path());
      std::ofstream(entry.path()) << "x" << names;
    }
    if (entry.path().filename() != "test_batch.bin") continue;
    auto bytes = content_of(entry.path());
    for (std::size_t i = 0; i < bytes.size(); i += 3073) bytes[i] = 3;
    std::ofstream(entry.path(), std::ios::binary) << bytes;
  }
  const auto before = snapshot(run);
  const auto result = run_xception({"eval", "--run", run.string(), "--data", other.string(),
                                    "--device", "cpu", "--predictions"});
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("other data than the run's"));
  EXPECT_THAT(result.out, HasSubstr("where the order differs"));
  auto after = snapshot(run);
  ASSERT_EQ(after.size(), before.size() + 1);
  for (const auto& [file, content] : before) EXPECT_TRUE(after.at(file) == content) << file;

  // Under the run's own name they are left out.
  std::string answers;
  for (const auto& [file, content] : after) {
    if (!before.contains(file)) answers = file;
  }
  EXPECT_THAT(answers, HasSubstr("-test-of-"));
  fs::copy_file(answers, run / "predictions-best-test.safetensors",
                fs::copy_options::overwrite_existing);
  const auto report = folder / "report";
  EXPECT_TRUE(succeeds(run_xception({"report", run.string(), "--out", report.string()})));
  EXPECT_THAT(content_of(report / "report.md"), HasSubstr("answers on other data"));
}

TEST_F(CopiedRunTest, PredictionsSayWhatTheyAreOf) {
  fs::remove_all(run);
  run = copied_run();
  ASSERT_TRUE(succeeds(run_xception({"eval", "--run", run.string(), "--device", "cpu", "--split",
                                     "validation", "--checkpoint", "last", "--predictions"})));
  const auto text = content_of(run / "predictions-last-validation.safetensors");
  const auto summary = json_of(run / "summary.json");
  const auto state = json_of(run / "checkpoints/last/state.json");
  EXPECT_THAT(text, HasSubstr(R"("split":"validation")"));
  EXPECT_THAT(text, HasSubstr(R"("checkpoint":"last")"));
  EXPECT_THAT(text, HasSubstr(summary["data"]["checksum"].get<std::string>()));
  EXPECT_THAT(text, HasSubstr("\"step\":\"" + state["step"].dump() + "\""));
  EXPECT_THAT(text, HasSubstr("crescent"));
}

}  // namespace
}  // namespace xception
