// xception models and xception doctor.
#include <gmock/gmock.h>

#include "commands/command_testing.h"

namespace xception {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;

TEST(ModelsCommand, JsonHasEveryModelWithItsCost) {
  const auto result = run_xception({"models", "--json"});
  ASSERT_TRUE(succeeds(result));
  const auto models = nlohmann::json::parse(result.out);
  std::vector<std::string> names;
  for (const auto& model : models) {
    EXPECT_THAT(keys_of(model), ElementsAre("activations", "image_size", "multiply_adds", "name",
                                            "num_classes", "parameters", "variant"));
    names.push_back(model["name"].get<std::string>());
  }
  EXPECT_THAT(names, IsSupersetOf({"xception", "inception_v3", "googlenet", "resnet18", "resnet34",
                                   "resnet50", "resnet101", "resnet152", "resnet9", "vgg16",
                                   "vgg16_bn", "alexnet"}));
}

TEST(ModelsCommand, OverridesDescribeOneModel) {
  const auto result = run_xception({"models", "--json", "model.num_classes=1000"});
  ASSERT_TRUE(succeeds(result));
  const auto models = nlohmann::json::parse(result.out);
  ASSERT_EQ(models.size(), 1U);
  EXPECT_EQ(models[0]["parameters"], 22855952);  // the paper's network: Keras counts the same
  EXPECT_EQ(models[0]["image_size"], 299);
  EXPECT_TRUE(fails(run_xception({"models", "model.nam=x"}), 2, {"did you mean model.name?"}));
}

TEST(ModelsCommand, TableNamesEveryModel) {
  const auto result = run_xception({"models"});
  ASSERT_TRUE(succeeds(result));
  EXPECT_THAT(result.out, HasSubstr("xception"));
  EXPECT_THAT(result.out, HasSubstr("inception_v3"));
}

TEST(DoctorCommand, JsonSaysWhatWorks) {
  const auto result = run_xception({"doctor", "--json"});
  ASSERT_TRUE(succeeds(result));
  const auto report = nlohmann::json::parse(result.out);
  ASSERT_FALSE(report["checks"].empty());
  EXPECT_EQ(report["checks"][0]["device"], "cpu");
  EXPECT_EQ(report["checks"][0]["step"]["fp32"], "");
  EXPECT_TRUE(report["advice"].is_array());
}

}  // namespace
}  // namespace xception
