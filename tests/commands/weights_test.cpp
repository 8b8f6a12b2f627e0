// xception weights: info, diff, convert.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "commands/command_testing.h"
#include "xception/core/safetensors.h"

namespace xception {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class WeightsCommand : public CommandTest {
 protected:
  /// A file of tensors; returns its path.
  std::string save(const std::string& name, const TensorMap& tensors,
                   const TextMap& metadata = {}) const {
    (void)save_safetensors(folder / name, tensors, metadata);
    return (folder / name).string();
  }
};

TEST_F(WeightsCommand, InfoTellsTensorsAndModel) {
  const auto file =
      save("a", {{"x", at::zeros({2, 3})}, {"y", at::zeros({}, at::kLong)}}, {{"license", "free"}});
  const auto result = run_xception({"weights", "info", file});
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, AllOf(HasSubstr("(2, 3)"), HasSubstr("Long"), HasSubstr("safetensors"),
                                HasSubstr("license: free"), HasSubstr("fits none")));
  const auto json = run_xception({"weights", "info", file, "--json"});
  ASSERT_TRUE(succeeds(json));
  const auto info = nlohmann::json::parse(json.out);
  EXPECT_EQ(info["values"], 7);
  EXPECT_EQ(info["bytes"], 32);
  EXPECT_EQ(info["tensors"][0]["shape"], nlohmann::json({2, 3}));
  EXPECT_TRUE(info["model"].is_null());
}

TEST_F(WeightsCommand, ARunsWeightsFitItsModel) {
  const auto run = complete_run().string();
  const auto result = run_xception({"weights", "info", run, "--json"});
  ASSERT_TRUE(succeeds(result));
  const auto model = nlohmann::json::parse(result.out)["model"];
  EXPECT_EQ(model["fits"], true);
  EXPECT_EQ(model["settings"]["model.name"], "xception");
  const auto out = (folder / "out.safetensors").string();
  EXPECT_TRUE(succeeds(run_xception({"weights", "convert", run, out})));
  EXPECT_TRUE(succeeds(run_xception({"weights", "diff", run, out})));
  EXPECT_TRUE(fails(run_xception({"weights", "convert", run, out}), 2, {out, "--overwrite"}));
  EXPECT_TRUE(succeeds(run_xception({"weights", "convert", run, out, "--overwrite"})));
}

TEST_F(WeightsCommand, DiffTellsTheLargestDifference) {
  auto other = at::ones({3});
  other[1] = 1.5;
  other[2] = 0.75;
  const auto a = save("a", {{"same", at::ones({2})},
                            {"less", at::ones({3})},
                            {"left", at::ones({1})},
                            {"shape", at::ones({2, 2})},
                            {"none", at::full({2}, std::numeric_limits<float>::quiet_NaN())}});
  const auto b = save("b", {{"same", at::ones({2})},
                            {"less", other},
                            {"right", at::ones({1})},
                            {"shape", at::ones({4})},
                            {"none", at::full({2}, std::numeric_limits<float>::quiet_NaN())}});
  EXPECT_TRUE(succeeds(run_xception({"weights", "diff", a, a})));
  const auto result = run_xception({"weights", "diff", a, b, "--json"});
  EXPECT_EQ(result.exit_code, 1);
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["equal"], 2);
  EXPECT_EQ(keys_of(json["different"]),
            (std::vector<std::string>{"left", "less", "right", "shape"}));
  EXPECT_EQ(json["different"]["less"]["largest"], 0.5);
  EXPECT_EQ(json["different"]["less"]["values"], 2);
  EXPECT_EQ(json["different"]["left"]["only_in"], a);
  EXPECT_EQ(json["different"]["shape"]["shapes"], nlohmann::json({{2, 2}, {4}}));
  const auto text = run_xception({"weights", "diff", a, b});
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.out,
              AllOf(HasSubstr("largest difference 0.5, in 2 values"), HasSubstr("only in " + b),
                    HasSubstr("2 tensors are equal, 4 differ")));
}

TEST_F(WeightsCommand, UnreadableIsTwo) {
  const auto good = save("a", {{"x", at::ones({2})}});
  const auto bad = write("b", "no weights").string();
  EXPECT_TRUE(fails(run_xception({"weights", "diff", good, bad}), 2, {bad, "no format"}));
  EXPECT_TRUE(fails(run_xception({"weights", "diff", bad, good}), 2, {bad}));
  EXPECT_TRUE(fails(run_xception({"weights", "info", (folder / "none").string()}), 2,
                    {"none", "no such file"}));
  EXPECT_TRUE(fails(run_xception({"weights", "convert", bad, (folder / "c").string()}), 2, {bad}));
  EXPECT_FALSE(std::filesystem::exists(folder / "c"));
}

}  // namespace
}  // namespace xception
