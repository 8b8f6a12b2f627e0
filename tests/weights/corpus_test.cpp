// What the fuzzers set out from, and what they once found (tests/fuzz/corpus): no crash, no hang.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "xception/core/error.h"
#include "xception/weights/weight_file.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

TEST(WeightsCorpus, EveryFileIsReadOrRefused) {
  const char* source = std::getenv("XCEPTION_SOURCE_DIR");
  ASSERT_NE(source, nullptr);
  const auto corpus = fs::path(source) / "tests/fuzz/corpus";
  std::size_t read = 0;
  std::size_t refused = 0;
  for (const std::string reader : {"safetensors", "torch_file", "keras_file"}) {
    for (const auto& entry : fs::directory_iterator(corpus / reader)) {
      try {
        EXPECT_FALSE(read_weights(entry.path()).tensors.empty()) << entry.path();
        ++read;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Error::Kind::input) << error.what();
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GE(read, 8U);  // the well-made ones
  std::cout << read << " read, " << refused << " refused\n";
}

}  // namespace
}  // namespace xception
