#pragma once

#include <c10/core/DeviceType.h>

namespace xception {

/// LibTorch's settings for a test of a device, for as long as it lives; then what was before.
///
/// Autocast and TF32 off: a reference that is rounded would be none. cuDNN's benchmark off: it
/// would build and time every plan of every convolution, for seconds each, and two runs could take
/// different ones. cuDNN's deterministic algorithms alone, so that two runs of the same step differ
/// in little but what is tested.
class SelftestSettings {
 public:
  explicit SelftestSettings(c10::DeviceType device);
  ~SelftestSettings();
  SelftestSettings(const SelftestSettings&) = delete;
  SelftestSettings& operator=(const SelftestSettings&) = delete;

 private:
  c10::DeviceType device_;
  bool autocast_, tf32_, tf32_products_, benchmark_, deterministic_;
};

}  // namespace xception
