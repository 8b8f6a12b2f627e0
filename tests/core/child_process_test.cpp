#include "xception/core/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "support/temporary_folder.h"

namespace xception {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

ChildResult run_shell(const std::string& script, milliseconds limit = seconds(60)) {
  return run_child({.arguments = {"sh", "-c", script}, .program = "/bin/sh"}, limit);
}

TEST(RunChild, GivesBackCodeAndOutput) {
  const auto result = run_shell("echo out; echo err >&2; exit 3");
  EXPECT_TRUE(result.in_time);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.output, "out\nerr\n");
}

TEST(RunChild, NamesTheSignal) {
  const auto result = run_shell("kill -SEGV $$");
  EXPECT_TRUE(result.in_time);
  EXPECT_EQ(result.exit_code, std::nullopt);
  EXPECT_EQ(result.signal, SIGSEGV);
}

TEST(RunChild, KeepsTheEndOfMuchOutput) {
  const auto result = run_shell("head -c 5000000 /dev/zero | tr '\\0' x; echo end");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_GT(result.output.size(), 1'000'000U);
  EXPECT_LT(result.output.size(), 3'000'000U);
  EXPECT_TRUE(result.output.ends_with("xend\n"));
}

TEST(RunChild, KillsWhatIsLateWithAllThatItStarted) {
  const TemporaryFolder folder;
  const auto file = folder.path / "grandchild";
  // Deaf to what is asked politely; its own child would write a second later.
  const auto result = run_shell(
      "trap '' TERM INT HUP; (sleep 1; touch " + file.string() + ") & while :; do sleep 0.1; done",
      milliseconds(300));
  EXPECT_FALSE(result.in_time);
  EXPECT_EQ(result.signal, SIGKILL);
  std::this_thread::sleep_for(milliseconds(1500));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(RunChild, WaitsForNobodyThatItLeavesBehind) {
  // The grandchild holds the output open.
  const auto result = run_shell("sleep 50 & echo done");
  EXPECT_TRUE(result.in_time);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.output, "done\n");
}

TEST(RunChild, SaysThatThereIsNoSuchProgram) {
  const auto result =
      run_child({.arguments = {"nobody"}, .program = "/nowhere/nobody"}, seconds(60));
  EXPECT_EQ(result.exit_code, 127);
}

}  // namespace
}  // namespace xception
