#include "xception/core/safetensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/file_testing.h"
#include "support/python.h"
#include "xception/core/files.h"

namespace xception {
namespace {

class SafetensorsTest : public FolderTest {};

TensorMap some_tensors() {
  return {{"matrix", at::arange(6, at::kFloat).view({2, 3})},
          {"scalar", at::full({}, 2.5, at::kDouble)},
          {"empty", at::zeros({0, 4}, at::kLong)},
          {"flags", at::ones({3}, at::kBool)},
          {"narrow", at::arange(5).to(at::kBFloat16)}};
}

TEST_F(SafetensorsTest, RoundTrip) {
  const auto file = folder / "a.safetensors";
  const auto tensors = some_tensors();
  const auto sum = save_safetensors(file, tensors);
  EXPECT_EQ(sum, sha256(read_file(file, "test")));
  const auto loaded = load_safetensors(file, sum);
  ASSERT_EQ(loaded.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(loaded.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(loaded.at(name).equal(tensor)) << name;
  }
}

TEST_F(SafetensorsTest, ChannelsLastIsNotPermuted) {
  const auto tensor = at::arange(24, at::kFloat).view({1, 2, 3, 4});
  const auto file = folder / "a.safetensors";
  (void)save_safetensors(file, {{"t", tensor.contiguous(at::MemoryFormat::ChannelsLast)}});
  EXPECT_TRUE(load_safetensors(file).at("t").equal(tensor));
}

TEST_F(SafetensorsTest, DamageIsAnError) {
  const auto file = folder / "a.safetensors";
  (void)save_safetensors(file, some_tensors());
  const auto content = read_file(file, "test");
  for (std::size_t length = 0; length < content.size(); ++length) {
    (void)error_of([&] { (void)load_safetensors(write("cut", content.substr(0, length))); });
  }
  const std::vector<std::string> headers = {
      "[]",
      "{\"t\":{}}",
      R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
      R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
      R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
      R"({"t":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})",
      R"({"t":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})",
  };
  for (const auto& header : headers) {
    std::string bytes(8, '\0');
    bytes[0] = static_cast<char>(header.size());
    (void)error_of([&] { (void)load_safetensors(write("bad", bytes + header + "abcd")); });
  }
}

TEST_F(SafetensorsTest, AlteredContentIsAnError) {
  const auto file = folder / "a.safetensors";
  const auto sum = save_safetensors(file, some_tensors());
  auto content = read_file(file, "test");
  content.back() = static_cast<char>(content.back() ^ 1);
  const auto altered = write("a.safetensors", content);
  EXPECT_NE(error_of([&] { (void)load_safetensors(altered, sum); }).find("SHA-256"),
            std::string::npos);
}

TEST_F(SafetensorsTest, PythonReadsWhatWeWrite) {
  const auto file = folder / "a.safetensors";
  (void)save_safetensors(file, some_tensors());
  // The script loads the file with the reference implementation and writes it anew.
  const auto echoed = run_python("echo_safetensors.py", "'" + file.string() + "'");
  for (const auto& [name, tensor] : some_tensors()) {
    EXPECT_TRUE(echoed.at(name).equal(tensor)) << name;
  }
}

}  // namespace
}  // namespace xception
