// The CUDA kernels' sources and their packing of tensors, run on the host (cuda_on_host/).

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "../../src/kernels/cuda/operations.h"
#include "../../src/kernels/tensor_access.h"
#include "kernels/cases.h"
#include "kernels/comparisons.h"
#include "kernels/cuda_on_host/kernels.h"
#include "kernels/cuda_on_host/serve.h"
#include "kernels/image_rows_testing.h"
#include "kernels/parameter_update_testing.h"
#include "xception/core/error.h"
#include "xception/kernels/image_rows.h"

namespace xception {
namespace {

/// Those of every device, and one of several blocks along the channels and in whole vectors.
std::vector<Case> host_cases() {
  auto all = cases(torch::kCPU);
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kBFloat16, torch::kHalf}) {
    all.push_back({.batch = 3, .channels = 264, .height = 10, .width = 11, .dtype = dtype});
  }
  return all;
}

/// Those that a 3x3 window fits into.
std::vector<Case> window_cases() {
  auto all = host_cases();
  std::erase_if(all, [](const Case& of) { return of.height < 3 || of.width < 3; });
  return all;
}

/// Those with a large mean's digits to lose, and values enough to lose them.
std::vector<Case> large_mean_cases() {
  auto all = host_cases();
  std::erase_if(all, [](const Case& of) {
    const bool wide = of.dtype == torch::kFloat32 || of.dtype == torch::kFloat64;
    return !wide || of.batch * of.height * of.width < 8;
  });
  return all;
}

class CudaOnHost : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { torch::manual_seed(7); }
};

class CudaOnHostWindows : public CudaOnHost {};
class CudaOnHostLargeMean : public CudaOnHost {};

TEST_P(CudaOnHost, BnActEqualsTorch) {
  const ServeByCudaOnHost serve;
  expect_bn_act(GetParam());
}

TEST_P(CudaOnHostLargeMean, BnActEqualsTorch) {
  const ServeByCudaOnHost serve;
  expect_bn_with_a_large_mean(GetParam());
}

TEST_P(CudaOnHost, DepthwiseEqualsTorch) {
  const ServeByCudaOnHost serve;
  expect_depthwise(GetParam());
}

TEST_P(CudaOnHost, BnDepthwiseEqualsTorch) {
  const ServeByCudaOnHost serve;
  expect_bn_depthwise(GetParam());
}

TEST_P(CudaOnHost, MaxPoolEqualsTorch) {
  const ServeByCudaOnHost serve;
  expect_max_pool(GetParam());
}

TEST_P(CudaOnHost, BnMaxPoolEqualsTorch) {
  const ServeByCudaOnHost serve;
  expect_bn_max_pool(GetParam());
}

TEST_P(CudaOnHost, AvgPoolEqualsTorch) {
  const ServeByCudaOnHost serve;
  expect_avg_pool(GetParam());
}

/// An operation and inputs of it.
struct Trial {
  const char* name;
  Tensors inputs;
  Operation operation;
};

/// Every operation once, in training.
std::vector<Trial> trials(const Case& of) {
  Tensors norm = of.batch_norm_inputs(0.5, 2.0);
  Tensors residual = norm;
  residual.values.push_back(of.image());
  Tensors norm_conv = norm;
  norm_conv.values.push_back(of.depthwise_weight());
  const Tensors conv{.values = {of.image(), of.depthwise_weight()}, .buffers = {}};
  return {{"bn_act", norm, fused_bn(true, true)},
          {"bn_act with a residual", residual, fused_bn(true, true)},
          {"depthwise", conv, fused_conv({}, true)},
          {"depthwise, stride 2", conv, fused_conv({.stride = 2, .padding = 0}, false)},
          {"bn_depthwise", norm_conv, fused_bn_conv({}, true, true)},
          {"bn_depthwise, stride 2", norm_conv, fused_bn_conv({.stride = 2}, true, true)},
          {"bn_max_pool", norm, fused_bn_pool(1, true, true)},
          {"max_pool", {.values = {of.image()}, .buffers = {}}, fused_pool(1)}};
}

