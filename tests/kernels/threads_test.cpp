#include "kernels/cpu/threads.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "xception/kernels/worker_pool.h"

namespace xception {
namespace {

class TwoThreads : public testing::Test {
 protected:
  TwoThreads() { at::set_num_threads(2); }
  ~TwoThreads() override { at::set_num_threads(before_); }

 private:
  int before_ = at::get_num_threads();
};

TEST_F(TwoThreads, WorkAtTheSameTime) {
  std::latch both(2);
  bool met[2] = {false, false};
  in_parts(2, 2, [&](std::int64_t part, std::int64_t /*first*/, std::int64_t /*last*/) {
    both.count_down();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!both.try_wait() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    met[part] = both.try_wait();
  });
  EXPECT_TRUE(met[0] && met[1]) << "one part began when the other was done";
}

TEST_F(TwoThreads, ShareAllItems) {
  std::vector<int> visits(1001);
  std::mutex mutex;
  in_parts(1001, 7, [&](std::int64_t /*part*/, std::int64_t first, std::int64_t last) {
    const std::scoped_lock lock(mutex);
    for (auto i = first; i < last; ++i) ++visits[static_cast<std::size_t>(i)];
  });
  EXPECT_EQ(visits, std::vector<int>(1001, 1));
}

TEST_F(TwoThreads, MoreParts) {
  // Many small jobs one after the other, so that threads come late, sleep and wake.
  for (int job = 0; job < 2000; ++job) {
    std::atomic<int> sum = 0;
    run_parts(5, [&](std::int64_t part) { sum += static_cast<int>(part) + 1; });
    ASSERT_EQ(sum, 15) << job;
    if (job % 500 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST_F(TwoThreads, PassOnWhatAPartThrows) {
  EXPECT_THROW(run_parts(4,
                         [](std::int64_t part) {
                           if (part == 2) throw std::runtime_error("part 2");
                         }),
               std::runtime_error);
  std::atomic<int> calls = 0;
  run_parts(4, [&](std::int64_t) { ++calls; });
  EXPECT_EQ(calls, 4);
}

TEST_F(TwoThreads, PartsOfAPartRunInTurn) {
  std::atomic<int> calls = 0;
  run_parts(2, [&](std::int64_t) {
    run_parts(3, [&](std::int64_t) { ++calls; });
    // Libraries leave the other threads alone.
    EXPECT_EQ(at::get_num_threads(), 1);
  });
  EXPECT_EQ(calls, 6);
  EXPECT_EQ(at::get_num_threads(), 2);
}

TEST_F(TwoThreads, AreLeftAloneByAThreadThatIsOneOfSeveral) {
  std::set<std::thread::id> threads;
  std::mutex mutex;
  const auto note = [&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  };
  {
    const OneThread alone;
    EXPECT_EQ(at::get_num_threads(), 1);
    run_parts(8, [&](std::int64_t) { note(); });
    EXPECT_EQ(threads.size(), 1U);
  }
  EXPECT_EQ(at::get_num_threads(), 2);
}

TEST_F(TwoThreads, ServeSeveralCallers) {
  std::atomic<int> calls = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      for (int job = 0; job < 200; ++job) run_parts(4, [&](std::int64_t) { ++calls; });
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(calls, 3 * 200 * 4);
}

TEST_F(TwoThreads, BesideABusyProcessAllIsDone) {
  // As many threads that only count as there are processors: ours lose theirs in the middle of
  // parts, and lend them to each other.
  std::atomic<bool> stop = false;
  std::vector<std::thread> busy;
  for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) {
    busy.emplace_back([&] {
      while (!stop) {
      }
    });
  }
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  std::vector<std::int64_t> sums(8);
  for (int job = 0; job < 20; ++job) {
    run_parts(8, [&](std::int64_t part) {
      volatile std::int64_t sum = 0;
      for (int i = 0; i < 300'000; ++i) sum = sum + part;
      sums[static_cast<std::size_t>(part)] = sum;
    });
  }
  stop = true;
  for (auto& thread : busy) thread.join();
  for (std::int64_t part = 0; part < 8; ++part) {
    EXPECT_EQ(sums[static_cast<std::size_t>(part)], 300'000 * part);
  }
  cpu_set_t after;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST_F(TwoThreads, AreNotUsedForLittle) {
  EXPECT_EQ(parts_of(1000, 1000), 1);
  EXPECT_EQ(parts_of(1000, 1000000), 2);
  EXPECT_EQ(parts_of(1, 1000000), 1);
}

}  // namespace
}  // namespace xception
