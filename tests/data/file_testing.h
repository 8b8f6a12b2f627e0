#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "support/temporary_folder.h"
#include "xception/core/error.h"

namespace xception {

/// A folder of its own for each test, removed at the test's end.
class FolderTest : public testing::Test {
 protected:
  /// Writes a file and returns its path.
  std::filesystem::path write(const std::string& name, std::string_view content) const {
    const auto file = folder / name;
    std::filesystem::remove(file);  // some file systems sync a file that is emptied and rewritten
    std::ofstream(file, std::ios::binary).write(content.data(), std::ssize(content));
    return file;
  }

  TemporaryFolder temporary;
  const std::filesystem::path& folder = temporary.path;
};

/// The message of the Error that `call` throws, which must be of the kind and one line.
template <class Call>
std::string error_of(Call call, Error::Kind kind = Error::Kind::input) {
  try {
    call();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), kind) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace xception
