// Keras's HDF5 files, well made and hostile.

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "data/file_testing.h"
#include "support/python.h"
#include "weights/in_child.h"
#include "xception/core/files.h"
#include "xception/weights/weight_file.h"

namespace xception {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class KerasFile : public FolderTest {
 protected:
  void SetUp() override { (void)run_python("make_keras_files.py", "'" + folder.string() + "'"); }
  std::string refusal(const std::string& name) {
    const auto line = error_of([&] { (void)read_weights(folder / name); });
    EXPECT_THAT(line, HasSubstr((folder / name).string()));
    return line;
  }
};

TEST_F(KerasFile, GoodOnesAreRead) {
  for (const std::string name : {"good", "long_list", "half"}) {
    const auto weights = read_weights(folder / name);
    ASSERT_TRUE(weights.tensors.contains("conv2d/kernel")) << name;
    EXPECT_TRUE(weights.tensors.at("conv2d/kernel").equal(at::ones({3, 3, 2, 4}))) << name;
    EXPECT_EQ(weights.format, "Keras HDF5");
  }
  EXPECT_EQ(read_weights(folder / "counter").tensors.begin()->second.item<std::int64_t>(), 5);
}

TEST_F(KerasFile, NothingOutsideOfTheFileIsRead) {
  EXPECT_THAT(refusal("external_storage"), HasSubstr("lies in other files"));
  EXPECT_THAT(refusal("virtual"), HasSubstr("lies in other files"));
  EXPECT_THAT(refusal("external_link"), HasSubstr("weight kernel:0 is missing"));
  EXPECT_THAT(refusal("soft_link"), HasSubstr("weight kernel:0 is missing"));
}

TEST_F(KerasFile, SizesAreCheckedFirst) {
  EXPECT_THAT(refusal("huge"), HasSubstr("is said to have 4398046511104 bytes"));
  EXPECT_THAT(refusal("bomb"), HasSubstr("is said to have 16777216 bytes"));
  EXPECT_THAT(refusal("lzf"), HasSubstr("expected none or gzip"));
}

TEST_F(KerasFile, WhatIsMissingIsNamed) {
  EXPECT_THAT(refusal("missing_layer"), HasSubstr("layer conv2d is missing"));
  EXPECT_THAT(refusal("missing_weight"), HasSubstr("weight kernel:0 is missing"));
  EXPECT_THAT(refusal("empty"), HasSubstr("without the weights of a Keras model"));
  EXPECT_THAT(refusal("other"), HasSubstr("without the weights of a Keras model"));
  EXPECT_THAT(refusal("twice"), HasSubstr("is there twice"));
  EXPECT_THAT(refusal("odd_name"), HasSubstr("a?b"));
}

TEST_F(KerasFile, CutsAndFlipsAreErrorsOrRead) {
  const auto whole = read_file(folder / "good", "test");
  for (std::size_t length = 8; length < whole.size(); length += 61) {
    write("cut", whole.substr(0, length));
    (void)refusal("cut");
  }
  for (std::size_t at = 8; at < whole.size(); at += 97) {
    auto altered = whole;
    altered[at] = static_cast<char>(altered[at] ^ 0xFF);
    try {
      (void)read_weights(write("altered", altered));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input) << error.what();
    }
  }
}

TEST_F(KerasFile, AChildThatCrashesHarmsNothing) {
  const InputFile file(folder / "good", "test");
  const auto of = [&](const std::function<void(int)>& work) {
    return error_of([&] { const InChild child(file, 1 << 20, work); });
  };
  EXPECT_THAT(of([](int) { (void)std::raise(SIGSEGV); }), HasSubstr("crashed on it"));
  EXPECT_THAT(of([](int) { throw input_error("weights", "what it says"); }),
              testing::StartsWith("[weights] what it says"));
#ifndef __SANITIZE_ADDRESS__
  const auto made = folder / "made";
  const auto may = [&](const std::function<bool()>& succeeds) {
    const auto line = of([&](int) { throw input_error("weights", "{}", succeeds()); });
    return line == "[weights] true";
  };
  EXPECT_TRUE(may([&] { return ::open((folder / "good").c_str(), O_RDONLY) >= 0; }));
  EXPECT_FALSE(may([&] { return ::open(made.c_str(), O_WRONLY | O_CREAT, 0666) >= 0; }));
  EXPECT_FALSE(may([&] { return ::unlink((folder / "good").c_str()) == 0; }));
  EXPECT_FALSE(may([&] { return ::fork() >= 0; }));
  EXPECT_FALSE(may([&] { return ::socket(AF_INET, SOCK_STREAM, 0) >= 0; }));
  EXPECT_FALSE(may([&] { return std::system("true") == 0; }));
  EXPECT_FALSE(may([&] {
    return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
  }));
  EXPECT_FALSE(std::filesystem::exists(made));
  EXPECT_THAT(of([](int) {
                const std::string much(std::size_t{1} << 30, 'a');
                (void)::write(1, much.data(), 0);
              }),
              HasSubstr("alloc"));
#endif
}

}  // namespace
}  // namespace xception
