#include "xception/train/run_directory.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/output_path.h"

namespace xception {
bool RunDirectory::holds_run() const {
  std::error_code error;
  for (const auto& file : {config(), summary(), history_jsonl()}) {
    if (std::filesystem::exists(file, error)) return true;
  }
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints(), error)) {
    const auto name = entry.path().filename().string();
    if (name == "last" || name == "best" || name.starts_with("step-")) return true;
  }
  return false;
}

void RunDirectory::create() const {
  std::error_code error;
  std::filesystem::create_directories(checkpoints(), error);
  const auto fail = [&](const std::string& why) {
    return input_error("train", "--out {}: cannot be written to ({}); choose another folder",
                       root_.string(), why);
  };
  if (error) throw fail(error.message());
  try {
    for (const auto& folder : {root_, checkpoints()}) {
      write_file_atomic(folder / ".writable", "");
      std::filesystem::remove(folder / ".writable");
    }
  } catch (const Error& cause) {
    throw fail(cause.what());
  }
  for (const auto& entry : std::filesystem::directory_iterator(root_)) {
    const auto name = entry.path().filename().string();
    const bool appended_to = name == log().filename() || name.starts_with("events.out.tfevents.");
    if (!appended_to || ::access(entry.path().c_str(), W_OK) == 0) continue;
    std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add, error);
  }
  if (std::filesystem::exists(log()) && ::access(log().c_str(), W_OK) != 0) {
    throw fail(log().filename().string() + ": " + std::generic_category().message(errno));
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
          fmt::format("{}: another process is training there; wait for it or choose another folder "
                      "by --out",
                      directory.root().string())) {}

RunDirectory claim_run_directory(const std::string& name) {
  const auto base = std::filesystem::path("runs") / name;
  while (true) {
    const auto candidate = free_path(base);
    std::error_code error;
    std::filesystem::create_directories(candidate.parent_path(), error);
    // Of several processes it makes the folder for one; the others look again.
    if (!error && std::filesystem::create_directory(candidate, error)) {
      return RunDirectory(candidate);
    }
    if (!error || error == std::errc::file_exists) continue;
    throw input_error("train", "{}: cannot be made: {}; choose a folder by --out",
                      candidate.string(), error.message());
  }
}

std::filesystem::path default_run_directory(const std::string& name, bool resume) {
  const auto base = std::filesystem::path("runs") / name;
  return resume ? newest_path(base) : free_path(base);
}

}  // namespace xception
