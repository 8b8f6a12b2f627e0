#include <caffe2/serialize/inline_container.h>

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/weights/export.h"

namespace xception {
namespace {

/// Writes Python's pickle, protocol 2 (pickletools.py in CPython has the opcodes): as much of it as
/// a state_dict needs.
class PickleWriter {
 public:
  PickleWriter() { text_ = "\x80\x02"; }

  void begin_state_dict() {
    ordered_dict();
    text_ += '(';  // a mark, up to the items' end
  }

  /// `key` names the record that has the tensor's bytes.
  void add(const std::string& name, const at::Tensor& tensor, const std::string& key) {
    string(name);
    text_ += "ctorch._utils\n_rebuild_tensor_v2\n((";
    string("storage");
    text_ += fmt::format("ctorch\n{}\n", storage_class(tensor.scalar_type()));
    string(key);
    string("cpu");
    integer(tensor.numel());
    text_ += "tQ";  // a tuple, the storage that it means
    integer(0);     // offset
    tuple(tensor.sizes());
    tuple(tensor.strides());
    text_ += "\x89";  // requires_grad: false
    ordered_dict();   // backward hooks
    text_ += "tR";    // the arguments, called
  }

  [[nodiscard]] std::string finish() && { return std::move(text_) + "u."; }

 private:
  static const char* storage_class(at::ScalarType type) {
    switch (type) {
      case at::kFloat:
        return "FloatStorage";
      case at::kDouble:
        return "DoubleStorage";
      case at::kHalf:
        return "HalfStorage";
      case at::kBFloat16:
        return "BFloat16Storage";
      case at::kLong:
        return "LongStorage";
      default:
        throw run_error("weights", "PyTorch: no storage for dtype {}", c10::toString(type));
    }
  }

  void ordered_dict() { text_ += "ccollections\nOrderedDict\n)R"; }

  void little_endian(std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) text_ += static_cast<char>(value >> (8 * i) & 0xFF);
  }
  void string(const std::string& value) {
    text_ += 'X';
    little_endian(value.size(), 4);
    text_ += value;
  }
  void integer(std::int64_t value) {
    text_ += "\x8a\x08";  // eight bytes
    little_endian(static_cast<std::uint64_t>(value), 8);
  }
  void tuple(at::IntArrayRef values) {
    text_ += '(';
    for (const auto value : values) integer(value);
    text_ += 't';
  }

  std::string text_;
};

}  // namespace

void write_pytorch(const std::filesystem::path& file, const Classifier& model) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  const auto collect = [&](const auto& items) {
    for (const auto& item : items) {
      tensors.emplace_back(item.key(), item.value().detach().to(at::kCPU).contiguous());
    }
  };
  collect(model.named_parameters());
  collect(model.named_buffers());
  PickleWriter pickle;
  pickle.begin_state_dict();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    pickle.add(tensors[i].first, tensors[i].second, std::to_string(i));
  }
  const auto data = std::move(pickle).finish();
  std::string content;
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* bytes, std::size_t count) {
    content.append(static_cast<const char*>(bytes), count);
    return count;
  });
  writer.writeRecord("data.pkl", data.data(), data.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& tensor = tensors[i].second;
    writer.writeRecord("data/" + std::to_string(i), tensor.const_data_ptr(), tensor.nbytes());
  }
  writer.writeEndOfFile();
  write_file_atomic(file, content);
}

}  // namespace xception
