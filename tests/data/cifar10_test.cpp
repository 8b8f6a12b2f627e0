#include "xception/data/cifar10.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "data/file_testing.h"
#include "xception/core/files.h"
#include "xception/core/random.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t kRecord = cifar10::kRecordBytes;
constexpr const char* kNames =
    "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n";

/// Records whose every byte depends on its place: record i has label (first + i) % 10 and pixel
/// bytes (first + i + 7 * k) % 256.
std::string records(std::size_t count, std::size_t first = 0) {
  std::string bytes;
  for (std::size_t i = first; i < first + count; ++i) {
    bytes.push_back(static_cast<char>(i % 10));
    for (std::size_t k = 0; k < kRecord - 1; ++k) {
      bytes.push_back(static_cast<char>((i + 7 * k) % 256));
    }
  }
  return bytes;
}

class Cifar10Test : public FolderTest {
 protected:
  /// A small valid set: two training batches of 3 and 2 images, 4 test images.
  Cifar10Test() {
    write("data_batch_1.bin", records(3));
    write("data_batch_2.bin", records(2, 3));
    write("test_batch.bin", records(4, 100));
    write("batches.meta.txt", kNames);
  }

  [[nodiscard]] std::string error() const {
    return error_of([&] { (void)read_cifar10(folder); });
  }
  [[nodiscard]] std::string path(const char* name) const { return (folder / name).string(); }
};

using Cifar10ReadTest = Cifar10Test;
using Cifar10WriteTest = Cifar10Test;

