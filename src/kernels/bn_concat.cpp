#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "checks.h"
#include "operations.h"
#include "xception/core/error.h"
#include "xception/kernels/bn_branches.h"

namespace xception {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr const char* kBnConcat = "fused_bn_concat";

/// x into `place`, unless it is there.
void put(const at::Tensor& x, const at::Tensor& place) {
  const bool there =
      x.const_data_ptr() == place.const_data_ptr() && row_stride(x) == row_stride(place);
  if (!there) place.copy_(x);
}

class BnConcat : public torch::autograd::Function<BnConcat> {
 public:
  /// inputs: the image of each part, with its BatchNorm's weight and bias where it has one.
  static torch::Tensor forward(AutogradContext* context, at::TensorList inputs,
                               const std::vector<BnPart>& parts, bool relu, torch::Tensor& output) {
    const auto& operations = operations_for(inputs[0]);
    tensor_list saved;
    std::vector<std::int64_t> channels, kinds;
    std::int64_t channel = 0;
    std::size_t next = 0;
    for (const auto& part : parts) {
      const auto& x = inputs[next++];
      const auto place = output.narrow(1, channel, x.size(1));
      channel += x.size(1);
      channels.push_back(x.size(1));
      kinds.push_back(!part.bn ? kPlain : part.bn->training ? kTraining : kEvaluation);
      if (!part.bn) {
        put(x, place);
        continue;
      }
      BatchNormArguments bn = *part.bn;
      bn.weight = inputs[next++];
      bn.bias = inputs[next++];
      const auto state = operations.statistics(x, bn);
      operations.bn_forward(x, /*residual=*/{}, {.coefficients = state.coefficients, .relu = relu},
                            place);
      saved.insert(saved.end(), {x, state.coefficients, state.statistics, bn.weight});
    }
    context->save_for_backward(saved);
    context->saved_data["channels"] = channels;
    context->saved_data["kinds"] = kinds;
    context->saved_data["relu"] = relu;
    return output;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    check_first_order(kBnConcat);
    const auto saved = context->get_saved_variables();
    const auto channels = context->saved_data["channels"].toIntVector();
    const auto kinds = context->saved_data["kinds"].toIntVector();
    const bool relu = context->saved_data["relu"].toBool();
    const auto dy = as_rows(gradients[0], gradients[0]);
    tensor_list result;
    std::int64_t channel = 0;
    const auto* next = saved.data();
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const auto own = dy.narrow(1, channel, channels[i]);
      channel += channels[i];
      if (kinds[i] == kPlain) {
        result.push_back(own);
        continue;
      }
      add_gradients(result, own, next, relu, kinds[i] == kTraining);
      next += 4;
    }
    result.insert(result.end(), 3, at::Tensor());
    return result;
  }

 private:
  enum Kind : std::int64_t { kPlain, kEvaluation, kTraining };

  /// saved: x, coefficients, statistics, weight.
  static void add_gradients(tensor_list& to, const at::Tensor& dy, const at::Tensor* saved,
                            bool relu, bool training) {
    const auto& x = saved[0];
    const auto& operations = operations_for(x);
    const auto bn = batch_norm_of(saved[1], saved[2], saved[3], training);
    const auto reduced = operations.bn_reduce(dy, x, /*output=*/{}, bn, relu);
    const auto dx = operations.bn_backward(dy, x, /*output=*/{},
                                           {.coefficients = bn.state.coefficients, .relu = relu},
                                           reduced.input, /*d_residual=*/{});
    to.insert(to.end(), {dx, reduced.weight, reduced.bias});
  }
};

/// The channels of all parts, which must fit together.
std::int64_t checked_channels(const std::vector<BnPart>& parts) {
  if (parts.empty()) throw run_error("kernels", "{}: no parts", kBnConcat);
  const auto& first = parts[0].x;
  std::int64_t channels = 0;
  for (const auto& part : parts) {
    check_rows(kBnConcat, part.x);
    check_like(kBnConcat, "part", part.x,
               {first.size(0), part.x.size(1), first.size(2), first.size(3)}, first);
    if (part.bn) check_batch_norm(kBnConcat, part.x, *part.bn);
    channels += part.x.size(1);
  }
  return channels;
}

}  // namespace

torch::Tensor fused_bn_concat(const std::vector<BnPart>& parts, bool relu,
                              const torch::Tensor& output) {
  const std::int64_t channels = checked_channels(parts);
  const auto& first = parts[0].x;
  auto sizes = first.sizes().vec();
  sizes[1] = channels;
  auto result = output;
  if (result.defined()) {
    check_image(kBnConcat, result);
    check_like(kBnConcat, "output", result, sizes, first);
  } else {
    result = at::empty(sizes, first.options().memory_format(at::MemoryFormat::ChannelsLast));
  }
  tensor_list inputs;
  for (const auto& part : parts) {
    inputs.push_back(part.x);
    if (part.bn) inputs.insert(inputs.end(), {part.bn->weight, part.bn->bias});
  }
  return BnConcat::apply(at::TensorList(inputs), parts, relu, result);
}

}  // namespace xception
