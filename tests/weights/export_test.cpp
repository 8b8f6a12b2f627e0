// What is exported, read by the programs it is for.
#include "xception/weights/export.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <utility>

#include "support/python.h"
#include "support/temporary_folder.h"
#include "xception/models/registry.h"

namespace xception {
namespace {

/// A network with BatchNorm statistics that matter, in evaluation mode.
std::shared_ptr<Classifier> random_model(const std::string& name, const std::string& activation) {
  ModelConfig config{};
  config.name = name;
  config.num_classes = 1000;
  config.dropout = 0.0;
  for (auto& key : config.keys()) {
    if (key.name == "intermediate_activation") (void)assign(key, activation);
  }
  torch::manual_seed(7);
  auto model = build_model(config);
  const torch::NoGradGuard no_grad;
  for (auto& item : model->named_buffers()) {
    if (item.key().ends_with("running_mean")) item.value().normal_(0.0, 0.1);
    if (item.key().ends_with("running_var")) item.value().uniform_(0.5, 1.5);
  }
  for (auto& parameter : model->parameters()) parameter.set_requires_grad(false);
  model->eval();
  return model;
}

double largest_difference(const torch::Tensor& one, const torch::Tensor& other) {
  return ((one - other).abs().max() / other.abs().max()).item<double>();
}

void expect_same_logits(Classifier& model, const TensorMap& results, const std::string& what) {
  const torch::NoGradGuard no_grad;
  const auto expected = model.forward(results.at("images")).logits;
  const auto difference = largest_difference(results.at("logits"), expected);
  std::printf("%s: largest difference of the logits, relative to the largest: %.1e\n", what.c_str(),
              difference);
  EXPECT_LT(difference, 1e-4) << what;
  EXPECT_LT(largest_difference(results.at("single"), expected.narrow(0, 0, 1)), 1e-4) << what;
}

struct ExportCase {
  std::string model, peer, images;
};

class Export : public testing::TestWithParam<ExportCase> {
 protected:
  TensorMap read(const std::string& file) const {
    return run_python("check_export.py", (folder.path / file).string() + " " + GetParam().peer +
                                             " images=" + GetParam().images + " classes=1000");
  }
  TemporaryFolder folder;
};

TEST_P(Export, PyTorchLoadsItWithoutExecutingAnything) {
  const auto model = random_model(GetParam().model, "none");
  write_pytorch(folder.path / "a.pt", *model);
  expect_same_logits(*model, read("a.pt"), GetParam().peer + ", torch.load");
}

TEST_P(Export, SafetensorsFillThePeersNetwork) {
  const auto model = random_model(GetParam().model, "none");
  TensorMap tensors;
  for (const auto& item : model->named_parameters()) tensors[item.key()] = item.value();
  for (const auto& item : model->named_buffers()) tensors[item.key()] = item.value();
  save_safetensors(folder.path / "a.safetensors", tensors, {{"format", "pt"}});
  expect_same_logits(*model, read("a.safetensors"), GetParam().peer + ", safetensors");
}

TEST_P(Export, OnnxRuntimeComputesTheSame) {
  if (!can_write_onnx()) GTEST_SKIP() << "a build without ONNX";
  const auto model = random_model(GetParam().model, "none");
  for (const bool fold : {false, true}) {
    write_onnx(folder.path / "a.onnx", *model,
               {.image_size = std::stoll(GetParam().images.substr(4)), .fold_batch_norm = fold});
    const auto results = read("a.onnx");
    expect_same_logits(*model, results, GetParam().model + (fold ? ", ONNX, folded" : ", ONNX"));
    const bool has_norms = GetParam().model != "alexnet";
    EXPECT_EQ(results.at("batch_norms").item<std::int64_t>() > 0, has_norms && !fold);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Export,
                         testing::Values(ExportCase{"xception", "timm", "2,3,96,96"},
                                         ExportCase{"inception_v3", "torchvision", "2,3,96,96"},
                                         ExportCase{"resnet18", "resnet18", "2,3,64,64"},
                                         ExportCase{"googlenet", "googlenet", "2,3,64,64"},
                                         ExportCase{"alexnet", "alexnet", "2,3,95,95"}));

/// Operations that no other model has: a linear layer without bias, maxima of whole images; parts
/// of the image that share pixels.
TEST(ExportOnnx, OfTheOtherModels) {
  if (!can_write_onnx()) GTEST_SKIP() << "a build without ONNX";
  const TemporaryFolder folder;
  for (const auto& [name, size] : {std::pair{"resnet9", 32}, std::pair{"vgg16_bn", 48}}) {
    const auto model = random_model(name, "none");
    const auto file = folder.path / "a.onnx";
    write_onnx(file, *model, {.image_size = size});
    const auto results = run_python(
        "check_export.py", fmt::format("{} none images=2,3,{},{}", file.string(), size, size));
    expect_same_logits(*model, results, name);
  }
}

TEST(ExportActivations, AllCanBeWritten) {
  if (!can_write_onnx()) GTEST_SKIP() << "a build without ONNX";
  const TemporaryFolder folder;
  for (const std::string activation :
       {"none", "relu", "elu", "gelu", "silu", "leaky_relu", "mish", "hardswish"}) {
    const auto model = random_model("xception", activation);
    const auto file = folder.path / "a.onnx";
    write_onnx(file, *model, {.image_size = 71, .metadata = {{"key", "value"}}});
    const auto results = run_python("check_export.py", file.string() + " timm images=2,3,71,71");
    expect_same_logits(*model, results, activation);
  }
}

}  // namespace
}  // namespace xception
