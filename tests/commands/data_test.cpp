// xception data, and data that cannot be trained on.
#include <gmock/gmock.h>

#include <fstream>

#include "commands/command_testing.h"
#include "xception/data/cifar10.h"
#include "xception/data/image_io.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class DataCommandTest : public CommandTest {
 protected:
  static ProcessResult verify(const fs::path& data) {
    return run_xception({"data", "verify", "--data", data.string()});
  }
  /// A preview of 9 training images of an epoch: its file's content.
  std::string preview(const std::string& epoch, const std::string& name) const {
    const auto file = folder / name;
    EXPECT_TRUE(succeeds(run_xception({"data", "preview", "--data", small_data().string(), "--out",
                                       file.string(), "--epoch", epoch, "--count", "9",
                                       "data.image_size=80", "data.validation_size=40"})));
    return content_of(file);
  }
};

TEST_F(DataCommandTest, Info) {
  const auto result = run_xception({"data", "info", "--data", small_data().string(), "--json"});
  ASSERT_TRUE(succeeds(result));
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_THAT(keys_of(json),
              ElementsAre("checksum", "classes", "folder", "image", "name", "original", "test",
                          "test_class_counts", "train", "train_class_counts"));
  EXPECT_EQ(json["train"], 300);
  EXPECT_EQ(json["test"], 60);
  EXPECT_EQ(json["classes"].size(), 10U);
  EXPECT_EQ(json["checksum"].get<std::string>().size(), 64U);
  EXPECT_EQ(json["checksum"], cifar10_checksum(read_cifar10(small_data())));
  std::int64_t total = 0;
  for (const auto& count : json["train_class_counts"]) total += count.get<std::int64_t>();
  EXPECT_EQ(total, 300);
  const auto table = run_xception({"data", "info", "--data", small_data().string()});
  ASSERT_TRUE(succeeds(table));
  EXPECT_THAT(table.out, HasSubstr("300 training"));
  EXPECT_THAT(table.out, HasSubstr("CIFAR-10 (synthetic), not the original files"));
}

TEST_F(DataCommandTest, InfoAndVerifyOpenTheFormatThatIsAskedFor) {
  for (const std::string command : {"info", "verify"}) {
    const Arguments line = {"data", command, "--data", small_data().string()};
    auto known = line;
    known.emplace_back("data.format=cifar10");
    EXPECT_TRUE(succeeds(run_xception(known)));
    auto unknown = line;
    unknown.emplace_back("data.format=cifar11");
    EXPECT_TRUE(fails(run_xception(unknown), 2, {"data.format", "cifar11", "cifar10"}));
  }
}

TEST_F(DataCommandTest, FilesThatAreNotTheOriginalOnesAreCalledSo) {
  // Nothing beside them says what they are.
  const auto data = copied_data();
  fs::remove(data / "cifar-10-batches-bin/dataset.txt");
  const std::string label = "CIFAR-10 layout, not the original files";
  EXPECT_THAT(verify(data).out, HasSubstr(label));
  EXPECT_THAT(run_xception({"data", "info", "--data", data.string()}).out, HasSubstr(label));
  auto train = train_arguments(folder / "run", {"train.epochs=1"});
  train[2] = data.string();
  const auto result = run_xception(train);
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr(label + ": 260 train"));
  EXPECT_EQ(json_of(folder / "run/environment.json")["data_label"], label);
  const auto summary = json_of(folder / "run/summary.json")["data"];
  EXPECT_EQ(summary["name"], label);
  EXPECT_EQ(summary["original"], false);
}

TEST_F(DataCommandTest, Verify) {
  const auto result = verify(small_data());
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("300 training and 60 test images"));
}

TEST_F(DataCommandTest, VerifyDecodesAFolderOfImages) {
  const auto data = folder / "photos";
  for (const auto* name : {"cat/1.png", "cat/2.png", "dog/1.png"}) {
    fs::create_directories((data / name).parent_path());
    write_png(data / name, {4, 4, std::vector<std::uint8_t>(48, 9)});
  }
  write("photos/notes.txt", "mine");
  const auto good = verify(data);
  ASSERT_TRUE(succeeds(good));
  EXPECT_THAT(good.out, HasSubstr("3 training and 0 test images"));
  EXPECT_THAT(good.out, HasSubstr("left out 1 file whose name"));
  write("photos/cat/3.jpg", "<html>");
  const auto bad = verify(data);
  EXPECT_TRUE(fails(bad, 2, {"1 of 4 images cannot be read", "data.on_error=skip"}));
  EXPECT_THAT(bad.out, HasSubstr("3.jpg: found a web page"));
}

TEST_F(DataCommandTest, PreviewIsAReadableImageOfTheEpoch) {
  const auto first = preview("0", "first.png");
  const auto image = read_image(folder / "first.png");
  EXPECT_EQ(image.width, 3 * 80 + 4 * 2);  // three columns and a border of 2 around each
  EXPECT_EQ(image.height, image.width);
  EXPECT_EQ(preview("0", "again.png"), first);
  EXPECT_NE(preview("1", "other.png"), first);
}

