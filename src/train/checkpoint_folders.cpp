#include "checkpoint_folders.h"

#include <unistd.h>

#include <algorithm>
#include <regex>
#include <set>
#include <vector>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"
#include "xception/core/log.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// When a checkpoint was saved, by its folder's name.
struct Age {
  std::int64_t step = 0;
  std::int64_t again = 0;  ///< 2 of step-12.2
  auto operator<=>(const Age&) const = default;
};

/// Nothing: not a name that this program gives.
std::optional<Age> age_of(const std::string& name) {
  static const std::regex form(R"(step-(\d{1,15})(?:\.(\d{1,9}))?)");
  std::smatch match;
  if (!std::regex_match(name, match, form)) return std::nullopt;
  return Age{.step = std::stoll(match[1]), .again = match[2].matched ? std::stoll(match[2]) : 0};
}

/// Folders that are named as checkpoints are, the newest first.
std::vector<fs::path> candidates(const RunDirectory& directory) {
  std::vector<std::pair<Age, fs::path>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory.checkpoints(), error)) {
    const auto age = age_of(entry.path().filename().string());
    if (age && entry.is_directory(error)) found.emplace_back(*age, entry.path());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<fs::path> folders;
  for (auto& [age, path] : found) folders.push_back(std::move(path));
  return folders;
}

