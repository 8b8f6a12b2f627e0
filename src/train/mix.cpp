#include "xception/train/mix.h"

#include <ATen/ops/_sample_dirichlet.h>
#include <ATen/ops/rand.h>
#include <fmt/format.h>

#include "xception/core/error.h"

namespace xception {
namespace {

/// What is computed in: float32 of images in half precision.
torch::ScalarType wide(const torch::Tensor& images) {
  const auto dtype = images.scalar_type();
  return dtype == torch::kFloat64 ? dtype : torch::kFloat32;
}

/// weight: of the images themselves, scalar or (1, 1, H, W).
void mix(Input& batch, const torch::Tensor& weight, const torch::Tensor& share,
         std::int64_t classes) {
  const torch::NoGradGuard no_grad;
  const auto dtype = batch.images.scalar_type();
  const auto images = batch.images.to(wide(batch.images));
  const auto own = weight.to(images.scalar_type());
  batch.images = images.roll(1, 0).mul_(1.0 - own).add_(images.mul(own)).to(dtype);
  auto targets = batch.targets;
  if (targets.dim() == 1) {
    targets = torch::zeros({targets.size(0), classes}, share.options())
                  .scatter_(1, targets.unsqueeze(1), 1.0);
  }
  batch.targets = targets.roll(1, 0).mul_(1.0 - share).add_(targets.mul(share));
}

/// (1, 1, H, W): 0 inside the box, 1 outside.
torch::Tensor outside(const MixBox& box, std::int64_t height, std::int64_t width) {
  const auto rows = torch::arange(height, box.top.options()).view({1, 1, -1, 1});
  const auto cols = torch::arange(width, box.top.options()).view({1, 1, 1, -1});
  return (rows >= box.top)
      .logical_and(rows < box.bottom)
      .logical_and((cols >= box.left).logical_and(cols < box.right))
      .logical_not();
}

torch::Tensor share_outside(const MixBox& box, std::int64_t height, std::int64_t width) {
  const auto area = (box.bottom - box.top) * (box.right - box.left);
  return 1.0 - area.to(torch::kFloat32) / static_cast<double>(height * width);
}

}  // namespace

std::vector<Key> MixConfig::keys() {
  return newer(
      {{"mixup_alpha", &mixup_alpha, between(0, 1e3),
        "mixup: images and targets are blended by a share from Beta(alpha, alpha); 0: off"},
       {"cutmix_alpha", &cutmix_alpha, between(0, 1e3),
        "CutMix: a box of another image, of a share from Beta(alpha, alpha); 0: off"},
       {"probability", &probability, between(0, 1), "that a batch is mixed"},
       {"switch_probability", &switch_probability, between(0, 1),
        "that a batch gets CutMix, not mixup, where both are on"}});
}

void check_mix(const MixConfig& config) {
  const MixConfig defaults;
  if (config.is_on()) return;
  if (config.probability == defaults.probability &&
      config.switch_probability == defaults.switch_probability) {
    return;
  }
  throw input_error(
      "config",
      "mix.{}: found {}, but neither mixup nor CutMix is on; set mix.mixup_alpha (such "
      "as 0.2) or mix.cutmix_alpha (such as 1)",
      config.probability != defaults.probability ? "probability" : "switch_probability",
      config.probability != defaults.probability ? config.probability : config.switch_probability);
}

std::string describe_mix(const MixConfig& config) {
  std::string line;
  if (config.mixup_alpha > 0) line = fmt::format("mixup {}", config.mixup_alpha);
  if (config.cutmix_alpha > 0) {
    line += fmt::format("{}CutMix {}", line.empty() ? "" : " or ", config.cutmix_alpha);
  }
  if (config.mixup_alpha > 0 && config.cutmix_alpha > 0) {
    line += fmt::format(" (probability {})", config.switch_probability);
  }
  if (!line.empty() && config.probability < 1) {
    line += fmt::format(", {} of the batches", config.probability);
  }
  return line;
}

void mixup(Input& batch, const torch::Tensor& share, std::int64_t classes) {
  mix(batch, share, share, classes);
}

MixBox cutmix_box(const torch::Tensor& share, const torch::Tensor& y, const torch::Tensor& x,
                  std::int64_t height, std::int64_t width) {
  const auto half = (1.0 - share).sqrt() * 0.5;
  const auto side = [&](const torch::Tensor& center, std::int64_t length) {
    const auto reach = (half * static_cast<double>(length)).to(torch::kInt64);
    return std::pair((center - reach).clamp_min(0), (center + reach).clamp_max(length));
  };
  const auto [top, bottom] = side(y, height);
  const auto [left, right] = side(x, width);
  return {.top = top, .bottom = bottom, .left = left, .right = right};
}

void cutmix(Input& batch, const MixBox& box, std::int64_t classes) {
  const auto height = batch.images.size(2), width = batch.images.size(3);
  mix(batch, outside(box, height, width), share_outside(box, height, width), classes);
}

std::function<void(Input& batch)> make_mix(const MixConfig& config, std::int64_t classes,
                                           const torch::Device& device) {
  // Made before a step is recorded: copying them from the host would be a part of it.
  const auto options = torch::TensorOptions(device).dtype(torch::kFloat32);
  const auto alphas = [&](double alpha) { return torch::full({2}, alpha, options); };
  const auto mixup_alphas = alphas(config.mixup_alpha), cutmix_alphas = alphas(config.cutmix_alpha);
  return [=](Input& batch) {
    const torch::NoGradGuard no_grad;
    const auto height = batch.images.size(2), width = batch.images.size(3);
    const auto drawn = torch::rand({4}, options);  // is it mixed, by which, the box's center
    const auto is_mixed = drawn[0] < config.probability;
    torch::Tensor share, weight;
    if (config.mixup_alpha > 0) share = weight = at::_sample_dirichlet(mixup_alphas)[0];
    if (config.cutmix_alpha > 0) {
      const auto place = [&](std::int64_t i, std::int64_t length) {
        return (drawn[i] * static_cast<double>(length)).to(torch::kInt64).clamp_max(length - 1);
      };
      const auto box = cutmix_box(at::_sample_dirichlet(cutmix_alphas)[0], place(2, height),
                                  place(3, width), height, width);
      const auto cut = outside(box, height, width).to(torch::kFloat32);
      const auto left = share_outside(box, height, width);
      const bool both = share.defined();
      const auto is_cut = drawn[1] < config.switch_probability;
      share = both ? torch::where(is_cut, left, share) : left;
      weight = both ? torch::where(is_cut, cut, weight) : cut;
    }
    if (config.probability < 1) {
      const auto one = torch::ones_like(share);
      share = torch::where(is_mixed, share, one);
      weight = torch::where(is_mixed, weight, one);
    }
    mix(batch, weight, share, classes);
  };
}

}  // namespace xception
