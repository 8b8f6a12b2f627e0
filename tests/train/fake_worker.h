#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace xception {

/// A shell script in place of the process that tests a device (XCEPTION_SELFTEST_WORKER). Each time
/// that it runs it first adds its arguments as a line to `calls` beside it.
inline std::filesystem::path write_worker(const std::filesystem::path& folder,
                                          const std::string& body) {
  const auto file = folder / "worker.sh";
  // Written anew, since one that still runs can't be written to.
  std::filesystem::remove(file);
  std::ofstream(file) << "#!/bin/sh\necho \"$*\" >>'" << (folder / "calls").string() << "'\n"
                      << body << "\n";
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  return file;
}

/// Its lines so far.
inline int calls_of_worker(const std::filesystem::path& folder) {
  std::ifstream file(folder / "calls");
  int lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

/// What a worker prints that found a problem, or none.
inline std::string verdict(const std::string& problem) {
  return R"(echo 'xception-selftest {"lifetime":0,"problem":")" + problem + "\"}'";
}

}  // namespace xception