TEST_F(Cifar10ReadTest, ReadsBatchesInOrder) {
  const auto files = read_cifar10(folder);
  ASSERT_EQ(files.train.size(), 5);
  ASSERT_EQ(files.test.size(), 4);
  EXPECT_EQ(files.train.labels, (std::vector<std::uint8_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(files.test.labels, (std::vector<std::uint8_t>{0, 1, 2, 3}));
  ASSERT_EQ(files.train.images.size(), 5U * 3072U);
  for (std::size_t i = 0; i < 5; ++i) {
    for (const std::size_t k : {0U, 1U, 1024U, 3071U}) {
      EXPECT_EQ(files.train.images[i * 3072 + k], (i + 7 * k) % 256);
    }
  }
  EXPECT_EQ(files.class_names.size(), 10U);
  EXPECT_EQ(files.class_names.at(9), "truck");
  EXPECT_EQ(files.name, "CIFAR-10");
}

TEST_F(Cifar10ReadTest, FindsTheFolderInside) {
  fs::create_directory(folder / "cifar-10-batches-bin");
  for (const auto* name :
       {"data_batch_1.bin", "data_batch_2.bin", "test_batch.bin", "batches.meta.txt"}) {
    fs::rename(folder / name, folder / "cifar-10-batches-bin" / name);
  }
  EXPECT_EQ(read_cifar10(folder).train.size(), 5);
  EXPECT_EQ(read_cifar10(folder / "cifar-10-batches-bin").train.size(), 5);
}

TEST_F(Cifar10ReadTest, ChecksumIsThatOfTheSha256sumTool) {
  std::string lines;
  for (const auto* name :
       {"data_batch_1.bin", "data_batch_2.bin", "test_batch.bin", "batches.meta.txt"}) {
    lines += sha256(read_file(folder / name, "test")) + "  " + name + "\n";
  }
  EXPECT_EQ(read_cifar10(folder).checksum, sha256(lines));
  // As printed by sha256sum data_batch_?.bin test_batch.bin batches.meta.txt | sha256sum
  EXPECT_EQ(read_cifar10(folder).checksum,
            "f253a9fc2490fce55cc65f8ec44cef2148f343e99e6fd8953cb77173c8e8d4a3");
}

TEST_F(Cifar10ReadTest, NameComesFromDatasetFile) {
  write("dataset.txt", "CIFAR-10 (synthetic)\r\n\n");
  EXPECT_EQ(read_cifar10(folder).name, "CIFAR-10 (synthetic)");
  for (const char* bad : {"", "\n", "one\ntwo\n"}) {
    write("dataset.txt", bad);
    EXPECT_THAT(error(), AllOf(HasSubstr(path("dataset.txt")), HasSubstr("expected one")));
  }
}

TEST_F(Cifar10ReadTest, AByteOrderMarkIsNoPartOfAName) {
  write("batches.meta.txt", std::string("\xEF\xBB\xBF") + kNames);
  write("dataset.txt", "\xEF\xBB\xBFmine\r\n");
  EXPECT_EQ(read_cifar10(folder).class_names.front(), "airplane");
  EXPECT_EQ(read_cifar10(folder).name, "mine");
}

TEST_F(Cifar10ReadTest, OtherFilesAreNotTheOriginalOnes) {
  EXPECT_FALSE(read_cifar10(folder).original);
}

TEST_F(Cifar10ReadTest, NamesMayEndInBlankLinesAndCarriageReturns) {
  write("batches.meta.txt", "a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\nj\r\n\r\n\n");
  const auto names = read_cifar10(folder).class_names;
  EXPECT_EQ(names.front(), "a");
  EXPECT_EQ(names.back(), "j");
  write("batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj");
  EXPECT_EQ(read_cifar10(folder).class_names, names);
}

TEST_F(Cifar10ReadTest, NamesMustBeTen) {
  write("batches.meta.txt", "a\nb\nc\n");
  EXPECT_EQ(error(),
            "[data] " + path("batches.meta.txt") + ": 3 class names, expected 10, one a line");
  write("batches.meta.txt", std::string(kNames) + "eleven\n");
  EXPECT_THAT(error(), HasSubstr(": 11 class names, expected 10"));
  write("batches.meta.txt", "a\nb\nc\n\ne\nf\ng\nh\ni\nj\n");
  EXPECT_EQ(error(),
            "[data] " + path("batches.meta.txt") + ": line 4 is blank, expected a class name");
  fs::remove(folder / "batches.meta.txt");
  EXPECT_EQ(error(), "[data] " + path("batches.meta.txt") + ": no such file; check the path");
}

TEST_F(Cifar10ReadTest, BrokenRecordIsAnError) {
  write("data_batch_2.bin", std::string(30'729'999, '\0'));
  EXPECT_EQ(error(), "[data] " + path("data_batch_2.bin") +
                         ": 30,729,999 bytes, not a multiple of 3,073 (a record); expected at most "
                         "30,730,000: copy or download the file again");
}

TEST_F(Cifar10ReadTest, EmptyFileIsAnError) {
  write("test_batch.bin", "");
  EXPECT_EQ(error(), "[data] " + path("test_batch.bin") +
                         ": is empty, expected 1 to 10,000 records of 3,073 bytes: copy or "
                         "download the file again");
}

TEST_F(Cifar10ReadTest, MoreThanABatchIsAnError) {
  write("test_batch.bin", std::string(10'001 * kRecord, '\0'));
  EXPECT_EQ(error(), "[data] " + path("test_batch.bin") +
                         ": 30,733,073 bytes (10,001 records), expected at most 30,730,000 (10,000 "
                         "records): copy or download the file again");
  write("test_batch.bin", std::string(10'000 * kRecord, '\0'));
  EXPECT_EQ(read_cifar10(folder).test.size(), 10'000);
}

TEST_F(Cifar10ReadTest, LabelTenIsAnError) {
  auto bytes = records(3);
  bytes[2 * kRecord] = 10;
  write("data_batch_1.bin", bytes);
  EXPECT_EQ(error(), "[data] " + path("data_batch_1.bin") +
                         ": record 2 (counted from 0) has label 10, expected 0 to 9: copy or "
                         "download the file again");
  bytes[2 * kRecord] = static_cast<char>(0xFF);
  write("data_batch_1.bin", bytes);
  EXPECT_THAT(error(), HasSubstr("has label 255,"));
}

TEST_F(Cifar10ReadTest, GapInTheBatchesIsAnError) {
  fs::rename(folder / "data_batch_2.bin", folder / "data_batch_3.bin");
  EXPECT_EQ(error(), "[data] " + path("data_batch_2.bin") +
                         ": no such file, but data_batch_3.bin exists; expected batches without a "
                         "gap: copy or download the missing one");
  fs::remove(folder / "data_batch_1.bin");
  EXPECT_THAT(error(), StartsWith("[data] " + path("data_batch_1.bin") + ": no such file, but"));
}

TEST_F(Cifar10ReadTest, MissingTestFileIsAnError) {
  fs::remove(folder / "test_batch.bin");
  EXPECT_EQ(error(), "[data] " + path("test_batch.bin") + ": no such file; check the path");
  fs::create_directory(folder / "test_batch.bin");
  EXPECT_THAT(error(), HasSubstr("is a directory, expected a file"));
}

TEST_F(Cifar10ReadTest, WrongDirectoryIsExplained) {
  const auto error_in = [](const fs::path& dir) {
    return error_of([&] { (void)read_cifar10(dir); });
  };
  EXPECT_EQ(error_in(folder / "none"), "[data] " + path("none") +
                                           ": no such directory, expected one with "
                                           "cifar-10-batches-bin");
  EXPECT_EQ(error_in(write("cifar-10-binary.tar.gz", "x")),
            "[data] " + path("cifar-10-binary.tar.gz") +
                ": is a file, expected a directory with cifar-10-batches-bin: unpack it there");
  fs::create_directory(folder / "empty");
  EXPECT_EQ(error_in(folder / "empty"),
            "[data] " + path("empty") +
                ": no data_batch_1.bin here or in cifar-10-batches-bin: unpack "
                "cifar-10-binary.tar.gz here");
  write("empty/data_batch_1", "x");
  EXPECT_THAT(error_in(folder / "empty"), HasSubstr("holds the Python version of CIFAR-10"));
}

Cifar10Files small_set(std::int64_t train = 7, std::int64_t test = 3) {
  Cifar10Files files;
  for (auto* split : {&files.train, &files.test}) {
    const auto count = static_cast<std::size_t>(split == &files.train ? train : test);
    split->labels.resize(count, 4);
    split->images.resize(count * 3072);
    CounterRandom random(1, RandomStream::order, split == &files.train ? 0 : 1);
    for (auto& byte : split->images) byte = static_cast<std::uint8_t>(random.bits());
  }
  files.class_names = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "the last"};
  files.name = "ten letters";
  files.checksum = cifar10_checksum(files);
  return files;
}

TEST_F(Cifar10WriteTest, ReadsBackWhatWasWritten) {
  const auto written = small_set(10'003, 3);  // two batches
  write_cifar10(folder / "made/new", written);
  EXPECT_EQ(fs::file_size(folder / "made/new/cifar-10-batches-bin/data_batch_1.bin"), 30'730'000U);
  const auto read = read_cifar10(folder / "made/new");
  EXPECT_EQ(read.train.images, written.train.images);
  EXPECT_EQ(read.train.labels, written.train.labels);
  EXPECT_EQ(read.test.images, written.test.images);
  EXPECT_EQ(read.test.labels, written.test.labels);
  EXPECT_EQ(read.class_names, written.class_names);
  EXPECT_EQ(read.name, "ten letters");
  EXPECT_EQ(read.checksum, written.checksum);
}

TEST_F(Cifar10WriteTest, ReplacesItsOwnLargerSet) {
  write_cifar10(folder / "own", small_set(10'003, 3));
  write_cifar10(folder / "own", small_set(2, 3));
  EXPECT_EQ(read_cifar10(folder / "own").train.size(), 2);
}

TEST_F(Cifar10WriteTest, LeavesADownloadedSetAlone) {
  fs::create_directory(folder / "cifar-10-batches-bin");
  write("cifar-10-batches-bin/data_batch_1.bin", "precious");
  EXPECT_THAT(error_of([&] { write_cifar10(folder, small_set()); }),
              HasSubstr("cifar-10-batches-bin: already holds a data set"));
  EXPECT_EQ(read_file(folder / "cifar-10-batches-bin/data_batch_1.bin", "test"), "precious");
}

TEST_F(Cifar10WriteTest, RefusesWhatReadingWouldRefuse) {
  const auto error_after = [&](auto spoil) {
    auto files = small_set();
    spoil(files);
    const auto message = error_of([&] { write_cifar10(folder / "bad", files); });
    EXPECT_FALSE(fs::exists(folder / "bad"));
    return message;
  };
  EXPECT_EQ(error_after([](auto& files) { files.test = {}; }),
            "[data] 0 test images, expected 1 to 10,000");
  EXPECT_EQ(error_after([](auto& files) { files.train.labels.resize(50'001); }),
            "[data] 50,001 training images, expected 1 to 50,000");
  EXPECT_EQ(error_after([](auto& files) { files.test.images.pop_back(); }),
            "[data] 9,215 bytes of test images, expected 9,216");
  EXPECT_EQ(error_after([](auto& files) { files.train.labels[5] = 10; }),
            "[data] training image 5 has label 10, expected 0 to 9");
  EXPECT_THAT(error_after([](auto& files) { files.class_names.pop_back(); }),
              StartsWith("[data] 9 class names, expected 10"));
  EXPECT_THAT(error_after([](auto& files) { files.class_names[3] = "two\nlines"; }),
              HasSubstr("each one line"));
  EXPECT_THAT(error_after([](auto& files) { files.name = ""; }), HasSubstr("expected one line"));
}

TEST_F(Cifar10WriteTest, UnwritableDirectoryIsARunError) {
  write("file", "x");
  EXPECT_THAT(error_of([&] { write_cifar10(folder / "file", small_set()); }, Error::Kind::run),
              StartsWith("[data] " + path("file/cifar-10-batches-bin") + ": cannot be made: "));
}

/// Damaged files must be refused or read, never crash; run under a sanitizer this is a fuzz test.
TEST_F(Cifar10ReadTest, SurvivesDamage) {
  const std::vector<std::string> names{"data_batch_1.bin", "data_batch_2.bin", "test_batch.bin",
                                       "batches.meta.txt"};
  int refused = 0;
  for (std::uint32_t round = 0; round < 400; ++round) {
    CounterRandom random(5, RandomStream::order, round);
    const auto& name = names[static_cast<std::size_t>(random.below(4))];
    const auto intact = read_file(folder / name, "test");
    auto bytes = intact;
    if (random.below(3) == 0)
      bytes.resize(static_cast<std::size_t>(random.below(std::ssize(bytes))));
    for (auto flips = random.below(20); flips > 0 && !bytes.empty(); --flips) {
      // Near the start, where labels and names are.
      const auto at = random.below(std::min<std::int64_t>(std::ssize(bytes), 64));
      bytes[static_cast<std::size_t>(at)] = static_cast<char>(random.bits());
    }
    write(name, bytes);
    try {
      const auto files = read_cifar10(folder);
      for (const auto label : files.train.labels) EXPECT_LT(label, 10);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input);
      ++refused;
    }
    write(name, intact);
  }
  EXPECT_GT(refused, 100);
  EXPECT_LT(refused, 400);
}

}  // namespace
}  // namespace xception
