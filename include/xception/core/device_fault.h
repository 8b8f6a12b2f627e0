#pragma once

#include <string>
#include <string_view>

namespace xception {

/// Whether an error's text, all lines of it, says that a GPU is in a state from which this process
/// can't bring it back: an illegal access of a kernel, a failed assertion, a hardware error. Every
/// later call to it fails, too. What cuBLAS and cuDNN say
/// of many things (an execution that failed, no engine found) isn't among them: see cause_of
/// (parallel/failure_cause.h).
[[nodiscard]] bool is_device_fault(std::string_view text);

/// Prints `error: LINE` and ends the process with code 1, on the spot: destructors of what lies on
/// such a GPU may abort the process or wait for ever. Logs are flushed before.
[[noreturn]] void end_after_device_fault(const std::string& line);

}  // namespace xception
