#include "picture_queue.h"

#include <algorithm>
#include <utility>

#include "xception/core/error.h"
#include "xception/kernels/worker_pool.h"
#include "xception/parallel/device_memory.h"

namespace xception {
namespace {

constexpr std::int64_t kDecodedBytes = 256'000'000;
constexpr std::int64_t kLargePicture = 16'000'000;

}  // namespace

PictureQueue::PictureQueue(const std::vector<ListedPicture>& pictures, Prepare prepare,
                           std::int64_t batch, std::int64_t threads)
    : pictures_(pictures), prepare_(std::move(prepare)), batch_(static_cast<std::size_t>(batch)) {
  const auto useful = std::min<std::int64_t>(threads, std::ssize(pictures));
  for (std::int64_t i = 0; i < useful; ++i) threads_.emplace_back([this] { work(); });
}

PictureQueue::~PictureQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

std::vector<PreparedPicture> PictureQueue::next() {
  // Between two calls the batch is computed, which takes memory too: one byte stands for it, enough
  // to keep a huge picture from being decoded meanwhile.
  if (std::exchange(computing_, false)) give_back(1);
  std::unique_lock lock(mutex_);
  std::vector<PreparedPicture> batch;
  const auto end = std::min(taken_ + batch_, pictures_.size());
  for (; taken_ < end; ++taken_) {
    changed_.wait(lock, [&] { return ready_.contains(taken_); });
    batch.push_back(std::move(ready_.extract(taken_).mapped()));
  }
  changed_.notify_all();
  changed_.wait(lock, [&] { return decoded_bytes_ <= kDecodedBytes; });
  ++decoded_bytes_;
  computing_ = true;
  return batch;
}

void PictureQueue::work() {
  const OneThread alone;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] {
      return stopped_ || begun_ == pictures_.size() || begun_ < taken_ + 2 * batch_;
    });
    if (stopped_ || begun_ == pictures_.size()) return;
    const auto place = begun_++;
    lock.unlock();
    auto picture = prepared(pictures_[place]);
    lock.lock();
    ready_.emplace(place, std::move(picture));
    changed_.notify_all();
  }
}

PreparedPicture PictureQueue::prepared(const ListedPicture& picture) {
  if (!picture.problem.empty()) return {{}, picture.problem};
  std::int64_t bytes = 0;
  PreparedPicture result;
  try {
    result.input = prepare_(picture.name, [&](std::int64_t needed) {
      take_memory(needed);
      bytes = needed;
    });
  } catch (const Error& error) {
    result.problem = error.what();
  } catch (const std::exception&) {
    result.problem =
        "[predict] " + picture.name + ": " + describe_error(std::current_exception()).message;
  }
  // Each thread's heap would keep as much.
  if (bytes > kLargePicture) release_unused_memory(torch::kCPU);
  give_back(bytes);
  return result;
}

void PictureQueue::take_memory(std::int64_t bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return stopped_ || decoded_bytes_ == 0 || decoded_bytes_ + bytes <= kDecodedBytes;
  });
  decoded_bytes_ += bytes;
  lock.unlock();
  if (bytes > kDecodedBytes) release_unused_memory(torch::kCPU);  // of the batches before
}

void PictureQueue::give_back(std::int64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    decoded_bytes_ -= bytes;
  }
  changed_.notify_all();
}

}  // namespace xception
