#include "xception/bench/results.h"

#include <algorithm>
#include <numeric>

namespace xception {

const char* status_name(CaseStatus status) {
  switch (status) {
    case CaseStatus::done:
      return "done";
    case CaseStatus::interrupted:
      return "interrupted";
    case CaseStatus::out_of_memory:
      return "out of memory";
    case CaseStatus::failed:
      return "failed";
    case CaseStatus::not_run:
      break;
  }
  return "not run";
}

std::optional<std::int64_t> CaseResult::kernel_launches() const {
  if (kernels.empty()) return std::nullopt;
  std::int64_t launches = 0;
  for (const auto& [name, kernel] : kernels) launches += kernel.launches;
  return launches;
}

CaseFigures figures_of(const CaseResult& result, BenchMode mode, const MachineRates& machine) {
  CaseFigures figures;
  const auto batch = static_cast<double>(result.item.batch);
  const std::int64_t passes = mode == BenchMode::train ? 3 : 1;
  figures.step_flops = 2 * passes * result.complexity.multiply_adds * result.item.batch;
  for (const auto phase : step_phases()) {
    const auto place = static_cast<std::size_t>(phase);
    std::vector<double> times;
    for (const auto& step : result.split) times.push_back(step.at(place));
    figures.split.at(place) = spread_of(std::move(times)).median;
  }
  figures.images_per_second = spread_of(result.images_per_second);
  if (result.images_per_second.empty()) return figures;

  const double steps_per_second = figures.images_per_second.median / batch;
  figures.step_milliseconds = 1000.0 / steps_per_second;
  if (figures.step_flops > 0) {
    figures.flops_per_second = steps_per_second * static_cast<double>(figures.step_flops);
    const auto product = machine.products.find(result.item.precision);
    if (product != machine.products.end() && !product->second.empty()) {
      figures.peak_share = *figures.flops_per_second / spread_of(product->second).median;
    }
  }
  if (result.operators.bytes() > 0) {
    figures.bytes_per_second = steps_per_second * static_cast<double>(result.operators.bytes());
    if (!machine.copies.empty()) {
      figures.copy_share = *figures.bytes_per_second / spread_of(machine.copies).median;
    }
  }
  return figures;
}

std::vector<std::size_t> order_by_speed(const std::vector<CaseResult>& cases) {
  std::vector<std::size_t> order(cases.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto speed = [&](std::size_t i) { return spread_of(cases[i].images_per_second).median; };
    return speed(a) > speed(b);
  });
  return order;
}

}  // namespace xception
