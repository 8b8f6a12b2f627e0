#include "xception/bench/machine.h"

#include <ATen/Context.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

#include "xception/core/seconds_since.h"
#include "xception/parallel/device.h"

namespace xception {
namespace {

using Clock = std::chrono::steady_clock;

/// How often a second `work` can be done: a first time untimed, then for about so many seconds.
double rate_of(const torch::Device& device, double seconds, const std::function<void()>& work) {
  work();
  synchronize(device);
  const auto first = Clock::now();
  work();
  synchronize(device);
  const auto times = std::max(1.0, std::ceil(seconds / std::max(1e-9, seconds_since(first))));
  const auto start = Clock::now();
  for (double i = 0; i < times; ++i) work();
  synchronize(device);
  return times / seconds_since(start);
}

/// Whether float32 products may use TF32, for its lifetime.
class ShortMantissa {
 public:
  explicit ShortMantissa(bool allowed) : was_allowed_(at::globalContext().allowTF32CuBLAS()) {
    at::globalContext().setAllowTF32CuBLAS(allowed);
  }
  ~ShortMantissa() { at::globalContext().setAllowTF32CuBLAS(was_allowed_); }
  ShortMantissa(const ShortMantissa&) = delete;
  ShortMantissa& operator=(const ShortMantissa&) = delete;

 private:
  bool was_allowed_;
};

}  // namespace

double measure_matrix_product(const torch::Device& device, torch::ScalarType dtype,
                              bool short_mantissa, double seconds) {
  const torch::NoGradGuard no_grad;
  const ShortMantissa mantissa(short_mantissa);
  const auto options = torch::TensorOptions(device).dtype(dtype);
  torch::Tensor a, b, product;
  const auto multiply = [&] { torch::mm_out(product, a, b); };
  const auto of_size = [&](std::int64_t rows) {
    // Not random: the generators' numbers are the run's. Not 0: a GPU computes zeros faster.
    const auto pattern = torch::arange(rows * rows, torch::TensorOptions(device)).remainder(251);
    a = pattern.sub(125).div(125).to(dtype).view({rows, rows});
    b = a.flip(0).contiguous();
    product = torch::empty({rows, rows}, options);
  };
  std::int64_t rows = device.is_cuda() ? 8192 : 256;
  of_size(rows);
  // A processor without instructions for a narrow dtype takes minutes for a large product: the
  // next, of 8 times the work, isn't begun if it would take much longer than this measurement is
  // meant to.
  multiply();  // the first also sets up
  while (device.is_cpu() && rows < 2048) {
    const auto start = Clock::now();
    multiply();
    if (8 * seconds_since(start) > 5 * seconds) break;
    rows *= 2;
    of_size(rows);
  }
  const double rate = rate_of(device, seconds, multiply);
  const auto n = static_cast<double>(rows);
  return 2.0 * n * n * n * rate;
}

double measure_copy(const torch::Device& device, double seconds) {
  const torch::NoGradGuard no_grad;
  const std::int64_t bytes = 256 * std::int64_t{1 << 20};
  const auto options = torch::TensorOptions(device).dtype(torch::kFloat32);
  const auto from = torch::ones({bytes / 4}, options);
  const auto to = torch::empty_like(from);
  const double rate = rate_of(device, seconds, [&] { to.copy_(from); });
  return 2.0 * static_cast<double>(bytes) * rate;
}

}  // namespace xception
