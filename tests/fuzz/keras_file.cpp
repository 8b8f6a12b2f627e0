// Keras's HDF5 and what is written of it. The program runs this in a child process, because libhdf5
// itself can crash on such files: only what crashes in our sources is to be mended here.
#include "weights/keras_file.h"
#include "core/safetensors_header.h"
#include "fuzz/memory_file.h"
#include "xception/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const xception::MemoryFile memory;
  static const xception::MemoryFile output;
  memory.fill(data, size);
  output.fill(data, 0);
  try {
    const xception::InputFile file(memory.path(), "fuzz");
    xception::write_keras_weights(file, output.descriptor());
  } catch (const xception::Error&) {
    return 0;
  }
  const xception::InputFile written(output.path(), "fuzz");
  if (xception::read_safetensors_header(written).entries.empty()) std::abort();
  return 0;
}
