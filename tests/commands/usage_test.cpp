// The command line itself: help, version, unknown words, devices.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <thread>

#include "commands/command_testing.h"
#include "train/fake_worker.h"
#include "xception/parallel/device.h"

namespace xception {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using UsageInFolder = CommandTest;

const std::vector<Arguments>& subcommands() {
  static const std::vector<Arguments> list = {
      {},
      {"train"},
      {"eval"},
      {"predict"},
      {"bench"},
      {"recipes"},
      {"models"},
      {"weights"},
      {"weights", "info"},
      {"weights", "diff"},
      {"weights", "convert"},
      {"weights", "average"},
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

/// Whether a process ignores a signal, as /proc says.
bool ignores(pid_t id, int number) {
  std::ifstream status("/proc/" + std::to_string(id) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigIgn:")) continue;
    return (std::stoull(line.substr(7), nullptr, 16) >> (number - 1) & 1U) != 0;
  }
  return false;
}

TEST(Usage, ARequestToSaveWhileLibrariesSetThemselvesUpIsHarmless) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "sanitizers set themselves up where the program would ignore the signal";
#endif
  Process process(xception_command({"--version"}));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!ignores(process.id(), SIGUSR1) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  process.send(SIGUSR1);
  const auto result = process.wait();
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, StartsWith("xception "));
}

TEST(Usage, OpenMpIsTheProgramsOwn) {
#ifndef XCEPTION_OWN_OPENMP
  GTEST_SKIP() << "this LibTorch calls functions that src/openmp.cpp lacks";
#endif
  const TemporaryFolder folder;
  Process process(xception_command({"--version"}),
                  {.environment = {{"LD_BIND_NOW", "1"},
                                   {"LD_DEBUG", "bindings"},
                                   {"LD_DEBUG_OUTPUT", (folder.path / "bindings").string()}}});
  EXPECT_EQ(process.wait().exit_code, 0);
  // "binding file .../libtorch_cpu.so [0] to .../xception [0]: normal symbol `GOMP_parallel' [...]"
  const std::regex binding(R"(binding file (\S+) \[0\] to (\S+) \[0\]: normal symbol `(\w+)')");
  int ours = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder.path)) {
    std::istringstream lines(content_of(file));
    for (std::string line; std::getline(lines, line);) {
      if (line.find("`GOMP_") == std::string::npos && line.find("`omp_") == std::string::npos) {
        continue;
      }
      std::smatch parts;
      ASSERT_TRUE(std::regex_search(line, parts, binding)) << line;
      if (parts[1].str().find("libgomp") != std::string::npos) continue;
      EXPECT_THAT(parts[2].str(), testing::EndsWith("xception")) << line;
      ++ours;
    }
  }
  EXPECT_GT(ours, 10);
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
  EXPECT_TRUE(fails(run_xception({"train", "--epochs=3"}), 2,
                    {"--epochs: unknown option of train", "write train.epochs=VALUE",
                     "see xception train --help"}));
  EXPECT_TRUE(fails(run_xception({"train", "--batch-size", "3"}), 2,
                    {"--batch-size", "write train.batch_size=VALUE"}));
  EXPECT_TRUE(fails(run_xception({"eval", "--run", "run", "--spilt", "test"}), 2,
                    {"--spilt", "did you mean --split?", "see xception eval --help"}));
  EXPECT_TRUE(fails(run_xception({"weights", "diff", "a", "b", "--jsonn"}), 2,
                    {"--jsonn: unknown option of weights diff", "did you mean --json?"}));
  EXPECT_TRUE(fails(run_xception({"--verison"}), 2, {"--verison", "did you mean --version?"}));
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

TEST_F(UsageInFolder, OutputThatCannotBeWrittenIsAFailure) {
  const auto data = small_data().string();
  const auto run = complete_run().string();
  const auto image = (folder / "image.png").string();
  const Arguments preview = {
      "data", "preview", "--data", data, "--out", image, "data.validation_size=40", "--overwrite"};
  ASSERT_TRUE(succeeds(run_xception(preview)));
  auto dry = train_arguments(folder / "dry");
  dry.emplace_back("--dry-run");
  const std::vector<Arguments> commands = {
      {"--help"},
      {"--version"},
      {"eval", "--help"},
      {"eval", "--run", run, "--device", "cpu"},
      {"eval", "--run", run, "--device", "cpu", "--json"},
      {"predict", "--run", run, "--device", "cpu", image},
      {"predict", "--run", run, "--device", "cpu", image, "--json"},
      {"models"},
      {"models", "--json"},
      {"data", "info", "--data", data},
      {"data", "verify", "--data", data},
      preview,
      {"data", "synthesize", "--out", (folder / "new").string(), "--train", "10", "--test", "10"},
      {"config"},
      {"config", "--schema"},
      {"doctor", "--json"},
      {"bench", "--mode", "data", "--image-size", "71", "--batch-size", "2", "--device", "cpu",
       "--windows", "1", "--steps", "1"},
      dry,
      train_arguments(folder / "run", {"train.epochs=1"}),
  };
  const int full = ::open("/dev/full", O_WRONLY);
  for (const auto& arguments : commands) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    EXPECT_TRUE(fails(run_xception(arguments, {.out_descriptor = full}), 1,
                      {"standard output", "cannot be written"}));
  }
  ::close(full);
  // What is wrong before matters more; and a run goes on to its end.
  EXPECT_EQ(json_of(folder / "run/summary.json")["status"], "complete");
}

TEST_F(UsageInFolder, ClosedOutputIsHarmless) {
  Arguments command = {"/bin/sh", "-c", "exec \"$0\" \"$@\" >&-"};
  const auto program = xception_command({"config"});
  command.insert(command.end(), program.begin(), program.end());
  EXPECT_EQ(Process(command).wait().exit_code, 0);
}

