#include "tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "xception/core/error.h"

namespace xception {
namespace {

constexpr std::uint64_t kBlock = 512;
constexpr std::uint64_t kMostExtended = 1 << 20;
constexpr std::size_t kBuffer = 4096;

/// A header's fields (POSIX.1-1988).
struct Header {
  std::array<char, kBlock> bytes{};

  [[nodiscard]] std::string_view field(std::size_t at, std::size_t length) const {
    return std::string_view(bytes.data(), bytes.size()).substr(at, length);
  }
  /// Up to the first NUL.
  [[nodiscard]] std::string text(std::size_t at, std::size_t length) const {
    const auto all = field(at, length);
    return std::string(all.substr(0, all.find('\0')));
  }
  [[nodiscard]] char type() const { return bytes[156]; }
  [[nodiscard]] bool zero() const {
    return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
  }
  [[nodiscard]] std::string name() const {
    auto name = text(0, 100);
    const auto prefix = text(345, 155);
    const bool posix = field(257, 6) == std::string_view("ustar\0", 6);
    return posix && !prefix.empty() ? prefix + '/' + name : name;
  }
};

/// Octal digits, blanks around them; or, as GNU writes large numbers, base 256 after a set bit.
std::optional<std::uint64_t> number(std::string_view field) {
  if ((static_cast<unsigned char>(field[0]) & 0x80U) != 0) {
    if (static_cast<unsigned char>(field[0]) != 0x80) return std::nullopt;  // negative, or huge
    std::uint64_t value = 0;
    for (const char c : field.substr(1)) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  const auto first = field.find_first_not_of(' ');
  if (first == std::string_view::npos) return std::nullopt;
  field.remove_prefix(first);
  const auto digits = field.substr(0, field.find_first_of(std::string_view(" \0", 2)));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

bool has_its_checksum(const Header& header) {
  const auto stated = number(header.field(148, 8));
  std::uint64_t sum = 0;
  std::int64_t signed_sum = 0;  // as some old programs count
  for (std::size_t i = 0; i < kBlock; ++i) {
    const char c = i >= 148 && i < 156 ? ' ' : header.bytes[i];
    sum += static_cast<unsigned char>(c);
    signed_sum += static_cast<signed char>(c);
  }
  return stated && (*stated == sum || static_cast<std::int64_t>(*stated) == signed_sum);
}

std::uint64_t whole_blocks(std::uint64_t size) {
  return (size + kBlock - 1) / kBlock * kBlock;
}

}  // namespace

/// What extended headers say of the member after them.
struct TarReader::Extended {
  std::optional<std::string> name;
  std::optional<std::uint64_t> size;
};

void TarReader::fail(std::uint64_t at, std::string_view what) const {
  throw input_error("data", "{}: damaged tar archive ({}, at byte {}): copy or make the file again",
                    source_.name, what, at);
}

void TarReader::read(std::uint64_t offset, char* to, std::size_t count) {
  if (offset > source_.size || count > source_.size - offset) fail(offset, "it ends early");
  const bool inside = offset >= buffer_start_ && offset + count <= buffer_start_ + buffer_.size();
  if (!inside) {
    const auto length = std::min<std::uint64_t>(source_.size - offset, std::max(count, kBuffer));
    buffer_.resize(static_cast<std::size_t>(length));
    buffer_start_ = offset;
    source_.read(offset, buffer_.data(), buffer_.size());
  }
  std::memcpy(to, buffer_.data() + (offset - buffer_start_), count);
}

std::string TarReader::content(const TarMember& member, std::uint64_t most) {
  if (member.size > most)
    fail(member.offset,
         fmt::format("{} has {} bytes, expected at most {}", member.name, member.size, most));
  std::string bytes(static_cast<std::size_t>(member.size), '\0');
  read(member.offset, bytes.data(), bytes.size());
  return bytes;
}

std::string TarReader::extension(std::uint64_t size) {
  if (size > kMostExtended) fail(place_, "an extended header of more than 1 MiB");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  read(place_, bytes.data(), bytes.size());
  return bytes;
}

void TarReader::read_extended(char type, std::uint64_t size, Extended& extended) {
  const auto at = place_;
  const auto bytes = extension(size);
  std::string_view rest = bytes;
  if (type == 'L') extended.name = std::string(rest.substr(0, rest.find('\0')));
  if (type == 'L' || type == 'K') return;
  // pax: records of "LENGTH KEY=VALUE\n".
  while (!rest.empty()) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<std::size_t>(end - rest.data());
    if (error != std::errc() || length > rest.size() || digits + 2 > length ||
        rest[digits] != ' ' || rest[length - 1] != '\n') {
      fail(at, "a wrong pax record");
    }
    const auto record = rest.substr(digits + 1, length - digits - 2);
    rest.remove_prefix(length);
    const auto key = record.substr(0, record.find('='));
    if (key.size() == record.size()) fail(at, "a pax record without a value");
    const auto value = record.substr(key.size() + 1);
    if (key.starts_with("GNU.sparse")) fail(at, "a sparse file, which is not supported");
    if (key != "path" && key != "size") continue;
    if (type == 'g') fail(at, "a name or size for all members");
    if (key == "path") {
      extended.name = std::string(value);
      continue;
    }
    std::uint64_t stated = 0;
    const auto [value_end, wrong] =
        std::from_chars(value.data(), value.data() + value.size(), stated);
    if (wrong != std::errc() || value_end != value.data() + value.size()) {
      fail(at, "a pax size that is no number");
    }
    extended.size = stated;
  }
}

bool TarReader::next(TarMember& member) {
  constexpr std::string_view kExtended = "xgLK";
  constexpr std::string_view kWithoutContent = "123456V";
  Extended extended;
  while (true) {
    const auto at = place_;
    if (at == source_.size) fail(at, "without its end mark, so cut short");
    Header header;
    read(at, header.bytes.data(), kBlock);
    if (header.zero()) return false;
    if (!has_its_checksum(header)) fail(at, "a header with a wrong checksum");
    auto size = number(header.field(124, 12));
    if (!size) fail(at, "a size that is no number");
    const char type = header.type();
    const bool is_extended = kExtended.find(type) != std::string_view::npos;
    if (extended.size && !is_extended) size = extended.size;
    if (type == 'S') fail(at, "a sparse file, which is not supported");
    if (type == 'M') fail(at, "part of a file that goes on in another archive");
    if (kWithoutContent.find(type) != std::string_view::npos) size = 0;
    place_ += kBlock;
    if (*size > source_.size - place_) fail(at, "a file that goes beyond the end");
    if (is_extended) {
      read_extended(type, *size, extended);
      place_ += whole_blocks(*size);
      continue;
    }
    member = {
        .name = extended.name ? *extended.name : header.name(), .offset = place_, .size = *size};
    extended = {};
    place_ += whole_blocks(*size);
    if (type == '0' || type == '\0' || type == '7') return true;
  }
}

}  // namespace xception
