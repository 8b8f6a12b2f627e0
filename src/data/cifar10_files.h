#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "xception/data/cifar10.h"

// What reading CIFAR-10's files and writing them have in common.
namespace xception::cifar10 {

/// 30729999 -> "30,729,999"
[[nodiscard]] std::string grouped(std::uint64_t number);

/// The name of a training batch, counted from 1.
[[nodiscard]] std::string train_file(std::int64_t batch);

/// The lines of a text, without the blank ones at its end and what an editor may put at its start.
[[nodiscard]] std::vector<std::string> lines_of(std::string_view text);

/// Collects the lines of `sha256sum` as files pass by, in reading order.
class Checksum {
 public:
  void add(std::string_view file_name, std::string_view content);
  /// The same; after the first batch that isn't the official one, no more are compared.
  void add_batch(std::string_view file_name, std::string_view content);
  /// As cifar10_checksum.
  [[nodiscard]] std::string value() const;
  /// Whether all batches passed by, each with the SHA-1 that is published for it.
  [[nodiscard]] bool original() const;

 private:
  std::string lines_;
  std::size_t batches_ = 0;
  bool intact_ = true;
};

}  // namespace xception::cifar10
