#include "operations.h"

#include <ATen/ops/zeros.h>
#include <torch/csrc/jit/ir/constants.h>

#include <functional>
#include <limits>
#include <numbers>

#include "xception/core/error.h"

namespace xception {
namespace {

using torch::jit::Node;
using Names = std::vector<std::string>;
/// Adds a node's translation and returns the name of its result.
using Translate = std::function<std::string(OnnxTranslation&, const Node*)>;

std::vector<std::int64_t> twice(std::vector<std::int64_t> values) {
  const auto once = values;
  values.insert(values.end(), once.begin(), once.end());
  return values;
}

/// A size of height and width, for which one number may stand.
std::vector<std::int64_t> size(const Node* node, std::size_t i) {
  auto values = OnnxTranslation::list(node, i);
  if (values.size() == 1) values.push_back(values.front());
  return values;
}

std::string input(OnnxTranslation& to, const Node* node, std::size_t i = 0) {
  return to.name_of(node->input(i));
}

/// input, weight, bias, stride, padding, dilation, transposed, output_padding, groups, ...
std::string convolution(OnnxTranslation& to, const Node* node) {
  Names inputs = {input(to, node), input(to, node, 1)};
  if (!torch::jit::toIValue(node->input(2)) || !to.constant(node, 2).isNone()) {
    inputs.push_back(input(to, node, 2));
  }
  auto name = to.graph().add("Conv", inputs);
  to.graph().set("strides", size(node, 3));
  to.graph().set("pads", twice(size(node, 4)));
  to.graph().set("dilations", size(node, 5));
  to.graph().set("group", to.constant(node, 8).toInt());
  return name;
}

/// input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn
std::string batch_norm(OnnxTranslation& to, const Node* node) {
  Names inputs;
  for (std::size_t i = 0; i < 5; ++i) inputs.push_back(input(to, node, i));
  auto name = to.graph().add("BatchNormalization", inputs);
  to.graph().set("epsilon", to.constant(node, 7).toDouble());
  return name;
}

/// input, weight, bias
std::string linear(OnnxTranslation& to, const Node* node) {
  Names inputs = {input(to, node), input(to, node, 1)};
  if (!torch::jit::toIValue(node->input(2)) || !to.constant(node, 2).isNone()) {
    inputs.push_back(input(to, node, 2));
  }
  auto name = to.graph().add("Gemm", inputs);
  to.graph().set("transB", std::int64_t{1});
  return name;
}

/// input, weight: how a linear layer without bias is recorded, its weight transposed.
std::string product(OnnxTranslation& to, const Node* node) {
  const auto* weight = node->input(1)->node();
  const bool transposed = weight->kind() == c10::aten::t;
  auto name = to.graph().add(
      "Gemm", {input(to, node), to.name_of(transposed ? weight->input(0) : node->input(1))});
  to.graph().set("transB", std::int64_t{transposed});
  return name;
}

/// bias, input, weight, beta, alpha: how a linear layer is recorded, its weight transposed.
std::string add_product(OnnxTranslation& to, const Node* node) {
  const auto* weight = node->input(2)->node();
  const bool transposed = weight->kind() == c10::aten::t;
  auto name = to.graph().add(
      "Gemm", {input(to, node, 1), to.name_of(transposed ? weight->input(0) : node->input(2)),
               input(to, node)});
  to.graph().set("transB", std::int64_t{transposed});
  to.graph().set("beta", to.constant(node, 3).toScalar().toDouble());
  to.graph().set("alpha", to.constant(node, 4).toScalar().toDouble());
  return name;
}

void set_window(OnnxTranslation& to, const Node* node) {
  const auto kernel = size(node, 1);
  const auto strides = size(node, 2);
  to.graph().set("kernel_shape", kernel);
  to.graph().set("strides", strides.empty() ? kernel : strides);
  to.graph().set("pads", twice(size(node, 3)));
}

/// input, kernel_size, stride, padding, dilation, ceil_mode
std::string max_pool(OnnxTranslation& to, const Node* node) {
  auto name = to.graph().add("MaxPool", {input(to, node)});
  set_window(to, node);
  to.graph().set("dilations", size(node, 4));
  to.graph().set("ceil_mode", std::int64_t{to.constant(node, 5).toBool()});
  return name;
}

/// input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
std::string average_pool(OnnxTranslation& to, const Node* node) {
  auto name = to.graph().add("AveragePool", {input(to, node)});
  set_window(to, node);
  to.graph().set("ceil_mode", std::int64_t{to.constant(node, 4).toBool()});
  to.graph().set("count_include_pad", std::int64_t{to.constant(node, 5).toBool()});
  return name;
}

/// (to, from): what each of `to` places takes of `from` pixels. Place i averages those from
/// floor(i * from / to) to ceil((i + 1) * from / to).
at::Tensor averages(std::int64_t to, std::int64_t from) {
  auto matrix = at::zeros({to, from});
  for (std::int64_t i = 0; i < to; ++i) {
    const auto first = i * from / to;
    const auto last = ((i + 1) * from + to - 1) / to;
    matrix[i].narrow(0, first, last - first).fill_(1.0 / static_cast<double>(last - first));
  }
  return matrix;
}

/// input, output_size. ONNX has it for one pixel only; else as products, of the rows and of the
/// columns.
std::string adaptive_average_pool(OnnxTranslation& to, const Node* node) {
  const auto wanted = size(node, 1);
  if (wanted == std::vector<std::int64_t>{1, 1}) {
    return to.graph().add("GlobalAveragePool", {input(to, node)});
  }
  const auto sizes = node->input(0)->type()->expect<c10::TensorType>()->sizes();
  const auto height = sizes[2].value();
  const auto width = sizes[3].value();
  if (wanted == std::vector<std::int64_t>{height, width}) return input(to, node);
  const auto rows = to.graph().initializer(averages(wanted[0], height));
  const auto columns = to.graph().initializer(averages(wanted[1], width).t().contiguous());
  return to.graph().add("MatMul", {to.graph().add("MatMul", {rows, input(to, node)}), columns});
}

/// input, start_dim, end_dim
std::string flatten(OnnxTranslation& to, const Node* node) {
  auto name = to.graph().add("Flatten", {input(to, node)});
  to.graph().set("axis", to.constant(node, 1).toInt());
  return name;
}

/// a list of tensors, dim
std::string concat(OnnxTranslation& to, const Node* node) {
  Names inputs;
  for (const auto* value : node->input(0)->node()->inputs()) inputs.push_back(to.name_of(value));
  auto name = to.graph().add("Concat", inputs);
  to.graph().set("axis", to.constant(node, 1).toInt());
  return name;
}

/// input, pad (the last dimension's two first), value
std::string pad(OnnxTranslation& to, const Node* node) {
  const auto widths = to.list(node, 1);
  const auto rank = std::size_t{4};
  std::vector<std::int64_t> pads(2 * rank, 0);
  for (std::size_t i = 0; i < widths.size() / 2; ++i) {
    pads[rank - 1 - i] = widths[2 * i];
    pads[2 * rank - 1 - i] = widths[2 * i + 1];
  }
  const auto value = static_cast<float>(to.constant(node, 2).toScalar().toDouble());
  return to.graph().add(
      "Pad", {input(to, node), to.graph().initializer(pads), to.graph().initializer(value)});
}

/// A tensor or a number.
std::string operand(OnnxTranslation& to, const Node* node, std::size_t i) {
  const auto value = torch::jit::toIValue(node->input(i));
  if (value && value->isScalar()) {
    return to.graph().initializer(static_cast<float>(value->toScalar().toDouble()));
  }
  return input(to, node, i);
}

Translate binary(const std::string& operation, bool has_alpha = false) {
  return [=](OnnxTranslation& to, const Node* node) {
    if (has_alpha && to.constant(node, 2).toScalar().toDouble() != 1.0) {
      throw run_error("weights", "ONNX: {} with a factor", operation);
    }
    return to.graph().add(operation, {operand(to, node, 0), operand(to, node, 1)});
  };
}

Translate unary(const std::string& operation) {
  return [=](OnnxTranslation& to, const Node* node) {
    return to.graph().add(operation, {input(to, node)});
  };
}

std::string unchanged(OnnxTranslation& to, const Node* node) {
  return input(to, node);
}

std::string reshape(OnnxTranslation& to, const Node* node) {
  return to.graph().add("Reshape", {input(to, node), to.graph().initializer(to.list(node, 1))});
}

std::string leaky_relu(OnnxTranslation& to, const Node* node) {
  auto name = to.graph().add("LeakyRelu", {input(to, node)});
  to.graph().set("alpha", to.constant(node, 1).toScalar().toDouble());
  return name;
}

std::string elu(OnnxTranslation& to, const Node* node) {
  auto name = to.graph().add("Elu", {input(to, node)});
  to.graph().set("alpha", to.constant(node, 1).toScalar().toDouble());
  return name;
}

/// x * sigmoid(x)
std::string silu(OnnxTranslation& to, const Node* node) {
  const auto x = input(to, node);
  return to.graph().add("Mul", {x, to.graph().add("Sigmoid", {x})});
}

/// x * tanh(softplus(x))
std::string mish(OnnxTranslation& to, const Node* node) {
  const auto x = input(to, node);
  return to.graph().add("Mul", {x, to.graph().add("Tanh", {to.graph().add("Softplus", {x})})});
}

/// x * (1 + erf(x / sqrt(2))) / 2; opset 17 has no Gelu.
std::string gelu(OnnxTranslation& to, const Node* node) {
  auto& graph = to.graph();
  const auto x = input(to, node);
  const auto scaled =
      graph.add("Mul", {x, graph.initializer(static_cast<float>(1.0 / std::numbers::sqrt2))});
  const auto share = graph.add("Add", {graph.add("Erf", {scaled}), graph.initializer(1.0F)});
  return graph.add("Mul", {graph.add("Mul", {x, share}), graph.initializer(0.5F)});
}

const std::map<std::string, Translate>& translations() {
  static const std::map<std::string, Translate> table = {
      {"aten::_convolution", convolution},
      {"aten::batch_norm", batch_norm},
      {"aten::linear", linear},
      {"aten::addmm", add_product},
      {"aten::matmul", product},
      {"aten::mm", product},
      {"aten::max_pool2d", max_pool},
      {"aten::avg_pool2d", average_pool},
      {"aten::adaptive_avg_pool2d", adaptive_average_pool},
      {"aten::flatten", flatten},
      {"aten::cat", concat},
      {"aten::constant_pad_nd", pad},
      {"aten::add", binary("Add", /*has_alpha=*/true)},
      {"aten::sub", binary("Sub", /*has_alpha=*/true)},
      {"aten::mul", binary("Mul")},
      {"aten::div", binary("Div")},
      {"aten::relu", unary("Relu")},
      {"aten::hardswish", unary("HardSwish")},
      {"aten::sigmoid", unary("Sigmoid")},
      {"aten::tanh", unary("Tanh")},
      {"aten::leaky_relu", leaky_relu},
      {"aten::elu", elu},
      {"aten::silu", silu},
      {"aten::mish", mish},
      {"aten::gelu", gelu},
      {"aten::view", reshape},
      {"aten::reshape", reshape},
      {"aten::contiguous", unchanged},
      {"aten::to", unchanged},
      {"aten::detach", unchanged},
      {"aten::dropout", unchanged},
  };
  return table;
}

}  // namespace

void OnnxTranslation::add(const Node* node) {
  const std::string kind = node->kind().toQualString();
  // What these make is read where it is used.
  if (kind == "prim::Constant" || kind == "prim::ListConstruct" || kind == "aten::t") return;
  const auto found = translations().find(kind);
  if (found == translations().end()) {
    throw run_error("weights",
                    "ONNX: the model computes {}, which has no translation yet: add it to "
                    "src/weights/onnx/operations.cpp",
                    kind);
  }
  define(node->output(), found->second(*this, node));
}

std::string OnnxTranslation::name_of(const torch::jit::Value* value) {
  if (const auto found = names_.find(value); found != names_.end()) return found->second;
  const auto constant = torch::jit::toIValue(value);
  if (!constant || !constant->isTensor()) {
    throw run_error("weights", "ONNX: {} isn't a tensor", value->debugName());
  }
  return names_[value] = graph_.initializer(constant->toTensor());
}

c10::IValue OnnxTranslation::constant(const Node* node, std::size_t i) {
  const auto value = torch::jit::toIValue(node->input(i));
  if (!value) {
    throw run_error("weights", "ONNX: argument {} of {} isn't fixed", i,
                    node->kind().toQualString());
  }
  return *value;
}

std::vector<std::int64_t> OnnxTranslation::list(const Node* node, std::size_t i) {
  if (const auto value = torch::jit::toIValue(node->input(i))) return value->toIntVector();
  const auto* made = node->input(i)->node();
  std::vector<std::int64_t> numbers;
  for (std::size_t j = 0; j < made->inputs().size(); ++j) {
    numbers.push_back(constant(made, j).toInt());
  }
  return numbers;
}

}  // namespace xception
