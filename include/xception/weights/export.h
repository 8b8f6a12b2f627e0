#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "xception/core/safetensors.h"
#include "xception/models/classifier.h"

namespace xception {

/// Writes a model's parameters and buffers as a state_dict that Python's
/// `torch.load(file, weights_only=True)` reads, in the order of registration: an OrderedDict in
/// PyTorch's zip container. Atomic. Errors (run): cannot be written.
void write_pytorch(const std::filesystem::path& file, const Classifier& model);

struct OnnxOptions {
  std::int64_t image_size = 299;  ///< px
  bool fold_batch_norm = false;   ///< each BatchNorm in the convolution before it
  TextMap metadata = {};          ///< the file's metadata_props
  std::string name = "xception";  ///< of the graph
};

/// Whether this build can write ONNX.
[[nodiscard]] bool can_write_onnx();

/// Writes a model as ONNX, opset 17: input `images` float32 (N, 3, S, S), normalized, output
/// `logits` float32 (N, classes), N free. What the network computes in evaluation is recorded
/// (torch::jit::tracer) and each operation translated, so that any model of the registry can be
/// written; initializers have the parameters' names, and a layer's node its module's.
/// The model is on the CPU, float32, in evaluation mode, with Kernels::reference, and its
/// parameters ask for no gradients. Atomic. Errors (run): an operation that has no translation; a
/// build without ONNX; the file cannot be written.
void write_onnx(const std::filesystem::path& file, Classifier& model, const OnnxOptions& options);

}  // namespace xception
