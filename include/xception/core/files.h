#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace xception {

/// The whole content of a file. Errors (input): missing, unreadable; `room` is the message's
/// origin.
[[nodiscard]] std::string read_file(const std::filesystem::path& file, std::string_view room);

/// Replaces a file as a whole: written under a temporary name beside it, synced, renamed. After a
/// failure the old content is still there. Errors (run): names the file and the system's reason.
void write_file_atomic(const std::filesystem::path& file, std::string_view content);

/// Creates or replaces a symbolic link in one step. Errors (run).
void replace_link(const std::filesystem::path& link, const std::filesystem::path& target);

/// Flushes a directory's entries to the disk. Errors (run).
void sync_directory(const std::filesystem::path& directory);

/// SHA-1 of bytes, 40 hexadecimal digits: to recognize files whose SHA-1 is published.
[[nodiscard]] std::string sha1(std::string_view bytes);

/// SHA-256 of bytes, 64 hexadecimal digits.
[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace xception
