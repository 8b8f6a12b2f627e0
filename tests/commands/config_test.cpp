// Configs, good and bad, as the program takes them.
#include <gmock/gmock.h>

#include "commands/command_testing.h"
#include "xception/core/files.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

using testing::HasSubstr;

class ConfigCommandTest : public CommandTest {
 protected:
  static ProcessResult override_with(const std::string& text) {
    return run_xception({"config", text});
  }
  ProcessResult with_file(std::string_view content) const {
    return run_xception({"config", "--config", write("bad.json", content).string()});
  }
};

TEST_F(ConfigCommandTest, OutputReadBackIsTheSame) {
  const auto first =
      run_xception({"config", "optimizer.lr=3.1e-5", "train.epochs=7", "augment.std=[0.3,0.25,0.1]",
                    "model.name=inception_v3", R"(augment.train=[{"name":"resize","size":299}])"});
  ASSERT_TRUE(succeeds(first));
  const auto file = write("saved.json", first.out).string();
  const auto second = run_xception({"config", "--config", file});
  ASSERT_TRUE(succeeds(second));
  EXPECT_EQ(second.out, first.out);
  const auto json = nlohmann::json::parse(first.out);
  EXPECT_EQ(json["optimizer"]["lr"], 3.1e-5);
  EXPECT_EQ(json["train"]["epochs"], 7);
  EXPECT_EQ(json["model"]["aux_weight"], 0.4);
  // What follows overrides the file.
  const auto third = run_xception({"config", "--config", file, "train.epochs=8"});
  EXPECT_EQ(nlohmann::json::parse(third.out)["train"]["epochs"], 8);
}

TEST_F(ConfigCommandTest, EveryConfigOfTheProjectIsGood) {
  const std::filesystem::path source = environment_variable("XCEPTION_SOURCE_DIR");
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source / "configs")) {
    if (entry.path().extension() != ".json") continue;
    const auto folder_name = entry.path().parent_path().filename();
    if (folder_name == "sweeps" || folder_name == "baselines") continue;  // other tests read them
    ++count;
    EXPECT_TRUE(succeeds(run_xception({"config", "--config", entry.path().string()})))
        << entry.path();
  }
  EXPECT_GT(count, 3);
}

TEST_F(ConfigCommandTest, RecipesComeWithTheProgram) {
  const std::filesystem::path source = environment_variable("XCEPTION_SOURCE_DIR");
  const auto list = run_xception({"recipes"});
  ASSERT_TRUE(succeeds(list));
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source / "configs/recipes")) {
    if (entry.path().extension() != ".json") continue;
    ++count;
    const auto name = entry.path().stem().string();
    EXPECT_THAT(list.out, HasSubstr("\n" + name + " "));
    // The file as it is, and the same config by both ways.
    EXPECT_EQ(run_xception({"recipes", name}).out, read_file(entry.path(), "test"));
    EXPECT_EQ(run_xception({"config", "--recipe", name, "seed=3"}).out,
              run_xception({"config", "--config", entry.path().string(), "seed=3"}).out);
  }
  const auto json = nlohmann::json::parse(run_xception({"recipes", "--json"}).out);
  EXPECT_EQ(json.size(), count);
  EXPECT_TRUE(fails(run_xception({"recipes", "finetun"}), 2, {"unknown recipe", "finetune?"}));
  EXPECT_TRUE(fails(run_xception({"config", "--recipe", "finetune", "--config", "a.json"}), 2,
                    {"--recipe", "--config"}));
}

TEST_F(ConfigCommandTest, SchemaListsEveryKey) {
  const auto schema = run_xception({"config", "--schema"});
  ASSERT_TRUE(succeeds(schema));
  const auto config = nlohmann::json::parse(run_xception({"config"}).out);
  for (const auto& [section, keys] : config.items()) {
    if (!keys.is_object()) {
      EXPECT_THAT(schema.out, HasSubstr("\n" + section + " "));
      continue;
    }
    for (const auto& key : keys_of(keys)) {
      EXPECT_THAT("\n" + schema.out, HasSubstr("\n" + section + "." + key + " "));
    }
  }
}

TEST_F(ConfigCommandTest, UnknownKeyNamesTheNearest) {
  EXPECT_TRUE(fails(override_with("train.epoch=3"), 2, {"train.epoch:", "mean train.epochs?"}));
  EXPECT_TRUE(fails(override_with("epochs=3"), 2, {"epochs:", "did you mean train.epochs?"}));
  EXPECT_TRUE(fails(override_with("train.lr=3"), 2, {"train.lr:", "did you mean optimizer.lr?"}));
  EXPECT_TRUE(fails(override_with("name=adam"), 2, {"model.name or optimizer.name"}));
  EXPECT_TRUE(fails(override_with("xyzzy=adam"), 2, {"xyzzy:", "config --schema"}));
  EXPECT_TRUE(fails(override_with("trian.epochs=3"), 2, {"trian:", "did you mean train?"}));
  EXPECT_TRUE(fails(with_file(R"({"model": {"widht": 1}})"), 2,
                    {"bad.json: model.widht", "did you mean model.width?"}));
}

