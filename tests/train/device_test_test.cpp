// Asking a process of its own about a device, and keeping what it says.
#include "xception/train/device_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "support/temporary_folder.h"
#include "train/fake_worker.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AskDevice : public testing::Test {
 protected:
  AskDevice() {
    set("XDG_CACHE_HOME", (temporary.path / "cache").string());
    worker(verdict(""));
  }
  ~AskDevice() override {
    forget_verdicts();
    ::unsetenv("XDG_CACHE_HOME");
    ::unsetenv("XCEPTION_SELFTEST_WORKER");
  }

  static void set(const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), /*overwrite=*/1);
  }
  void worker(const std::string& body) {
    set("XCEPTION_SELFTEST_WORKER", write_worker(temporary.path, body).string());
  }
  static DeviceVerdict ask(DeviceTest::Kind kind = DeviceTest::Kind::kernels,
                           const std::string& precision = "bf16", double seconds = 30) {
    return ask_device({.kind = kind, .precision = precision}, seconds);
  }
  [[nodiscard]] int calls() const { return calls_of_worker(temporary.path); }
  TemporaryFolder temporary;
};

TEST_F(AskDevice, OnceAProcessAndOnceABuild) {
  EXPECT_EQ(verdict_file(), temporary.path / "cache/xception/device-tests.json");
  EXPECT_EQ(ask().problem, "");
  EXPECT_FALSE(ask().kept);
  EXPECT_EQ(calls(), 1);
  forget_verdicts();
  const auto kept = ask();
  EXPECT_EQ(kept.problem, "");
  EXPECT_TRUE(kept.kept);
  EXPECT_EQ(calls(), 1);
  EXPECT_TRUE(kept_verdict({.precision = "bf16"}));
  EXPECT_FALSE(kept_verdict({.precision = "fp16"}));
  // Whatever is known.
  EXPECT_FALSE(ask_device({.precision = "bf16"}, 30, /*again=*/true).kept);
  EXPECT_EQ(calls(), 2);
}

TEST_F(AskDevice, ForEachTestPrecisionAndChoiceOfKernels) {
  (void)ask();
  (void)ask(DeviceTest::Kind::kernels, "fp16");
  (void)ask(DeviceTest::Kind::graph);
  (void)ask_device(
      {.kind = DeviceTest::Kind::graph, .precision = "bf16", .kernels = Kernels::reference}, 30);
  EXPECT_EQ(calls(), 4);
}

