#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "subcommands.h"
#include "xception/train/run_config.h"

namespace xception {

/// A bar of images done in the status line; may be called from several threads.
class ImageProgress {
 public:
  explicit ImageProgress(std::string what) : what_(std::move(what)) {}
  void operator()(std::int64_t done, std::int64_t total);

 private:
  std::string what_;
  std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
  std::chrono::steady_clock::time_point last_ = {};
};

/// Adds `convert` to the subcommand `data`.
void add_data_convert(CLI::App& data);

}  // namespace xception