TEST_F(ConfigCommandTest, WrongType) {
  EXPECT_TRUE(fails(override_with("train.epochs=many"), 2,
                    {"train.epochs", "found \"many\"", "expected an integer, 1 <= x"}));
  EXPECT_TRUE(fails(override_with("train.epochs=1.5"), 2, {"found 1.5", "an integer"}));
  EXPECT_TRUE(fails(override_with("train.channels_last=1"), 2, {"found 1", "true or false"}));
  EXPECT_TRUE(fails(override_with("augment.std=[1,2]"), 2, {"[1,2]", "a list of 3 numbers"}));
  EXPECT_TRUE(fails(override_with("train=3"), 2, {"train: found 3", "an object"}));
  EXPECT_TRUE(fails(with_file("[1]"), 2, {"bad.json: found [1]", "an object"}));
}

TEST_F(ConfigCommandTest, OutOfRange) {
  EXPECT_TRUE(fails(override_with("train.epochs=0"), 2, {"train.epochs: found 0", "1 <= x"}));
  EXPECT_TRUE(fails(override_with("optimizer.lr=-1"), 2, {"optimizer.lr: found -1", "> 0"}));
  EXPECT_TRUE(fails(override_with("model.dropout=1"), 2, {"model.dropout", "0 <= x < 1"}));
  EXPECT_TRUE(fails(override_with("train.precision=fp8"), 2, {"fp8", "fp32, fp16, bf16, fp64"}));
  EXPECT_TRUE(fails(override_with("optimizer.lr=1e999"), 2, {"optimizer.lr", "1e999"}));
}

TEST_F(ConfigCommandTest, SettingsThatCannotBeMeantTogether) {
  const auto refused = [](const Arguments& overrides, const std::vector<std::string>& words) {
    Arguments arguments = {"config"};
    arguments.insert(arguments.end(), overrides.begin(), overrides.end());
    EXPECT_TRUE(fails(run_xception(arguments), 2, words));
  };
  refused({"schedule.min_lr=1"}, {"schedule.min_lr: found 1", "optimizer.lr is 0.001"});
  refused({"schedule.warmup_epochs=100", "train.epochs=1"}, {"warmup_epochs: found 100", "epochs"});
  refused({"train.stop_after_epoch=5", "train.epochs=3"}, {"stop_after_epoch: found 5", "is 3"});
  refused({"train.accumulate=64", "train.batch_size=32"}, {"accumulate: found 64", "is 32"});
  refused({"optimizer.name=adamw", "optimizer.weight_decay=2000"}, {"weight_decay: found 2000"});
  refused({"optimizer.eps=0"}, {"optimizer.eps: found 0", "out of range"});
  refused({"parallel.heartbeat=0.001"}, {"parallel.heartbeat: found 0.001"});
}

TEST_F(ConfigCommandTest, MalformedJson) {
  EXPECT_TRUE(fails(with_file("{\n  \"train\": {\"epochs\": 3,}\n}"), 2,
                    {"bad.json", "line 2, column 25"}));
  EXPECT_TRUE(fails(with_file(""), 2, {"bad.json", "line 1, column 1"}));
  EXPECT_TRUE(fails(override_with("augment.train=[{]"), 2, {"augment.train", "column 3"}));
}

