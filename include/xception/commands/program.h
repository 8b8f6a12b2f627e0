#pragma once

namespace xception {

/// Parses the command line, runs the subcommand, turns errors into one line on standard error.
/// Returns the exit code: 0 done, 1 the run failed, 2 bad usage, config or data, 128 + n stopped by
/// signal n after saving.
int run_program(int argc, const char* const* argv);

}  // namespace xception
