// From a run to files of weights, and from these to predictions and to another training.
#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "commands/command_testing.h"
#include "xception/core/safetensors.h"
#include "xception/data/image_io.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

RgbImage noise(unsigned seed) {
  RgbImage image{40, 40, {}};
  for (int i = 0; i < 40 * 40 * 3; ++i) {
    seed = seed * 1664525 + 1013904223;
    image.pixels.push_back(static_cast<std::uint8_t>(seed >> 24));
  }
  return image;
}

class Finetune : public CommandTest {
 protected:
  /// Pictures in two folders with the names of classes, and one beside them.
  fs::path pictures() const {
    const auto root = folder / "photos";
    unsigned seed = 0;
    for (const auto* name : {"square/1.png", "square/2.png", "cross/1.png", "3.png"}) {
      write(fs::path("photos") / name, encode_png(noise(++seed)));
    }
    return root;
  }
  ProcessResult predict(const Arguments& more) const {
    Arguments arguments = {"predict", "--device", "cpu", pictures().string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_xception(arguments);
  }
  std::string exported(const std::string& name, const Arguments& more = {}) const {
    const auto file = (folder / name).string();
    Arguments arguments = {"export", "--run", complete_run().string(), "--out", file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_TRUE(succeeds(run_xception(arguments)));
    return file;
  }
};

TEST_F(Finetune, AFileOfWeightsPredictsAsItsRunDoes) {
  const auto of_run = predict({"--run", complete_run().string()});
  EXPECT_TRUE(succeeds(of_run));
  EXPECT_THAT(of_run.out, HasSubstr(" of 3 pictures in folders with the names of classes"));
  const auto file = exported("a.safetensors");
  EXPECT_EQ(predict({"--weights", file}).out, of_run.out);
  // Each checkpoint is such a file.
  const auto checkpoint = complete_run() / "checkpoints/best/model.safetensors";
  EXPECT_EQ(predict({"--weights", checkpoint.string()}).out, of_run.out);
  EXPECT_TRUE(succeeds(run_xception({"weights", "diff", file, complete_run().string()})));
  EXPECT_TRUE(
      succeeds(run_xception({"weights", "diff", exported("a.pt"), complete_run().string()})));
}

TEST_F(Finetune, AnswersComeInFourForms) {
  const auto run = complete_run().string();
  const auto array = nlohmann::json::parse(predict({"--run", run, "--json"}).out);
  write("photos/bad.png", "no picture");
  const auto lines = predict({"--run", run, "--jsonl", "--batch-size", "3"});
  EXPECT_EQ(lines.exit_code, 1);
  std::istringstream text(lines.out);
  std::vector<nlohmann::json> objects;
  for (std::string line; std::getline(text, line);) {
    objects.push_back(nlohmann::json::parse(line));
  }
  ASSERT_EQ(objects.size(), 5U);
  EXPECT_EQ(objects[0], array[0]);
  EXPECT_TRUE(objects[1].contains("error"));  // bad.png comes after 3.png
  const auto csv = predict({"--run", run, "--csv", "--top-k", "2"});
  EXPECT_EQ(std::count(csv.out.begin(), csv.out.end(), '\n'), 10);
  EXPECT_TRUE(csv.out.starts_with("image,rank,class,label,probability,error\n"));
  const auto second = array[0].at("top")[1];
  EXPECT_THAT(csv.out, HasSubstr(array[0].at("image").get<std::string>() + ",2," +
                                 second.at("class").dump() + "," +
                                 second.at("label").get<std::string>() + ","));
  // Quoted, since it has commas.
  EXPECT_THAT(csv.out, HasSubstr("bad.png,,,,,\"[data] "));
  EXPECT_TRUE(fails(predict({"--run", run, "--json", "--csv"}), 2, {"--csv", "--json"}));
}

TEST_F(Finetune, LabelsNameTheClasses) {
  const auto run = complete_run().string();
  write("ten.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  write("two.json", R"(["a", "b"])");
  const auto named = predict({"--run", run, "--labels", (folder / "ten.txt").string()});
  EXPECT_TRUE(succeeds(named));
  EXPECT_THAT(named.out, testing::ContainsRegex("3.png: [a-j] "));
  const auto two = (folder / "two.json").string();
  EXPECT_TRUE(fails(predict({"--run", run, "--labels", two}), 2, {two, "2 names", "10 classes"}));
  EXPECT_TRUE(fails(predict({}), 2, {"--run DIR", "--weights FILE"}));
}

TEST_F(Finetune, ExportsAreRefusedThatMeanNothing) {
  const auto run = complete_run().string();
  const auto file = exported("a.pth");
  EXPECT_TRUE(
      fails(run_xception({"export", "--run", run, "--out", file}), 2, {file, "--overwrite"}));
  exported("a.pth", {"--overwrite"});
  EXPECT_TRUE(fails(run_xception({"export", "--run", run, "--out", "x.h5"}), 2, {"x.h5", ".onnx"}));
  EXPECT_TRUE(fails(run_xception({"export", "--out", "x.pt"}), 2, {"--run", "--weights"}));
  EXPECT_TRUE(fails(run_xception({"export", "--run", run, "--out", "x.pt", "--fold-batch-norm"}), 2,
                    {"--fold-batch-norm", "onnx"}));
}

TEST_F(Finetune, TrainingBeginsWithOtherWeightsAndKeepsWhatIsFrozen) {
  const auto file = exported("a.safetensors");
  const auto out = folder / "tuned";
  const auto arguments =
      train_arguments(out, {"train.epochs=1", "--init", file, "train.class_weights=balanced",
                            R"(train.freeze=["conv*","bn*","block*"])",
                            R"(optimizer.groups=[{"name":"fc.bias","lr_factor":0}])"});
  const auto result = run_xception(arguments);
  EXPECT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("a.safetensors"));
  const auto before = load_safetensors(file);
  for (const auto& [name, tensor] : load_safetensors(out / "checkpoints/last/model.safetensors")) {
    EXPECT_EQ(at::equal(tensor, before.at(name)), name != "fc.weight") << name;
  }
  // What it began with is needed no more.
  fs::remove(file);
  auto more = with_overrides(arguments, {"train.epochs=2"});
  more.emplace_back("--resume");
  EXPECT_TRUE(succeeds(run_xception(more)));
  EXPECT_EQ(json_of(out / "summary.json").at("status"), "complete");
}

TEST_F(Finetune, ADamagedRunIsNotBegunWith) {
  const auto run = copied_run();
  flip_bit(run / "checkpoints/best/model.safetensors");
  const auto out = folder / "tuned";
  EXPECT_TRUE(fails(run_xception(train_arguments(out, {"--init", run.string()})), 2,
                    {"model.safetensors", "SHA-256"}));
  EXPECT_TRUE(fails(run_xception({"weights", "diff", run.string(), run.string()}), 2, {"SHA-256"}));
}

TEST_F(Finetune, WeightsThatDontFitAreRefusedBeforeTheFirstStep) {
  const auto file = exported("a.safetensors");
  const auto out = folder / "tuned";
  const auto other =
      run_xception(with_overrides(train_arguments(out, {"--init", file}), {"model.width=0.25"}));
  EXPECT_TRUE(fails(other, 2, {file, "tensor"}));
  const auto missing = train_arguments(out, {"--init", (folder / "none.pt").string()});
  EXPECT_TRUE(fails(run_xception(missing), 2, {"none.pt"}));
  EXPECT_FALSE(fs::exists(out / "summary.json"));
}

}  // namespace
}  // namespace xception
