// LibTorch's library is compiled with NDEBUG. Without it, its header refuses to show an operation's
// inputs: it waits for a mark that the library, in that case, doesn't make.
#ifndef NDEBUG
#define NDEBUG
#endif

#include "xception/models/complexity.h"

#include <ATen/record_function.h>

#include <memory>
#include <string_view>

#include "xception/models/kernel_choice.h"

namespace xception {
namespace {

/// What the listener of this thread has to know; outside the callbacks, because LibTorch takes only
/// plain functions.
struct Listening {
  Complexity* complexity = nullptr;
  bool inside_layer = false;  ///< a convolution may itself call a matrix product
};
thread_local Listening listening;

/// A layer between its start, when the inputs can be seen, and its end, when the output can.
struct Layer : at::ObserverContext {
  std::int64_t multiply_adds_per_output = 0;
};

/// Multiply-adds for one element of the operation's output; 0 for an operation that isn't counted.
std::int64_t multiply_adds_per_output(const at::RecordFunction& function) {
  const std::string_view name = function.name();
  const auto inputs = function.inputs();
  if (name == "aten::convolution") {  // (input, weight, ...): every flavor passes through it
    const at::Tensor& weight = inputs[1].toTensor();  // (out, in / groups, kernel...)
    return weight.numel() / weight.size(0);
  }
  // A linear layer: (bias, input, weight') with a bias, (input, weight') without; weight': (in,
  // out)
  if (name == "aten::addmm") return inputs[2].toTensor().size(0);
  if (name == "aten::mm") return inputs[1].toTensor().size(0);
  return 0;
}

std::unique_ptr<at::ObserverContext> start_operation(const at::RecordFunction& function) {
  if (listening.inside_layer) return nullptr;
  const std::int64_t cost = multiply_adds_per_output(function);
  if (cost == 0) return nullptr;
  listening.inside_layer = true;
  auto layer = std::make_unique<Layer>();
  layer->multiply_adds_per_output = cost;
  return layer;
}

void end_operation(const at::RecordFunction& function, at::ObserverContext* context) {
  const auto* layer = dynamic_cast<const Layer*>(context);
  if (layer == nullptr) return;
  listening.inside_layer = false;
  const std::int64_t outputs = function.outputs().at(0).toTensor().numel();
  listening.complexity->multiply_adds += outputs * layer->multiply_adds_per_output;
  listening.complexity->activations += outputs;
}

/// Listens for as long as it lives.
class Listener {
 public:
  explicit Listener(Complexity& complexity)
      : handle_(
            at::addThreadLocalCallback(at::RecordFunctionCallback(start_operation, end_operation)
                                           .needsInputs(true)
                                           .needsOutputs(true)
                                           .scopes({at::RecordScope::FUNCTION}))) {
    listening = {.complexity = &complexity};
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    at::removeCallback(handle_);
    listening = {};
  }

 private:
  at::CallbackHandle handle_;
};

}  // namespace

Complexity count_complexity(Classifier& model, std::int64_t image_size) {
  Complexity complexity;
  const auto parameters = model.parameters();
  for (const torch::Tensor& parameter : parameters) complexity.parameters += parameter.numel();
  const torch::NoGradGuard no_grad;
  const EvaluationMode evaluation(model);
  const ReferenceKernels reference(model);  // what is listened to are LibTorch's operations
  const auto image = torch::zeros({1, 3, image_size, image_size}, parameters.at(0).options());
  const Listener listener(complexity);
  model.forward(image);  // the logits don't matter
  return complexity;
}

}  // namespace xception
