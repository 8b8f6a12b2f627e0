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
}

/// A file of a header and the bytes behind it.
std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes;
  for (std::size_t i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>((header.size() >> (8 * i)) & 0xFF));
  }
  return bytes + header + data;
}

struct Malformed {
  std::string header;
  std::string data;
  std::string said;  ///< in the error's line
};

// What safetensors 0.8.0 in Python refuses too, but for a name given twice (it keeps the last),
// spaces before the header, which the format's description forbids, and more dimensions than
// LibTorch has.
TEST_F(SafetensorsTest, MalformedHeadersAreErrors) {
  const std::string good = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  std::string ones = "1";
  for (int i = 0; i < 70; ++i) ones += ",1";
  const std::vector<Malformed> files = {
      {"[]", "abcd", "no object"},
      {" {\"t\":" + good + "}", "abcd", "no object"},
      {"{\"t\":" + good + "} x", "abcd", "malformed JSON"},
      {"{\"t\":{}}", "abcd", "has no \"dtype\""},
      {"{\"t\":1}", "abcd", "has no \"dtype\""},
      {"{\"t\":" + good + ",\"t\":" + good + "}", "abcd", "twice"},
      {R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "abcd", "expected 8 bytes"},
      {R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "abcd", "-1"},
      {R"({"t":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", "abcd", "1.0"},
      {R"({"t":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", "abcd", "shape"},
      {"{\"t\":{\"dtype\":\"F32\",\"shape\":[" + ones + "],\"data_offsets\":[0,4]}}", "abcd",
       "at most 64"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "abcd", "bytes 4 to 0"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", "abcd", "-4"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "abcd", "two data_offsets"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,18446744073709551616]}})",
       "abcd", "tensor t"},
      {R"({"t":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", "",
       "too large"},
      {R"({"t":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}})", "",
       "too large"},
      {R"({"t":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})", "abcd",
       "too large"},
      {R"({"t":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", "abcd", "F99"},
      {R"({"t":{"dtype":"F8_E5M2","shape":[4],"data_offsets":[0,4]}})", "abcd", "F8_E5M2"},
      {R"({"t":{"dtype":4,"shape":[1],"data_offsets":[0,4]}})", "abcd", "dtype"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "abcdefgh", "leave a hole"},
      {"{\"a\":" + good + ",\"b\":" + good + "}", "abcd", "overlap"},
      {"{\"t\":" + good + "}", "abc", "cut short"},
      {"{\"t\":" + good + "}", "abcdefgh", "4 bytes after the last tensor"},
      {"{}", "abcd", "4 bytes after the last tensor"},
      {"{\"__metadata__\":[],\"t\":" + good + "}", "abcd", "__metadata__"},
      {"{\"__metadata__\":{\"a\":1},\"t\":" + good + "}", "abcd", "__metadata__"},
  };
  for (const auto& [header, data, said] : files) {
    const auto line =
        error_of([&] { (void)load_safetensors(write("bad", file_of(header, data))); });
    EXPECT_NE(line.find(said), std::string::npos) << line << " of " << header;
  }
}

TEST_F(SafetensorsTest, UnusualHeadersAreRead) {
  const std::string good = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})";
  const auto text = "{\"__metadata__\":null,\"t\":" + good + "}   ";
  EXPECT_EQ(load_safetensors(write("a", file_of(text, "abcd"))).size(), 1U);
  EXPECT_TRUE(load_safetensors(write("a", file_of("{}", ""))).empty());
}

TEST_F(SafetensorsTest, AFalseHeaderLengthTakesNoMemory) {
  std::string bytes(8, '\xFF');
  EXPECT_NE(error_of([&] { (void)load_safetensors(write("a", bytes + "{}")); }).find("cut short"),
            std::string::npos);
  // A hole of 101 MB that isn't on the disk.
  bytes = file_of("", "");
  constexpr std::uint64_t kLength = 100'000'001;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>((kLength >> (8 * i)) & 0xFF);
  const auto file = write("a", bytes);
  std::filesystem::resize_file(file, 101'000'000);
  EXPECT_NE(error_of([&] { (void)load_safetensors(file); }).find("at most 100000000"),
            std::string::npos);
}

TEST_F(SafetensorsTest, OnlyFilesAreRead) {
  EXPECT_NE(error_of([&] { (void)load_safetensors("/dev/zero"); }).find("device"),
            std::string::npos);
  EXPECT_NE(error_of([&] { (void)load_safetensors(folder); }).find("directory"), std::string::npos);
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
