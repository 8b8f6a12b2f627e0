// BatchNorm of branches, sliced from a product and concatenated, against LibTorch's own operations
// in float64, on the same rounded inputs.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <limits>
#include <optional>
#include <vector>

#include "kernels/cases.h"
#include "kernels/cuda_on_host/serve.h"
#include "xception/core/error.h"
#include "xception/kernels/bn_branches.h"

namespace xception {
namespace {

constexpr double kBranchEps = 1e-3;

/// A slice or a part: its channels, and what happens to it.
struct Piece {
  std::int64_t channels = 1;
  bool average = false;     ///< of a slice
  bool normalized = true;   ///< of a part
  bool written_to = false;  ///< a slice's place is in the concatenation
};

struct BranchCase {
  Case image = {};  ///< the channels are the pieces'
  std::vector<Piece> pieces = {};
  bool cuda_on_host = false;  ///< by the CUDA kernels' sources, on the host
};
std::ostream& operator<<(std::ostream& out, const BranchCase& of) {
  return out << of.image << " in " << of.pieces.size() << (of.cuda_on_host ? ", CUDA's" : "");
}

/// Inputs: `images`, then weight and bias of each BatchNorm; buffers: means and variances.
Tensors with_batch_norms(const std::vector<torch::Tensor>& images, const BranchCase& of) {
  Tensors inputs{.values = images, .buffers = {}};
  for (const auto& piece : of.pieces) {
    Case own = of.image;
    own.channels = piece.channels;
    const auto norm = own.batch_norm_inputs(0.0, 1.0);
    inputs.values.insert(inputs.values.end(), {norm.values[1], norm.values[2]});
    inputs.buffers.insert(inputs.buffers.end(), {norm.buffers[0], norm.buffers[1]});
  }
  return inputs;
}

/// BatchNorm i of inputs with so many images.
BatchNormArguments batch_norm(const Tensors& in, std::size_t images, std::size_t i, bool training) {
  return {.weight = in.values[images + 2 * i],
          .bias = in.values[images + 2 * i + 1],
          .running_mean = in.buffers[2 * i],
          .running_var = in.buffers[2 * i + 1],
          .eps = kBranchEps,
          .training = training};
}

torch::Tensor plain_norm(const torch::Tensor& x, const BatchNormArguments& bn, bool relu) {
  const auto y = at::batch_norm(x, bn.weight, bn.bias, bn.running_mean, bn.running_var, bn.training,
                                bn.momentum, bn.eps, false);
  return relu ? at::relu(y) : y;
}

std::int64_t channels_of(const BranchCase& of) {
  std::int64_t channels = 0;
  for (const auto& piece : of.pieces) channels += piece.channels;
  return channels;
}

class FusedBranches : public testing::TestWithParam<BranchCase> {
 protected:
  void SetUp() override {
    if (GetParam().image.device.is_cuda() && !torch::cuda::is_available()) {
      GTEST_SKIP() << "no CUDA device";
    }
    torch::manual_seed(7);
    if (GetParam().cuda_on_host) serve_.emplace();
  }

  /// Calls check(relu, training) for what a batch of this size allows.
  template <typename Check>
  void in_all_ways(const Check& check) {
    const Case& of = GetParam().image;
    for (const bool relu : {false, true}) {
      for (const bool training : {true, false}) {
        if (training && of.batch * of.height * of.width == 1) continue;
        SCOPED_TRACE(fmt::format("relu {} training {}", relu, training));
        check(relu, training);
      }
    }
  }

