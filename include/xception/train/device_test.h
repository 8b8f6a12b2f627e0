#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "xception/models/kernel_choice.h"

namespace xception {

/// One of the two tests that decide at the start of a run how its steps are computed on a GPU.
struct DeviceTest {
  enum class Kind {
    kernels,  ///< fused kernels do what LibTorch's do: fused_selftest, then network_selftest
    graph,    ///< a recorded step does what the step does: graph_selftest
  };
  Kind kind = Kind::kernels;
  torch::Device device = torch::kCPU;
  std::string precision = "fp32";    ///< a name of `train.precision`
  Kernels kernels = Kernels::fused;  ///< of the recorded step
};

/// `kernels`, `graph`.
[[nodiscard]] const char* device_test_name(DeviceTest::Kind kind);

/// Runs a test in this process. Empty if it passes, else what is wrong.
[[nodiscard]] std::string run_device_test(const DeviceTest& test);

/// What a test came to.
struct DeviceVerdict {
  std::string problem = {};  ///< empty: it passed
  std::string time = {};     ///< when it was found, as `2026-11-26 09:20`
  bool kept = false;         ///< by an earlier process
};

/// What a test comes to, run in a process of its own (`xception doctor --selftest-worker`, which is
/// not in the help), so that whatever it does there (an illegal access, a hang) costs this one
/// nothing: that is a verdict like any other. Remembered by this process, and kept in
/// verdict_file() for later ones, under what may change it: GPU, driver, CUDA, cuDNN, LibTorch,
/// this build, precision. Processes that ask at once wait for the first one's answer.
///
/// seconds: the time limit, after which it counts as failed. again: whatever is known.
///
/// Results that agree or differ are kept for good, an error or a crash for a day, a hang for an
/// hour; not what may pass by itself (too little memory, a GPU that takes one process only, a test
/// that somebody ended). A file that can't be read is none; one that can't be written is said once.
///
/// The variable XCEPTION_SELFTEST_WORKER names another program to run; that is for tests.
[[nodiscard]] DeviceVerdict ask_device(const DeviceTest& test, double seconds, bool again = false);

/// What an earlier process kept of a test, if anything; asks nobody.
[[nodiscard]] std::optional<DeviceVerdict> kept_verdict(const DeviceTest& test);

/// Whether a device's kernels are in question: GPUs', and where XCEPTION_SELFTEST_WORKER is set.
[[nodiscard]] bool is_tested(const torch::Device& device);

/// Has this process remember nothing; what is kept stays.
void forget_verdicts();

/// `$XDG_CACHE_HOME/xception/device-tests.json`, by default below ~/.cache; empty without a home.
[[nodiscard]] std::filesystem::path verdict_file();

/// What the process that ask_device() starts does: the test, and its verdict as the last line of
/// standard output. Doesn't return, because a GPU in a bad state may hinder an orderly end.
[[noreturn]] void answer_device_test(const DeviceTest& test);

}  // namespace xception
