#include "xception/core/error.h"
#include "xception/weights/export.h"

namespace xception {

bool can_write_onnx() {
  return false;
}

void write_onnx(const std::filesystem::path& file, Classifier& /*model*/,
                const OnnxOptions& /*options*/) {
  throw run_error("weights",
                  "{}: this build can't write ONNX: install libonnx-dev and libprotobuf-dev, then "
                  "build again",
                  file.string());
}

}  // namespace xception
