#include "xception/core/input_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "descriptor.h"
#include "xception/core/error.h"

namespace xception {
InputFile::InputFile(const std::filesystem::path& file, std::string_view room)
    : name_(file.string()),
      room_(room),
      // Without waiting for whoever writes into a pipe: it is refused.
      descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0 && errno == ENOENT) {
    throw input_error(room_, "{}: no such file; check the path", name_);
  }
  if (descriptor_ < 0) throw input_error(room_, "{}: cannot be read: {}", name_, reason_of(errno));
  struct stat status {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const bool folder = known && S_ISDIR(status.st_mode);
    ::close(descriptor_);
    throw input_error(room_, "{}: is {}, expected a file", name_,
                      folder ? "a directory" : "a pipe or a device");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::InputFile(int descriptor, std::uint64_t size, std::string name, std::string_view room)
    : name_(std::move(name)), room_(room), descriptor_(descriptor), size_(size), in_memory_(true) {}

InputFile InputFile::in_memory(std::string_view bytes, std::string name, std::string_view room) {
  const int descriptor = ::memfd_create("xception", MFD_CLOEXEC);
  for (auto rest = bytes; descriptor >= 0 && !rest.empty();) {
    const auto written = ::write(descriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = errno;
      ::close(descriptor);
      throw run_error(room, "{}: no memory for {} bytes of it: {}", name, bytes.size(),
                      reason_of(error));
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (descriptor < 0) {
    throw run_error(room, "{}: no file in memory for it: {}", name, reason_of(errno));
  }
  return {descriptor, bytes.size(), std::move(name), room};
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

void InputFile::read(std::uint64_t offset, void* to, std::size_t bytes) const {
  auto* place = static_cast<char*>(to);
  while (bytes > 0) {
    const auto got = ::pread(descriptor_, place, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw input_error(room_, "{}: reading failed: {}", name_, reason_of(errno));
    if (got == 0) {
      throw input_error(room_, "{}: ends at byte {}, {} more were expected: it was cut short",
                        name_, offset, bytes);
    }
    place += got;
    offset += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
}

std::string InputFile::read(std::uint64_t offset, std::size_t bytes) const {
  if (offset > size_ || bytes > size_ - offset) {
    throw input_error(room_, "{}: is {} bytes long, expected {} from byte {} on: it was cut short",
                      name_, size_, bytes, offset);
  }
  std::string content(bytes, '\0');
  read(offset, content.data(), bytes);
  return content;
}

}  // namespace xception
