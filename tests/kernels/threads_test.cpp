#include "kernels/cpu/threads.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <chrono>
#include <latch>
#include <mutex>
#include <thread>
#include <vector>

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

TEST_F(TwoThreads, AreNotUsedForLittle) {
  EXPECT_EQ(parts_of(1000, 1000), 1);
  EXPECT_EQ(parts_of(1000, 1000000), 2);
  EXPECT_EQ(parts_of(1, 1000000), 1);
}

}  // namespace
}  // namespace xception
