#include "picture_list.h"

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/data/image_io.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

/// Looks through one folder. A folder that is met again, by a link or a loop of links, is left out.
class FolderWalk {
 public:
  explicit FolderWalk(std::vector<ListedPicture>& found) : found_(found) {}

  void visit(const fs::path& folder) {
    struct stat status {};
    if (::stat(folder.c_str(), &status) == 0 &&
        !visited_.emplace(status.st_dev, status.st_ino).second) {
      return;
    }
    std::error_code error;
    std::vector<fs::path> entries;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
      entries.push_back(at->path());
    }
    if (error) {
      found_.push_back({folder.string(), fmt::format("[predict] {}: cannot be read: {}",
                                                     folder.string(), error.message())});
      return;
    }
    std::sort(entries.begin(), entries.end());
    for (const auto& entry : entries) {
      if (entry.filename().string().starts_with('.')) continue;
      const auto type = fs::status(entry, error).type();
      if (type == fs::file_type::directory) {
        visit(entry);
      } else if (has_image_extension(entry.filename().string()) &&
                 (type == fs::file_type::regular || fs::is_symlink(entry, error))) {
        found_.push_back({entry.string(), "", entry.parent_path().filename().string()});
        // a dangling link is told of when it is read
      }
    }
  }

 private:
  std::vector<ListedPicture>& found_;
  std::set<std::pair<dev_t, ino_t>> visited_;
};

/// Lists what is given, argument by argument.
class Lister {
 public:
  std::vector<ListedPicture> found;

  void add(const std::string& argument) {
    std::error_code error;
    if (argument == "-") {
      if (take_standard_input(argument)) found.push_back({argument, ""});
    } else if (fs::exists(fs::status(argument, error))) {
      add_path(argument);
    } else if (argument.starts_with('@')) {
      add_list(argument);
    } else if (argument.find_first_of("*?[") != std::string::npos) {
      add_matches(argument);
    } else {
      add_path(argument);
    }
  }

 private:
  void add_problem(const std::string& argument, const std::string& problem) {
    found.push_back({argument, fmt::format("[predict] {}: {}", argument, problem)});
  }

  bool take_standard_input(const std::string& argument) {
    if (!std::exchange(standard_input_taken_, true)) return true;
    add_problem(argument, "standard input can be read once only; name it once");
    return false;
  }

  void add_path(const std::string& path) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      found.push_back({path, ""});
      return;
    }
    const auto before = found.size();
    FolderWalk(found).visit(path);
    if (found.size() == before) {
      add_problem(path,
                  fmt::format("holds no picture ({}); choose another folder", image_extensions()));
    }
  }

  void add_matches(const std::string& pattern) {
    glob_t matches{};
    if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
      for (std::size_t i = 0; i < matches.gl_pathc; ++i) add_path(matches.gl_pathv[i]);
    } else {
      add_problem(pattern, "matches no file; check the pattern");
    }
    ::globfree(&matches);
  }

  void add_list(const std::string& argument) {
    std::string text;
    if (argument == "@-") {
      if (!take_standard_input(argument)) return;
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
      try {
        text = read_file(argument.substr(1), "predict");
      } catch (const Error& error) {
        found.push_back({argument, error.what()});
        return;
      }
    }
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
    // As `find -print0` ends them, or lines.
    const bool lines = text.find('\0') == std::string::npos;
    const auto before = found.size();
    for (std::size_t at = 0; at < text.size();) {
      const auto end = std::min(text.find(lines ? '\n' : '\0', at), text.size());
      auto path = text.substr(at, end - at);
      if (lines && path.ends_with('\r')) path.pop_back();
      if (!path.empty()) add_path(path);
      at = end + 1;
    }
    if (found.size() == before) {
      add_problem(argument, "an empty list; expected a path a line");
    }
  }

  bool standard_input_taken_ = false;
};

}  // namespace

std::vector<ListedPicture> list_pictures(const std::vector<std::string>& arguments) {
  Lister lister;
  for (const auto& argument : arguments) lister.add(argument);
  return std::move(lister.found);
}

}  // namespace xception
