#include "xception/core/json.h"

#include <gtest/gtest.h>

#include "data/file_testing.h"
#include "xception/core/files.h"

namespace xception {
namespace {

std::string parse_error(std::string_view text) {
  return error_of([&] { (void)parse_json(text, "config", "a.json"); });
}

TEST(Json, ErrorsNameLineAndColumn) {
  EXPECT_NE(parse_error("{\n  \"a\": 1,\n  \"b\": x\n}").find("a.json: malformed JSON at line 3"),
            std::string::npos);
  EXPECT_NE(parse_error("{\"a\": 1,}").find("line 1, column 9"), std::string::npos);
  EXPECT_NE(parse_error("").find("line 1"), std::string::npos);
}

TEST(Json, AKeyGivenTwiceIsAnError) {
  EXPECT_NE(parse_error("{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}}").find("\"c\" is given twice"),
            std::string::npos);
  EXPECT_EQ(parse_json("{\"a\": {\"c\": 1}, \"b\": {\"c\": 2}}", "config", "a.json").size(), 2U);
}

TEST(Json, ListsAndObjectsLieAtMostAHundredDeep) {
  const auto lists = [](std::size_t deep) {
    return std::string(deep, '[') + std::string(deep, ']');
  };
  EXPECT_TRUE(parse_json(lists(100), "config", "a.json").is_array());
  EXPECT_NE(parse_error(lists(101)).find("a.json: lists and objects lie more than 100 deep"),
            std::string::npos);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_NE(parse_error(objects).find("more than 100 deep"), std::string::npos);
  // Brackets in a text are no lists.
  EXPECT_TRUE(parse_json('"' + std::string(200, '[') + '"', "config", "a.json").is_string());
}

TEST(Json, WhatIsRefusedCanBeADiscardedValue) {
  EXPECT_EQ(json_or_discarded("[1]")[0], 1);
  EXPECT_TRUE(json_or_discarded("[1").is_discarded());
  EXPECT_TRUE(json_or_discarded(std::string(100'000, '[')).is_discarded());
  EXPECT_EQ(json_or_discarded<nlohmann::ordered_json>(R"({"b": 1, "a": 2})").dump(),
            R"({"b":1,"a":2})");
}

class FilesTest : public FolderTest {};

TEST_F(FilesTest, AtomicWriteReplacesAndFailsWhole) {
  const auto file = folder / "a";
  write_file_atomic(file, "one");
  write_file_atomic(file, "two");
  EXPECT_EQ(read_file(file, "test"), "two");
  (void)error_of([&] { write_file_atomic(folder / "missing" / "a", "x"); }, Error::Kind::run);
  (void)error_of([&] { write_file_atomic(folder, "x"); }, Error::Kind::run);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST_F(FilesTest, LinksAreReplacedInOneStep) {
  replace_link(folder / "link", "a");
  replace_link(folder / "link", "b");
  EXPECT_EQ(std::filesystem::read_symlink(folder / "link"), "b");
}

TEST_F(FilesTest, ReadingNamesWhatIsWrong) {
  EXPECT_NE(error_of([&] { (void)read_file(folder / "none", "data"); }).find("no such file"),
            std::string::npos);
  EXPECT_NE(error_of([&] { (void)read_file(folder, "data"); }).find("is a directory"),
            std::string::npos);
}

TEST(Sha256, KnownAnswers) {
  // FIPS 180-2, appendix B.1.
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha1, KnownAnswers) {
  // FIPS 180-2, appendix A.1.
  EXPECT_EQ(sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

}  // namespace
}  // namespace xception