void expect_same_bits(const Result& a, const Result& b) {
  EXPECT_TRUE(torch::equal(a.output, b.output));
  for (std::size_t i = 0; i < a.gradients.size(); ++i) {
    EXPECT_TRUE(torch::equal(a.gradients[i], b.gradients[i])) << "gradient " << i;
  }
  for (std::size_t i = 0; i < a.buffers.size(); ++i) {
    EXPECT_TRUE(torch::equal(a.buffers[i], b.buffers[i])) << "buffer " << i;
  }
}

TEST_P(CudaOnHostWindows, OrderOfThreadsChangesNothing) {
  const Case& of = GetParam();
  for (const auto& trial : trials(of)) {
    SCOPED_TRACE(fmt::format("{} {}", trial.name, testing::PrintToString(of)));
    const auto with_seed = [&](std::uint64_t seed) {
      const ServeByCudaOnHost serve(seed);
      return run(trial.inputs, trial.operation);
    };
    const Result first = with_seed(1);
    for (const std::uint64_t seed : {2, 3, 4}) expect_same_bits(with_seed(seed), first);
  }
}

TEST_P(CudaOnHostWindows, EqualsTheCpusKernels) {
  const Case& of = GetParam();
  for (const auto& trial : trials(of)) {
    SCOPED_TRACE(fmt::format("{} {}", trial.name, testing::PrintToString(of)));
    const Result wanted = run(trial.inputs, trial.operation);
    const ServeByCudaOnHost serve;
    const Result found = run(trial.inputs, trial.operation);
    // Sums in another order: a value in many rounds the other way.
    EXPECT_LE(relative_difference(found.output, wanted.output), of.forward_tolerance() / 4);
    for (std::size_t i = 0; i < wanted.gradients.size(); ++i) {
      EXPECT_LE(relative_difference(found.gradients[i], wanted.gradients[i]),
                of.gradient_tolerance() / 4)
          << "gradient " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CudaOnHost, testing::ValuesIn(host_cases()));
INSTANTIATE_TEST_SUITE_P(Shapes, CudaOnHostWindows, testing::ValuesIn(window_cases()));
INSTANTIATE_TEST_SUITE_P(Shapes, CudaOnHostLargeMean, testing::ValuesIn(large_mean_cases()));

TEST(CudaOnHostImageRows, EqualTorch) {
  const auto all = image_rows_cases(torch::kCPU);
  const ServeByCudaOnHost serve;
  for (const auto& of : all) expect_image_rows(of);
}

TEST(CudaOnHostImageRows, HalvesGoToEven) {
  const ServeByCudaOnHost serve;
  expect_halves_to_even(torch::kCPU);
}

/// Cases whose sums are pixels, and such as round where they are whole already: there every bit of
/// a sum is seen.
std::vector<ImageRowsCase> bitwise_cases() {
  auto all = image_rows_cases(torch::kCPU);
  for (auto large : image_rows_cases(torch::kCPU)) {
    large.columns = large.columns * 65536.0;
    all.push_back(large);
  }
  return all;
}

bool cpu_has_fma() {
  return at::get_cpu_capability() != "DEFAULT";
}

TEST(CudaOnHostImageRows, EqualTheCpusBitForBitInAnyOrderOfThreads) {
  if (!cpu_has_fma()) GTEST_SKIP() << "the CPU has no fused multiply-add";
  for (const auto& of : bitwise_cases()) {
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16, torch::kFloat16, torch::kFloat64}) {
      SCOPED_TRACE(fmt::format("{} {}", of.name, torch::toString(dtype)));
      const auto call = [&] {
        return fused_image_rows(of.columns, of.rows, of.scale, of.offset, dtype);
      };
      const auto wanted = call();
      for (const std::uint64_t seed : {1, 2, 3}) {
        const ServeByCudaOnHost serve(seed);
        EXPECT_TRUE(torch::equal(call(), wanted));
      }
    }
  }
}

