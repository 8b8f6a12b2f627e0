// What runs CUDA kernels on the host notices what it is there for.

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cuda_on_host/block.h"

namespace xception::cuda_on_host {
namespace {

unsigned thread_number() {
  return thread_index.y * block_size.x + thread_index.x;
}

/// Every thread writes its number and reads its right neighbor's.
std::vector<float> neighbors(std::uint64_t seed, bool with_barrier) {
  constexpr unsigned kCount = 32;
  std::vector<float> found(kCount);
  set_seed(seed);
  run_blocks("neighbors", 1, 8, 4, [&] {
    auto* shared = static_cast<float*>(shared_memory(kCount * sizeof(float)));
    const unsigned own = thread_number();
    shared[own] = static_cast<float>(own);
    if (with_barrier) barrier(__LINE__);
    found[own] = shared[(own + 1) % kCount];
  });
  return found;
}

TEST(CudaOnHostBlock, ABarrierMakesTheOrderNoMatter) {
  const auto found = neighbors(1, true);
  for (unsigned i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i], static_cast<float>((i + 1) % found.size()));
  }
  EXPECT_EQ(neighbors(2, true), found);
}

TEST(CudaOnHostBlock, AMissingBarrierShows) {
  const auto found = neighbors(1, false);
  int unset = 0;
  for (const float value : found) unset += std::isnan(value) ? 1 : 0;
  EXPECT_GT(unset, 0);
  EXPECT_LT(unset, 32);
}

TEST(CudaOnHostBlock, EveryThreadOfEveryBlockRunsOnce) {
  std::multiset<unsigned> seen;
  const auto before = launches();
  run_blocks("count", 5, 3, 7, [&] { seen.insert(block_index.x * 21 + thread_number()); });
  EXPECT_EQ(launches(), before + 1);
  EXPECT_EQ(seen.size(), 105U);
  EXPECT_EQ(std::set<unsigned>(seen.begin(), seen.end()).size(), 105U);
}

void expect_refused(const std::string& why, std::int64_t blocks, int x, int y,
                    const std::function<void()>& thread) {
  try {
    run_blocks("kernel", blocks, x, y, thread);
    FAIL() << "nothing was thrown; expected: " << why;
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
  }
}

TEST(CudaOnHostBlock, MistakesAreRefused) {
  const auto nothing = [] {};
  expect_refused("miss a barrier", 1, 4, 1, [] {
    if (thread_index.x != 2) barrier(__LINE__);
  });
  expect_refused("different barriers", 1, 4, 1, [] {
    if (thread_index.x == 2) {
      barrier(__LINE__);
    } else {
      barrier(__LINE__);
    }
  });
  expect_refused("beside shared memory", 1, 4, 1,
                 [] { static_cast<float*>(shared_memory(16))[4 - thread_index.x] = 0.0F; });
  expect_refused("different shared memory", 1, 4, 1,
                 [] { (void)shared_memory(4 * (1 + thread_index.x)); });
  expect_refused("more shared memory", 1, 1, 1, [] { (void)shared_memory(49 * 1024); });
  expect_refused("a block of a size", 1, 32, 33, nothing);
  expect_refused("a block of a size", 1, 0, 1, nothing);
  expect_refused("a grid of a size", 0, 1, 1, nothing);
  expect_refused("a grid of a size", std::int64_t{1} << 31, 1, 1, nothing);
  // And afterwards all is well.
  EXPECT_EQ(neighbors(1, true), neighbors(3, true));
}

}  // namespace
}  // namespace xception::cuda_on_host
