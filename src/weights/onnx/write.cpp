#include <onnx/onnx_pb.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <limits>
#include <optional>

#include "operations.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/version.h"
#include "xception/models/fold.h"
#include "xception/weights/export.h"

namespace xception {
namespace {

constexpr std::int64_t kOpset = 17;
constexpr std::int64_t kIrVersion = 8;  ///< the first that has this opset
constexpr const char* kInput = "images";
constexpr const char* kOutput = "logits";

/// The tensors that a network's layers compute with, which aren't the registered ones where a
/// BatchNorm is folded, by the address of their data.
std::map<const void*, std::string> names_by_address(const Classifier& model) {
  std::map<const void*, std::string> names;
  const auto add = [&](const std::string& name, const torch::Tensor& tensor) {
    if (tensor.defined()) names[tensor.const_data_ptr()] = name;
  };
  for (const auto& item : model.named_parameters()) add(item.key(), item.value());
  for (const auto& item : model.named_buffers()) add(item.key(), item.value());
  for (const auto& item : model.named_modules({}, /*include_self=*/false)) {
    if (const auto* conv = item.value()->as<torch::nn::Conv2dImpl>()) {
      add(item.key() + ".weight", conv->weight);
      add(item.key() + ".bias", conv->bias);
    }
  }
  return names;
}

/// What the network computes of an image, as LibTorch's operations.
std::shared_ptr<torch::jit::Graph> record(Classifier& model, std::int64_t image_size) {
  const torch::NoGradGuard no_grad;
  const auto run = [&](torch::jit::Stack inputs) {
    return torch::jit::Stack{model.forward(inputs.at(0).toTensor()).logits};
  };
  const auto state = torch::jit::tracer::trace(
      {torch::zeros({2, 3, image_size, image_size})}, run,
      [](const torch::autograd::Variable&) { return std::string(); }, /*strict=*/true,
      /*force_outplace=*/true);
  auto graph = state.first->graph;
  torch::jit::EliminateDeadCode(graph);
  return graph;
}

void describe(onnx::ValueInfoProto& value, const std::string& name,
              const std::vector<std::int64_t>& sizes) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  auto& shape = *tensor.mutable_shape();
  shape.add_dim()->set_dim_param("N");
  for (const auto size : sizes) shape.add_dim()->set_dim_value(size);
}

void add_metadata(onnx::ModelProto& file, const TextMap& metadata) {
  for (const auto& [key, value] : metadata) {
    auto& entry = *file.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
}

}  // namespace

bool can_write_onnx() {
  return true;
}

void write_onnx(const std::filesystem::path& file, Classifier& model, const OnnxOptions& options) {
  std::optional<FoldedBatchNorms> folded;
  if (options.fold_batch_norm) folded.emplace(model, torch::kFloat32);
  const auto recorded = record(model, options.image_size);
  onnx::ModelProto proto;
  proto.set_ir_version(kIrVersion);
  proto.set_producer_name("xception");
  proto.set_producer_version(std::string(version().version));
  proto.add_opset_import()->set_version(kOpset);
  add_metadata(proto, options.metadata);
  auto& graph = *proto.mutable_graph();
  graph.set_name(options.name);
  OnnxGraph made(graph, names_by_address(model));
  OnnxTranslation translation(made);
  translation.define(recorded->inputs().at(0), kInput);
  for (const auto* node : recorded->nodes()) translation.add(node);
  const auto last = translation.name_of(recorded->outputs().at(0));
  for (auto& node : *graph.mutable_node()) {
    for (auto& output : *node.mutable_output()) {
      if (output == last) output = kOutput;
    }
  }
  describe(*graph.add_input(), kInput, {3, options.image_size, options.image_size});
  const auto type = recorded->outputs().at(0)->type()->expect<c10::TensorType>();
  describe(*graph.add_output(), kOutput, {type->sizes()[1].value()});
  if (proto.ByteSizeLong() > std::numeric_limits<std::int32_t>::max()) {
    throw run_error("weights", "{}: ONNX files end at 2 GB; this model is larger", file.string());
  }
  write_file_atomic(file, proto.SerializeAsString());
}

}  // namespace xception
