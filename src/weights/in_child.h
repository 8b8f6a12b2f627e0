#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "xception/core/input_file.h"

namespace xception {

/// Runs `work` in a child process that may take little memory and time, can do nothing but read
/// files (keep_to_reading) and write to the descriptor that it is given: a library that a hostile
/// file can crash, keep busy or take over then harms nothing. What `work` writes is in a nameless
/// file in memory, as long as the object lives.
class InChild {
 public:
  /// memory: bytes that the child may take beyond what this process has. work must neither start
  /// threads nor wait for any (other threads, and what they hold locked, are not in the child); an
  /// Error that it throws is thrown here. Errors (input): the child crashed or took too much.
  InChild(const InputFile& file, std::uint64_t memory, const std::function<void(int)>& work);
  InChild(const InChild&) = delete;
  InChild& operator=(const InChild&) = delete;
  ~InChild();

  /// Of what it wrote.
  [[nodiscard]] std::string path() const;

 private:
  int output_;
};

}  // namespace xception
