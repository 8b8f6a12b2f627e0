// The CUDA kernels' sources on the host, on buffers that end where they should: an executable of
// its own, built with AddressSanitizer and UndefinedBehaviorSanitizer, which stop at the first
// access beside a buffer and at a vector that isn't aligned.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/cuda_on_host/kernels.h"

namespace xception::cuda {
namespace {

/// Memory of its own that begins `shift` bytes after an address for vectors, filled with a byte
/// that makes a small value in every dtype.
class Buffer {
 public:
  explicit Buffer(std::int64_t bytes, std::int64_t shift = 0)
      : memory_(static_cast<std::size_t>(bytes + shift)), shift_(shift) {
    std::memset(memory_.data(), 0x3B, memory_.size());
  }
  [[nodiscard]] void* data() { return memory_.data() + shift_; }
  [[nodiscard]] double* doubles() { return static_cast<double*>(data()); }

 private:
  std::vector<unsigned char> memory_;
  std::int64_t shift_;
};

struct Trial {
  Dtype dtype = Dtype::half;
  std::int64_t batch = 1, height = 1, width = 1, channels = 1;
  std::int64_t stride = 1, padding = 1;
  bool aligned = true;
  bool relu = true;

  [[nodiscard]] std::int64_t value_bytes() const {
    return dtype == Dtype::float64 ? 8 : (dtype == Dtype::float32 ? 4 : 2);
  }
  [[nodiscard]] std::int64_t arithmetic_bytes() const { return dtype == Dtype::float64 ? 8 : 4; }
  [[nodiscard]] std::int64_t rows() const { return batch * height * width; }
  [[nodiscard]] Window window() const {
    return {.height = height,
            .width = width,
            .channels = channels,
            .out_height = (height + 2 * padding - 3) / stride + 1,
            .out_width = (width + 2 * padding - 3) / stride + 1,
            .stride = stride,
            .padding = padding};
  }
  /// An image of `count` rows; the last one ends with its channels, whatever the stride.
  [[nodiscard]] Buffer image(std::int64_t count, std::int64_t row_stride) const {
    return Buffer(((count - 1) * row_stride + channels) * value_bytes(),
                  aligned ? 0 : value_bytes());
  }
  [[nodiscard]] int width_of(int wanted, std::int64_t row_stride) const {
    const std::int64_t offset = aligned ? 0 : value_bytes();
    return aligned_width(wanted, channels, value_bytes(),
                         static_cast<std::uint64_t>(offset | row_stride * value_bytes()));
  }
};

constexpr Queue kQueue{.multiprocessors = 2};

void run_batch_norm(const Trial& of, std::int64_t extra) {
  const auto& kernels = cuda_on_host::kernels(of.dtype);
  const std::int64_t stride = of.channels + extra;
  const bool is_double = of.dtype == Dtype::float64;
  const int width = of.width_of(row_width(of.value_bytes()), stride);
  const auto plan = plan_rows(of.rows(), of.channels, width, 2);
  const auto streaming = plan_rows(of.rows(), of.channels, width, 2, kStreamingBlocks);
  const auto reducing =
      plan_rows(of.rows(), of.channels, of.width_of(reduce_width(of.value_bytes()), stride), 2);
  auto x = of.image(of.rows(), stride);
  auto dy = of.image(of.rows(), stride);
  auto y = of.image(of.rows(), stride);
  auto dx = of.image(of.rows(), stride);
  auto residual = of.image(of.rows(), stride);
  const auto in = [&](Buffer& of_image) { return In{of_image.data(), stride}; };
  const auto out = [&](Buffer& of_image) { return Out{of_image.data(), stride}; };
  Buffer parameters[6] = {
      Buffer(of.channels * of.arithmetic_bytes()), Buffer(of.channels * of.arithmetic_bytes()),
      Buffer(of.channels * of.arithmetic_bytes()), Buffer(of.channels * of.arithmetic_bytes()),
      Buffer(of.channels * of.arithmetic_bytes()), Buffer(of.channels * of.arithmetic_bytes())};
  const auto parameter = [&](int i) { return Parameter{parameters[i].data(), is_double}; };
  Buffer statistics(2 * of.channels * 8);
  Buffer coefficients(3 * of.channels * of.arithmetic_bytes());
  Buffer partial(std::max(plan.parts, reducing.parts) * kBatchNormSums * of.channels * 8);
  Buffer input(2 * of.channels * of.arithmetic_bytes());
  const Normalization to{.weight = parameter(0),
                         .bias = parameter(1),
                         .running_mean = parameter(2),
                         .running_var = parameter(3),
                         .eps = 1e-3,
                         .momentum = 0.1,
                         .statistics = statistics.doubles(),
                         .coefficients = coefficients.data()};
  kernels.statistics(kQueue, plan, in(x), partial.doubles());
  kernels.finish_statistics(kQueue, plan, partial.doubles(), to);
  kernels.constant_statistics(kQueue, of.channels, to);
  const auto row = [&](Buffer& rows, std::int64_t i) -> const void* {
    return static_cast<unsigned char*>(rows.data()) + i * of.channels * of.arithmetic_bytes();
  };
  const OnLoad load{.center = row(coefficients, 0),
                    .scale = row(coefficients, 1),
                    .shift = row(coefficients, 2),
                    .relu = of.relu};
  kernels.bn_forward(kQueue, streaming, in(x), in(residual), out(y), load);
  kernels.bn_forward(kQueue, streaming, in(x), {}, out(y), load);
  for (const In mask : {in(y), In{}}) {
    kernels.bn_reduce(kQueue, reducing, in(dy), in(x), mask, load, partial.doubles());
    kernels.finish_sums(kQueue, {.partial = partial.doubles(),
                                 .parts = reducing.parts,
                                 .channels = of.channels,
                                 .weight = parameter(0),
                                 .statistics = statistics.doubles(),
                                 .count = 1.0,
                                 .d_weight = parameter(4),
                                 .d_bias = parameter(5),
                                 .input = input.data()});
    const BatchNormGradient gradient{.load = load, .slope = row(input, 0), .offset = row(input, 1)};
    kernels.bn_backward(kQueue, streaming, in(dy), in(x), mask, out(dx), out(residual), gradient);
    kernels.bn_backward(kQueue, streaming, in(dy), in(x), mask, out(dx), {}, gradient);
  }
}

/// pairs: by the kernels of pairs of lines, where there are any.
void run_depthwise(const Trial& of, std::int64_t extra, bool normalized, bool pairs) {
  const auto& kernels = cuda_on_host::kernels(of.dtype);
  const auto window = of.window();
  const std::int64_t stride = of.channels + extra;
  auto x = of.image(of.rows(), stride);
  auto y = of.image(of.batch * window.out_height * window.out_width, of.channels);
  auto dy = of.image(of.batch * window.out_height * window.out_width, of.channels);
  auto g = of.image(of.rows(), of.channels);
  Buffer taps(9 * of.channels * of.arithmetic_bytes());
  Buffer d_taps(9 * of.channels * of.arithmetic_bytes());
  Buffer coefficients(of.channels * of.arithmetic_bytes());
  const bool is_double = of.dtype == Dtype::float64;
  const Parameter weight{taps.data(), is_double};
  OnLoad load{.relu = of.relu};
  if (normalized) load.center = load.scale = load.shift = coefficients.data();
  const auto plan = [&](int wanted, std::int64_t height, std::int64_t positions, bool with_sums) {
    const int width = of.width_of(wanted, stride | of.channels);
    const bool by_pairs = pairs && can_pair(of.value_bytes(), width, wanted);
    return plan_lines(of.batch * quotient(height, by_pairs ? 2 : 1), positions, of.channels, width,
                      2, with_sums, by_pairs);
  };
  const auto forward =
      plan(forward_width(of.value_bytes()), window.out_height, window.out_width, false);
  kernels.depthwise_forward(kQueue, forward, {x.data(), stride}, y.data(), window, load, weight);
  const auto backward = plan(backward_width(of.value_bytes()), of.height, of.width, true);
  const std::int64_t sums = kDepthwiseSums + (normalized ? kBatchNormSums : 0);
  Buffer partial(backward.parts * sums * of.channels * 8);
  auto added = of.image(of.rows(), of.channels);
  for (const void* more :
       {static_cast<const void*>(nullptr), static_cast<const void*>(added.data())}) {
    kernels.depthwise_backward(kQueue, backward, dy.data(), {x.data(), stride}, g.data(), window,
                               load, weight, more, partial.doubles());
  }
  if (normalized) return;
  kernels.finish_sums(kQueue, {.partial = partial.doubles(),
                               .parts = backward.parts,
                               .channels = of.channels,
                               .d_depthwise = {d_taps.data(), is_double}});
}

void run_average(const Trial& of, std::int64_t extra) {
  const std::int64_t stride = of.channels + extra;
  auto x = of.image(of.rows(), stride);
  auto y = of.image(of.rows(), stride);
  const auto plan = plan_lines(of.batch * of.height, of.width, of.channels,
                               of.width_of(forward_width(of.value_bytes()), stride), 2, false);
  cuda_on_host::kernels(of.dtype).average(kQueue, plan, {x.data(), stride}, {y.data(), stride},
                                          of.window());
}

void run_pool(const Trial& of) {
  const auto& kernels = cuda_on_host::kernels(of.dtype);
  const auto window = of.window();
  const std::int64_t out_rows = of.batch * window.out_height * window.out_width;
  auto x = of.image(of.rows(), of.channels);
  auto dx = of.image(of.rows(), of.channels);
  auto y = of.image(out_rows, of.channels);
  auto residual = of.image(out_rows, of.channels);
  Buffer index(out_rows * of.channels);
  const int width = of.width_of(row_width(of.value_bytes()), of.channels);
  const auto forward =
      plan_lines(of.batch * window.out_height, window.out_width, of.channels, width, 2, false);
  auto* bytes = static_cast<std::uint8_t*>(index.data());
  const auto backward = plan_lines(of.batch * of.height, of.width, of.channels, width, 2, false);
  kernels.pool_forward(kQueue, forward, x.data(), {}, nullptr, y.data(), nullptr, nullptr, window);
  kernels.pool_forward(kQueue, forward, x.data(), {}, residual.data(), y.data(), bytes, nullptr,
                       window);
  kernels.pool_backward(kQueue, backward, y.data(), bytes, nullptr, dx.data(), window, {});

  const int norm_width = of.width_of(forward_width(of.value_bytes()), of.channels);
  const auto with_width = [&](LinesPlan plan) {
    return plan_lines(plan.lines, plan.positions, plan.channels, norm_width, 2, false);
  };
  Buffer coefficients(of.channels * of.arithmetic_bytes());
  auto source = of.image(out_rows, of.channels);
  const auto* each = coefficients.data();
  const OnLoad load{.center = each, .scale = each, .shift = each, .relu = of.relu};
  kernels.pool_forward(kQueue, with_width(forward), x.data(), load, nullptr, y.data(), nullptr,
                       nullptr, window);
  kernels.pool_forward(kQueue, with_width(forward), x.data(), load, residual.data(), y.data(),
                       bytes, source.data(), window);
  kernels.pool_backward(kQueue, with_width(backward), y.data(), bytes, x.data(), dx.data(), window,
                        {.load = load, .slope = each, .offset = each});
}

TEST(CudaMemory, KernelsStayWithinTheirBuffers) {
  for (const Dtype dtype : {Dtype::half, Dtype::bfloat16, Dtype::float32, Dtype::float64}) {
    for (const std::int64_t channels : {1, 7, 24, 264}) {
      for (const bool aligned : {true, false}) {
        for (const std::int64_t extra : {0, 8}) {
          for (const std::int64_t stride : {1, 2}) {
            for (const std::int64_t padding : {0, 1}) {
              for (const std::int64_t size : {1, 3, 9}) {
                if (size + 2 * padding < 3 || (channels == 264 && size == 10 && extra > 0))
                  continue;
                const Trial of{.dtype = dtype,
                               .batch = 2,
                               .height = size,
                               .width = size + (size > 1 ? 1 : 0),
                               .channels = channels,
                               .stride = stride,
                               .padding = padding,
                               .aligned = aligned};
                SCOPED_TRACE(testing::Message()
                             << static_cast<int>(dtype) << " " << channels << " channels, size "
                             << size << ", stride " << stride << ", padding " << padding);
                for (const bool normalized : {true, false}) {
                  run_depthwise(of, extra, normalized, false);
                  if (stride == 1 && padding == 1) run_depthwise(of, extra, normalized, true);
                }
                if (stride == 1 && padding == 1) {
                  run_batch_norm(of, extra);
                  run_average(of, extra);
                }
                if (stride == 2 && extra == 0) run_pool(of);
              }
            }
          }
        }
      }
    }
  }
}

/// blocks: fewer than lines of work, so that a block goes on; 0: as planned.
void run_image_rows(Dtype dtype, std::int64_t width, bool aligned, bool with_rows,
                    std::int64_t blocks) {
  constexpr std::int64_t batch = 2, height = 34, out_height = 13;
  const Trial of{.dtype = dtype, .channels = 3 * width, .aligned = aligned};
  const std::int64_t shift = aligned ? 0 : 4;
  Buffer columns(batch * height * of.channels * 4, shift);
  Buffer rows(batch * out_height * height * 4);
  Buffer scale(3 * 4);
  Buffer offset(3 * 4);
  const std::int64_t lines_of_image = with_rows ? out_height : height;
  auto y = of.image(batch * lines_of_image, of.channels);
  const int columns_width = aligned_width(forward_width(of.value_bytes()), of.channels, 4,
                                          static_cast<std::uint64_t>(shift));
  auto plan = plan_image_rows(batch * lines_of_image,
                              std::min(columns_width, of.width_of(columns_width, 0)));
  if (blocks > 0) plan.blocks = blocks;
  const auto floats = [](Buffer& buffer) { return static_cast<const float*>(buffer.data()); };
  cuda_on_host::kernels(dtype).image_rows(kQueue, plan,
                                          {.columns = floats(columns),
                                           .rows = with_rows ? floats(rows) : nullptr,
                                           .rows_stride = out_height * height,
                                           .scale = floats(scale),
                                           .offset = floats(offset),
                                           .height = height,
                                           .out_height = lines_of_image,
                                           .values = of.channels},
                                          y.data());
}

/// displaced: which of the five buffers doesn't begin at a vector's address; 5: none.
void run_update(Dtype dtype, UpdateKind kind, std::int64_t count, int displaced) {
  const Trial of{.dtype = dtype};
  int made = 0;
  const auto make = [&](std::int64_t bytes) {
    return Buffer(count * bytes, made++ == displaced ? bytes : 0);
  };
  auto parameter = make(of.arithmetic_bytes());
  auto first = make(of.arithmetic_bytes());
  auto second = make(of.arithmetic_bytes());
  auto gradient = make(of.value_bytes());
  auto copy = make(of.value_bytes());
  const bool sgd = kind == UpdateKind::sgd;
  Updates updates;
  for (int i = 0; i < 2; ++i) {
    updates.add({.parameter = parameter.data(),
                 .gradient = gradient.data(),
                 .first = first.data(),
                 .second = sgd ? nullptr : second.data(),
                 .copy = i == 0 ? nullptr : copy.data(),
                 .count = count},
                of.value_bytes(), of.arithmetic_bytes());
  }
  EXPECT_EQ(updates.by_vectors[1], displaced == 5 || (sgd && displaced == 2));
  float scalar = 1.0F;
  const Parameter one{.data = &scalar};
  cuda_on_host::kernels(dtype).update(kQueue, updates, {.kind = kind, .momentum = 0.9},
                                      {.lr = one, .step = one, .inverse_scale = one});
}

TEST(CudaMemory, UpdatesStayWithinTheirBuffers) {
  for (const Dtype dtype : {Dtype::half, Dtype::bfloat16, Dtype::float32, Dtype::float64}) {
    for (const std::int64_t count : {1, 10, 19, 8192, 8195}) {
      for (const UpdateKind kind : {UpdateKind::adam, UpdateKind::sgd}) {
        for (int displaced = 0; displaced <= 5; ++displaced) {
          SCOPED_TRACE(testing::Message() << static_cast<int>(dtype) << ", " << count << " values, "
                                          << displaced << " displaced");
          run_update(dtype, kind, count, displaced);
        }
      }
    }
  }
}

TEST(CudaMemory, ImageRowsStayWithinTheirBuffers) {
  for (const Dtype dtype : {Dtype::half, Dtype::bfloat16, Dtype::float32, Dtype::float64}) {
    for (const std::int64_t width : {1, 11, 32, 47}) {
      for (const bool aligned : {true, false}) {
        for (const bool with_rows : {true, false}) {
          for (const std::int64_t blocks : {0, 1, 2}) {
            SCOPED_TRACE(testing::Message() << static_cast<int>(dtype) << ", width " << width);
            run_image_rows(dtype, width, aligned, with_rows, blocks);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace xception::cuda
