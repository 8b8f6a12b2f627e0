#include "support/python.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "support/temporary_folder.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') {
    throw std::runtime_error(fmt::format("the environment variable {} is not set", name));
  }
  return value;
}

}  // namespace

TensorMap run_python(const std::string& script, const std::string& arguments) {
  const std::string python = environment("XCEPTION_TEST_PYTHON");
  if (!fs::exists(python)) {
    throw std::runtime_error(fmt::format("XCEPTION_TEST_PYTHON: {} doesn't exist", python));
  }
  const fs::path file = fs::path(environment("XCEPTION_SOURCE_DIR")) / "tests/python" / script;
  const TemporaryFolder folder;
  const fs::path result = folder.path / "result.safetensors";
  const std::string command =
      fmt::format("'{}' -B '{}' '{}' {}", python, file.string(), result.string(), arguments);
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  return load_safetensors(result);
}

}  // namespace xception
