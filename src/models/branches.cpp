#include "xception/models/branches.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <map>

#include "xception/kernels/bn_branches.h"
#include "xception/models/pixel_product.h"

namespace xception {
namespace {

torch::Tensor average_3x3(const torch::Tensor& x) {
  return at::avg_pool2d(x, /*kernel_size=*/3, /*stride=*/1, /*padding=*/1);
}

/// The average with a gradient of its own: being symmetric, it is its own backward. that of
/// LibTorch 2.11 is wrong on GPUs for padded channels_last images
/// (github.com/pytorch/pytorch/issues/188344).
class SymmetricAverage : public torch::autograd::Function<SymmetricAverage> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* /*context*/,
                               const torch::Tensor& x) {
    return average_3x3(x);
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* /*context*/,
                                               const torch::autograd::tensor_list& gradients) {
    return {average_3x3(gradients[0])};
  }
};

/// Some of LibTorch's convolutions answer in another format than they were asked in.
torch::Tensor channels_last(const torch::Tensor& x) {
  return x.contiguous(torch::MemoryFormat::ChannelsLast);
}

/// Whether the first unit of a branch is a product of the image's pixels, or of their averages.
bool starts_with_product(const Branch& branch) {
  const bool of_maxima =
      branch.pooling == Branch::Pooling::max || branch.pooling == Branch::Pooling::max_same;
  if (branch.units.empty() || of_maxima) return false;
  const auto conv = branch.units.front()->conv();
  return conv->weight.size(2) == 1 && conv->weight.size(3) == 1 &&
         conv->options.stride()->at(0) == 1 && conv->options.stride()->at(1) == 1;
}

/// The computation of a block.
class Block {
 public:
  Block(const torch::Tensor& x, const std::vector<Branch>& branches, Kernels kernels)
      : x_(x), branches_(branches), kernels_(kernels) {}

  [[nodiscard]] bool can_fuse() const {
    if (kernels_ != Kernels::fused || !can_fuse_image(x_)) return false;
    return std::all_of(branches_.begin(), branches_.end(), [&](const Branch& branch) {
      return branch.units.empty() ||
             (branch.units.front()->bn()->can_fuse(x_) && branch.units.back()->bn()->can_fuse(x_));
    });
  }

  torch::Tensor plain() {
    // First what reads x: then x's gradients are summed in the order of torchvision's network.
    for (const auto& branch : branches_) {
      if (!branch.units.empty()) run(branch, 1);
    }
    std::vector<torch::Tensor> results;
    for (const auto& branch : branches_) results.push_back(run(branch, branch.units.size()));
    return at::cat(results, 1);
  }

  torch::Tensor fused() {
    const auto output = start();
    std::vector<BnPart> parts;
    for (const auto& branch : branches_) {
      const auto units = branch.units.size();
      if (units == 0 || results_.contains(branch.units.back().get())) {
        parts.push_back({.x = channels_last(run(branch, units)), .bn = {}});
      } else {
        const auto& last = branch.units.back();
        const auto convolved = last->conv()->forward(run(branch, units - 1));
        parts.push_back({.x = channels_last(convolved), .bn = last->bn()->arguments()});
      }
    }
    return fused_bn_concat(parts, /*relu=*/true, output);
  }

 private:
  /// The result of a branch's first units, each computed once; of none: what the first one reads.
  torch::Tensor run(const Branch& branch, std::size_t units) {
    if (units == 0 && branch.pooling == Branch::Pooling::average) return avg_pool_3x3(x_);
    if (units == 0 && branch.pooling == Branch::Pooling::max) {
      return pool_add(x_, /*shortcut=*/{}, /*padding=*/0, kernels_);
    }
    if (units == 0 && branch.pooling == Branch::Pooling::max_same) {
      return at::max_pool2d(x_, /*kernel_size=*/3, /*stride=*/1, /*padding=*/1);
    }
    if (units == 0) return x_;
    auto unit = branch.units[units - 1];
    auto& result = results_[unit.get()];
    if (!result.defined()) result = unit->forward(run(branch, units - 1));
    return result;
  }

  /// The branches that begin with a product, one for each first unit.
  [[nodiscard]] std::vector<const Branch*> starts() const {
    std::vector<const Branch*> found;
    for (const auto& branch : branches_) {
      const auto is_shared = [&](const Branch* other) {
        return other->units.front().get() == branch.units.front().get();
      };
      if (starts_with_product(branch) && std::none_of(found.begin(), found.end(), is_shared)) {
        found.push_back(&branch);
      }
    }
    return found;
  }

  /// Computes the first units that are products, and gives memory for the block's result, which
  /// has those that are a whole branch in their places; undefined: none is.
  torch::Tensor start() {
    const auto begun = starts();
    if (begun.empty()) return {};
    std::vector<torch::nn::Conv2d> convolutions;
    for (const auto* branch : begun) convolutions.push_back(branch->units.front()->conv());
    const auto product = pixel_product(x_, convolutions);
    const auto output = memory_of_result(begun, product);
    std::vector<BnSlice> slices;
    for (const auto* branch : begun) {
      const auto& unit = branch->units.front();
      slices.push_back({.bn = unit->bn()->arguments(),
                        .average = branch->pooling == Branch::Pooling::average,
                        .to = place_of(*branch, output)});
    }
    const auto results = fused_bn_slices(product, slices, /*relu=*/true);
    for (std::size_t i = 0; i < begun.size(); ++i) {
      results_[begun[i]->units.front().get()] = results[i];
    }
    return output;
  }

  [[nodiscard]] std::int64_t channels(const Branch& branch) const {
    return branch.units.empty() ? x_.size(1) : branch.units.back()->conv()->weight.size(0);
  }

  [[nodiscard]] torch::Tensor memory_of_result(const std::vector<const Branch*>& begun,
                                               const torch::Tensor& product) const {
    const auto is_whole = [](const Branch* branch) { return branch->units.size() == 1; };
    if (std::none_of(begun.begin(), begun.end(), is_whole)) return {};
    auto sizes = product.sizes().vec();
    sizes[1] = 0;
    for (const auto& branch : branches_) sizes[1] += channels(branch);
    return torch::empty(sizes, product.options().requires_grad(false).memory_format(
                                   at::MemoryFormat::ChannelsLast));
  }

  /// Where the first unit's result lies in the block's; undefined if more units follow.
  [[nodiscard]] torch::Tensor place_of(const Branch& branch, const torch::Tensor& output) const {
    if (branch.units.size() > 1) return {};
    std::int64_t first = 0;
    for (const auto* before = branches_.data(); before != &branch; ++before) {
      first += channels(*before);
    }
    return output.narrow(1, first, channels(branch));
  }

  const torch::Tensor& x_;
  const std::vector<Branch>& branches_;
  Kernels kernels_;
  std::map<const ConvBnReluImpl*, torch::Tensor> results_;  ///< of units
};

}  // namespace

torch::Tensor avg_pool_3x3(const torch::Tensor& x) {
  return x.is_cuda() ? SymmetricAverage::apply(x) : average_3x3(x);
}

torch::Tensor concat_branches(const torch::Tensor& x, const std::vector<Branch>& branches,
                              Kernels kernels) {
  Block block(x, branches, kernels);
  return block.can_fuse() ? block.fused() : block.plain();
}

}  // namespace xception
