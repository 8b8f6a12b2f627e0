#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "report/fake_run.h"
#include "support/temporary_folder.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/json.h"
#include "xception/core/safetensors.h"
#include "xception/report/baseline.h"
#include "xception/report/charts.h"
#include "xception/report/comparison.h"
#include "xception/report/document.h"
#include "xception/report/report.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Json = nlohmann::ordered_json;

/// Where a text is in gnuplot's SVG.
std::pair<double, double> place_of(const std::string& svg, const std::string& text) {
  const auto place = svg.find("<text>" + text + "<");
  const auto start = place == std::string::npos ? place : svg.rfind("translate(", place);
  if (start == std::string::npos) {
    ADD_FAILURE() << "no text " << text;
    return {};
  }
  std::istringstream numbers(svg.substr(start + 10));
  std::pair<double, double> result;
  char comma = 0;
  numbers >> result.first >> comma >> result.second;
  return result;
}

/// An environment variable, for a scope.
class Variable {
 public:
  Variable(std::string name, const std::string& value) : name_(std::move(name)) {
    if (const auto* before = std::getenv(name_.c_str())) before_ = before;
    ::setenv(name_.c_str(), value.c_str(), 1);
  }
  ~Variable() {
    if (before_) {
      ::setenv(name_.c_str(), before_->c_str(), 1);
    } else {
      ::unsetenv(name_.c_str());
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  std::string name_;
  std::optional<std::string> before_;
};

class ReportTest : public testing::Test {
 protected:
  /// Two models with so many seeds; the second model makes more errors.
  void write_two_models(std::int64_t seeds) const {
    for (std::int64_t seed = 0; seed < seeds; ++seed) {
      write_fake_run(folder / fmt::format("a{}", seed),
                     {.model = "xception",
                      .seed = seed,
                      .images_per_second = 50.0,
                      .answers = answers_with_errors(300, 10, seed)});
      write_fake_run(folder / fmt::format("b{}", seed),
                     {.model = "inception_v3",
                      .seed = seed,
                      .validation_accuracy = {0.2, 0.45, 0.48},
                      .epoch_seconds = 5.0,
                      .answers = answers_with_errors(300, seed == 0 ? 4 : 5, 1)});
    }
  }
  TemporaryFolder temporary;
  const fs::path& folder = temporary.path;
};

TEST_F(ReportTest, GroupsBySeedAndNamesWhatDiffers) {
  write_fake_run(folder / "1", {.seed = 1, .activation = "elu"});
  write_fake_run(folder / "2", {.seed = 0, .activation = "elu", .answers = {0, 1, 2, 0, 1, 0}});
  write_fake_run(folder / "3", {.seed = 0, .activation = "relu"});
  write_fake_run(folder / "4", {.model = "inception_v3"});
  const auto set = collect_runs({folder}, "best");
  ASSERT_EQ(set.variants.size(), 3U);
  EXPECT_EQ(set.variants[0].label, "Xception (elu)");
  EXPECT_EQ(set.variants[1].label, "Xception (relu)");
  EXPECT_EQ(set.variants[2].label, "Inception V3");
  ASSERT_EQ(set.variants[0].runs.size(), 2U);
  EXPECT_EQ(set.runs[set.variants[0].runs[0]].seed(), 0);  // by seed
  EXPECT_THAT(set.class_names, ElementsAre("ant", "bee", "cow"));
  EXPECT_TRUE(set.notices.empty());
  const auto differences = config_differences(set);
  ASSERT_EQ(differences.size(), 2U);
  EXPECT_THAT(differences[0], ElementsAre("model.intermediate_activation", "elu", "relu", "none"));
}

TEST_F(ReportTest, ComparesOverSeedsAndOverImages) {
  write_two_models(3);
  const auto set = collect_runs({folder}, "best");
  const auto results = compare_variants(set);
  ASSERT_EQ(results.pairs.size(), 1U);
  const auto& pair = results.pairs[0];
  EXPECT_EQ(pair.first, 0U);  // the better one
  EXPECT_THAT(pair.seeds, ElementsAre(0, 1, 2));
  EXPECT_NEAR(pair.difference, (0.9 - 0.75 + 2 * (0.9 - 0.8)) / 3.0, 1e-12);
  EXPECT_NEAR(*pair.p, *paired_t_test({0.15, 0.1, 0.1}), 1e-9);
  EXPECT_TRUE(pair.is_settled());
  ASSERT_EQ(pair.mcnemar.size(), 3U);
  // Seed 0: wrong are 0, 10, ... (30) against 1, 5, 9, ... (75); no image in common.
  EXPECT_EQ(pair.mcnemar[0].only_first, 75);
  EXPECT_EQ(pair.mcnemar[0].only_second, 30);
  // Seed 1: 1, 11, 21, ... are all among 1, 6, 11, ...
  EXPECT_EQ(pair.mcnemar[1].only_second, 0);
  EXPECT_TRUE(pair.both_wrong.empty());  // none with every seed
  EXPECT_NEAR(results.variants[0].wilson->low, wilson_interval(270, 300).low, 1e-12);
  EXPECT_NEAR(results.variants[0].calibration->ece, 0.1, 1e-6);
  const auto leads = lead_by_time(set);
  ASSERT_EQ(leads.size(), 2U);
  EXPECT_EQ(leads[0].variant, 1U);
  EXPECT_NEAR(leads[1].from_seconds, 30.0, 1e-12);
}

TEST_F(ReportTest, SaysWhatTheDataCannotSay) {
  write_two_models(1);
  const auto conclusion = [&] {
    write_report({.paths = {folder}, .out = folder / "out", .figures = false});
    return read_file(folder / "out/report.md", "test");
  };
  EXPECT_THAT(conclusion(),
              HasSubstr("Whether the architecture or the seed did it takes more seeds"));
  fs::remove_all(folder / "b0");
  EXPECT_THAT(conclusion(), HasSubstr("There is nothing to compare with: Xception alone"));
  write_fake_run(folder / "a0", {.status = "interrupted"});
  fs::remove(folder / "a0/predictions-best-test.safetensors");
  const auto text = conclusion();
  EXPECT_THAT(text, HasSubstr("No run is complete and tested"));
  EXPECT_THAT(text, HasSubstr("not complete (status interrupted, 3 epochs)"));
}

TEST_F(ReportTest, OneModelIsFasterThanTheOther) {
  write_two_models(3);
  write_report({.paths = {folder}, .out = folder / "out", .figures = false});
  const auto text = read_file(folder / "out/report.md", "test");
  EXPECT_THAT(text, HasSubstr("**Xception is better than Inception V3 in test accuracy, and it is "
                              "more than noise: Xception 90.00 % ± 0.00"));
  EXPECT_THAT(text, HasSubstr("Inception V3 trains 2.00 times as fast as Xception: 100.0 ± 0.0 "
                              "against 50.0 ± 0.0 images/s"));
  EXPECT_THAT(text, HasSubstr("Ahead in validation accuracy after equal training time: Inception "
                              "V3 from 5 s of training, then Xception from 30 s of training."));
  EXPECT_THAT(text, HasSubstr("| Inception V3 (notebook) | 24,371,444 | 85.44 %"));
}

TEST_F(ReportTest, BadRunsAreNoticesNotEnds) {
  write_two_models(2);
  const auto alter = [&](const std::string& name, const std::string& content) {
    std::ofstream(folder / name) << content;
  };
  alter("a0/history.jsonl",
        "{\"epoch\":1,\"train_loss\":0.5,\"val_loss\":null,\"val_acc\":0.2,\"time_per_epochs\":1}\n"
        "{\"epoch\":2,\"train_l");
  alter("a1/predictions-best-test.safetensors", "short");
  alter("b0/environment.json", "{");
  fs::remove(folder / "b1/summary.json");
  fs::create_directories(folder / "empty");
  alter("empty/config.json", "{}");
  const auto set = collect_runs({folder}, "best");
  EXPECT_EQ(set.runs.size(), 4U);
  const auto notices = testing::PrintToString(set.notices);
  for (const auto* words :
       {"a0: history.jsonl: line 2 cannot be read", "a value of epoch 1 is not a number",
        "a1: [core]", "b0: [report]", "b1: summary.json is missing", "empty: left out"}) {
    EXPECT_THAT(notices, HasSubstr(words));
  }
  EXPECT_NO_THROW(write_report({.paths = {folder}, .out = folder / "out", .figures = false}));
}

TEST_F(ReportTest, AnswersOfAnUnfinishedRunDoNotCount) {
  write_fake_run(folder / "a", {});
  write_fake_run(folder / "a", {.status = "interrupted"});  // the answers of before are still there
  const auto set = collect_runs({folder / "a"}, "best");
  EXPECT_FALSE(set.runs[0].answers);
  EXPECT_TRUE(compare_variants(set).variants[0].test_accuracy.empty());
}

TEST_F(ReportTest, NotANumberInPredictions) {
  write_fake_run(folder / "a", {});
  auto tensors = load_safetensors(folder / "a/predictions-best-test.safetensors");
  tensors.at("probabilities")[2][1] = std::nan("");
  save_safetensors(folder / "a/predictions-best-test.safetensors", tensors);
  const auto set = collect_runs({folder / "a"}, "best");
  EXPECT_FALSE(set.runs[0].answers);
  EXPECT_THAT(testing::PrintToString(set.notices), HasSubstr("probabilities of 1 images are not"));
}

TEST_F(ReportTest, SameRunTwiceAndItsCopyCountOnce) {
  write_fake_run(folder / "a", {});
  fs::copy(folder / "a", folder / "copy", fs::copy_options::recursive);
  const auto set = collect_runs({folder / "a", folder / "a/", folder / "copy"}, "best");
  ASSERT_EQ(set.variants.size(), 1U);
  EXPECT_EQ(set.variants[0].runs.size(), 1U);
  EXPECT_THAT(testing::PrintToString(set.notices), HasSubstr("given more than once"));
  EXPECT_THAT(testing::PrintToString(set.notices), HasSubstr("a copy of"));
}

TEST_F(ReportTest, RunsOnOtherDataStandApart) {
  write_two_models(2);
  write_fake_run(folder / "cats", {.activation = "tanh", .checksum = "decaf"});
  write_report({.paths = {folder}, .out = folder / "out"});
  const auto set = collect_runs({folder}, "best");
  ASSERT_EQ(set.variants.size(), 2U);
  ASSERT_EQ(set.other_data.size(), 1U);
  EXPECT_EQ(set.other_data[0].runs[0].name, "cats");
  EXPECT_EQ(compare_variants(set).pairs.size(), 1U);
  const auto text = read_file(folder / "out/report.md", "test");
  const auto conclusion = text.find("1 of 5 runs is on other data than the rest (cats)");
  const auto section = text.find("## Runs on other data");
  EXPECT_LT(conclusion, text.find("## Results"));
  ASSERT_NE(section, std::string::npos);
  EXPECT_THAT(text.substr(0, section), Not(HasSubstr("tanh")));
  EXPECT_THAT(text.substr(section), HasSubstr("SHA-256 decaf"));
  for (const auto& entry : fs::directory_iterator(folder / "out/figures")) {
    const auto svg = read_file(entry.path(), "test");
    EXPECT_THAT(svg, Not(HasSubstr("tanh"))) << entry.path();
  }
}

TEST_F(ReportTest, RunsThatDifferInMuchGoByTheirFolders) {
  const auto settings = [](int i) {
    return Json{{"augment", {{"train", {{{"name", "rotate"}, {"degrees", 10 * i}}}}}},
                {"model", {{"width", 0.1 * i}}},
                {"optimizer", {{"name", i == 1 ? "adam" : "sgd"}, {"momentum", 0.1 * i}}}};
  };
  write_fake_run(folder / "x/laptop", {.more_config = settings(1)});
  write_fake_run(folder / "x/quickstart", {.more_config = settings(2)});
  write_fake_run(folder / "y/laptop", {.more_config = settings(3)});
  write_fake_run(folder / "x/big-seed0", {.more_config = settings(4)});
  write_fake_run(folder / "x/big-seed1",
                 {.seed = 1, .answers = {0, 1, 2, 0, 1, 1}, .more_config = settings(4)});
  write_fake_run(folder / "x/other", {.model = "inception_v3"});
  const auto set = collect_runs({folder / "x", folder / "y"}, "best");
  std::vector<std::string> labels;
  for (const auto& variant : set.variants) labels.push_back(variant.label);
  EXPECT_THAT(labels, ElementsAre("big", "quickstart", "x/laptop", "y/laptop", "other"));
  write_report({.paths = {folder / "x", folder / "y"}, .out = folder / "out", .figures = false});
  const auto text = read_file(folder / "out/report.md", "test");
  EXPECT_THAT(text, HasSubstr("| run | model | parameters |"));
  EXPECT_THAT(text, HasSubstr("| other | Inception V3 | 1,234,567 |"));
  EXPECT_THAT(text, HasSubstr("| quickstart | rotate(degrees=20) |"));
}

TEST_F(ReportTest, NamesTellCloseValuesApart) {
  write_fake_run(folder / "a", {.learning_rate = 0.001});
  write_fake_run(folder / "b", {.learning_rate = 0.0010000001});
  const auto set = collect_runs({folder}, "best");
  EXPECT_EQ(set.variants[0].short_label, "Xception (lr=0.001)");
  EXPECT_EQ(set.variants[1].label, "Xception (lr=0.0010000001)");
  EXPECT_EQ(set.variants[1].short_label, "lr=0.0010000001");
}

TEST_F(ReportTest, ChartsHaveShortNamesThatDiffer) {
  for (int i = 0; i < 40; ++i) {
    write_fake_run(folder / fmt::format("experiment-{:02}-with-a-long-name-{}", i, i % 7),
                   {.learning_rate = 0.001 * i,
                    .more_config = {{"model", {{"width", i}, {"depth", i}, {"dropout", i}}}}});
  }
  for (const auto* end : {"1", "2"}) {
    write_fake_run(folder / (std::string(90, 'x') + end + std::string(90, 'y')),
                   {.more_config = {{"model", {{"width", end}}}}});
  }
  const auto set = collect_runs({folder}, "best");
  std::set<std::string> names;
  for (const auto& variant : set.variants) {
    EXPECT_LE(variant.short_label.size(), 28U) << variant.short_label;  // bytes of 24 columns
    names.insert(variant.short_label);
  }
  EXPECT_EQ(names.size(), 42U);
}

TEST_F(ReportTest, AnyFolderName) {
  int i = 0;
  for (const std::string name :
       {"Gr\xC3\xB6\xC3\x9F"
        "e",
        "<b>&\"it's\"", "a_b^{2}_$HOME", "\xE6\x97\xA5\xE6\x9C\xAC", "bad \xFF byte",
        "tab\tline\nbell\a", "turned \xE2\x80\xAE round"}) {
    ++i;
    write_fake_run(folder / "runs" / name,
                   {.learning_rate = 0.1 * i,
                    .more_config = {{"model", {{"width", i}, {"depth", i}, {"dropout", i}}}}});
  }
  write_report({.paths = {folder / "runs"}, .out = folder / "|touch x"});
  const auto chart = read_file(folder / "|touch x/figures/test-accuracy.svg", "test");
  for (const auto* text : {"Gr\xC3\xB6\xC3\x9F"
                           "e",
                           "&lt;b>&amp;", "a_b^{2}_$HOME", "\xE6\x97\xA5\xE6\x9C\xAC",
                           "bad \xEF\xBF\xBD byte", "tab line bell\xEF\xBF\xBD"}) {
    EXPECT_THAT(chart, HasSubstr(text));
  }
  for (const auto& text : {chart, read_file(folder / "|touch x/report.html", "test"),
                           read_file(folder / "|touch x/report.md", "test")}) {
    for (const auto* bad : {"\xFF", "\a", "\xE2\x80\xAE"}) EXPECT_THAT(text, Not(HasSubstr(bad)));
  }
}

TEST_F(ReportTest, OneEpochIsAPointThatIsSeen) {
  write_fake_run(folder / "runs/a", {.validation_accuracy = {0.5}});
  write_fake_run(folder / "runs/b", {.seed = 1, .validation_accuracy = {0.6}});
  write_report({.paths = {folder / "runs"}, .out = folder / "out", .baseline = "none"});
  const auto svg = read_file(folder / "out/figures/validation-accuracy.svg", "test");
  EXPECT_THAT(svg, HasSubstr("xlink:href='#gpPt"));
  EXPECT_THAT(svg, Not(HasSubstr("<text>0.9")));  // epochs at whole numbers
}

TEST_F(ReportTest, ASweepIsWhatItsFileSays) {
  const auto sweep = folder / "sweep";
  int i = 0;
  for (const auto* name : {"act=elu,seed=0-1", "act=relu,seed=0-2", "act=none,seed=0-3"}) {
    write_fake_run(sweep / "trials" / name, {.activation = fmt::format("a{}", i++)});
  }
  Json json = {{"variants", {"act=elu", "act=none", "act=tanh"}}};
  json["trials"] = {{{"name", "act=elu,seed=0-1"}, {"variant", 0}},
                    {{"name", "act=none,seed=0-3"}, {"variant", 1}},
                    {{"name", "act=tanh,seed=0-4"}, {"variant", 2}}};
  write_json(sweep / "sweep.json", json);
  const auto set = collect_runs({sweep}, "best");
  ASSERT_EQ(set.runs.size(), 2U);
  EXPECT_EQ(set.runs[1].name, "act=none");
  const auto notices = testing::PrintToString(set.notices);
  EXPECT_THAT(notices, HasSubstr("left out: 1 trial that the sweep no longer has"));
  EXPECT_THAT(notices, HasSubstr("1 of 3 trials have not begun"));
  std::ofstream(sweep / "sweep.json") << R"({"trials": [{"name": 3}]})";
  EXPECT_THROW(static_cast<void>(collect_runs({sweep}, "best")), Error);
}

TEST_F(ReportTest, SaysWhatTheDataIs) {
  write_fake_run(folder / "a", {.data_label = "CIFAR-10 layout, not the original files"});
  write_report({.paths = {folder}, .out = folder / "out", .figures = false});
  const auto text = read_file(folder / "out/report.md", "test");
  EXPECT_THAT(text, HasSubstr("Data: CIFAR-10 layout, not the original files (SHA-256 c0ffee"));
  EXPECT_THAT(text, HasSubstr("| data | CIFAR-10 layout, not the original files, train 1000 |"));
}

TEST_F(ReportTest, TwoHundredRuns) {
  for (int i = 0; i < 200; ++i) {
    write_fake_run(folder / std::to_string(i), {.seed = i % 2,
                                                .activation = "act" + std::to_string(i / 2),
                                                .answers = answers_with_errors(60, 3 + i / 2)});
  }
  write_report({.paths = {folder}, .out = folder / "out"});
  std::size_t figures = 0;
  for (const auto& entry : fs::directory_iterator(folder / "out/figures")) {
    figures += entry.path().extension() == ".svg" ? 1 : 0;
  }
  EXPECT_LE(figures, 30U);  // of the best variants only
  EXPECT_THAT(read_file(folder / "out/report.md", "test"), HasSubstr("only pairs with the best"));
}

TEST_F(ReportTest, WrongPathsAreRefused) {
  EXPECT_THROW(static_cast<void>(collect_runs({folder / "nothing"}, "best")), Error);
  EXPECT_THROW(static_cast<void>(collect_runs({folder}, "best")), Error);
  EXPECT_THROW(static_cast<void>(load_baseline("nothing.json")), Error);
}

TEST_F(ReportTest, ChartsTakeAnyText) {
  ChartBook book(folder);
  const std::string text = "it's \"a_b\" `touch x` {/Bold} $1 <b>&\\n %";
  book.add("one", LineChart{.title = text,
                            .x = {.label = text},
                            .y = {.label = text},
                            .series = {{.label = text, .x = {1, 2}, .y = {3, 4}}, {}}});
  book.add("two", IntervalChart{.title = text,
                                .x = {.label = text},
                                .rows = {{.label = text, .value = 1, .low = 0, .high = 2}}});
  book.add("three", HeatMap{.title = text,
                            .row_axis = "r",
                            .column_axis = "c",
                            .labels = {"a_b", "`touch x`"},
                            .shares = {{1, 0}, {0.5, 0.5}}});
  book.add("nothing", LineChart{});
  book.draw();
  for (const auto* name : {"one", "two", "three"}) {
    const auto svg = read_file(folder / (std::string(name) + ".svg"), "test");
    EXPECT_THAT(svg, HasSubstr("a_b")) << name;
    EXPECT_THAT(svg, HasSubstr("`touch x`")) << name;
    EXPECT_THAT(svg, Not(HasSubstr("<b>"))) << name;
  }
  EXPECT_TRUE(fs::exists(folder / "nothing.svg"));
}

TEST_F(ReportTest, TheLegendKeepsClearOfTheAxis) {
  ChartBook book(folder);
  LineChart chart{.title = "title", .x = {.label = "epoch"}};
  for (int i = 0; i < 8; ++i) {
    chart.series.push_back(
        {.label = fmt::format("{:W>24}", i), .x = {1, 2}, .y = {1.0 * i, 2.0 * i}, .style = i});
  }
  book.add("chart", chart);
  book.add("rows", IntervalChart{.title = "title",
                                 .x = {.label = "share"},
                                 .rows = {{.label = std::string(24, 'W'), .value = 1}}});
  book.draw();
  const auto svg = read_file(folder / "chart.svg", "test");
  const auto axis = place_of(svg, "epoch");
  auto before = axis.second;
  for (const auto& series : chart.series) {
    const auto [x, y] = place_of(svg, series.label);
    EXPECT_GE(y, before + 15) << series.label;  // below what is above it
    before = y;
  }
  const auto rows = read_file(folder / "rows.svg", "test");
  const auto [end_of_label, y] = place_of(rows, std::string(24, 'W'));
  EXPECT_GT(end_of_label, 24 * 12.0);  // its start is in the picture
  EXPECT_LT(end_of_label, 400.0);      // and so is the plot
}

TEST_F(ReportTest, ChartsDependOnNoneOfTheUsersFiles) {
  const auto drawn = [&] {
    ChartBook book(folder);
    book.add("chart",
             LineChart{.title = "t", .series = {{.label = "s", .x = {1, 2.5}, .y = {0.5, 1.5}}}});
    book.draw();
    return read_file(folder / "chart.svg", "test");
  };
  const auto expected = drawn();
  const auto hostile = folder / "home";
  fs::create_directories(hostile / "gnuplot");
  for (const auto* name : {".gnuplot", "gnuplot/gnuplotrc"}) {
    std::ofstream(hostile / name) << "set decimalsign ','\nset datafile separator ','\n"
                                     "set term dumb\nset size 0.1\nprint 'hello'\n";
  }
  const Variable home("HOME", hostile.string());
  const Variable settings("XDG_CONFIG_HOME", hostile.string());
  const Variable terminal("GNUTERM", "dumb");
  const Variable library("GNUPLOT_LIB", hostile.string());
  const Variable numbers("LC_NUMERIC", "de_DE.UTF-8");
  EXPECT_EQ(drawn(), expected);
}

TEST_F(ReportTest, DocumentsEscapeText) {
  std::ofstream(folder / "x.svg") << "<svg/>";
  const Document document{
      .title = "<script>",
      .blocks = {Paragraph{.text = "a < b & c_d | \"e\""},
                 Table{.header = {"h|1", "2"}, .rows = {{"x|y", "<i>"}}, .gray_rows = 1},
                 FigureRow{{{.file = "x.svg", .text = "alt \" text"}}}}};
  const auto html = to_html(document, folder);
  EXPECT_THAT(html, HasSubstr("<title>&lt;script&gt;</title>"));
  EXPECT_THAT(html, HasSubstr("a &lt; b &amp; c_d | &quot;e&quot;"));
  EXPECT_THAT(html, HasSubstr("data:image/svg+xml;base64,PHN2Zy8+\""));
  EXPECT_THAT(html,
              HasSubstr("<tr class=\"gray\"><td class=\"text\">x|y</td><td>&lt;i&gt;</td></tr>"));
  const auto markdown = to_markdown(document);
  EXPECT_THAT(markdown, HasSubstr("| h\\|1 | 2 |\n|---|---:|\n| x\\|y | &lt;i> |"));
  EXPECT_THAT(markdown, HasSubstr("![alt \" text](figures/x.svg)"));
}

TEST(Baseline, IsTheNotebooks) {
  const auto baseline = load_baseline("notebook");
  ASSERT_EQ(baseline.entries.size(), 4U);
  EXPECT_EQ(baseline.entries[0].parameters, 24'371'444);
  double seconds = 0.0;
  for (const auto& point : baseline.entries[1].history) seconds += point.train_seconds;
  EXPECT_NEAR(seconds, *baseline.entries[1].train_seconds, 0.005);
  EXPECT_TRUE(load_baseline("none").entries.empty());
}

}  // namespace
}  // namespace xception
