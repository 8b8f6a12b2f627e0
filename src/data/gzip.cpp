#include "gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "xception/core/error.h"

namespace xception {
namespace {

/// zlib's state, freed at the end of its scope.
class Inflater {
 public:
  Inflater() {
    constexpr int kGzipWithLargestWindow = 16 + MAX_WBITS;
    if (inflateInit2(&stream, kGzipWithLargestWindow) != Z_OK) {
      throw run_error("data", "zlib cannot be started: out of memory");
    }
  }
  ~Inflater() { (void)inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
};

}  // namespace

bool is_gzip(std::string_view bytes) {
  return bytes.starts_with("\x1F\x8B");
}

std::string gunzip(std::string_view bytes, std::size_t limit, const std::string& name) {
  Inflater inflater;
  auto& stream = inflater.stream;
  std::array<char, 1 << 16> buffer{};
  std::string content;
  while (content.size() < limit) {
    if (stream.avail_in == 0) {
      const auto piece = std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max() / 2);
      // zlib's declaration lacks a const.
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream.avail_in = static_cast<uInt>(piece);
      bytes.remove_prefix(piece);
    }
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(std::min(buffer.size(), limit - content.size()));
    const auto room = stream.avail_out;
    const int result = inflate(&stream, Z_NO_FLUSH);
    content.append(buffer.data(), room - stream.avail_out);
    if (result == Z_STREAM_END) {
      // A gzip file may be several, one after another.
      if (stream.avail_in + bytes.size() == 0) return content;
      if (inflateReset(&stream) != Z_OK) throw run_error("data", "zlib cannot go on");
      continue;
    }
    const bool ended = result == Z_BUF_ERROR && stream.avail_in == 0 && bytes.empty();
    if (ended ||
        (result == Z_OK && stream.avail_in == 0 && bytes.empty() && stream.avail_out > 0)) {
      throw input_error("data", "{}: ends early: copy or download the file again", name);
    }
    if (result != Z_OK) {
      throw input_error("data", "{}: damaged gzip ({}): copy or download the file again", name,
                        stream.msg != nullptr ? stream.msg : "wrong data");
    }
  }
  return content;
}

}  // namespace xception
