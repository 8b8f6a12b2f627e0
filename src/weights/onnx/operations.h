#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <map>
#include <string>

#include "graph.h"

namespace xception {

/// Translates a recorded graph, operation by operation.
class OnnxTranslation {
 public:
  explicit OnnxTranslation(OnnxGraph& graph) : graph_(graph) {}

  /// Names a value of the recorded graph, such as its input.
  void define(const torch::jit::Value* value, const std::string& name) { names_[value] = name; }

  /// Adds what a node computes. Errors (run): it has no translation.
  void add(const torch::jit::Node* node);

  /// The ONNX name of a value; a tensor that is a constant becomes an initializer.
  std::string name_of(const torch::jit::Value* value);

  // A node's arguments that aren't tensors of the network.
  [[nodiscard]] static std::vector<std::int64_t> list(const torch::jit::Node* node, std::size_t i);
  [[nodiscard]] static c10::IValue constant(const torch::jit::Node* node, std::size_t i);

  [[nodiscard]] OnnxGraph& graph() { return graph_; }

 private:
  OnnxGraph& graph_;
  std::map<const torch::jit::Value*, std::string> names_;
};

}  // namespace xception
