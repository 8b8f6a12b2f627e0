#include "xception/models/batch_norm.h"

#include <ATen/Context.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/batch_norm_update_stats.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "xception/core/error.h"

namespace xception {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

/// (C) as (1, C, 1, 1).
torch::Tensor per_channel(const torch::Tensor& values) {
  return values.view({1, -1, 1, 1});
}

/// Statistics of the images of all ranks.
struct Statistics {
  torch::Tensor mean;      ///< float64 (C)
  torch::Tensor variance;  ///< float64 (C), biased
  torch::Tensor count;     ///< float64 scalar
};

Statistics global_statistics(const torch::Tensor& x, const StatisticsSync& sync) {
  const auto channels = x.size(1);
  auto rows = torch::zeros({sync.ranks->size(), 2 * channels + 1},
                           torch::TensorOptions(x.device()).dtype(torch::kFloat64));
  if (sync.counts) {
    const auto [mean, variance] = at::batch_norm_update_stats(x, {}, {}, 0.0);
    auto own = rows[sync.ranks->rank()];
    own.narrow(0, 0, channels).copy_(mean);
    own.narrow(0, channels, channels).copy_(variance);
    own[2 * channels].fill_(static_cast<double>(x.numel() / channels));
  }
  sync.ranks->sum(rows);  // each row has one rank's values, so this gathers them
  const auto means = rows.narrow(1, 0, channels);
  const auto variances = rows.narrow(1, channels, channels);
  const auto counts = rows.narrow(1, 2 * channels, 1);  // (ranks, 1)
  const auto count = counts.sum();
  const auto mean = (means * counts).sum(0) / count;
  const auto variance = ((variances + (means - mean).square()) * counts).sum(0) / count;
  return {mean, variance, count};
}

/// Normalizes with given statistics; their gradient goes through the sums over all ranks.
class Normalize : public torch::autograd::Function<Normalize> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const torch::Tensor& mean, const torch::Tensor& variance,
                               const torch::Tensor& count, double eps,
                               std::shared_ptr<const StatisticsSync> sync) {
    auto output = std::get<0>(at::native_batch_norm(x, weight, bias, mean, variance,
                                                    /*training=*/false, /*momentum=*/0.0, eps));
    context->save_for_backward({x, weight, mean, variance, count});
    context->saved_data["eps"] = eps;
    context->saved_data["counts"] = sync->counts;
    // The ranks outlive every step.
    context->saved_data["ranks"] = reinterpret_cast<std::int64_t>(sync->ranks.get());
    return output;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto& weight = saved[1];
    const auto& mean = saved[2];
    const auto& variance = saved[3];
    const auto& count = saved[4];
    const auto eps = context->saved_data["eps"].toDouble();
    auto* ranks = reinterpret_cast<Communicator*>(context->saved_data["ranks"].toInt());
    const auto invstd = (variance.to(torch::kFloat64) + eps).rsqrt();
    const auto invstd_as_weight = invstd.to(weight.scalar_type());
    // As if the statistics were constants: sums and the first part of the input's gradient.
    auto [input, d_weight, d_bias] =
        at::native_batch_norm_backward(gradients[0], x, weight, mean, variance, mean,
                                       invstd_as_weight, /*train=*/false, eps, {true, true, true});
    auto sums = torch::stack({d_bias, d_weight}).to(torch::kFloat64);  // (2, C)
    ranks->sum(sums);
    if (context->saved_data["counts"].toBool()) {
      const auto means = sums / count;
      const auto scale = weight.to(torch::kFloat64) * invstd;
      const auto as_x = [&](const torch::Tensor& values) {
        return per_channel(values).to(mean.scalar_type());
      };
      auto correction = (x - as_x(mean)).mul_(as_x(scale * invstd * means[1]));
      correction.add_(as_x(scale * means[0]));
      input = input.sub_(correction);
    } else {
      input = torch::zeros_like(input);
    }
    return {input, d_weight, d_bias, {}, {}, {}, {}, {}};
  }
};

}  // namespace

BatchNorm2dImpl::BatchNorm2dImpl(const torch::nn::Conv2d& conv, double eps)
    : BatchNorm2dImpl(torch::nn::BatchNorm2dOptions(conv->options.out_channels()).eps(eps)) {
  convolution_ = conv;
}

torch::Tensor BatchNorm2dImpl::forward(const torch::Tensor& x) {
  if (folded_) return x;
  if (kernels() == Kernels::fused && is_training()) uncounted_ = true;
  if (!sync_ || !is_training()) {
    if (kernels() == Kernels::reference) return torch::nn::BatchNorm2dImpl::forward(x);
    return at::batch_norm(x, weight, bias, running_mean, running_var, is_training(),
                          options.momentum().value(), options.eps(),
                          at::globalContext().userEnabledCuDNN());
  }
  Statistics statistics;
  {
    const torch::NoGradGuard no_grad;
    statistics = global_statistics(x.detach(), *sync_);
    if (kernels() == Kernels::reference) num_batches_tracked += 1;
    const double momentum = options.momentum().value();
    const auto unbiased =
        statistics.variance * (statistics.count / (statistics.count - 1.0).clamp_min(1.0));
    running_mean.mul_(1.0 - momentum).add_((statistics.mean * momentum).to(running_mean.dtype()));
    running_var.mul_(1.0 - momentum).add_((unbiased * momentum).to(running_var.dtype()));
  }
  const auto dtype = weight.scalar_type();
  return Normalize::apply(x, weight, bias, statistics.mean.to(dtype), statistics.variance.to(dtype),
                          statistics.count, options.eps(), sync_);
}

bool BatchNorm2dImpl::can_fuse(const torch::Tensor& x) const {
  if (folded_ || kernels() != Kernels::fused || !can_fuse_image(x)) return false;
  if (sync_ && is_training()) return false;
  const auto wanted = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return weight.scalar_type() == wanted && running_mean.scalar_type() == wanted;
}

BatchNormArguments BatchNorm2dImpl::arguments() {
  if (is_training()) uncounted_ = true;
  return {.weight = weight,
          .bias = bias,
          .running_mean = running_mean,
          .running_var = running_var,
          .eps = options.eps(),
          .momentum = options.momentum().value(),
          .training = is_training()};
}

void synchronize_batch_norm(torch::nn::Module& network,
                            const std::shared_ptr<const StatisticsSync>& sync) {
  for (const auto& item : network.named_modules({}, /*include_self=*/false)) {
    auto& module = *item.value();
    if (auto* norm = module.as<BatchNorm2dImpl>()) {
      norm->synchronize(sync);
    } else if (module.as<torch::nn::BatchNorm1dImpl>() || module.as<torch::nn::BatchNorm2dImpl>() ||
               module.as<torch::nn::BatchNorm3dImpl>()) {
      throw input_error("models",
                        "parallel.batch_norm=sync: {} is LibTorch's own BatchNorm, which can't be "
                        "synchronized; make it a xception::BatchNorm2d, or set "
                        "parallel.batch_norm=rank0",
                        item.key());
    }
  }
}

}  // namespace xception
