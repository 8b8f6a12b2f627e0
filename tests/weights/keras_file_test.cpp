// Keras's HDF5 files, well made and hostile.

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>

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
  /// Written once for all tests, which leave them as they are.
  static void SetUpTestSuite() {
    made_ = std::make_unique<TemporaryFolder>();
    (void)run_python("make_keras_files.py", "'" + made_->path.string() + "'");
  }
  static void TearDownTestSuite() { made_.reset(); }
  [[nodiscard]] static std::filesystem::path file(const std::string& name) {
    return made_->path / name;
  }
  static std::string refusal(const std::filesystem::path& path) {
    const auto line = error_of([&] { (void)read_weights(path); });
    EXPECT_THAT(line, HasSubstr(path.string()));
    return line;
  }

 private:
  inline static std::unique_ptr<TemporaryFolder> made_;
};

TEST_F(KerasFile, GoodOnesAreRead) {
  for (const std::string name : {"good", "long_list", "half"}) {
    const auto weights = read_weights(file(name));
    ASSERT_TRUE(weights.tensors.contains("conv2d/kernel")) << name;
    EXPECT_TRUE(weights.tensors.at("conv2d/kernel").equal(at::ones({3, 3, 2, 4}))) << name;
    EXPECT_EQ(weights.format, "Keras HDF5");
  }
  EXPECT_EQ(read_weights(file("counter")).tensors.begin()->second.item<std::int64_t>(), 5);
}

TEST_F(KerasFile, NothingOutsideOfTheFileIsRead) {
  EXPECT_THAT(refusal(file("external_storage")), HasSubstr("lies in other files"));
  EXPECT_THAT(refusal(file("virtual")), HasSubstr("lies in other files"));
  EXPECT_THAT(refusal(file("external_link")), HasSubstr("weight kernel:0 is missing"));
  EXPECT_THAT(refusal(file("soft_link")), HasSubstr("weight kernel:0 is missing"));
}

TEST_F(KerasFile, SizesAreCheckedFirst) {
  EXPECT_THAT(refusal(file("huge")), HasSubstr("is said to have 4398046511104 bytes"));
  EXPECT_THAT(refusal(file("bomb")), HasSubstr("is said to have 16777216 bytes"));
  EXPECT_THAT(refusal(file("lzf")), HasSubstr("expected none or gzip"));
}

TEST_F(KerasFile, WhatIsMissingIsNamed) {
  EXPECT_THAT(refusal(file("missing_layer")), HasSubstr("layer conv2d is missing"));
  EXPECT_THAT(refusal(file("missing_weight")), HasSubstr("weight kernel:0 is missing"));
  EXPECT_THAT(refusal(file("empty")), HasSubstr("without the weights of a Keras model"));
  EXPECT_THAT(refusal(file("other")), HasSubstr("without the weights of a Keras model"));
  EXPECT_THAT(refusal(file("twice")), HasSubstr("is there twice"));
  EXPECT_THAT(refusal(file("odd_name")), HasSubstr("a?b"));
}

TEST_F(KerasFile, CutsAndFlipsAreErrorsOrRead) {
  const auto whole = read_file(file("good"), "test");
  for (std::size_t length = 8; length < whole.size(); length += 61) {
    (void)refusal(write("cut", whole.substr(0, length)));
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
  const InputFile good(file("good"), "test");
  const auto of = [&](const std::function<void(int)>& work) {
    return error_of([&] { const InChild child(good, 1 << 20, work); });
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
  EXPECT_TRUE(may([&] { return ::open(file("good").c_str(), O_RDONLY) >= 0; }));
  EXPECT_FALSE(may([&] { return ::open(made.c_str(), O_WRONLY | O_CREAT, 0666) >= 0; }));
  EXPECT_FALSE(may([&] { return ::unlink(file("good").c_str()) == 0; }));
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
