#include "graph.h"

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>

#include "xception/core/error.h"

namespace xception {
namespace {

onnx::TensorProto::DataType type_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return onnx::TensorProto::FLOAT;
    case at::kLong:
      return onnx::TensorProto::INT64;
    default:
      throw run_error("weights", "ONNX: no initializer of dtype {}",
                      c10::toString(tensor.scalar_type()));
  }
}

}  // namespace

std::string OnnxGraph::initializer(const at::Tensor& tensor) {
  const auto* address = tensor.const_data_ptr();
  if (const auto found = written_.find(address); found != written_.end()) return found->second;
  const auto known = names_.find(address);
  const auto name = known != names_.end() ? known->second : free_name("constant");
  written_[address] = name;
  kept_.push_back(tensor);
  auto& proto = *graph_.add_initializer();
  proto.set_name(name);
  proto.set_data_type(type_of(tensor));
  for (const auto extent : tensor.sizes()) proto.add_dims(extent);
  const auto data = tensor.contiguous();
  proto.set_raw_data(data.const_data_ptr(), data.nbytes());
  return name;
}

std::string OnnxGraph::initializer(const std::vector<std::int64_t>& values) {
  return initializer(at::tensor(values, at::kLong));
}

std::string OnnxGraph::initializer(float value) {
  return initializer(at::scalar_tensor(value, at::kFloat));
}

std::string OnnxGraph::add(const std::string& operation, const std::vector<std::string>& inputs) {
  auto& node = *graph_.add_node();
  node.set_op_type(operation);
  std::string name;
  for (const auto& input : inputs) {
    node.add_input(input);
    constexpr std::string_view kWeight = ".weight";
    if (name.empty() && input.ends_with(kWeight)) {
      name = input.substr(0, input.size() - kWeight.size());
    }
  }
  name = name.empty() ? free_name(operation) : free_name(name);
  node.set_name(name);
  node.add_output(name + ".output");
  return node.output(0);
}

onnx::AttributeProto& OnnxGraph::attribute(const std::string& name) {
  auto& attribute = *graph_.mutable_node(graph_.node_size() - 1)->add_attribute();
  attribute.set_name(name);
  return attribute;
}

void OnnxGraph::set(const std::string& name, std::int64_t value) {
  auto& to = attribute(name);
  to.set_type(onnx::AttributeProto::INT);
  to.set_i(value);
}

void OnnxGraph::set(const std::string& name, double value) {
  auto& to = attribute(name);
  to.set_type(onnx::AttributeProto::FLOAT);
  to.set_f(static_cast<float>(value));
}

void OnnxGraph::set(const std::string& name, const std::vector<std::int64_t>& values) {
  auto& to = attribute(name);
  to.set_type(onnx::AttributeProto::INTS);
  for (const auto value : values) to.add_ints(value);
}

void OnnxGraph::set_text(const std::string& name, const std::string& value) {
  auto& to = attribute(name);
  to.set_type(onnx::AttributeProto::STRING);
  to.set_s(value);
}

std::string OnnxGraph::free_name(const std::string& wanted) {
  const auto number = numbers_[wanted]++;
  const bool is_module = wanted.find_first_of("._") != std::string::npos || number == 0;
  return number == 0 && is_module ? wanted : fmt::format("{}_{}", wanted, number);
}

}  // namespace xception
