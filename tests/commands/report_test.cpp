#include <gmock/gmock.h>

#include "commands/command_testing.h"
#include "xception/core/files.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class ReportCommandTest : public CommandTest {
 protected:
  /// The second of two real runs of the same config, with another seed.
  [[nodiscard]] fs::path other_seed() const {
    const auto run = folder / "other";
    EXPECT_TRUE(succeeds(run_xception(train_arguments(run, {"train.epochs=2", "seed=1"}))));
    return run;
  }
  [[nodiscard]] std::string text(const std::string& name) const {
    return read_file(folder / "out" / name, "test");
  }
};

TEST_F(ReportCommandTest, OfRealRuns) {
  const auto other = other_seed();
  ASSERT_TRUE(succeeds(run_xception(
      {"report", complete_run().string(), other.string(), "--out", (folder / "out").string()})));
  const auto json = json_of(folder / "out/report.json");
  ASSERT_EQ(json.at("variants").size(), 1U);
  const auto& variant = json["variants"][0];
  EXPECT_EQ(variant.at("seeds"), (std::vector<int>{0, 1}));
  const auto accuracy = json_of(other / "summary.json").at("test_accuracy").get<double>();
  EXPECT_NEAR(variant.at("test_accuracy").at("values")[1].get<double>(), accuracy, 1e-12);
  EXPECT_EQ(variant.at("parameters"), json_of(other / "summary.json").at("parameters"));
  EXPECT_GT(variant.at("multiply_adds").get<std::int64_t>(), 0);
  // Everything is in the page, and nothing is fetched.
  const auto html = text("report.html");
  EXPECT_THAT(html, Not(HasSubstr("src=\"http")));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, HasSubstr("data:image/svg+xml;base64,"));
  EXPECT_THAT(html, HasSubstr("data:image/png;base64,"));  // example images
  EXPECT_THAT(text("report.md"), HasSubstr("figures/confusion-1.svg"));
}

TEST_F(ReportCommandTest, NoReportTakesAnothersPlace) {
  const auto out = (folder / "out").string();
  const auto a = copied_run();
  const auto b = folder / "else" / a.filename();
  fs::create_directories(b.parent_path());
  fs::copy(a, b, fs::copy_options::recursive);
  const auto report = [&](const fs::path& run, const Arguments& more) {
    Arguments all = {"report", run.string(), "--no-figures"};
    all.insert(all.end(), more.begin(), more.end());
    return run_xception(all, {.folder = folder});
  };
  // Without --out the next free number.
  const auto base = folder / "reports" / a.filename();
  ASSERT_TRUE(succeeds(report(a, {})));
  const auto first = snapshot(base);
  ASSERT_TRUE(succeeds(report(b, {})));
  EXPECT_EQ(snapshot(base), first);
  EXPECT_TRUE(fs::exists(base.string() + "-2/report.html"));
  // A given folder: again of the same run, but not of another.
  ASSERT_TRUE(succeeds(report(a, {"--out", out})));
  ASSERT_TRUE(succeeds(report(a, {"--out", out})));
  const auto before = snapshot(out);
  EXPECT_TRUE(fails(report(b, {"--out", out}), 2, {out, "other runs", "--overwrite"}));
  EXPECT_EQ(snapshot(out), before);
  ASSERT_TRUE(succeeds(report(b, {"--out", out, "--overwrite"})));
  EXPECT_NE(snapshot(out), before);
  // What isn't a report's.
  write("mine/report.md", "my words");
  EXPECT_TRUE(
      fails(report(a, {"--out", (folder / "mine").string()}), 2, {"report.md", "--overwrite"}));
  EXPECT_EQ(read_file(folder / "mine/report.md", "test"), "my words");
}

TEST_F(ReportCommandTest, AReportThatFailsLeavesNothing) {
  const auto out = folder / "out";
  write("bin/gnuplot", "#!/bin/sh\ncase $1 in --version) exit 0;; esac\necho broken; exit 3\n");
  fs::permissions(folder / "bin/gnuplot", fs::perms::owner_all);
  const auto path = (folder / "bin").string() + ":" + std::getenv("PATH");
  EXPECT_TRUE(fails(run_xception({"report", complete_run().string(), "--out", out.string()},
                                 {.environment = {{"PATH", path}}}),
                    1, {"gnuplot", "broken"}));
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(ReportCommandTest, ExampleImagesOnlyOfTheSameData) {
  const auto data = copied_data();
  const auto file = data / "cifar-10-batches-bin/test_batch.bin";
  auto bytes = read_file(file, "test");
  bytes[5] = static_cast<char>(bytes[5] ^ 1);
  write("data/cifar-10-batches-bin/test_batch.bin", bytes);
  ASSERT_TRUE(succeeds(run_xception({"report", complete_run().string(), "--data", data.string(),
                                     "--out", (folder / "out").string()})));
  EXPECT_THAT(text("report.md"), HasSubstr("example images are left out"));
  EXPECT_THAT(text("report.html"), Not(HasSubstr("data:image/png")));
}

TEST_F(ReportCommandTest, BadInput) {
  const auto run = complete_run().string();
  const auto out = (folder / "out").string();
  write("file", "");
  EXPECT_TRUE(fails(run_xception({"report", (folder / "no").string()}), 2, {"no such folder"}));
  EXPECT_TRUE(fails(run_xception({"report", folder.string()}), 2, {"no run in it"}));
  EXPECT_TRUE(fails(run_xception({"report", run, "--baseline", "theirs"}), 2, {"--baseline"}));
  EXPECT_TRUE(fails(run_xception({"report", run, "--baseline", write("b.json", "{}").string()}), 2,
                    {"b.json", "configs/baselines/notebook.json"}));
  EXPECT_TRUE(fails(run_xception({"report", run, "--checkpoint", "first"}), 2, {"--checkpoint"}));
  EXPECT_TRUE(fails(run_xception({"report", run, "--out", (folder / "file").string()}), 2,
                    {"--out", "cannot be written"}));
  EXPECT_TRUE(fails(run_xception({"report"}), 2, {"paths"}));
  const auto result =
      run_xception({"report", run, "--out", out}, {.environment = {{"PATH", folder.string()}}});
  EXPECT_TRUE(fails(result, 2, {"gnuplot", "gnuplot-nox", "--no-figures"}));
}

}  // namespace
}  // namespace xception
