#pragma once

#include "xception/train/observer.h"

namespace xception {

/// Shows the run: a line redrawn in place on a terminal, plain lines elsewhere; a line an epoch.
class ProgressLine : public RunObserver {
 public:
  void on_progress(const Progress& progress) override;
  void on_epoch(const EpochRecord& record) override;
};

}  // namespace xception
