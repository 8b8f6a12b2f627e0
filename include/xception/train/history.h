#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "xception/core/state.h"
#include "xception/train/observer.h"
#include "xception/train/run_directory.h"

namespace xception {

/// Appends a row an epoch to history.jsonl and history.csv. The columns train_loss, train_acc,
/// val_loss, val_acc and time_per_epochs are named as in the notebook's own histories. Its state is
/// the rows: a run that goes on from a checkpoint writes both files anew, whatever they became
/// since.
class HistoryWriter : public RunObserver, public Stateful {
 public:
  explicit HistoryWriter(const RunDirectory& directory);

  void on_epoch(const EpochRecord& record) override;

  [[nodiscard]] std::string state_name() const override { return "history"; }
  [[nodiscard]] State state() const override;
  void load_state(const State& state) override;

  /// Empties both files, for a run that starts from the beginning.
  void clear();

 private:
  void write() const;

  std::filesystem::path jsonl_;
  std::filesystem::path csv_;
  std::vector<nlohmann::ordered_json> rows_;
};

/// Appends to a file and syncs it. Errors (run).
void append_to_file(const std::filesystem::path& file, std::string_view text);

}  // namespace xception
