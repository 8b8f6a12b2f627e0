#include "xception/train/run_directory.h"

#include <system_error>

#include "xception/core/error.h"
#include "xception/core/files.h"

namespace xception {

void RunDirectory::create() const {
  std::error_code error;
  std::filesystem::create_directories(checkpoints(), error);
  const auto probe = root_ / ".writable";
  try {
    if (error) throw run_error("train", "{}", error.message());
    write_file_atomic(probe, "");
    std::filesystem::remove(probe);
  } catch (const Error& cause) {
    throw input_error("train", "--out {}: cannot be written to ({}); choose another folder",
                      root_.string(), error ? error.message() : std::string(cause.what()));
  }
}

RunConfig RunDirectory::read_config() const {
  if (!std::filesystem::is_directory(root_)) {
    throw input_error("train", "--run {}: no such folder; expected one that `xception train` made",
                      root_.string());
  }
  if (!holds_run()) {
    throw input_error("train", "--run {}: holds no run (no config.json)", root_.string());
  }
  return load_config(config(), {});
}

RunLock::RunLock(const RunDirectory& directory)
    : lock_(
          directory.root(),
          fmt::format("--out {}: another process is training there; wait for it or choose another "
                      "folder",
                      directory.root().string())) {}

std::filesystem::path default_run_directory(const std::string& name, bool resume) {
  const std::filesystem::path base = std::filesystem::path("runs") / name;
  std::filesystem::path newest = base;
  std::filesystem::path candidate = base;
  for (int i = 2; std::filesystem::exists(candidate); ++i) {
    newest = candidate;
    candidate = base.string() + "-" + std::to_string(i);
  }
  return resume ? newest : candidate;
}

}  // namespace xception