 private:
  std::optional<ServeByCudaOnHost> serve_;
};

// Results are concatenated, so that the gradients that come back are slices too.
Operation fused_slices(const BranchCase& of, bool relu, bool training) {
  return [=](const Tensors& in) {
    std::vector<BnSlice> slices;
    for (std::size_t i = 0; i < of.pieces.size(); ++i) {
      slices.push_back(
          {.bn = batch_norm(in, 1, i, training), .average = of.pieces[i].average, .to = {}});
    }
    return at::cat(fused_bn_slices(in.values[0], slices, relu), 1);
  };
}

/// The normalized slices.
std::vector<torch::Tensor> plain_results(const BranchCase& of, const Tensors& in, bool relu,
                                         bool training) {
  std::vector<torch::Tensor> results;
  std::int64_t channel = 0;
  for (std::size_t i = 0; i < of.pieces.size(); ++i) {
    auto x = in.values[0].narrow(1, channel, of.pieces[i].channels);
    channel += of.pieces[i].channels;
    if (of.pieces[i].average) x = at::avg_pool2d(x, 3, 1, 1);
    results.push_back(plain_norm(x, batch_norm(in, 1, i, training), relu));
  }
  return results;
}

Operation plain_slices(const BranchCase& of, bool relu, bool training) {
  return [=](const Tensors& in) { return at::cat(plain_results(of, in, relu, training), 1); };
}

TEST_P(FusedBranches, SlicesEqualTorch) {
  const BranchCase& of = GetParam();
  Case product = of.image;
  product.channels = channels_of(of);
  in_all_ways([&](bool relu, bool training) {
    const auto inputs = with_batch_norms({product.image()}, of);
    check_equal(product, inputs, fused_slices(of, relu, training), plain_slices(of, relu, training),
                {.condition = 2.0, .rounded_between = true});
  });
}

Operation fused_concat(const BranchCase& of, bool relu, bool training) {
  return [=](const Tensors& in) {
    std::vector<BnPart> parts;
    for (std::size_t i = 0; i < of.pieces.size(); ++i) {
      parts.push_back({.x = in.values[i], .bn = {}});
      if (of.pieces[i].normalized) {
        parts.back().bn = batch_norm(in, of.pieces.size(), i, training);
      }
    }
    return fused_bn_concat(parts, relu);
  };
}

Operation plain_concat(const BranchCase& of, bool relu, bool training) {
  return [=](const Tensors& in) {
    std::vector<torch::Tensor> results;
    for (std::size_t i = 0; i < of.pieces.size(); ++i) {
      results.push_back(
          of.pieces[i].normalized
              ? plain_norm(in.values[i], batch_norm(in, of.pieces.size(), i, training), relu)
              : in.values[i]);
    }
    return at::cat(results, 1);
  };
}

TEST_P(FusedBranches, ConcatEqualsTorch) {
  const BranchCase& of = GetParam();
  std::vector<torch::Tensor> images;
  for (const auto& piece : of.pieces) {
    Case own = of.image;
    own.channels = piece.channels;
    images.push_back(own.image());
  }
  in_all_ways([&](bool relu, bool training) {
    check_equal(of.image, with_batch_norms(images, of), fused_concat(of, relu, training),
                plain_concat(of, relu, training));
  });
}

/// A block: the slices of an image, of which some go to the result directly and the others through
/// a second BatchNorm.
torch::Tensor fused_block(const BranchCase& of, const Tensors& in, bool relu, bool training) {
  const auto& x = in.values[0];
  auto output = at::empty(
      x.sizes(), x.options().requires_grad(false).memory_format(torch::MemoryFormat::ChannelsLast));
  std::vector<BnSlice> slices;
  std::int64_t channel = 0;
  for (std::size_t i = 0; i < of.pieces.size(); ++i) {
    const auto& piece = of.pieces[i];
    slices.push_back(
        {.bn = batch_norm(in, 1, i, training),
         .average = piece.average,
         .to = piece.written_to ? output.narrow(1, channel, piece.channels) : torch::Tensor()});
    channel += piece.channels;
  }
  const auto first = fused_bn_slices(x, slices, relu);
  std::vector<BnPart> parts;
  for (std::size_t i = 0; i < of.pieces.size(); ++i) {
    parts.push_back({.x = first[i], .bn = {}});
    if (of.pieces[i].normalized) parts.back().bn = batch_norm(in, 1, i, training);
  }
  const auto y = fused_bn_concat(parts, relu, output);
  EXPECT_EQ(y.const_data_ptr(), output.const_data_ptr());
  return y;
}

torch::Tensor plain_block(const BranchCase& of, const Tensors& in, bool relu, bool training) {
  auto results = plain_results(of, in, relu, training);
  for (std::size_t i = 0; i < of.pieces.size(); ++i) {
    if (!of.pieces[i].normalized) continue;
    results[i] = plain_norm(results[i], batch_norm(in, 1, i, training), relu);
  }
  return at::cat(results, 1);
}

TEST_P(FusedBranches, BlocksEqualTorch) {
  const BranchCase& of = GetParam();
  Case product = of.image;
  product.channels = channels_of(of);
  in_all_ways([&](bool relu, bool training) {
    const auto inputs = with_batch_norms({product.image()}, of);
    // Two BatchNorms, of which the second divides by what the first left.
    check_equal(
        product, inputs, [&](const Tensors& in) { return fused_block(of, in, relu, training); },
        [&](const Tensors& in) { return plain_block(of, in, relu, training); },
        {.condition = 10.0, .rounded_between = true});
  });
}

std::vector<BranchCase> branch_cases(const torch::Device& device, bool cuda_on_host = false) {
  std::vector<BranchCase> all;
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kBFloat16, torch::kHalf}) {
    for (BranchCase of :
         {BranchCase{.image = {.batch = 1, .height = 10, .width = 10},
         .pieces = {{.channels = 7, .normalized = false, .written_to = true},
                    {.channels = 16},
                    {.channels = 3, .average = true, .normalized = false}}},
          BranchCase{.image = {.batch = 2, .height = 19, .width = 19},
          .pieces = {{.channels = 33},
                     {.channels = 24, .average = true},
                     {.channels = 1, .normalized = false, .written_to = true},
                     {.channels = 40, .average = true, .normalized = false, .written_to = true}}},
          BranchCase{.image = {.batch = 4, .height = 1, .width = 1},
          .pieces = {{.channels = 5, .normalized = false, .written_to = true},
                     {.channels = 18, .average = true}}},
          BranchCase{.image = {.batch = 3, .height = 2, .width = 5},
          .pieces = {{.channels = 1, .average = true}}}}) {
      of.image.dtype = dtype;
      of.image.device = device;
      of.cuda_on_host = cuda_on_host;
      all.push_back(of);
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Cpu, FusedBranches, testing::ValuesIn(branch_cases(torch::kCPU)));
INSTANTIATE_TEST_SUITE_P(CudaOnHost, FusedBranches,
                         testing::ValuesIn(branch_cases(torch::kCPU, true)));
INSTANTIATE_TEST_SUITE_P(Gpu, FusedBranches,
                         testing::ValuesIn(branch_cases(torch::Device(torch::kCUDA, 0))));

// ---- float32 alone -----------------------------------------------------------------------------

BranchCase two_pieces() {
  return {.image = {.batch = 2, .height = 6, .width = 5},
          .pieces = {{.channels = 3, .normalized = false, .written_to = true}, {.channels = 9}}};
}

TEST(FusedBlock, NanStaysInItsChannels) {
  torch::manual_seed(1);
  const torch::NoGradGuard no_grad;
  const auto of = two_pieces();
  Case product = of.image;
  product.channels = 12;
  auto x = product.image();
  x.index_put_({1, 4, 2, 2}, std::numeric_limits<double>::quiet_NaN());
  const auto inputs = with_batch_norms({x}, of);
  const auto evaluated = torch::isnan(fused_block(of, inputs, /*relu=*/true, /*training=*/false));
  EXPECT_EQ(evaluated.sum().item<std::int64_t>(), 1);
  EXPECT_TRUE(evaluated.index({1, 4, 2, 2}).item<bool>());
  const auto trained = torch::isnan(fused_block(of, inputs, /*relu=*/true, /*training=*/true));
  EXPECT_TRUE(trained.select(1, 4).all().item<bool>());
  EXPECT_EQ(trained.sum().item<std::int64_t>(), 2 * 6 * 5);
}

TEST(FusedBlock, LeaveTheirGradientsAlone) {
  // A result that is used twice: autograd adds what comes back, perhaps in place.
  torch::manual_seed(1);
  const auto of = two_pieces();
  Case product = of.image;
  product.channels = 12;
  const auto inputs = with_batch_norms({product.image()}, of);
  const auto twice = [&](bool fused) {
    return [&of, fused](const Tensors& in) {
      const auto y = fused ? fused_block(of, in, true, true) : plain_block(of, in, true, true);
      return at::cat({y.narrow(1, 1, 5), y * 2.0}, 1) + y.sum();
    };
  };
  check_equal(product, inputs, twice(true), twice(false),
              {.condition = 10.0, .rounded_between = true});
}

TEST(FusedBlock, ResultsInTheConcatenationKeepTheirHistory) {
  torch::manual_seed(1);
  const auto of = two_pieces();
  Case product = of.image;
  product.channels = 12;
  const auto inputs = with_batch_norms({product.image()}, of);
  // The first is used again after the second was copied to where both are.
  const auto fused = [](const Tensors& in) {
    auto output = at::empty_like(in.values[0].detach());
    const auto first =
        fused_bn_slices(in.values[0],
                        {{.bn = batch_norm(in, 1, 0, true), .to = output.narrow(1, 0, 3)},
                         {.bn = batch_norm(in, 1, 1, true)}},
                        /*relu=*/true);
    const auto y = fused_bn_concat({{.x = first[0]}, {.x = first[1]}}, /*relu=*/true, output);
    return at::cat({y, first[0] * 2.0}, 1);
  };
  const auto plain = [](const Tensors& in) {
    const auto& x = in.values[0];
    const auto a = plain_norm(x.narrow(1, 0, 3), batch_norm(in, 1, 0, true), true);
    const auto b = plain_norm(x.narrow(1, 3, 9), batch_norm(in, 1, 1, true), true);
    return at::cat({a, b, a * 2.0}, 1);
  };
  check_equal(product, inputs, fused, plain);
}

TEST(FusedBlock, ErrorsNameWhatIsWrong) {
  const auto of = two_pieces();
  Case product = of.image;
  product.channels = 12;
  const auto in = with_batch_norms({product.image()}, of);
  const auto& x = in.values[0];
  const BnSlice first{.bn = batch_norm(in, 1, 0, true)};
  const BnSlice second{.bn = batch_norm(in, 1, 1, true)};
  EXPECT_NO_THROW((void)fused_bn_slices(x, {first, second}, true));
  EXPECT_THROW((void)fused_bn_slices(x, {first}, true), Error);
  EXPECT_THROW((void)fused_bn_slices(x, {first, second, first}, true), Error);
  EXPECT_THROW((void)fused_bn_slices(x.contiguous(), {first, second}, true), Error);
  EXPECT_THROW((void)fused_bn_slices(x, {first, {.bn = second.bn, .to = x}}, true), Error);
  EXPECT_THROW((void)fused_bn_concat({}, true), Error);
  EXPECT_THROW((void)fused_bn_concat({{.x = x}, {.x = x.narrow(0, 0, 1)}}, true), Error);
  EXPECT_THROW((void)fused_bn_concat({{.x = x}, {.x = x.to(torch::kFloat64)}}, true), Error);
  EXPECT_THROW((void)fused_bn_concat({{.x = x, .bn = first.bn}}, true), Error);
  EXPECT_THROW((void)fused_bn_concat({{.x = x}}, true, x.narrow(1, 0, 4)), Error);
}

}  // namespace
}  // namespace xception
