#include "in_threads.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "xception/core/error.h"
#include "xception/core/processors.h"
#include "xception/kernels/worker_pool.h"

namespace xception {

void for_each_in_threads(std::size_t n, const std::function<void(std::size_t i)>& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t failed = std::numeric_limits<std::size_t>::max();
  std::exception_ptr problem;
  const auto run = [&] {
    const OneThread alone;
    for (std::size_t i = next++; i < n; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed) {
          failed = i;
          problem = std::current_exception();
        }
        next = n;
      }
    }
  };
  {
    const auto count = std::min(n, static_cast<std::size_t>(usable_processors().threads));
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back(run);
  }
  if (problem) std::rethrow_exception(problem);
}

void naming_the_image(const Dataset& dataset, Split subset, std::int64_t index,
                      const std::function<void()>& use) {
  try {
    use();
  } catch (...) {
    auto line = describe_error(std::current_exception());
    if (line.message.starts_with('[')) line.message.erase(0, line.message.find("] ") + 2);
    throw Error(static_cast<Error::Kind>(line.exit_code), "data",
                fmt::format("{} image {} of {}: {}", split_name(subset), index, dataset.name,
                            line.message));
  }
}

}  // namespace xception
