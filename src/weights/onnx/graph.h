#pragma once

#include <ATen/core/Tensor.h>
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace xception {

/// An ONNX graph in the making.
class OnnxGraph {
 public:
  /// names: of the tensors that the network holds, by the address of their data.
  OnnxGraph(onnx::GraphProto& graph, std::map<const void*, std::string> names)
      : graph_(graph), names_(std::move(names)) {}

  /// The name of a tensor as an initializer, float32, int64 or another; each is written once.
  std::string initializer(const at::Tensor& tensor);
  std::string initializer(const std::vector<std::int64_t>& values);
  std::string initializer(float value);

  /// Adds a node with one output, whose name it returns. It is called after the module that has its
  /// weights, else by its operation and a number.
  std::string add(const std::string& operation, const std::vector<std::string>& inputs);

  // Attributes of the node that was added last.
  void set(const std::string& name, std::int64_t value);
  void set(const std::string& name, double value);
  void set(const std::string& name, const std::vector<std::int64_t>& values);
  void set_text(const std::string& name, const std::string& value);

 private:
  onnx::AttributeProto& attribute(const std::string& name);
  /// A name that no node has yet.
  std::string free_name(const std::string& wanted);

  onnx::GraphProto& graph_;
  std::map<const void*, std::string> names_;
  std::map<const void*, std::string> written_;
  std::vector<at::Tensor> kept_;  ///< so that no address is used twice
  std::map<std::string, int> numbers_;
};

}  // namespace xception
