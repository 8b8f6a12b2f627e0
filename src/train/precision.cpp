#include "xception/train/precision.h"

#include "xception/core/error.h"

namespace xception {

Precision parse_precision(const std::string& name) {
  if (name == "fp32") return {};
  if (name == "fp64") return {.parameters = torch::kFloat64};
  if (name == "fp16") return {.autocast = true, .autocast_dtype = torch::kFloat16, .scaled = true};
  if (name == "bf16") return {.autocast = true, .autocast_dtype = torch::kBFloat16};
  throw input_error("config", "precision {}: expected fp32, fp16, bf16 or fp64", name);
}

Autocast::Autocast(const Precision& precision, torch::DeviceType device)
    : device_(device),
      was_enabled_(at::autocast::is_autocast_enabled(device)),
      previous_dtype_(at::autocast::get_autocast_dtype(device)) {
  at::autocast::set_autocast_enabled(device, precision.autocast);
  if (precision.autocast) at::autocast::set_autocast_dtype(device, precision.autocast_dtype);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, was_enabled_);
  at::autocast::set_autocast_dtype(device_, previous_dtype_);
}

}  // namespace xception
