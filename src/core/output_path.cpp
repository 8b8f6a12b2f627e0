#include "xception/core/output_path.h"

#include "xception/core/error.h"

namespace xception {
namespace {

std::filesystem::path numbered(const std::filesystem::path& base, int number,
                               const std::string& extension) {
  return base.string() + (number == 1 ? "" : "-" + std::to_string(number)) + extension;
}

/// Also a link that leads nowhere is something.
bool is_there(const std::filesystem::path& path) {
  return std::filesystem::exists(std::filesystem::symlink_status(path));
}

}  // namespace

std::filesystem::path free_path(const std::filesystem::path& base, const std::string& extension) {
  int number = 1;
  while (is_there(numbered(base, number, extension))) ++number;
  return numbered(base, number, extension);
}

std::filesystem::path newest_path(const std::filesystem::path& base) {
  int number = 1;
  while (is_there(numbered(base, number + 1, "")) && is_there(numbered(base, number, ""))) ++number;
  return numbered(base, number, "");
}

void refuse_existing(const std::filesystem::path& file, std::string_view option,
                     std::string_view room) {
  if (!is_there(file)) return;
  throw input_error(room, "{} {}: exists; give another name, or --overwrite", option,
                    file.string());
}

}  // namespace xception