TEST(CudaOnHostImageRows, BlocksGoOnToFurtherLines) {
  if (!cpu_has_fma()) GTEST_SKIP() << "the CPU has no fused multiply-add";
  for (const auto& of : bitwise_cases()) {
    SCOPED_TRACE(of.name);
    const auto wanted = fused_image_rows(of.columns, of.rows, of.scale, of.offset, torch::kFloat32);
    const auto rows = of.rows.defined() ? of.rows.contiguous() : of.rows;
    const auto y = torch::zeros_like(wanted);
    auto plan = cuda::plan_image_rows(y.size(0) * y.size(2), 1);
    plan.blocks = std::min<std::int64_t>(plan.blocks, 2);
    cuda_on_host::set_seed(1);
    cuda_on_host::kernels(cuda::Dtype::float32)
        .image_rows({}, plan, image_rows_of(of.columns, rows, of.scale, of.offset, y),
                    y.mutable_data_ptr());
    EXPECT_TRUE(torch::equal(y, wanted));
  }
}

TEST(CudaOnHostUpdates, EqualTorch) {
  const auto all = update_cases();
  const ServeByCudaOnHost serve;
  for (const auto& of : all) expect_update(of, torch::kCPU);
}

TEST(CudaOnHostUpdates, AreTheSameInAnyOrderOfThreads) {
  const auto of = update_cases().front();
  const auto after = [&](std::uint64_t seed) {
    torch::manual_seed(5);
    const auto updates = updates_of(of, torch::kCPU);
    const ServeByCudaOnHost serve(seed);
    fused_update(updates, of.rule, {torch::full({}, 0.1), torch::ones({}), {}, {}});
    return updates;
  };
  const auto one = after(1);
  for (const std::uint64_t seed : {2, 3}) {
    const auto other = after(seed);
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_TRUE(torch::allclose(other[i].parameter, one[i].parameter, 0, 0, true)) << i;
    }
  }
}

TEST(CudaOnHostValues, NonFiniteOnesPassAsInTorch) {
  const ServeByCudaOnHost serve;
  expect_non_finite_as_in_torch(torch::kCPU);
}

TEST(CudaOnHostValues, NarrowDtypesRoundAsTorchDoes) {
  const ServeByCudaOnHost serve;
  expect_rounding_as_in_torch(torch::kCPU);
}

/// Channels 8 .. 8 + C - 1 of an image that has more, the rest NaN.
torch::Tensor slice_like(const torch::Tensor& x, std::int64_t channels) {
  auto all = torch::full({x.size(0), channels, x.size(2), x.size(3)},
                         std::numeric_limits<double>::quiet_NaN(), x.options())
                 .contiguous(torch::MemoryFormat::ChannelsLast);
  auto slice = all.narrow(1, 8, x.size(1));
  slice.copy_(x);
  return slice;
}

/// BatchNorm there and back, and with the convolution, on x, residual and dy as they lie.
std::vector<torch::Tensor> passes(const Case& of, const torch::Tensor& x,
                                  const torch::Tensor& residual, const torch::Tensor& dy,
                                  const torch::Tensor& d_residual) {
  torch::manual_seed(5);
  const auto norm = of.batch_norm_inputs(0.0, 1.0);
  const BatchNormArguments bn{.weight = norm.values[1],
                              .bias = norm.values[2],
                              .running_mean = norm.buffers[0],
                              .running_var = norm.buffers[1]};
  const auto weight = of.depthwise_weight();
  const auto& operations = operations_on_host();
  const auto state = operations.statistics(x, bn);
  const ReadAs read{.coefficients = state.coefficients, .relu = true};
  const BatchNormSaved saved{.state = state, .weight = bn.weight};
  const auto y = operations.bn_forward(x, residual, read);
  const auto reduced = operations.bn_reduce(dy, x, y, saved, true);
  const auto dx = operations.bn_backward(dy, x, y, read, reduced.input, d_residual);
  const auto conv = operations.depthwise_forward(x, read, weight, {});
  const auto back = operations.depthwise_backward(dy.contiguous(torch::MemoryFormat::ChannelsLast),
                                                  x, saved, true, weight, {});
  return {y, reduced.weight, reduced.bias, dx, d_residual, conv, back.input, back.weight};
}

