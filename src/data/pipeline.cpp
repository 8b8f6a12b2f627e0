#include "xception/data/pipeline.h"

#include <algorithm>

#include "resample_pixels.h"
#include "xception/core/error.h"
#include "xception/kernels/image_rows.h"
#include "xception/kernels/worker_pool.h"

namespace xception {
namespace {

/// Values that a large picture is read at a time.
constexpr std::int64_t kStripValues = 1 << 22;

/// images: uint8 (N, 3, H, W) -> float32 (N, H, W' * 3). cols: an AxisMaps' map.
torch::Tensor resample_columns(const torch::Tensor& images, const torch::Tensor& cols) {
  const auto n = images.size(0);
  const auto height = images.size(2);
  auto batch = images.permute({0, 3, 2, 1})
                   .to(torch::kFloat32)
                   .reshape({n, images.size(3), height * 3});  // (N, W, H x 3)
  if (cols.defined()) batch = torch::matmul(cols, batch);      // (N, W', H x 3)
  const auto width = batch.size(1);
  return batch.view({n, width, height, 3}).transpose(1, 2).reshape({n, height, width * 3});
}

/// columns: float32 (N, H, W' * 3) -> float32 (N, H', W', 3), which is channels last.
torch::Tensor resample_rows(torch::Tensor columns, const torch::Tensor& rows) {
  if (rows.defined()) columns = torch::matmul(rows, columns);
  return columns.view({columns.size(0), columns.size(1), -1, 3});
}

/// Divides the output's rows into blocks, each made of at most `height` rows of the source (or of
/// one row of the output).
std::vector<Taps> blocks(const Taps& rows, std::int64_t height) {
  std::vector<Taps> made;
  Span source;
  for (const auto& row : rows.rows) {
    const auto first = std::min(source.first, row.first);
    const auto end = std::max(source.first + source.count, row.first + row.count);
    if (made.empty() || end - first > height) {
      made.push_back({.input = rows.input, .weights = rows.weights});
      source = {row.first, row.count};
    } else {
      source = {first, end - first};
    }
    made.back().rows.push_back(row);
  }
  return made;
}

}  // namespace

Pipeline::Pipeline(const InputConfig& config, TransformList list, const torch::Device& device,
                   PixelSteps steps)
    : key_(list == TransformList::train ? "augment.train" : "augment.test"),
      transforms_(build_transforms(
          list == TransformList::train ? config.augment.train : config.augment.test, key_,
          config.data.image_size)),
      output_{config.data.image_size, config.data.image_size},
      device_(device) {
  // (x / 255 - mean) / std as one product and one sum a pixel.
  const auto std = torch::tensor(config.augment.std, torch::kFloat64);
  const auto mean = torch::tensor(config.augment.mean, torch::kFloat64);
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  const bool normalized = steps != PixelSteps::unnormalized;
  scale_ = normalized ? (1.0 / (255.0 * std)).to(options) : torch::ones({3}, options);
  offset_ = normalized ? (-mean / std).to(options) : torch::zeros({3}, options);
  for (const auto& transform : transforms_) draws_ += transform->draws();
  const bool geometric = std::none_of(transforms_.begin(), transforms_.end(),
                                      [](const auto& of) { return of->changes_pixels(); });
  fused_ = steps == PixelSteps::fused && geometric && image_rows_run_on(device);
  planned_ = steps != PixelSteps::reference && geometric && device.is_cpu();
}

std::vector<Size> Pipeline::sizes(Size input) const {
  std::vector<Size> all = {input};
  for (const auto& transform : transforms_) all.push_back(transform->output(all.back()));
  if (all.back() == output_) return all;
  throw input_error("config",
                    "{}: the transforms end at {} x {} px, expected data.image_size {} x {}; end "
                    "with center_crop or random_resized_crop",
                    key_, all.back().height, all.back().width, output_.height, output_.width);
}

torch::Tensor Pipeline::draw(std::uint64_t seed, std::int64_t epoch, const torch::Tensor& indices,
                             Size input) const {
  const auto inputs = sizes(input);
  const auto n = indices.size(0);
  auto table = torch::zeros({n, draws_}, torch::kFloat32);
  if (draws_ > 0) {
    const auto* index = indices.const_data_ptr<std::int64_t>();
    auto* numbers = table.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < n; ++i) {
      CounterRandom random(seed, RandomStream::augment, static_cast<std::uint32_t>(epoch),
                           static_cast<std::uint32_t>(index[i]));
      for (std::size_t t = 0; t < transforms_.size(); ++t) {
        transforms_[t]->draw(random, inputs[t], numbers);
        numbers += transforms_[t]->draws();
      }
    }
  }
  return table.to(device_);
}

