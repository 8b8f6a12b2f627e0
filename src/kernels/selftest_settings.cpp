#include "xception/kernels/selftest_settings.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

namespace xception {

SelftestSettings::SelftestSettings(c10::DeviceType device)
    : device_(device),
      autocast_(at::autocast::is_autocast_enabled(device)),
      tf32_(at::globalContext().allowTF32CuDNN()),
      tf32_products_(at::globalContext().allowTF32CuBLAS()),
      benchmark_(at::globalContext().benchmarkCuDNN()),
      deterministic_(at::globalContext().deterministicCuDNN()) {
  auto& context = at::globalContext();
  at::autocast::set_autocast_enabled(device, false);
  context.setAllowTF32CuDNN(false);
  context.setAllowTF32CuBLAS(false);
  context.setBenchmarkCuDNN(false);
  context.setDeterministicCuDNN(true);
}

SelftestSettings::~SelftestSettings() {
  auto& context = at::globalContext();
  context.setDeterministicCuDNN(deterministic_);
  context.setBenchmarkCuDNN(benchmark_);
  context.setAllowTF32CuBLAS(tf32_products_);
  context.setAllowTF32CuDNN(tf32_);
  at::autocast::set_autocast_enabled(device_, autocast_);
}

}  // namespace xception