TEST_F(UsageInFolder, WorkingDirectoryWasRemoved) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "sanitizers set themselves up where the program would look";
#endif
  for (const auto* words : {"doctor", "models", "train", "report x", "data info", "config"}) {
    const std::string line =
        "mkdir gone; cd gone; rmdir ../gone; exec \"$0\" " + std::string(words);
    Arguments command = {"/bin/sh", "-c", line};
    const auto program = xception_command({});
    command.insert(command.end(), program.begin(), program.end());
    EXPECT_TRUE(fails(Process(command, {.folder = folder}).wait(), 2, {"working directory"}));
  }
}

TEST_F(UsageInFolder, BracketsAreNoList) {
  for (const auto* name : {"[d]", "[a,b]"}) {
    SCOPED_TRACE(name);
    const auto data = folder / "in" / name;
    std::filesystem::create_directories(data.parent_path());
    std::filesystem::copy(small_data(), data, std::filesystem::copy_options::recursive);
    const ProcessOptions there{.folder = data.parent_path()};
    EXPECT_TRUE(succeeds(run_xception({"data", "info", "--data", name}, there)));
    std::filesystem::create_directories(folder / "runs");
    std::filesystem::copy(
        complete_run(), folder / "runs" / name,
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
    const ProcessOptions runs{.folder = folder / "runs"};
    EXPECT_TRUE(succeeds(run_xception({"eval", "--run", name, "--device", "cpu"}, runs)));
    EXPECT_EQ(run_xception({"report", name, "--out", "[o]", "--no-figures", "--overwrite"}, runs)
                  .exit_code,
              0);
    EXPECT_TRUE(std::filesystem::exists(folder / "runs/[o]/report.md"));
  }
  EXPECT_TRUE(fails(run_xception({"eval", "--run", "r", "[x]"}), 2, {": [x]"}));
}

TEST_F(UsageInFolder, PathsNeedNotBeUtf8) {
  const std::string name = "caf\xe9 %41";
  std::filesystem::copy(small_data(), folder / name, std::filesystem::copy_options::recursive);
  const ProcessOptions here{.folder = folder};
  auto arguments = train_arguments("run " + name, {"train.epochs=1"});
  arguments[2] = name;
  EXPECT_TRUE(succeeds(run_xception(arguments, here)));
  arguments = with_overrides(arguments, {"--ranks", "2", "--resume", "train.epochs=2"});
  EXPECT_TRUE(succeeds(run_xception(arguments, here)));
  const auto run = (folder / ("run " + name)).string();
  EXPECT_TRUE(succeeds(run_xception({"eval", "--run", run, "--device", "cpu", "--json"})));
  EXPECT_EQ(json_of(folder / ("run " + name) / "summary.json")["status"], "complete");
  const auto info = run_xception({"data", "info", "--data", name, "--json"}, here);
  EXPECT_TRUE(succeeds(info));
  EXPECT_EQ(nlohmann::json::parse(info.out)["train"], 300);
  EXPECT_EQ(run_xception({"report", run, "--out", "report " + name}, here).exit_code, 0);
}

TEST_F(UsageInFolder, ComponentOfAPathIsTooLong) {
  const std::string name(256, 'x');
  for (const Arguments& arguments : {Arguments{"eval", "--run", name},
                                     {"predict", "--run", name, "x.png"},
                                     {"report", name},
                                     {"data", "info", "--data", name},
                                     {"config", "--config", name},
                                     {"sweep", name},
                                     {"sweep", "status", name},
                                     train_arguments(name),
                                     {"data", "synthesize", "--out", name},
                                     {"train", "--config", name}}) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const auto result = run_xception(arguments, {.folder = folder});
    EXPECT_TRUE(fails(result, 2, {name}));
    EXPECT_EQ(result.err.find("filesystem error"), std::string::npos);
  }
}

/// What the program writes on a terminal of this kind, everything together.
std::string on_terminal(const Arguments& arguments, const std::string& kind) {
  Arguments command = {environment_variable("XCEPTION_TEST_PYTHON"), "-c",
                       "import pty, sys; pty.spawn(sys.argv[1:])"};
  const auto program = xception_command(arguments);
  command.insert(command.end(), program.begin(), program.end());
  return Process(command, {.environment = {{"TERM", kind}}}).wait().out;
}

TEST_F(UsageInFolder, ATerminalThatCannotRedrawGetsPlainLines) {
  const Arguments arguments = {"eval", "--run", complete_run().string(), "--device", "cpu"};
  EXPECT_THAT(on_terminal(arguments, "xterm"), HasSubstr("\033["));
  EXPECT_THAT(on_terminal(arguments, "dumb"), testing::Not(HasSubstr("\033[")));
  EXPECT_THAT(on_terminal(arguments, ""), testing::Not(HasSubstr("\033[")));
}

TEST(Usage, DeviceIsUnknown) {
  for (const auto* name : {"nonsense", "cuda:", "cuda:-1", "cuda:x", "CPU"}) {
    auto arguments = train_arguments("unused");
    arguments[6] = name;
    EXPECT_TRUE(fails(run_xception(arguments), 2,
                      {"--device", name, "auto, cpu, cuda, cuda:N, cuda:0,cuda:1 or all"}));
  }
  for (const auto* name : {"nonsense", "all", "cuda:0,cuda:1"}) {  // of one device
    EXPECT_TRUE(fails(run_xception({"eval", "--run", complete_run().string(), "--device", name}), 2,
                      {"--device", name, "auto, cpu, cuda or cuda:N"}));
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
