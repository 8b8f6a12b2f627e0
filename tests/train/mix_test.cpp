#include "xception/train/mix.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/python.h"
#include "xception/core/error.h"
#include "xception/train/loss.h"

namespace xception {
namespace {

constexpr std::int64_t kMixClasses = 4;

/// What torchvision v2 computed, once for all tests.
const torch::Tensor& theirs(const std::string& name) {
  static const TensorMap tensors = run_python("export_augmentations.py");
  return tensors.at(name);
}

Input batch_of(const std::string& name) {
  return {.images = theirs(name + "/images").clone(),
          .targets = theirs(name + "/labels").clone(),
          .indices = torch::arange(5)};
}

TEST(MixAgainstTorchvision, MixupWithTheSameShare) {
  const auto& shares = theirs("mixup/shares");
  for (std::int64_t i = 0; i < shares.size(0); ++i) {
    auto batch = batch_of("mixup");
    mixup(batch, shares[i], kMixClasses);
    EXPECT_TRUE(torch::allclose(batch.images, theirs("mixup/mixed")[i], 0, 1e-6)) << i;
    EXPECT_TRUE(torch::allclose(batch.targets, theirs("mixup/targets")[i], 0, 1e-6)) << i;
    EXPECT_EQ(batch.targets.scalar_type(), torch::kFloat32);
  }
}

TEST(MixAgainstTorchvision, CutmixWithTheSameShareAndCenter) {
  const auto& shares = theirs("cutmix/shares");
  for (std::int64_t i = 0; i < shares.size(0); ++i) {
    SCOPED_TRACE(i);
    auto batch = batch_of("cutmix");
    const auto center = theirs("cutmix/centers")[i];  // x, y
    const auto box = cutmix_box(shares[i], center[1], center[0], 12, 17);
    const auto expected = theirs("cutmix/boxes")[i];  // left, top, right, bottom
    EXPECT_TRUE(torch::stack({box.left, box.top, box.right, box.bottom}).equal(expected));
    cutmix(batch, box, kMixClasses);
    EXPECT_TRUE(batch.images.equal(theirs("cutmix/mixed")[i]));
    EXPECT_TRUE(torch::allclose(batch.targets, theirs("cutmix/targets")[i], 0, 1e-6));
  }
}

TEST(Mix, HalfPrecisionIsMixedInFloat32) {
  for (const auto dtype : {torch::kBFloat16, torch::kHalf}) {
    auto batch = batch_of("mixup");
    batch.images = batch.images.to(dtype);
    auto wide = batch;
    wide.images = wide.images.to(torch::kFloat32);
    mixup(batch, torch::tensor(0.3F), kMixClasses);
    mixup(wide, torch::tensor(0.3F), kMixClasses);
    EXPECT_EQ(batch.images.scalar_type(), dtype);
    EXPECT_TRUE(batch.images.equal(wide.images.to(dtype)));
    EXPECT_TRUE(batch.targets.equal(wide.targets));
  }
}

/// How a batch of two images, all 0 and all 1, came out: the first one's share of itself, and
/// whether it is blended or cut.
struct MixOutcome {
  double share = 0;
  bool blended = false;
  bool cut = false;
};

MixConfig mix_of(double mixup_alpha, double cutmix_alpha, double probability = 1.0,
                 double switch_probability = 0.5) {
  MixConfig config;
  config.mixup_alpha = mixup_alpha;
  config.cutmix_alpha = cutmix_alpha;
  config.probability = probability;
  config.switch_probability = switch_probability;
  return config;
}

std::vector<MixOutcome> outcomes(const MixConfig& config, int batches) {
  const auto mix = make_mix(config, 2, torch::kCPU);
  std::vector<MixOutcome> all;
  for (int i = 0; i < batches; ++i) {
    Input batch{.images = torch::stack({torch::zeros({3, 16, 16}), torch::ones({3, 16, 16})}),
                .targets = torch::tensor({0, 1}),
                .indices = torch::arange(2)};
    mix(batch);
    MixOutcome outcome;
    outcome.share = batch.targets[0][0].item<double>();
    // Targets and pixels agree.
    EXPECT_NEAR(batch.images[0].mean().item<double>(), 1.0 - outcome.share, 1e-5);
    EXPECT_NEAR(batch.targets[1][1].item<double>(), outcome.share, 1e-6);
    const auto between = batch.images[0].gt(1e-4).logical_and(batch.images[0].lt(1 - 1e-4));
    outcome.blended = between.all().item<bool>();
    outcome.cut = !between.any().item<bool>() && outcome.share > 0 && outcome.share < 1;
    all.push_back(outcome);
  }
  return all;
}

TEST(Mix, SharesHaveTheirDistribution) {
  torch::manual_seed(1);
  for (const double alpha : {0.2, 1.0}) {
    double sum = 0, squares = 0;
    const auto all = outcomes(mix_of(alpha, 0), 4000);
    for (const auto& outcome : all) {
      sum += outcome.share;
      squares += (outcome.share - 0.5) * (outcome.share - 0.5);
    }
    EXPECT_NEAR(sum / 4000, 0.5, 0.03);
    // The variance of Beta(alpha, alpha).
    EXPECT_NEAR(squares / 4000, 1.0 / (4.0 * (2.0 * alpha + 1.0)), 0.01);
  }
}

TEST(Mix, ChoosesBatchByBatch) {
  torch::manual_seed(2);
  const auto count = [](const std::vector<MixOutcome>& all, auto member) {
    int n = 0;
    for (const auto& outcome : all) n += outcome.*member ? 1 : 0;
    return n;
  };
  const auto both = outcomes(mix_of(1, 1), 1000);
  EXPECT_NEAR(count(both, &MixOutcome::blended), 500, 80);
  EXPECT_GT(count(both, &MixOutcome::cut), 350);  // some boxes are empty
  const auto seldom = outcomes(mix_of(1, 0, 0.25), 1000);
  EXPECT_NEAR(count(seldom, &MixOutcome::blended), 250, 70);
  const auto cut = outcomes(mix_of(1, 1, 1, 1), 100);
  EXPECT_EQ(count(cut, &MixOutcome::blended), 0);
}

TEST(Mix, GoesByTheDefaultGenerator) {
  const auto config = mix_of(0.4, 1, 0.8);
  const auto shares = [&](int seed) {
    torch::manual_seed(static_cast<std::uint64_t>(seed));
    std::vector<double> all;
    for (const auto& outcome : outcomes(config, 20)) all.push_back(outcome.share);
    return all;
  };
  EXPECT_EQ(shares(5), shares(5));
  EXPECT_NE(shares(5), shares(6));
}

TEST(Mix, GoesWithLabelSmoothing) {
  auto batch = batch_of("mixup");
  mixup(batch, torch::tensor(0.7F), kMixClasses);
  const auto logits = torch::randn({5, kMixClasses});
  const auto labels = theirs("mixup/labels");
  const auto loss = [&](const torch::Tensor& targets) {
    return summed_cross_entropy(logits, targets, 0.1).item<double>();
  };
  EXPECT_NEAR(loss(batch.targets), 0.7 * loss(labels) + 0.3 * loss(labels.roll(1, 0)), 1e-4);
}

TEST(Mix, ProbabilitiesNeedSomethingToChoose) {
  EXPECT_THROW(check_mix(mix_of(0, 0, 0.5)), Error);
  EXPECT_THROW(check_mix(mix_of(0, 0, 1, 0.3)), Error);
  EXPECT_NO_THROW(check_mix({}));
  EXPECT_NO_THROW(check_mix(mix_of(0.2, 0, 0.5)));
  EXPECT_EQ(describe_mix({}), "");
  EXPECT_EQ(describe_mix(mix_of(0.2, 1, 0.5)),
            "mixup 0.2 or CutMix 1 (probability 0.5), 0.5 of the batches");
}

}  // namespace
}  // namespace xception