TEST_F(ConfigCommandTest, DeepJson) {
  std::string deep;
  for (int i = 0; i < 20'000; ++i) deep += "{\"a\":";
  EXPECT_TRUE(fails(with_file(deep), 2, {"bad.json", "more than 100 deep"}));
  EXPECT_TRUE(fails(override_with("model=" + deep), 2, {"model", "more than 100 deep"}));
  EXPECT_TRUE(fails(override_with("model=\n" + std::string(20'000, '[')), 2, {"100 deep"}));
  const auto file = write("deep.json", deep).string();
  EXPECT_TRUE(fails(run_xception({"sweep", file}), 2, {"deep.json", "more than 100 deep"}));
}

TEST_F(ConfigCommandTest, KeyGivenTwice) {
  EXPECT_TRUE(fails(override_with(R"(model={"width":1,"width":2})"), 2, {"\"width\"", "twice"}));
  EXPECT_TRUE(fails(with_file(R"({"train": {"epochs": 3, "epochs": 4}})"), 2,
                    {"bad.json", "\"epochs\"", "twice"}));
}

TEST_F(ConfigCommandTest, KeyGivenTwiceOnTheCommandLine) {
  for (const auto& command : {"config", "train", "models"}) {
    EXPECT_TRUE(fails(run_xception({command, "train.epochs=1", "seed=2", "train.epochs=2"}), 2,
                      {"train.epochs is given twice", "train.epochs=1", "train.epochs=2"}));
  }
  EXPECT_TRUE(fails(run_xception({"config", "model.width=1", R"(model={"width":2})"}), 2,
                    {"model.width is given twice"}));
  EXPECT_TRUE(succeeds(run_xception({"config", "seed=1", "seed=1", R"(model={"width":2})"})));
  EXPECT_TRUE(fails(run_xception({"train", "--out", "a", "--out", "b"}), 2,
                    {"--out is given more than once; keep one"}));
}

TEST_F(ConfigCommandTest, NoSuchFile) {
  EXPECT_TRUE(fails(run_xception({"config", "--config", "none.json"}), 2,
                    {"none.json: no such file", "check"}));
  EXPECT_TRUE(fails(run_xception({"config", "--config", folder.string()}), 2,
                    {folder.string(), "is a directory, expected a file"}));
}

TEST_F(ConfigCommandTest, OverrideWithoutEqualsSign) {
  EXPECT_TRUE(fails(override_with("train.epochs"), 2, {"train.epochs", "expected key=value"}));
  EXPECT_TRUE(fails(override_with("=3"), 2, {"=3", "expected key=value"}));
}

TEST_F(ConfigCommandTest, UnknownModel) {
  EXPECT_TRUE(fails(override_with("model.name=xcepton"), 2,
                    {"model.name", "xcepton", "inception_v3", "did you mean \"xception\"?"}));
  EXPECT_TRUE(fails(override_with("model.variant=papr"), 2,
                    {"model.variant", "papr", "did you mean \"paper\"?"}));
}

TEST_F(ConfigCommandTest, OptionThatTheModelDoesNotHave) {
  EXPECT_TRUE(fails(run_xception({"config", "model.name=inception_v3", "model.width=0.5"}), 2,
                    {"model.width", "inception_v3", "num_classes, dropout"}));
  EXPECT_TRUE(fails(override_with("model.aux_weight=0.4"), 2, {"model.aux_weight", "xception"}));
}

TEST_F(ConfigCommandTest, AnotherModelThanTheFilesLeavesOutWhatOnlyTheFilesReads) {
  const auto file = write("a.json", R"({"model": {"name": "xception", "variant": "notebook",
      "width": 0.25, "stem": "small", "dropout": 0.3}, "data": {"image_size": 32}})")
                        .string();
  const auto other = run_xception({"config", "--config", file, "model.name=resnet18"});
  ASSERT_EQ(other.exit_code, 0) << other.err;
  EXPECT_THAT(other.err, HasSubstr("a.json is for xception: model.variant, model.width left out, "
                                   "which resnet18 doesn't read"));
  const auto model = nlohmann::json::parse(other.out)["model"];
  EXPECT_EQ(model["variant"], "torchvision");
  EXPECT_EQ(model["width"], 1.0);
  EXPECT_EQ(model["stem"], "small");
  EXPECT_EQ(model["dropout"], 0.3);
  const Arguments asked = {"config", "--config", file, "model.name=resnet18", "model.width=0.25"};
  EXPECT_TRUE(fails(run_xception(asked), 2, {"model.width", "resnet18", "num_classes, dropout"}));
}

TEST_F(ConfigCommandTest, ImageBelowTheMinimum) {
  EXPECT_TRUE(fails(override_with("data.image_size=70"), 2,
                    {"data.image_size", "70", "xception needs at least 71"}));
  EXPECT_TRUE(fails(run_xception({"config", "model.name=inception_v3", "data.image_size=74"}), 2,
                    {"data.image_size", "74", "inception_v3 needs at least 75"}));
  EXPECT_TRUE(succeeds(override_with("data.image_size=71")));
}

TEST_F(ConfigCommandTest, AuxiliaryHeadBelowItsMinimum) {
  const Arguments small = {"config", "model.name=inception_v3", "data.image_size=298"};
  auto weighted = small;
  weighted.emplace_back("model.aux_weight=0.3");
  EXPECT_TRUE(fails(run_xception(weighted), 2,
                    {"model.aux_weight", "0.3", "299", "298", "set model.aux_weight=0"}));
  const auto resolved = run_xception(small);
  ASSERT_TRUE(succeeds(resolved));
  EXPECT_EQ(nlohmann::json::parse(resolved.out)["model"]["aux_weight"], 0.0);
}

TEST_F(ConfigCommandTest, UnknownTransform) {
  const auto train = [&](const std::string& transforms) {
    return run_xception(train_arguments(folder / "run", {"augment.train=" + transforms}));
  };
  EXPECT_TRUE(fails(train(R"([{"name":"rotat"}])"), 2,
                    {"augment.train[0]", "rotat", "resize, center_crop"}));
  EXPECT_TRUE(fails(train(R"([{"name":"resize","sise":3}])"), 2,
                    {"augment.train[0]", "resize.sise", "resize.size"}));
  EXPECT_TRUE(fails(train(R"([{"nam":"resize"}])"), 2, {"augment.train", "\"name\""}));
  EXPECT_TRUE(fails(train("[]"), 2, {"augment.train", "32 x 32", "71 x 71", "center_crop"}));
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST_F(ConfigCommandTest, OutputThatCannotBeWritten) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const std::string command = "'" + environment_variable("XCEPTION_BINARY") + "' config >/dev/full";
  const auto result = Process({"/bin/sh", "-c", command}).wait();
  EXPECT_TRUE(fails(result, 1, {"standard output", "No space left"}));
}

}  // namespace
}  // namespace xception
