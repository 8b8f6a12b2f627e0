// xception predict: what it takes, what it says, what it costs.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <cstdint>
#include <sstream>

#include "commands/command_testing.h"
#include "xception/data/image_io.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

RgbImage gradient(std::int64_t height, std::int64_t width) {
  RgbImage image{height, width, {}};
  image.pixels.reserve(static_cast<std::size_t>(height * width * 3));
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      image.pixels.push_back(static_cast<std::uint8_t>(x * 255 / width));
      image.pixels.push_back(static_cast<std::uint8_t>(y * 255 / height));
      image.pixels.push_back(static_cast<std::uint8_t>((x + y) % 256));
    }
  }
  return image;
}

/// With a chunk that says how the picture is to be held, before its pixels.
std::string with_orientation(std::string png, char orientation) {
  std::string block("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0", 26);
  block[19] = orientation;
  std::string chunk = "eXIf" + block;
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : chunk) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  crc ^= 0xFFFFFFFFU;
  const auto number = [](std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  constexpr std::size_t kAfterHeader = 33;
  return png.insert(kAfterHeader,
                    number(static_cast<std::uint32_t>(block.size())) + chunk + number(crc));
}

class PredictCommand : public CommandTest {
 protected:
  Arguments arguments(const Arguments& more) const {
    Arguments all = {"predict", "--run", complete_run().string(), "--device", "cpu"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  ProcessResult predict(const Arguments& more, const std::string& input = "") const {
    if (input.empty()) return run_xception(arguments(more), {.folder = folder});
    write("standard input", input);
    std::string line = "exec \"$0\" \"$@\" <'standard input'";
    Arguments command = {"/bin/sh", "-c", line};
    const auto program = xception_command(arguments(more));
    command.insert(command.end(), program.begin(), program.end());
    return Process(command, {.folder = folder}).wait();
  }
  /// The names that were answered, in the order of the answers.
  static std::vector<std::string> answered(const ProcessResult& result) {
    std::vector<std::string> names;
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) {
      names.push_back(line.substr(0, line.find(": ")));
    }
    return names;
  }
  /// A good picture below the folder.
  void picture(const std::string& name) const { write(name, encode_png(gradient(40, 60))); }
};

TEST_F(PredictCommand, FoldersAreSearchedInOrder) {
  for (const auto* name : {"a/2.PNG", "a/10.png", "a/b/c/1.JpeG", "a/b.txt", "a/.hidden.png",
                           "a/.git/x.png", "z.png"}) {
    picture(name);
  }
  fs::create_directory_symlink("..", folder / "a/b/up");
  fs::create_directory_symlink("b", folder / "a/same");
  const auto result = predict({"z.png", "a"});
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(answered(result), ElementsAre("z.png", "a/10.png", "a/2.PNG", "a/b/c/1.JpeG"));
}

TEST_F(PredictCommand, PatternsAndListsAreFollowed) {
  for (const auto* name : {"1.png", "2.png", "[ab].png", "a.png", "sub/3.png", "@x.png"}) {
    picture(name);
  }
  EXPECT_THAT(answered(predict({"?.png"})), ElementsAre("1.png", "2.png", "a.png"));
  EXPECT_THAT(answered(predict({"[ab].png"})), ElementsAre("[ab].png"));  // it exists
  EXPECT_THAT(answered(predict({"[1-2].png"})), ElementsAre("1.png", "2.png"));
  EXPECT_THAT(answered(predict({"@x.png"})), ElementsAre("@x.png"));
  write("list.txt",
        "\xEF\xBB\xBF"
        "2.png\r\n\r\nsub\n1.png");
  const auto expected = ElementsAre("2.png", "sub/3.png", "1.png");
  EXPECT_THAT(answered(predict({"@list.txt"})), expected);
  EXPECT_THAT(answered(predict({"@-"}, content_of(folder / "list.txt"))), expected);
  EXPECT_THAT(answered(predict({"@-"}, std::string("2.png\0sub\0001.png\0", 16))), expected);
}

TEST_F(PredictCommand, StandardInputIsAPicture) {
  const auto result = predict({"-"}, encode_png(gradient(40, 60)));
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(answered(result), ElementsAre("-"));
  EXPECT_TRUE(fails(predict({"-"}, "GIF89a"), 2, {"standard input", "a GIF image"}));
}

TEST_F(PredictCommand, WhatNamesNothingIsAnErrorInOneLine) {
  fs::create_directory(folder / "empty");
  write("list.txt", "\r\n\n");
  EXPECT_TRUE(fails(predict({"empty"}), 2, {"empty: holds no picture"}));
  EXPECT_TRUE(fails(predict({"*.gif"}), 2, {"*.gif: matches no file"}));
  EXPECT_TRUE(fails(predict({"@list.txt"}), 2, {"@list.txt: an empty list"}));
  EXPECT_TRUE(fails(predict({"@none.txt"}), 2, {"none.txt: no such file"}));
  EXPECT_TRUE(fails(predict({std::string(300, 'x')}), 2, {"xxx"}));
  EXPECT_TRUE(fails(predict({"/dev/zero"}), 2, {"/dev/zero: found bytes 00"}));
}

TEST_F(PredictCommand, BadPicturesAreListedAndTheRestAnswered) {
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    names.push_back("f/" + std::to_string(10 + i) + ".png");
    picture(names.back());
  }
  write("f/15.png", "no picture");
  write("f/27.png", encode_png(gradient(40, 60)).substr(0, 100));
  const auto result = predict({"f", "none.png"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(answered(result).size(), 18U);
  std::vector<std::string> lines;
  std::istringstream errors(result.err);
  for (std::string line; std::getline(errors, line);) lines.push_back(line);
  EXPECT_THAT(lines,
              ElementsAre(HasSubstr("f/15.png: found text"), HasSubstr("f/27.png: damaged PNG"),
                          HasSubstr("none.png: no such file")));
  const auto machine = predict({"f", "none.png", "--json"});
  EXPECT_EQ(machine.exit_code, 1);
  const auto json = nlohmann::json::parse(machine.out);
  ASSERT_EQ(json.size(), 21U);
  EXPECT_THAT(keys_of(json[4]), ElementsAre("image", "top"));
  EXPECT_THAT(keys_of(json[5]), ElementsAre("error", "image"));
  EXPECT_EQ(json[17]["image"], "f/27.png");
  EXPECT_THAT(json[20]["error"].get<std::string>(), HasSubstr("no such file"));
}

TEST_F(PredictCommand, NamesMayBeAnything) {
  const std::vector<std::string> names = {"caf\xe9.png", "new\nline.png", "train", "[x]",
                                          "[a,b].png"};
  for (const auto& name : names) picture(name);
  for (const auto& name : names) {
    SCOPED_TRACE(testing::PrintToString(name));
    EXPECT_TRUE(succeeds(predict({name})));
    const auto result = predict({name, "--json"});
    EXPECT_TRUE(succeeds(result));
    EXPECT_EQ(nlohmann::json::parse(result.out).size(), 1U);
  }
  EXPECT_THAT(answered(predict({"new\nline.png"})), ElementsAre("new\\x0aline.png"));
  EXPECT_TRUE(fails(predict({"bad\nname.png"}), 2, {"bad\\x0aname.png: no such file"}));
}

TEST_F(PredictCommand, PicturesAreTurnedUpright) {
  const auto plain = encode_png(gradient(80, 120));
  const auto turned = encode_png(upright({gradient(80, 120), 6}));
  write("plain.png", plain);
  write("turned.png", turned);
  write("tagged.png", with_orientation(plain, 6));
  const auto top = [&](const Arguments& more) {
    const auto result = predict(more);
    EXPECT_TRUE(succeeds(result));
    return nlohmann::json::parse(result.out)[0]["top"];
  };
  ASSERT_NE(top({"plain.png", "--json"}), top({"turned.png", "--json"}));
  EXPECT_EQ(top({"tagged.png", "--json"}), top({"turned.png", "--json"}));
  EXPECT_EQ(top({"tagged.png", "--json", "--ignore-orientation"}), top({"plain.png", "--json"}));
}

TEST_F(PredictCommand, MemoryGoesByWhatTheCropKeeps) {
  // Resized as a whole, each would take gigabytes.
  write("wide.png", encode_png(gradient(1, 60000)));
  write("tall.png", encode_png(gradient(60000, 1)));
  EXPECT_TRUE(succeeds(predict({"wide.png", "tall.png"})));
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);  // the most that any child took
  EXPECT_LT(usage.ru_maxrss, 1'500'000);
}

TEST_F(PredictCommand, TopKIsRefusedInAShortLine) {
  for (const auto* k : {"0", "-1", "99999999999999999999"}) {
    const auto result = predict({"x.png", "--top-k", k});
    EXPECT_TRUE(fails(result, 2, {"--top-k", k}));
    EXPECT_LT(result.err.size(), 160U);
  }
}

}  // namespace
}  // namespace xception
