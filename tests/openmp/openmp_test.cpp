// src/openmp.cpp as what GCC makes of OpenMP's pragmas sees it, and LibTorch.

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

namespace xception {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr int kThreads = 4;

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(OpenMp, EveryNumberOfATeamHasOneShare) {
  std::vector<int> seen(kThreads);
  std::vector<int> sizes(kThreads);
  const auto caller = std::this_thread::get_id();
  bool first_is_caller = false;
#pragma omp parallel num_threads(kThreads)
  {
    const auto number = static_cast<std::size_t>(omp_get_thread_num());
    ++seen[number];
    sizes[number] = omp_in_parallel() != 0 ? omp_get_num_threads() : -1;
    if (number == 0) first_is_caller = std::this_thread::get_id() == caller;
  }
  EXPECT_THAT(seen, Each(1));
  EXPECT_THAT(sizes, Each(kThreads));
  EXPECT_TRUE(first_is_caller);
  EXPECT_EQ(omp_in_parallel(), 0);
  EXPECT_EQ(omp_get_num_threads(), 1);
}

TEST(OpenMp, SharesMayWaitForEachOtherByThemselves) {
  // As oneDNN's do: without a word to OpenMP.
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> arrived = 0;
#pragma omp parallel num_threads(kThreads)
    {
      ++arrived;
      while (arrived < kThreads) std::this_thread::yield();
    }
    EXPECT_EQ(arrived, kThreads);
  }
}

TEST(OpenMp, BarriersHoldUntilAllAreThere) {
  std::vector<int> phase(kThreads);
  std::atomic<int> early = 0;
#pragma omp parallel num_threads(kThreads)
  for (int step = 1; step <= 30; ++step) {
    phase[static_cast<std::size_t>(omp_get_thread_num())] = step;
    if (step % 10 == omp_get_thread_num()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the others sleep
    }
#pragma omp barrier
    for (const int other : phase) early += other != step ? 1 : 0;
#pragma omp barrier
  }
  EXPECT_EQ(early, 0);
}

TEST(OpenMp, DynamicLoopsVisitEachOnce) {
  std::vector<int> up(1001);
  std::vector<int> down(1001);
  std::vector<long> far;
  std::mutex mutex;
#pragma omp parallel num_threads(kThreads)
  {
#pragma omp for schedule(monotonic : dynamic, 7)
    for (int i = 0; i < 1001; ++i) ++up[static_cast<std::size_t>(i)];
#pragma omp for schedule(monotonic : dynamic, 10) nowait
    for (int i = 1000; i >= 0; i -= 3) ++down[static_cast<std::size_t>(i)];
#pragma omp for schedule(monotonic : dynamic, 2)
    for (long i = LONG_MAX - 10; i < LONG_MAX - 4; i += 4) {
      const std::lock_guard lock(mutex);
      far.push_back(LONG_MAX - i);
    }
  }
  EXPECT_THAT(up, Each(1));
  for (std::size_t i = 0; i < down.size(); ++i) ASSERT_EQ(down[i], i % 3 == 1 ? 1 : 0) << i;
  EXPECT_THAT(far, testing::UnorderedElementsAre(10, 6));
}

TEST(OpenMp, OrderedBlocksRunInOrder) {
  std::vector<int> order;
#pragma omp parallel num_threads(kThreads)
  {
#pragma omp for ordered schedule(monotonic : dynamic, 2)
    for (int i = 0; i < 50; ++i) {
      if (i % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
#pragma omp ordered
      order.push_back(i);
    }
  }
  EXPECT_EQ(order, numbers(50));
}

TEST(OpenMp, SectionsSinglesAndCriticalBlocks) {
  std::atomic<int> sections[3] = {0, 0, 0};
  std::atomic<int> singles = 0;
  int sum = 0;
  int other_sum = 0;
#pragma omp parallel num_threads(kThreads)
  {
#pragma omp sections nowait
    {
#pragma omp section
      ++sections[0];
#pragma omp section
      ++sections[1];
#pragma omp section
      ++sections[2];
    }
    for (int i = 0; i < 20; ++i) {
#pragma omp single
      ++singles;
    }
    for (int i = 0; i < 1000; ++i) {
#pragma omp critical
      ++sum;
#pragma omp critical(other)
      ++other_sum;
    }
  }
  for (const auto& section : sections) EXPECT_EQ(section, 1);
  EXPECT_EQ(singles, 20);
  EXPECT_EQ(sum, 1000 * kThreads);
  EXPECT_EQ(other_sum, 1000 * kThreads);
}

TEST(OpenMp, ATeamWithinATeamIsOneThread) {
  std::atomic<int> shares = 0;
  std::atomic<int> sizes = 0;
#pragma omp parallel num_threads(2)
  {
#pragma omp parallel num_threads(kThreads)
    {
      ++shares;
      sizes += omp_get_num_threads();
      EXPECT_EQ(omp_get_thread_num(), 0);
      EXPECT_NE(omp_in_parallel(), 0);
    }
  }
  EXPECT_EQ(shares, 2);
  EXPECT_EQ(sizes, 2);
}

TEST(OpenMp, OutsideOfTeamsAThreadIsAlone) {
  int visits = 0;
#pragma omp for schedule(monotonic : dynamic, 2)
  for (int i = 0; i < 9; ++i) ++visits;
#pragma omp single
  ++visits;
#pragma omp barrier
  EXPECT_EQ(visits, 10);
  EXPECT_EQ(omp_in_parallel(), 0);
}

TEST(OpenMp, EachThreadHasItsOwnNumberOfThreads) {
  omp_set_num_threads(3);
  EXPECT_EQ(omp_get_max_threads(), 3);
  int elsewhere = 0;
  std::thread([&] {
    omp_set_num_threads(2);
    elsewhere = omp_get_max_threads();
  }).join();
  EXPECT_EQ(elsewhere, 2);
  int size = 0;
#pragma omp parallel
  {
#pragma omp single
    size = omp_get_num_threads();
  }
  EXPECT_EQ(size, 3);
  EXPECT_EQ(omp_get_max_threads(), 3);
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  EXPECT_EQ(omp_get_num_procs(), CPU_COUNT(&allowed));
}

TEST(OpenMp, SeveralThreadsHaveTeamsAtTheSameTime) {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        std::set<int> met;
#pragma omp parallel num_threads(3)
        {
#pragma omp critical
          met.insert(omp_get_thread_num());
#pragma omp barrier
        }
        if (met != std::set<int>{0, 1, 2}) ++wrong;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(OpenMp, LibTorchSharesItsWorkOut) {
  at::set_num_threads(2);
  EXPECT_EQ(at::get_num_threads(), 2);
  std::mutex mutex;
  std::vector<std::int64_t> starts;
  at::parallel_for(0, 100, 1, [&](std::int64_t first, std::int64_t /*last*/) {
    const std::lock_guard lock(mutex);
    starts.push_back(first);
    EXPECT_TRUE(at::in_parallel_region());
  });
  std::sort(starts.begin(), starts.end());
  EXPECT_THAT(starts, ElementsAre(0, 50));
  EXPECT_FALSE(at::in_parallel_region());

  at::manual_seed(1);
  const auto x = at::randn({8, 32, 15, 15});
  const auto weight = at::randn({64, 32, 3, 3});
  const auto both = at::conv2d(x, weight);
  at::set_num_threads(1);
  EXPECT_TRUE(at::allclose(at::conv2d(x, weight), both, 1e-4, 1e-4));
}

}  // namespace
}  // namespace xception
