#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "commands/process.h"
#include "support/temporary_folder.h"

namespace xception {

using Arguments = std::vector<std::string>;

/// The program's path and the arguments.
[[nodiscard]] Arguments xception_command(const Arguments& arguments);

/// Runs the program to its end.
ProcessResult run_xception(const Arguments& arguments, const ProcessOptions& options = {});

/// A data set of 300 training and 60 test images, made once a process.
[[nodiscard]] const std::filesystem::path& small_data();

/// A complete run of two epochs on it, made once a process; tests copy what they alter.
[[nodiscard]] const std::filesystem::path& complete_run();

/// `train` with a network so small that an epoch takes half a second, into `out`.
[[nodiscard]] Arguments train_arguments(const std::filesystem::path& out,
                                        const Arguments& more = {});

/// The arguments and more; a `key=value` takes the place of an earlier one.
[[nodiscard]] Arguments with_overrides(Arguments arguments, const Arguments& more);

/// A folder of its own for each test, removed at the test's end.
class CommandTest : public testing::Test {
 protected:
  /// Writes a file below the folder and returns its path.
  std::filesystem::path write(const std::string& name, std::string_view content) const;
  /// A copy of the data set, of the complete run.
  [[nodiscard]] std::filesystem::path copied_data() const;
  [[nodiscard]] std::filesystem::path copied_run() const;

  TemporaryFolder temporary;
  const std::filesystem::path& folder = temporary.path;
};

/// Whether a process ended with `code` and exactly one line on standard error, an error that has
/// all `words` in it.
[[nodiscard]] testing::AssertionResult fails(const ProcessResult& result, int code,
                                             const std::vector<std::string>& words);
/// Whether it ended with 0 and wrote nothing on standard error.
[[nodiscard]] testing::AssertionResult succeeds(const ProcessResult& result);

/// How often `part` is in a text, not overlapping itself.
[[nodiscard]] int count_of(const std::string& text, const std::string& part);
/// How many lines of progress a training has printed: with train.log_interval=1, one a step but an
/// epoch's last.
[[nodiscard]] int progress_lines(const std::string& text);

/// Expects these files of two runs to be there, and equal byte by byte.
void expect_same_files(const std::filesystem::path& run, const std::filesystem::path& expected,
                       const std::vector<std::string>& names);

/// Starts or goes on with a training (the arguments without `--resume`), stops it with SIGTERM
/// after so many lines of progress, and goes on to its end. Expects both to succeed.
void stop_and_go_on(Arguments arguments, int lines);

/// Expects a complete run to have the weights, the optimizer's state, the predictions and the
/// history of another, to the last bit.
void expect_same_run(const std::filesystem::path& run, const std::filesystem::path& expected);

[[nodiscard]] nlohmann::json json_of(const std::filesystem::path& file);
/// Rows of a CSV file by column name, as text.
[[nodiscard]] std::vector<nlohmann::json> csv_rows(const std::filesystem::path& file);
/// Scalars of a run's event file as TensorBoard reads them: {tag: [[step, value], ...]}.
[[nodiscard]] nlohmann::json read_events(const std::filesystem::path& run, bool all = false);
/// Names of an object's members, sorted.
[[nodiscard]] std::vector<std::string> keys_of(const nlohmann::json& object);
/// Every file below a folder with its content.
[[nodiscard]] std::map<std::string, std::string> snapshot(const std::filesystem::path& folder);
/// Changes one bit in the middle of a file.
void flip_bit(const std::filesystem::path& file);

}  // namespace xception