TEST(CudaOnHostSlices, OfChannelsAreTaken) {
  const torch::NoGradGuard no_grad;
  for (const auto dtype : {torch::kFloat32, torch::kHalf}) {
    for (const std::int64_t channels : {24, 17}) {
      for (const std::int64_t all : {48, 43}) {
        for (const Case& of : {Case{.batch = 2, .channels = channels, .height = 5, .width = 6},
                               Case{.batch = 3, .channels = channels, .height = 3, .width = 1},
                               Case{.batch = 1, .channels = channels, .height = 1, .width = 9}}) {
          Case typed = of;
          typed.dtype = dtype;
          const ServeByCudaOnHost serve;
          const auto x = typed.image();
          const auto residual = typed.image();
          const auto dy = typed.image();
          const auto whole = passes(typed, x, residual, dy, torch::empty_like(x));
          const auto sliced = passes(typed, slice_like(x, all), slice_like(residual, all),
                                     slice_like(dy, all), slice_like(torch::empty_like(x), all));
          for (std::size_t i = 0; i < whole.size(); ++i) {
            EXPECT_LE(relative_difference(sliced[i], whole[i]), 1e-3) << i << " " << typed;
          }
        }
      }
    }
  }
}

/// Address space for half values of which hardly any are touched.
class Sparse {
 public:
  explicit Sparse(std::int64_t elements)
      : bytes_(static_cast<std::size_t>(elements) * sizeof(c10::Half)),
        memory_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {}
  Sparse(const Sparse&) = delete;
  Sparse& operator=(const Sparse&) = delete;
  ~Sparse() {
    if (data() != nullptr) munmap(memory_, bytes_);
  }
  [[nodiscard]] void* data() const { return memory_ == MAP_FAILED ? nullptr : memory_; }

 private:
  std::size_t bytes_;
  void* memory_;
};

TEST(CudaOnHostSlices, OfMoreThan2To31ElementsAreTaken) {
  const torch::NoGradGuard no_grad;
  const Case of{.batch = 2, .channels = 8, .height = 15, .width = 10, .dtype = torch::kHalf};
  constexpr std::int64_t kStride = std::int64_t{1} << 23;
  const std::int64_t elements = of.batch * of.height * of.width * kStride;
  ASSERT_GT(elements, std::int64_t{1} << 31);
  const Sparse x_memory(elements);
  const Sparse d_memory(elements);
  if (x_memory.data() == nullptr || d_memory.data() == nullptr) GTEST_SKIP() << "no address space";
  const auto spread = [&](const Sparse& memory) {
    return torch::from_blob(memory.data(), {of.batch, of.channels, of.height, of.width},
                            {of.height * of.width * kStride, 1, of.width * kStride, kStride},
                            torch::kHalf);
  };
  const ServeByCudaOnHost serve;
  const auto x = of.image();
  const auto residual = of.image();
  const auto dy = of.image();
  const auto wide = spread(x_memory);
  wide.copy_(x);
  const auto whole = passes(of, x, residual, dy, torch::empty_like(x));
  const auto found = passes(of, wide, residual, dy, spread(d_memory));
  // The kernels of pairs of lines, whose places are 32 bits, leave such images to others, which add
  // in another order.
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_LE(relative_difference(found[i], whole[i]), 1e-3) << i;
  }
}

TEST(CudaOnHostPlans, OfAnotherKernelsWidthAreRefused) {
  const auto plan = cuda::plan_rows(8, 16, cuda::row_width(sizeof(c10::Half)), 3);
  EXPECT_THROW(
      cuda_on_host::kernels(cuda::Dtype::half).bn_reduce({}, plan, {}, {}, {}, {}, nullptr),
      std::logic_error);
}

TEST(CudaOnHostSlices, OfColumnsAreRefused) {
  const Case of{.batch = 2, .channels = 8, .height = 5, .width = 6};
  const auto x = of.image().narrow(3, 0, 4);
  EXPECT_THROW((void)operations_on_host().bn_forward(x, {}, {}), Error);
}

}  // namespace
}  // namespace xception
