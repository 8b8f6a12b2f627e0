#pragma once

#include <string>

#include "xception/core/safetensors.h"

namespace xception {

/// Runs `tests/python/SCRIPT OUT.safetensors ARGUMENTS` with the interpreter of
/// XCEPTION_TEST_PYTHON and returns the tensors that it wrote. Throws (so that a test fails and is
/// not skipped) without that interpreter, or if the script fails.
[[nodiscard]] TensorMap run_python(const std::string& script, const std::string& arguments = "");

}  // namespace xception