TEST_F(AskDevice, TellsTheWorkerWhatToTest) {
  worker(R"(echo "xception-selftest {\"lifetime\":0,\"problem\":\"$*\"}")");
  const auto asked = ask_device(
      {.kind = DeviceTest::Kind::graph, .precision = "fp16", .kernels = Kernels::reference}, 30);
  EXPECT_EQ(asked.problem,
            "doctor --selftest-worker graph --device cpu --precision fp16 --kernels reference");
}

TEST_F(AskDevice, TakesWhateverHappensThereForAVerdict) {
  struct Broken {
    const char* body;
    const char* words;
    bool kept;
  };
  int number = 0;
  for (const auto& [body, words, kept] :
       {Broken{"kill -SEGV $$", "signal 11 (Segmentation fault)", true},
        Broken{"echo terminate called >&2; kill -ABRT $$", "signal 6 (Aborted): terminate called",
               true},
        Broken{"kill -KILL $$", "signal 9 (Killed)", false},
        Broken{"exit 0", "code 0 and no verdict", false},
        Broken{"echo about to; exit 3", "code 3 and no verdict: about to", false},
        Broken{"echo 'xception-selftest {\"problem\":'", "code 0 and no verdict", false},
        Broken{"echo 'xception-selftest {\"problem\":\"\"}'", "code 0 and no verdict", false},
        Broken{"echo 'xception-selftest {\"lifetime\":0,\"problem\":\"\"}'; exit 1", "code 1",
               false},
        Broken{"echo 'xception-selftest {\"lifetime\":0,\"problem\":\"BatchNorm differs\"}'",
               "BatchNorm differs", true},
        Broken{"echo 'xception-selftest {\"lifetime\":null,\"problem\":\"CUDA out of memory.\"}'",
               "out of memory", false}}) {
    const auto precision = "p" + std::to_string(number++);
    const int before = calls();
    worker(body);
    EXPECT_THAT(ask(DeviceTest::Kind::kernels, precision).problem, HasSubstr(words));
    // Known to this process in any case.
    EXPECT_THAT(ask(DeviceTest::Kind::kernels, precision).problem, HasSubstr(words));
    EXPECT_EQ(calls(), before + 1) << body;
    EXPECT_EQ(kept_verdict({.precision = precision}).has_value(), kept) << body;
  }
  set("XCEPTION_SELFTEST_WORKER", "/nowhere/worker");
  forget_verdicts();
  EXPECT_THAT(ask().problem, HasSubstr("code 127 and no verdict"));
}

TEST_F(AskDevice, WaitsNoLongerThanItsLimit) {
  worker("sleep 60");
  EXPECT_THAT(ask(DeviceTest::Kind::kernels, "bf16", 0.2).problem,
              HasSubstr("didn't end in 0.2 s (train.selftest_seconds)"));
  // For an hour: a machine may have been busy.
  forget_verdicts();
  EXPECT_TRUE(kept_verdict({.precision = "bf16"}));
  auto json = nlohmann::json::parse(std::ifstream(verdict_file()));
  json["verdicts"][0]["expires"] = 1;
  std::ofstream(verdict_file()) << json;
  EXPECT_FALSE(kept_verdict({.precision = "bf16"}));
}

TEST_F(AskDevice, AsksAgainWhereTheFileIsDamagedOrSomebodyElses) {
  (void)ask();
  for (const std::string content :
       {"", "{", "[]", "null", R"({"verdicts": 3})", R"({"verdicts": [{"key": 1}]})",
        R"({"verdicts": [{"key": {}, "problem": 5, "time": 0, "expires": 0}]})", "\xff\xfe\0"}) {
    std::ofstream(verdict_file(), std::ios::trunc) << content;
    forget_verdicts();
    const int before = calls();
    EXPECT_EQ(ask().problem, "") << content;
    EXPECT_EQ(calls(), before + 1) << content;
    forget_verdicts();
    EXPECT_TRUE(ask().kept) << content;  // mended
  }
  // Another GPU's, another build's.
  for (const auto* part : {"device", "driver", "build", "libtorch", "cuda", "compute_capability",
                           "cudnn", "precision", "test"}) {
    auto json = nlohmann::json::parse(std::ifstream(verdict_file()));
    for (auto& item : json["verdicts"]) {
      item["key"][part] = "another";
      item["problem"] = "of another";
    }
    std::ofstream(verdict_file()) << json;
    forget_verdicts();
    EXPECT_EQ(ask().problem, "") << part;
  }
}

TEST_F(AskDevice, GoesWithoutAFileWhereNoneCanBeWritten) {
  const auto file = temporary.path / "a file";
  std::ofstream(file) << "x";
  set("XDG_CACHE_HOME", file.string());  // no folder can be made below it
  EXPECT_EQ(ask().problem, "");
  EXPECT_EQ(ask().problem, "");
  EXPECT_EQ(calls(), 1);
  // A folder in the file's place.
  set("XDG_CACHE_HOME", (temporary.path / "other").string());
  fs::create_directories(verdict_file());
  forget_verdicts();
  fs::create_directories(verdict_file() / "full");
  EXPECT_EQ(ask().problem, "");
  // A relative path is ignored, and there need not be a home.
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  set("XDG_CACHE_HOME", "relative");
  ::unsetenv("HOME");
  forget_verdicts();
  EXPECT_TRUE(verdict_file().empty());
  EXPECT_EQ(ask().problem, "");
  set("HOME", home);
}

TEST_F(AskDevice, IsNotMisledByIgnoredChildren) {
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  const auto asked = ask(DeviceTest::Kind::kernels, "bf16", 5);
  std::signal(SIGCHLD, before);
  // Nobody can tell how it ended, so it is no verdict; but it isn't waited for.
  EXPECT_THAT(asked.problem, HasSubstr("code unknown"));
}

TEST_F(AskDevice, KeepsTheNewestOfMany) {
  for (int i = 0; i < 70; ++i) (void)ask(DeviceTest::Kind::kernels, "p" + std::to_string(i));
  const auto json = nlohmann::json::parse(std::ifstream(verdict_file()));
  EXPECT_EQ(json["verdicts"].size(), 64U);
  EXPECT_EQ(json["verdicts"][0]["key"]["precision"], "p69");
}

}  // namespace
}  // namespace xception
