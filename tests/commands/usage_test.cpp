// The command line itself: help, version, unknown words, devices.
#include <gmock/gmock.h>

#include "commands/command_testing.h"
#include "train/fake_worker.h"
#include "xception/parallel/device.h"

namespace xception {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::vector<Arguments>& subcommands() {
  static const std::vector<Arguments> list = {
      {},
      {"train"},
      {"eval"},
      {"predict"},
      {"bench"},
      {"models"},
      {"doctor"},
      {"data"},
      {"data", "info"},
      {"data", "verify"},
      {"data", "preview"},
      {"config"},
      {"data", "synthesize"},
  };
  return list;
}

TEST(Usage, Version) {
  const auto result = run_xception({"--version"});
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, StartsWith("xception 0."));
  EXPECT_THAT(result.out, HasSubstr("LibTorch 2."));
}

TEST(Usage, EveryHelpEndsWithAnExample) {
  for (auto arguments : subcommands()) {
    arguments.emplace_back("--help");
    SCOPED_TRACE(testing::PrintToString(arguments));
    const auto result = run_xception(arguments);
    EXPECT_TRUE(succeeds(result));
    const auto last = result.out.find_last_not_of('\n');
    ASSERT_NE(last, std::string::npos);
    const auto line = result.out.substr(result.out.rfind('\n', last) + 1);
    EXPECT_THAT(line, StartsWith("Example: xception "));
    for (const auto& word : arguments) {
      EXPECT_THAT(line + " --help", HasSubstr(word));
    }
  }
}

/// What of OpenMP's waiting a child of the program finds in its environment.
std::string waiting_policy(const std::vector<std::string>& set) {
  const TemporaryFolder folder;
  const auto worker =
      write_worker(folder.path, "echo \"$GOMP_SPINCOUNT,$OMP_WAIT_POLICY\" >" +
                                    (folder.path / "policy").string() + "\n" + verdict(""));
  Arguments command = {"/usr/bin/env", "-u", "GOMP_SPINCOUNT", "-u", "OMP_WAIT_POLICY"};
  command.insert(command.end(), set.begin(), set.end());
  const auto doctor = xception_command({"doctor"});
  command.insert(command.end(), doctor.begin(), doctor.end());
  Process process(command, {.environment = {{"XCEPTION_SELFTEST_WORKER", worker.string()},
                                            {"XDG_CACHE_HOME", folder.path.string()}}});
  EXPECT_EQ(process.wait().exit_code, 0);
  return content_of(folder.path / "policy");
}

TEST(Usage, ThreadsSpinBrieflyUnlessTheUserSaysOtherwise) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "sanitizers set themselves up where the program would set this";
#endif
  EXPECT_EQ(waiting_policy({}), "10000,\n");
  EXPECT_EQ(waiting_policy({"GOMP_SPINCOUNT=5"}), "5,\n");
  EXPECT_EQ(waiting_policy({"OMP_WAIT_POLICY=ACTIVE"}), ",ACTIVE\n");
}

TEST(Usage, SubcommandIsMissing) {
  EXPECT_TRUE(fails(run_xception({}), 2, {"subcommand is required", "--help"}));
  EXPECT_TRUE(fails(run_xception({"data"}), 2, {"subcommand is required"}));
}

TEST(Usage, SubcommandIsUnknown) {
  EXPECT_TRUE(fails(run_xception({"trian", "--data", "data"}), 2,
                    {"trian", "unknown subcommand", "train, sweep, report, bench, eval, predict",
                     "did you mean train?"}));
  EXPECT_TRUE(fails(run_xception({"data", "inof"}), 2, {"inof", "did you mean info?"}));
  // A word after sweep is its file.
  EXPECT_TRUE(fails(run_xception({"sweep", "a.json", "--job", "2"}), 2, {"--job"}));
  EXPECT_TRUE(fails(run_xception({"xyzzy"}), 2, {"xyzzy", "expected one of train"}));
}

TEST(Usage, OptionIsUnknown) {
  EXPECT_TRUE(fails(run_xception({"train", "--epochs=3"}), 2, {"--epochs", "--help"}));
  EXPECT_TRUE(fails(run_xception({"eval", "--run", "run", "--spilt", "test"}), 2, {"--spilt"}));
}

TEST(Usage, OptionIsMissing) {
  EXPECT_TRUE(fails(run_xception({"eval"}), 2, {"--run", "required"}));
  EXPECT_TRUE(fails(run_xception({"predict", "--run", "run"}), 2, {"images", "required"}));
  EXPECT_TRUE(fails(run_xception({"data", "synthesize"}), 2, {"--out", "required"}));
}

TEST(Usage, OptionIsOutOfRange) {
  EXPECT_TRUE(fails(run_xception({"eval", "--run", "run", "--checkpoint", "first"}), 2,
                    {"--checkpoint", "first", "best", "last"}));
  EXPECT_TRUE(
      fails(run_xception({"data", "preview", "--count", "0"}), 2, {"--count", "1 to 1024"}));
  EXPECT_TRUE(fails(run_xception({"data", "preview", "--epoch", "-1"}), 2, {"--epoch", "-1", "0"}));
}

TEST(Usage, DeviceIsUnknown) {
  for (const auto* name : {"nonsense", "cuda:", "cuda:-1", "cuda:x", "CPU"}) {
    auto arguments = train_arguments("unused");
    arguments[6] = name;
    EXPECT_TRUE(fails(run_xception(arguments), 2, {"--device", name, "auto, cpu, cuda or cuda:N"}));
  }
}

TEST(Usage, DeviceIsAbsent) {
  auto arguments = train_arguments("unused");
  arguments[6] = "cuda:99";
  EXPECT_TRUE(fails(run_xception(arguments), 2, {"--device cuda:99"}));
  if (cuda_available()) GTEST_SKIP() << "there is a GPU";
  arguments[6] = "cuda";
  EXPECT_TRUE(
      fails(run_xception(arguments), 2, {"--device cuda", "not available", "--device cpu"}));
  EXPECT_FALSE(std::filesystem::exists("unused"));
}

}  // namespace
}  // namespace xception
