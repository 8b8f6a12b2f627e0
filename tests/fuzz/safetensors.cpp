// A file's header, and the bytes that it lets pass.
#include "core/safetensors_header.h"
#include "fuzz/memory_file.h"
#include "xception/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const xception::MemoryFile memory;
  memory.fill(data, size);
  try {
    const xception::InputFile file(memory.path(), "fuzz");
    const auto header = xception::read_safetensors_header(file);
    std::size_t bytes = header.bytes.size();
    for (const auto& entry : header.entries)
      bytes += file.read(entry.begin, entry.end - entry.begin).size();
    if (bytes != size) std::abort();  // no hole, no overlap
  } catch (const xception::Error&) {
  }
  return 0;
}
