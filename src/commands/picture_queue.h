#pragma once

#include <torch/types.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "picture_list.h"
#include "xception/data/image_io.h"

namespace xception {

/// A picture as the network's input, or why it can't be.
struct PreparedPicture {
  torch::Tensor input;  ///< (1, 3, size, size), on the CPU
  std::string problem;  ///< in one line; empty for a good picture
};

/// Decodes and prepares pictures in threads, a few ahead of who takes them, in their order. Decoded
/// pictures take 256 MB together; a larger one is decoded alone, while nothing is computed.
class PictureQueue {
 public:
  /// Reads a picture and prepares it: (1, 3, size, size), on the CPU. It is called in any thread,
  /// and calls `before` before it takes memory for the picture's pixels.
  using Prepare =
      std::function<torch::Tensor(const std::string& name, const BeforeDecoding& before)>;

  /// The list must outlive the queue. batch: how many are taken at a time.
  PictureQueue(const std::vector<ListedPicture>& pictures, Prepare prepare, std::int64_t batch,
               std::int64_t threads);
  ~PictureQueue();
  PictureQueue(const PictureQueue&) = delete;
  PictureQueue& operator=(const PictureQueue&) = delete;

  /// Waits for the next batch; the last one is smaller, after that it is empty.
  [[nodiscard]] std::vector<PreparedPicture> next();

 private:
  void work();
  [[nodiscard]] PreparedPicture prepared(const ListedPicture& picture);
  void take_memory(std::int64_t bytes);
  void give_back(std::int64_t bytes);

  const std::vector<ListedPicture>& pictures_;
  const Prepare prepare_;
  const std::size_t batch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t begun_ = 0;                         ///< pictures that a thread has begun with
  std::size_t taken_ = 0;                         ///< pictures that next() has handed out
  std::map<std::size_t, PreparedPicture> ready_;  ///< by place in the list
  std::int64_t decoded_bytes_ = 0;
  bool computing_ = false;  ///< in the thread that calls next()
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace xception
