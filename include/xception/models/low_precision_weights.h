#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <vector>

namespace xception {

/// Copies of a network's weights in autocast's dtype, with which it computes in training: autocast
/// has nothing to cast in forward, nor has autograd in backward, because the gradients are the
/// copies' own, in their dtype. Whoever updates the parameters writes the copies too
/// (Optimizer::use_copies). The parameters that the network registered stay what is trained, saved
/// and counted; results are autocast's bit for bit.
///
/// Copied is what autocast would cast: weights and biases of linear layers and of convolutions,
/// but for depthwise ones, whose fused operations read float32.
class LowPrecisionWeights {
 public:
  /// The network's parameters must be where they are to stay.
  LowPrecisionWeights(torch::nn::Module& network, torch::ScalarType dtype);
  LowPrecisionWeights(const LowPrecisionWeights&) = delete;
  LowPrecisionWeights& operator=(const LowPrecisionWeights&) = delete;
  ~LowPrecisionWeights() = default;

  /// Copies all parameters: after anyone but the optimizer changed them.
  void refresh();

  /// Forgets the copies' gradients.
  void clear_gradients();

  /// The gradients of the copies that have one.
  [[nodiscard]] std::vector<torch::Tensor> gradients() const;

  /// A parameter's copy, a leaf that requires gradients; undefined where there is none.
  [[nodiscard]] torch::Tensor of(const torch::Tensor& parameter) const;

  /// The network computes with the copies while it lives.
  class Use {
   public:
    explicit Use(LowPrecisionWeights& weights) : weights_(weights) { weights_.put_in(true); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() { weights_.put_in(false); }

   private:
    LowPrecisionWeights& weights_;
  };

 private:
  struct Copied {
    std::shared_ptr<torch::nn::Module> owner;
    torch::Tensor* member;  ///< of the owner
    torch::Tensor parameter;
    torch::Tensor copy;
  };

  void add(const std::shared_ptr<torch::nn::Module>& owner, torch::Tensor& member,
           torch::ScalarType dtype);
  void put_in(bool copies);

  std::vector<Copied> copied_;
};

}  // namespace xception
