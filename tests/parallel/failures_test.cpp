// What goes wrong on a rank's own device, and what only looks as if another rank were gone.
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "parallel/deadline.h"
#include "parallel/nccl_watchdog.h"
#include "parallel/process_group.h"
#include "xception/parallel/failure_cause.h"

namespace xception {
namespace {

using std::chrono::milliseconds;

DeviceProbe probe(bool works, bool little) {
  return {.works = [works] { return works; }, .short_of_memory = [little] { return little; }};
}

DeviceProbe nobody() {
  const auto fail = []() -> bool { throw std::runtime_error("asked"); };
  return {.works = fail, .short_of_memory = fail};
}

TEST(FailureCause, IsReadFromTheTextWhereThatSuffices) {
  EXPECT_EQ(cause_of("CUDA out of memory. Tried", nobody()), FailureCause::memory);
  EXPECT_EQ(cause_of("CUDA error: misaligned address", nobody()), FailureCause::device_fault);
  EXPECT_EQ(cause_of("CUDA error: invalid argument", nobody()), FailureCause::other);
}

TEST(FailureCause, IsAskedForWhereTheTextMayMeanBoth) {
  for (const auto* text : {"FIND was unable to find an engine to execute this computation",
                           "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
                           "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED_CUDART",
                           "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `...`",
                           "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `...`"}) {
    EXPECT_EQ(cause_of(text, probe(false, true)), FailureCause::device_fault) << text;
    EXPECT_EQ(cause_of(text, probe(true, true)), FailureCause::memory) << text;
    EXPECT_EQ(cause_of(text, probe(true, false)), FailureCause::other) << text;
  }
}

TEST(FailureCause, IsReadFromTheTextOnTheCpu) {
  EXPECT_EQ(cause_of("std::bad_alloc", torch::kCPU), FailureCause::memory);
  EXPECT_EQ(cause_of("unable to find an engine", torch::kCPU), FailureCause::other);
}

void rethrown(const std::string& text) {
  try {
    throw std::runtime_error(text);
  } catch (const std::exception& error) {
    rethrow_of_collective("sum", error);
  }
}

TEST(Collectives, TellTheirOwnDevicesTroubleFromOthersAbsence) {
  EXPECT_THROW(rethrown("Connection closed by peer [127.0.0.1]:3"), LostContact);
  for (const auto* text :
       {"CUDA error: an illegal memory access was encountered", "CUDA out of memory. Tried",
        "NCCL error in: x.cpp:1, unhandled cuda error (run with NCCL_DEBUG=INFO)\nLast error:\n"}) {
    try {
      rethrown(text);
      FAIL() << text;
    } catch (const LostContact& error) {
      FAIL() << error.what();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), text);
    }
  }
}

TEST(Deadlines, EndWhatIsLateAlone) {
  int late = 0;
  {
    const Deadline deadline(std::chrono::minutes(10), [&] { ++late; });
  }
  EXPECT_EQ(late, 0);
  {
    const Deadline deadline(milliseconds(1), [&] { ++late; });
    std::this_thread::sleep_for(milliseconds(200));
  }
  EXPECT_EQ(late, 1);
}

TEST(NcclWatchdog, IsToldToLeaveTheProcessAlone) {
  ::setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1", 1);
  ::setenv("TORCH_NCCL_TRACE_BUFFER_SIZE", "2000", 1);  // somebody looks for a fault
  keep_nccl_watchdog_quiet();
  EXPECT_STREQ(std::getenv("TORCH_NCCL_ASYNC_ERROR_HANDLING"), "2");
  EXPECT_STREQ(std::getenv("TORCH_NCCL_RETHROW_CUDA_ERRORS"), "0");
  EXPECT_STREQ(std::getenv("TORCH_NCCL_DUMP_ON_TIMEOUT"), "0");
  EXPECT_STREQ(std::getenv("TORCH_NCCL_TRACE_BUFFER_SIZE"), "2000");
}

}  // namespace
}  // namespace xception
