// Weights that the real programs wrote, in the files that they write: our networks must compute
// with them what those computed.

#include <gtest/gtest.h>

#include <iostream>

#include "models/module_state.h"
#include "support/python.h"
#include "support/temporary_folder.h"
#include "xception/models/fold.h"
#include "xception/models/inception_v3.h"
#include "xception/models/registry.h"
#include "xception/weights/fit.h"
#include "xception/weights/recognize.h"

namespace xception {
namespace {

constexpr double kTolerance = 1e-4;  // relative to the logits' norm, in float32

/// What `tests/python/export_weights.py` wrote and computed.
struct Exported {
  explicit Exported(const std::string& source)
      : reference(run_python("export_weights.py", source + " '" + folder.path.string() + "'")) {}

  TemporaryFolder folder;
  TensorMap reference;
};

/// Compares the model's logits with the reference's: with LibTorch's operations and with ours, and
/// with folded BatchNorm.
void check_logits(Classifier& model, const TensorMap& reference, const std::string& name) {
  const torch::NoGradGuard no_grad;
  model.eval();
  const auto& expected = reference.at("logits");
  const auto images = reference.at("images").contiguous(torch::MemoryFormat::ChannelsLast);
  const auto plain = relative_error(model.forward(images).logits, expected);
  use_kernels(model, Kernels::fused);
  const auto fused = relative_error(model.forward(images).logits, expected);
  const FoldedBatchNorms fold(model, torch::kFloat32);
  const auto folded = relative_error(model.forward(images).logits, expected);
  std::cout << name << ": largest relative difference of the logits " << plain << ", fused "
            << fused << ", folded " << folded << "\n";
  EXPECT_LE(std::max({plain, fused, folded}), kTolerance) << name;
}

/// The model that the file is recognized as, with the file's weights.
std::shared_ptr<Classifier> load(const std::filesystem::path& file, const ModelConfig& config) {
  const auto model = build_model(config);
  const auto report = fit_weights(*model, read_weights(file));
  EXPECT_TRUE(report.unexpected.empty()) << file;
  EXPECT_TRUE(report.other_size.empty()) << file;
  return model;
}

std::string notes_of(const WeightFile& weights) {
  std::string all;
  for (const auto& note : weights.notes) all += note + "; ";
  return all;
}

TEST(WeightsParity, TimmXception) {
  const Exported exported("timm_xception");
  for (const std::string name : {"new.pt", "old.pt", "plain.safetensors"}) {
    const auto file = exported.folder.path / name;
    const auto weights = read_weights(file);
    const auto known = recognize_weights(weights);
    ASSERT_TRUE(known.has_value()) << name;
    EXPECT_EQ(known->model.name, "xception");
    EXPECT_EQ(known->model.num_classes, 1000);
    EXPECT_EQ(known->settings.size(), 2U);  // name and number of classes
    EXPECT_EQ(notes_of(weights).find("removed the prefix module.") != std::string::npos,
              name == "old.pt");
    check_logits(*load(file, known->model), exported.reference, name);
  }
}

TEST(WeightsParity, TorchvisionInception) {
  const Exported exported("torchvision");
  const auto file = exported.folder.path / "new.pt";
  const auto weights = read_weights(file);
  EXPECT_NE(notes_of(weights).find("under model"), std::string::npos);
  auto known = recognize_weights(weights);
  ASSERT_TRUE(known.has_value());
  EXPECT_TRUE(known->model.aux_logits);
  known->model.own<InceptionOptions>().transform_input = true;
  check_logits(*load(file, known->model), exported.reference, "torchvision inception_v3");
}

TEST(WeightsParity, TimmInception) {
  const Exported exported("timm_inception");
  const auto file = exported.folder.path / "half.safetensors";
  const auto weights = read_weights(file);
  EXPECT_EQ(weights.metadata.at("format"), "pt");
  const auto known = recognize_weights(weights);
  ASSERT_TRUE(known.has_value());
  EXPECT_FALSE(known->model.aux_logits);
  check_logits(*load(file, known->model), exported.reference, "timm inception_v3");
}

TEST(WeightsParity, TorchvisionsOthers) {
  for (const std::string name : {"resnet18", "resnet50", "vgg16_bn", "alexnet", "googlenet"}) {
    const Exported exported(name);
    const auto file = exported.folder.path / "new.pt";
    auto known = recognize_weights(read_weights(file));
    ASSERT_TRUE(known.has_value()) << name;
    EXPECT_EQ(known->model.name, name);
    EXPECT_EQ(known->model.num_classes, 1000);
    EXPECT_EQ(known->settings.size(), 2U);  // name and number of classes
    known->model.own<InceptionOptions>().transform_input = name == "googlenet";
    check_logits(*load(file, known->model), exported.reference, "torchvision " + name);
  }
}

TEST(WeightsParity, KerasXception) {
  const Exported exported("keras");
  for (const std::string name :
       {"named.h5", "numbered.weights.h5", "nameless.weights.h5", "gzip.h5", "whole.keras"}) {
    const auto file = exported.folder.path / name;
    const auto known = recognize_weights(read_weights(file));
    ASSERT_TRUE(known.has_value()) << name;
    EXPECT_EQ(known->source, "Keras Xception");
    EXPECT_EQ(known->settings.size(), 4U);  // name, bn_eps, padding, number of classes
    check_logits(*load(file, known->model), exported.reference, "Keras Xception, " + name);
  }
}

}  // namespace
}  // namespace xception
