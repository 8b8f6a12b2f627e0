#include <gmock/gmock.h>
#include <unistd.h>

#include "data/file_testing.h"
#include "xception/data/dataset.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class ImageFolderTest : public FolderTest {
 protected:
  /// A PNG of one gray, by which it is told from others.
  void image(const std::string& name, std::uint8_t gray = 0) const {
    fs::create_directories((folder / name).parent_path());
    write_png(folder / name, {2, 3, std::vector<std::uint8_t>(18, gray)});
  }
  [[nodiscard]] Dataset open(const std::string& format = "auto") const {
    DataConfig config;
    config.format = format;
    config.dir = folder.string();
    return load_dataset(config);
  }
  [[nodiscard]] std::string problem() const {
    return error_of([&] { (void)open("folder"); });
  }
  /// Label and gray of each image.
  static std::vector<std::pair<std::int64_t, int>> contents(const Dataset& set, Split subset) {
    std::vector<std::pair<std::int64_t, int>> found;
    for (std::int64_t i = 0; i < set.images->size(subset); ++i) {
      found.emplace_back(set.images->label(subset, i), set.images->read(subset, i).pixels.front());
    }
    return found;
  }
};

using Pairs = std::vector<std::pair<std::int64_t, int>>;

TEST_F(ImageFolderTest, HasClassesAndImagesInTheirOrder) {
  image("train/b/2.png", 3);
  image("train/b/10.PNG", 2);
  image("train/a/z.png", 0);
  image("train/b/1/0.png", 5);  // folders after files
  image("train/b/x.jpeg", 4);   // told by content
  image("train/a-b/y.png", 1);
  image("val/b/1.png", 6);  // a class of its own may be missing
  image("val/a/1.png", 7);
  const auto set = open();
  EXPECT_EQ(set.format, "folder");
  EXPECT_THAT(set.class_names, ElementsAre("a", "a-b", "b"));
  EXPECT_EQ(contents(set, Split::train), (Pairs{{0, 0}, {1, 1}, {2, 2}, {2, 3}, {2, 4}, {2, 5}}));
  EXPECT_EQ(contents(set, Split::validation), (Pairs{{0, 7}, {2, 6}}));
  EXPECT_EQ(set.images->size(Split::test), 0);
  EXPECT_EQ(set.subset_of(Split::validation), Split::validation);
  EXPECT_TRUE(set.notes.empty());
}

TEST_F(ImageFolderTest, MayBeClassesAlone) {
  image("cat/1.png", 1);
  image("dog/1.png", 2);
  const auto set = open();
  EXPECT_EQ(contents(set, Split::train), (Pairs{{0, 1}, {1, 2}}));
  EXPECT_EQ(set.subset_of(Split::validation), Split::train);
  EXPECT_EQ(set.name, folder.filename().string());
}

TEST_F(ImageFolderTest, LeavesOutWhatIsHiddenOrNoImageOrMetAgain) {
  image("a/1.png", 1);
  image("b/1.png", 2);
  image("a/.hidden.png");
  image(".cache/1.png");
  (void)write("a/Thumbs.db", "x");
  (void)write("a/notes.txt", "x");
  (void)write("labels.txt", "x");
  fs::create_directory_symlink(folder, folder / "a/loop");
  fs::create_directory_symlink(".", folder / "a/self");
  const auto set = open();
  EXPECT_EQ(contents(set, Split::train), (Pairs{{0, 1}, {1, 2}}));
  EXPECT_THAT(set.notes,
              ElementsAre("left out 3 files whose name doesn't end in .jpg, .jpeg, .jpe, "
                          ".jfif, .png or .webp: 2 .txt, 1 .db"));
}

TEST_F(ImageFolderTest, TakesNamesThatAreNotText) {
  image("a/\xFF.png", 1);
  image("b\xFE%/1.png", 2);
  const auto set = open();
  EXPECT_THAT(set.class_names, ElementsAre("a", "b%FE%25"));
  EXPECT_EQ(contents(set, Split::train), (Pairs{{0, 1}, {1, 2}}));
}

TEST_F(ImageFolderTest, IsKnownByItsNamesAndSizes) {
  image("a/1.png", 1);
  image("b/1.png", 2);
  const auto sum = open().checksum;
  EXPECT_EQ(sum.size(), 64U);
  EXPECT_EQ(open().checksum, sum);
  fs::rename(folder / "b/1.png", folder / "b/2.png");
  EXPECT_NE(open().checksum, sum);
  fs::rename(folder / "b/2.png", folder / "b/1.png");
  EXPECT_EQ(open().checksum, sum);
  std::ofstream(folder / "b/1.png", std::ios::app) << "x";
  EXPECT_NE(open().checksum, sum);
}

TEST_F(ImageFolderTest, SaysWhatIsWrong) {
  EXPECT_THAT(problem(), HasSubstr("found no class folders, expected train/CLASS/*.jpg"));
  EXPECT_THAT(error_of([&] { (void)open(); }), HasSubstr("folder (a folder of images for each"));
  image("flowers/a/1.png");
  EXPECT_THAT(problem(), HasSubstr("found one folder, flowers, expected one for each of at least"));
  fs::remove_all(folder / "flowers");
  image("train/a/1.png");
  image("train/b/1.png");
  image("val/c/1.png");
  EXPECT_THAT(problem(), HasSubstr("val: found class c, which has no folder of training images"));
  fs::rename(folder / "val", folder / "valid");
  fs::create_directory(folder / "validation");
  EXPECT_THAT(problem(), HasSubstr("found both validation and valid, expected one"));
  fs::remove_all(folder / "valid");
  fs::create_directory(folder / "train/empty");
  EXPECT_THAT(problem(), HasSubstr("train/empty: found no image (.jpg"));
}

/// Root may read every folder, another user not.
class NotRoot {
 public:
  NotRoot() {
    if (was_root_) {
      EXPECT_EQ(::seteuid(kNobody), 0);
    }
  }
  ~NotRoot() {
    if (was_root_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }

 private:
  static constexpr uid_t kNobody = 65534;
  bool was_root_ = ::geteuid() == 0;
};

TEST_F(ImageFolderTest, NamesAFolderThatMayNotBeRead) {
  image("a/1.png");
  image("b/1.png");
  // The group stays root's.
  fs::permissions(folder, fs::perms::group_read | fs::perms::group_exec, fs::perm_options::add);
  fs::permissions(folder / "b", fs::perms::none);
  {
    const NotRoot nobody;
    EXPECT_THAT(problem(), HasSubstr("b: cannot be read: Permission denied"));
  }
  fs::permissions(folder / "b", fs::perms::owner_all);
}

TEST_F(ImageFolderTest, NamesAnImageThatCannotBeRead) {
  image("a/1.png");
  image("b/1.png");
  fs::create_symlink("nowhere.png", folder / "b/2.png");
  const auto set = open();
  ASSERT_EQ(set.images->size(Split::train), 3);
  EXPECT_THAT(error_of([&] { (void)set.images->read(Split::train, 2); }), HasSubstr("b/2.png"));
}

}  // namespace
}  // namespace xception