/// Whether every file is as it was written.
bool is_intact(const fs::path& folder) {
  try {
    const auto state = read_checkpoint_state(folder);
    for (const auto* file : {kModelFile, kStateTensorsFile}) {
      if (sha256(read_file(folder / file, "train")) != state.at("files").at(file)) return false;
    }
    return true;
  } catch (const Error&) {
    return false;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

/// `last` or `best` from the folders themselves.
std::optional<fs::path> recover(const RunDirectory& directory, const std::string& name) {
  fs::path damaged;
  for (const auto& folder : candidates(directory)) {
    try {
      if (name == "best" && !read_checkpoint_state(folder).value("best", false)) continue;
    } catch (const Error&) {
      // Counted as damaged below.
    }
    if (is_intact(folder)) {
      static std::set<fs::path> told;
      if (told.insert(directory.checkpoints() / name).second) {
        spdlog::info(
            "{}: missing (copied without links?); using {}, the newest intact one{}{}",
            (directory.checkpoints() / name).string(), folder.filename().string(),
            name == "best" ? " that was the best" : "",
            damaged.empty() ? "" : fmt::format("; {} is damaged", damaged.filename().string()));
      }
      return folder;
    }
    if (damaged.empty()) damaged = folder;
  }
  if (damaged.empty() || name == "best") return std::nullopt;
  throw input_error("train",
                    "{}: missing, and {} is damaged or not whole; copy the run again, or start a "
                    "new one in another folder",
                    (directory.checkpoints() / name).string(), damaged.string());
}

std::string recorded_name(const Json& state) {
  return state.value("folder", fmt::format("step-{}", state.value("step", std::int64_t{-1})));
}

bool is_superseded(const RunDirectory& directory, const std::string& name,
                   const std::string& checksum) {
  const auto folder = directory.checkpoints() / name;
  if (!age_of(name) || !fs::is_directory(fs::symlink_status(folder))) return false;
  try {
    const auto state = read_checkpoint_state(folder);
    return state.at("checksum") == checksum && recorded_name(state) == name;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::optional<fs::path> find_checkpoint_folder(const RunDirectory& directory,
                                               const std::string& name) {
  const auto entry = directory.checkpoints() / name;
  std::error_code error;
  const auto status = fs::symlink_status(entry, error);
  if (fs::is_symlink(status)) {
    const auto folder = fs::canonical(entry, error);
    if (!error) return folder;
    throw input_error("train",
                      "{}: points at {}, which is missing; restore that folder or start a new run",
                      entry.string(), fs::read_symlink(entry).filename().string());
  }
  if (fs::is_directory(status)) return entry;
  if (fs::exists(status) && fs::file_size(entry, error) > 0) {
    auto text = read_file(entry, "train").substr(0, 64);
    text.erase(text.find_last_not_of(" \r\n") + 1);
    const auto folder = directory.checkpoints() / text;
    if (age_of(text) && fs::is_directory(folder, error)) return folder;
    throw input_error("train",
                      "{}: is a file that names no checkpoint beside it, expected a link to a "
                      "folder step-N; remove it, and the newest one is taken",
                      entry.string());
  }
  return recover(directory, name);
}

Json read_checkpoint_state(const fs::path& folder) {
  const auto file = folder / kStateFile;
  auto state = json_or_discarded<Json>(read_file(file, "train"));
  const auto damaged = [&] {
    return input_error("train",
                       "{}: damaged or altered; restore it, use the other checkpoint (eval and "
                       "predict: --checkpoint best|last) or train again",
                       file.string());
  };
  if (!state.is_object() || !state.contains("checksum")) throw damaged();
  auto sum = state["checksum"];
  state.erase("checksum");
  if (!sum.is_string() || sha256(state.dump()) != sum.get<std::string>()) throw damaged();
  state["checksum"] = std::move(sum);
  return state;
}

bool is_copy(const fs::path& folder, const Json& state) {
  return is_intact(folder) && read_checkpoint_state(folder).at("checksum") == state.at("checksum");
}

std::string free_checkpoint_name(const RunDirectory& directory, std::int64_t step) {
  auto name = fmt::format("step-{}", step);
  for (int i = 2; fs::exists(fs::symlink_status(directory.checkpoints() / name)); ++i) {
    name = fmt::format("step-{}.{}", step, i);
  }
  return name;
}

Json superseded_by_next(const RunDirectory& directory, std::int64_t step) {
  auto superseded = Json::object();
  // One of the same step that a kill kept `last` from being pointed at.
  for (const auto& folder : candidates(directory)) {
    const auto name = folder.filename().string();
    if (age_of(name)->step == step && is_intact(folder)) {
      superseded[name] = read_checkpoint_state(folder).at("checksum");
    }
  }
  for (const auto* name : {"last", "best"}) {
    try {
      const auto folder = find_checkpoint_folder(directory, name);
      if (!folder) continue;
      superseded[folder->filename().string()] = read_checkpoint_state(*folder).at("checksum");
    } catch (const Error&) {
      // What cannot be read is not known to be ours.
    }
  }
  return superseded;
}

void point_checkpoint(const RunDirectory& directory, const std::string& name,
                      const std::string& target) {
  const auto entry = directory.checkpoints() / name;
  try {
    replace_link(entry, target);
  } catch (const Error&) {
    write_file_atomic(entry, target);
  }
}

void remove_superseded(const RunDirectory& directory) {
  std::set<std::string> used;
  Json superseded = Json::object();
  for (const auto* name : {"last", "best"}) {
    const auto folder = find_checkpoint_folder(directory, name);
    if (!folder) continue;
    used.insert(folder->filename().string());
    if (name == std::string("last")) {
      superseded = read_checkpoint_state(*folder).value("supersedes", Json::object());
    }
  }
  std::error_code error;
  for (const auto& [name, checksum] : superseded.items()) {
    if (used.contains(name) || !checksum.is_string()) continue;
    if (!is_superseded(directory, name, checksum)) continue;
    // Out of sight as a whole first, so that no kill leaves a part of it.
    const auto away = directory.checkpoints() / fmt::format(".tmp-{}-{}", name, ::getpid());
    fs::rename(directory.checkpoints() / name, away, error);
    if (!error) fs::remove_all(away, error);
  }
  static const std::regex half_built(R"(\.tmp-step-[\d.]+-\d+)");
  static const std::regex half_linked(R"((last|best)\.tmp\d+-\d+)");
  for (const auto& entry : fs::directory_iterator(directory.checkpoints(), error)) {
    const auto name = entry.path().filename().string();
    if (std::regex_match(name, half_built) || std::regex_match(name, half_linked)) {
      fs::remove_all(entry.path(), error);
    }
  }
}

}  // namespace xception
