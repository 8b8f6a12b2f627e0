#pragma once

#include <string>

#include "xception/train/observer.h"

namespace xception {

/// Shows the run: a line redrawn in place on a terminal, plain lines elsewhere; a line an epoch.
class ProgressLine : public RunObserver {
 public:
  void on_progress(const Progress& progress) override;
  void on_epoch(const EpochRecord& record) override;
};

/// `1:02:03`, `2:03`.
[[nodiscard]] std::string format_duration(double seconds);
/// `1.5 GB`.
[[nodiscard]] std::string format_bytes(std::int64_t bytes);

}  // namespace xception