Pipeline::Geometry Pipeline::geometry(const torch::Tensor& drawn, Size input) const {
  const auto inputs = sizes(input);
  Geometry made;
  std::int64_t column = 0;
  for (std::size_t t = 0; t < transforms_.size(); ++t) {
    made.numbers.push_back(drawn.narrow(1, column, transforms_[t]->draws()));
    column += transforms_[t]->draws();
    transforms_[t]->compose(made.maps, inputs[t], made.numbers.back());
  }
  return made;
}

Pipeline::Geometry Pipeline::visible_geometry(const torch::Tensor& drawn, Size input,
                                              Part& source) const {
  const auto inputs = sizes(input);
  std::vector<Part> parts(transforms_.size() + 1);
  parts.back() = {0, 0, output_};
  for (std::size_t t = transforms_.size(); t > 0; --t) {
    parts[t - 1] = transforms_[t - 1]->source(inputs[t - 1], parts[t]);
  }
  source = parts.front();
  Geometry made;
  std::int64_t column = 0;
  for (std::size_t t = 0; t < transforms_.size(); ++t) {
    made.numbers.push_back(drawn.narrow(1, column, transforms_[t]->draws()));
    column += transforms_[t]->draws();
    transforms_[t]->compose_part(made.maps, inputs[t], parts[t], parts[t + 1], made.numbers.back());
  }
  return made;
}

torch::Tensor Pipeline::pixels(const torch::Tensor& columns, const Geometry& made) const {
  auto batch = resample_rows(columns, made.maps.rows);
  batch.round_();  // half to even, as torchvision's
  for (std::size_t t = 0; t < transforms_.size(); ++t) {
    if (transforms_[t]->changes_pixels()) batch = transforms_[t]->pixels(batch, made.numbers[t]);
  }
  return batch;
}

torch::Tensor Pipeline::finish(const torch::Tensor& columns, const Geometry& made,
                               torch::ScalarType dtype, bool channels_last) const {
  const auto batch =
      fused_ ? fused_image_rows(columns, made.maps.rows, scale_, offset_, dtype)
             : pixels(columns, made).mul_(scale_).add_(offset_).to(dtype).permute({0, 3, 1, 2});
  return channels_last ? batch : batch.contiguous();
}

torch::Tensor Pipeline::apply(const torch::Tensor& images, const torch::Tensor& drawn,
                              torch::ScalarType dtype, bool channels_last) const {
  const torch::NoGradGuard no_grad;
  if (planned_) return apply_plans(images, drawn, dtype, channels_last);
  const auto made = geometry(drawn, {images.size(2), images.size(3)});
  return finish(resample_columns(images, made.maps.cols), made, dtype, channels_last);
}

Pipeline::Plan Pipeline::plan(const torch::Tensor& drawn, Size input) const {
  const auto inputs = sizes(input);
  Plan made{.rows = Taps::shift(0, input.height, input.height),
            .cols = Taps::shift(0, input.width, input.width),
            .source = {}};
  const auto* numbers = drawn.const_data_ptr<float>();
  for (std::size_t t = 0; t < transforms_.size(); ++t) {
    transforms_[t]->compose_taps(made.rows, made.cols, inputs[t], numbers);
    numbers += transforms_[t]->draws();
  }
  const auto rows = made.rows.source();
  const auto cols = made.cols.source();
  made.source = {rows.first, cols.first, {rows.count, cols.count}};
  return made;
}

void Pipeline::apply_plan(const Plan& plan, const std::uint8_t* pixels,
                          const torch::Tensor& to) const {
  apply_plan(plan, pixels, first_axis(plan.rows), to);
}