TEST_F(DataCommandTest, PreviewTakesNoOthersPlace) {
  const Arguments arguments = {"data",
                               "preview",
                               "--data",
                               small_data().string(),
                               "--count",
                               "1",
                               "data.image_size=80",
                               "data.validation_size=40"};
  const auto with = [&](const Arguments& more) {
    auto all = arguments;
    all.insert(all.end(), more.begin(), more.end());
    return run_xception(all, {.folder = folder});
  };
  const auto file = write("mine.png", "mine").string();
  EXPECT_TRUE(fails(with({"--out", file}), 2, {"mine.png", "exists", "--overwrite"}));
  EXPECT_EQ(content_of(file), "mine");
  EXPECT_TRUE(succeeds(with({"--out", file, "--overwrite"})));
  EXPECT_NE(content_of(file), "mine");
  write("preview.png", "mine");
  EXPECT_TRUE(succeeds(with({})));
  EXPECT_EQ(content_of(folder / "preview.png"), "mine");
  EXPECT_TRUE(fs::exists(folder / "preview-2.png"));
}

TEST_F(DataCommandTest, SynthesizeWritesASetThatReads) {
  const auto out = folder / "new";
  const auto make = [&](const std::string& seed) {
    return run_xception({"data", "synthesize", "--out", out.string(), "--train", "40", "--test",
                         "20", "--seed", seed});
  };
  ASSERT_TRUE(succeeds(make("3")));
  EXPECT_TRUE(succeeds(verify(out)));
  const auto files = snapshot(out);
  // What is there is not replaced; elsewhere the same seed gives the same, another another.
  EXPECT_TRUE(fails(make("3"), 2, {"--out", out.string(), "already holds", "another folder"}));
  EXPECT_EQ(snapshot(out), files);
  fs::rename(out, folder / "old");
  ASSERT_TRUE(succeeds(make("3")));
  EXPECT_EQ(snapshot(out), files);
  fs::remove_all(out);
  ASSERT_TRUE(succeeds(make("4")));
  EXPECT_NE(snapshot(out), files);
}

TEST_F(DataCommandTest, SynthesizeThatWasCutShortCanBeRepeated) {
  const Arguments arguments = {"data",    "synthesize", "--out",  folder.string(),
                               "--train", "40",         "--test", "20"};
  ASSERT_TRUE(succeeds(run_xception(arguments)));
  const auto files = snapshot(folder);
  fs::remove(folder / cifar10::kFolder / cifar10::kNamesFile);
  fs::remove(folder / cifar10::kFolder / cifar10::kTestFile);
  ASSERT_TRUE(succeeds(run_xception(arguments)));
  EXPECT_EQ(snapshot(folder), files);
}

TEST_F(DataCommandTest, NoDataDirectory) {
  EXPECT_TRUE(fails(verify(folder / "none"), 2, {(folder / "none").string(), "no such directory"}));
  EXPECT_TRUE(fails(verify(write("file", "")), 2, {"is a file, expected a directory"}));
  EXPECT_TRUE(fails(verify(folder), 2, {folder.string(), "data_batch_1.bin"}));
  EXPECT_TRUE(fails(run_xception({"data", "verify"}, {.folder = folder}), 2,
                    {"--data DIR", "download_cifar10.sh", "xception data synthesize"}));
  auto train = train_arguments(folder / "run");
  train[2] = (folder / "none").string();
  EXPECT_TRUE(fails(run_xception(train), 2, {(folder / "none").string(), "no such directory"}));
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST_F(DataCommandTest, FileIsMissing) {
  const auto data = copied_data();
  fs::remove(data / cifar10::kFolder / cifar10::kTestFile);
  EXPECT_TRUE(fails(verify(data), 2, {cifar10::kTestFile, "no such file"}));
}

TEST_F(DataCommandTest, FileIsTruncated) {
  const auto data = copied_data();
  fs::resize_file(data / cifar10::kFolder / "data_batch_1.bin", 300 * 3073 - 1);
  EXPECT_TRUE(fails(verify(data), 2,
                    {"data_batch_1.bin", "921,899 bytes", "expected", "download the file again"}));
}

TEST_F(DataCommandTest, FileIsTooLong) {
  const auto data = copied_data();
  fs::resize_file(data / cifar10::kFolder / cifar10::kTestFile, 10001 * 3073);
  EXPECT_TRUE(
      fails(verify(data), 2, {cifar10::kTestFile, "30,733,073 bytes", "at most 30,730,000"}));
}

TEST_F(DataCommandTest, LabelIsOutOfRange) {
  const auto data = copied_data();
  {
    std::fstream file(data / cifar10::kFolder / "data_batch_1.bin",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(7 * 3073);
    file.put(10);
  }
  EXPECT_TRUE(fails(verify(data), 2, {"data_batch_1.bin", "record 7", "label 10", "0 to 9"}));
}

TEST_F(DataCommandTest, SplitLeavesNothingToTrainOn) {
  EXPECT_TRUE(fails(run_xception(train_arguments(folder / "run", {"data.validation_size=300"})), 2,
                    {"data.validation_size", "300", "fewer"}));
}

TEST_F(DataCommandTest, OtherNumberOfClasses) {
  EXPECT_TRUE(fails(run_xception(train_arguments(folder / "run", {"model.num_classes=11"})), 2,
                    {"model.num_classes", "11", "10 classes"}));
}

}  // namespace
}  // namespace xception
