#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "xception/report/run_record.h"

namespace xception {

/// Published figures to stand beside the runs: the first rows of the table, gray curves.
struct Baseline {
  struct Entry {
    std::string label = {};
    std::int64_t parameters = 0;
    std::optional<double> test_accuracy = {};
    std::optional<double> train_seconds = {};
    bool in_table = true;  ///< else only a curve
    std::vector<EpochPoint> history = {};
  };
  std::string name = {};
  std::string description = {};  ///< of what, on what
  std::vector<Entry> entries = {};
};

/// `notebook` (the experiment that this project reproduces; built into the program from
/// configs/baselines/notebook.json), `none` (no entries), or a JSON file of the same form. Errors
/// (input): malformed, a key missing.
[[nodiscard]] Baseline load_baseline(const std::string& name_or_file);

}  // namespace xception
