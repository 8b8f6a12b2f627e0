#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace xception {

/// What an errno means.
[[nodiscard]] inline std::string reason_of(int error) {
  return std::generic_category().message(error);
}

/// An open file descriptor, closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  [[nodiscard]] int get() const { return descriptor_; }
  /// Closes now, since closing can be what reports a failed write. Returns errno or 0.
  [[nodiscard]] int close() {
    const int result = ::close(descriptor_);
    descriptor_ = -1;
    return result == 0 ? 0 : errno;
  }

 private:
  int descriptor_;
};

}  // namespace xception
