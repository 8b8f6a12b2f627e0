#include "xception/train/metrics.h"

#include "xception/train/loss.h"

namespace xception {

ClassificationMetrics::ClassificationMetrics(const torch::Device& device)
    : sums_(torch::zeros({3}, torch::TensorOptions().dtype(torch::kFloat64).device(device))),
      bad_step_(torch::full({}, -1, torch::TensorOptions().dtype(torch::kInt64).device(device))) {}

void ClassificationMetrics::add(const torch::Tensor& loss_sum, const torch::Tensor& logits,
                                const torch::Tensor& targets) {
  const torch::NoGradGuard no_grad;
  const auto correct = logits.argmax(1).eq(target_classes(targets)).sum();
  const auto count = torch::full({}, targets.size(0), sums_.options());
  sums_.add_(
      torch::stack({loss_sum.detach().to(torch::kFloat64), correct.to(torch::kFloat64), count}));
}

void ClassificationMetrics::add(const torch::Tensor& loss_sum, const torch::Tensor& logits,
                                const torch::Tensor& targets, const torch::Tensor& trained,
                                const torch::Tensor& step) {
  add(loss_sum, logits, targets);
  const torch::NoGradGuard no_grad;
  const auto first_bad = trained.detach().isfinite().logical_not().logical_and(bad_step_ < 0);
  bad_step_.copy_(torch::where(first_bad, step, bad_step_));
}

namespace {

/// sums: float64 (3), CPU.
MetricValues means_of(const torch::Tensor& sums, std::int64_t bad_step) {
  const auto* values = sums.const_data_ptr<double>();
  MetricValues result;
  result.bad_step = bad_step;
  result.count = static_cast<std::int64_t>(values[2]);
  if (result.count > 0) {
    result.loss = values[0] / values[2];
    result.accuracy = values[1] / values[2];
  }
  return result;
}

}  // namespace

MetricValues ClassificationMetrics::value() const {
  return means_of(sums_.cpu(), bad_step_.item<std::int64_t>());
}

MetricValues ClassificationMetrics::collect(Communicator& ranks) {
  if (ranks.is_alone()) return value();
  const torch::NoGradGuard no_grad;
  const auto sums = ranks.gather_rows(sums_.unsqueeze(0)).sum(0);  // (3)
  const auto steps = ranks.gather_rows(bad_step_.view({1}));       // (ranks)
  const auto bad = steps.masked_select(steps >= 0);
  if (ranks.is_root()) {
    sums_.copy_(sums);
  } else {
    sums_.zero_();
  }
  return means_of(sums, bad.numel() > 0 ? bad.min().item<std::int64_t>() : -1);
}

void ClassificationMetrics::reset() {
  sums_.zero_();
}

State ClassificationMetrics::state() const {
  State state;
  state.tensors["sums"] = sums_;
  return state;
}

void ClassificationMetrics::load_state(const State& state) {
  restore_tensor(state, "sums", sums_);
}

}  // namespace xception