void Pipeline::apply_plan(const Plan& plan, const std::uint8_t* pixels, FirstAxis first,
                          const torch::Tensor& to) const {
  Normalization normalization;
  std::copy_n(scale_.const_data_ptr<float>(), 3, normalization.scale);
  std::copy_n(offset_.const_data_ptr<float>(), 3, normalization.offset);
  const auto last = to.permute({1, 2, 0});
  const auto write = [&]<class Value>(Value* values) {
    resample_pixels(pixels, plan.rows, plan.cols, first, normalization, values);
  };
  if (last.is_contiguous()) {
    switch (last.scalar_type()) {
      case torch::kFloat32:
        return write(last.mutable_data_ptr<float>());
      case torch::kHalf:
        return write(last.mutable_data_ptr<c10::Half>());
      case torch::kBFloat16:
        return write(last.mutable_data_ptr<c10::BFloat16>());
      default:
        break;
    }
  }
  const auto result = torch::empty(last.sizes(), torch::kFloat32);
  write(result.mutable_data_ptr<float>());
  last.copy_(result);
}

torch::Tensor Pipeline::apply_plans(const torch::Tensor& images, const torch::Tensor& drawn,
                                    torch::ScalarType dtype, bool channels_last) const {
  const auto [height, width] = Size{images.size(2), images.size(3)};
  (void)sizes({height, width});
  const auto batch = torch::empty(
      {images.size(0), 3, output_.height, output_.width}, torch::TensorOptions().dtype(dtype),
      channels_last ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous);
  run_parts(images.size(0), [&](std::int64_t i) {
    const torch::NoGradGuard no_grad;
    const auto made = plan(drawn.narrow(0, i, 1), {height, width});
    const auto [top, left, size] = made.source;
    const auto pixels = images[i]
                            .narrow(1, top, size.height)
                            .narrow(2, left, size.width)
                            .permute({1, 2, 0})
                            .contiguous();
    apply_plan(made, pixels.const_data_ptr<std::uint8_t>(), batch[i]);
  });
  return batch;
}

void Pipeline::apply_in_strips(const PartReader& picture, const Plan& plan,
                               const torch::Tensor& to) const {
  const auto first = first_axis(plan.rows);
  const auto width = plan.source.size.width;
  const auto strip = std::max<std::int64_t>(kStripValues / (3 * width), 1);
  std::int64_t row = 0;
  for (const auto& rows : blocks(plan.rows, strip)) {
    const auto source = rows.source();
    const auto pixels = picture({source.first, plan.source.left, {source.count, width}});
    const auto count = std::ssize(rows.rows);
    apply_plan({.rows = rows, .cols = plan.cols, .source = {}},
               pixels.contiguous().const_data_ptr<std::uint8_t>(), first, to.narrow(1, row, count));
    row += count;
  }
}

torch::Tensor Pipeline::apply_to_picture(const PartReader& picture, Size size,
                                         const torch::Tensor& drawn, torch::ScalarType dtype,
                                         bool channels_last) const {
  const torch::NoGradGuard no_grad;
  if (planned_) {
    const auto batch = torch::empty(
        {1, 3, output_.height, output_.width}, torch::TensorOptions().dtype(dtype),
        channels_last ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous);
    apply_in_strips(picture, plan(drawn, size), batch[0]);
    return batch;
  }
  Part source;
  const auto made = visible_geometry(drawn, size, source);
  const auto [height, width] = source.size;
  const auto rows = std::clamp<std::int64_t>(kStripValues / (3 * width), 1, height);
  torch::Tensor columns;
  for (std::int64_t row = 0; row < height; row += rows) {
    const auto count = std::min(rows, height - row);
    const auto strip = picture({source.top + row, source.left, {count, width}}).to(device_);
    const auto resampled = resample_columns(strip.permute({2, 0, 1}).unsqueeze(0), made.maps.cols);
    if (!columns.defined()) {
      columns = torch::empty({1, height, resampled.size(2)}, resampled.options());
    }
    columns.narrow(1, row, count).copy_(resampled);
  }
  return finish(columns, made, dtype, channels_last);
}

}  // namespace xception
