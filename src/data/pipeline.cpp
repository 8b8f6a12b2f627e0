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
  divide();
  for (auto t = erasing_; t < transforms_.size(); ++t) {
    const double value = transforms_[t]->erases()->value;
    auto& colors = erased_.emplace_back(3, value);
    if (normalized) continue;
    for (std::size_t c = 0; c < 3; ++c) {
      colors[c] =
          255.0 * std::clamp(config.augment.mean[c] + value * config.augment.std[c], 0., 1.);
    }
  }
  fused_ = steps == PixelSteps::fused && image_rows_run_on(device);
  planned_ = steps != PixelSteps::reference && device.is_cpu();
}

void Pipeline::divide() {
  const auto count = transforms_.size();
  erasing_ = count;
  for (std::size_t t = 0; t < count; ++t) {
    columns_.push_back(draws_);
    draws_ += transforms_[t]->draws();
    const bool erases = transforms_[t]->erases().has_value();
    if (erases && erasing_ == count) erasing_ = t;
    if (erases || erasing_ == count) continue;
    throw input_error("config",
                      "{}[{}]: erases finished images, but {}[{}] comes after it; expected cutout "
                      "and random_erasing at the end, their sizes in px of data.image_size",
                      key_, erasing_, key_, t);
  }
  std::size_t t = 0;
  do {
    Stage stage{.first = t};
    while (t < erasing_ && !transforms_[t]->changes_pixels()) ++t;
    stage.pixels = t;
    while (t < erasing_ && transforms_[t]->changes_pixels()) ++t;
    stage.end = t;
    stages_.push_back(stage);
  } while (t < erasing_);
  if (stages_.back().end > stages_.back().pixels) stages_.push_back({t, t, t});
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
      const Draw image{.random = random, .seed = seed, .epoch = epoch, .index = index[i]};
      for (std::size_t t = 0; t < transforms_.size(); ++t) {
        transforms_[t]->draw(image, inputs[t], numbers);
        numbers += transforms_[t]->draws();
      }
    }
  }
  return table.to(device_);
}

torch::Tensor Pipeline::numbers(const torch::Tensor& drawn, std::size_t transform) const {
  return drawn.narrow(1, columns_[transform], transforms_[transform]->draws());
}

AxisMaps Pipeline::geometry(const Stage& stage, const torch::Tensor& drawn,
                            const std::vector<Size>& inputs) const {
  AxisMaps maps;
  for (auto t = stage.first; t < stage.pixels; ++t) {
    transforms_[t]->compose(maps, inputs[t], numbers(drawn, t));
  }
  return maps;
}

AxisMaps Pipeline::visible_geometry(const Stage& stage, const torch::Tensor& drawn,
                                    const std::vector<Size>& inputs, Part& source) const {
  std::vector<Part> parts(stage.pixels + 1);
  parts.back() = {0, 0, inputs[stage.pixels]};
  for (auto t = stage.pixels; t > stage.first; --t) {
    parts[t - 1] = transforms_[t - 1]->source(inputs[t - 1], parts[t]);
  }
  source = parts[stage.first];
  AxisMaps maps;
  for (auto t = stage.first; t < stage.pixels; ++t) {
    transforms_[t]->compose_part(maps, inputs[t], parts[t], parts[t + 1], numbers(drawn, t));
  }
  return maps;
}

torch::Tensor Pipeline::change_pixels(const Stage& stage, torch::Tensor images,
                                      const torch::Tensor& drawn) const {
  for (auto t = stage.pixels; t < stage.end; ++t) {
    images = transforms_[t]->pixels(images, numbers(drawn, t));
  }
  return images;
}

void Pipeline::erase(const torch::Tensor& images, const torch::Tensor& drawn) const {
  for (auto t = erasing_; t < transforms_.size(); ++t) {
    const auto& colors = erased_[t - erasing_];
    const auto edges = numbers(drawn, t);
    if (images.is_cpu()) {
      const auto* edge = edges.const_data_ptr<float>();
      for (std::int64_t i = 0; i < images.size(0); ++i, edge += edges.stride(0)) {
        const auto whole = [&](int at) { return static_cast<std::int64_t>(edge[at]); };
        if (whole(2) == 0) continue;
        const auto area = images[i].narrow(1, whole(0), whole(2)).narrow(2, whole(1), whole(3));
        if (colors[0] == colors[1] && colors[0] == colors[2]) {
          area.fill_(colors[0]);
          continue;
        }
        for (std::int64_t c = 0; c < 3; ++c) area[c].fill_(colors[static_cast<std::size_t>(c)]);
      }
      continue;
    }
    const auto inside = [&](std::int64_t first, std::int64_t extent, std::int64_t length) {
      const auto place = torch::arange(length, edges.options());
      const auto begin = edges.select(1, first).unsqueeze(1);
      return (place >= begin).logical_and(place < begin + edges.select(1, extent).unsqueeze(1));
    };
    const auto rows = inside(0, 2, images.size(2)).view({-1, 1, images.size(2), 1});
    const auto mask =
        rows.logical_and(inside(1, 3, images.size(3)).view({-1, 1, 1, images.size(3)}));
    for (std::int64_t c = 0; c < 3; ++c) {
      images.narrow(1, c, 1).masked_fill_(mask, colors[static_cast<std::size_t>(c)]);
    }
  }
}

torch::Tensor Pipeline::finish(std::size_t stage, torch::Tensor columns, AxisMaps maps,
                               const torch::Tensor& drawn, const std::vector<Size>& inputs,
                               torch::ScalarType dtype, bool channels_last) const {
  for (; stage + 1 < stages_.size(); ++stage) {
    const auto rounded = resample_rows(columns, maps.rows).round_().to(torch::kUInt8);
    const auto pixels = change_pixels(stages_[stage], rounded, drawn).permute({0, 3, 1, 2});
    maps = geometry(stages_[stage + 1], drawn, inputs);
    columns = resample_columns(pixels, maps.cols);
  }
  auto batch = fused_ ? fused_image_rows(columns, maps.rows, scale_, offset_, dtype)
                      : resample_rows(columns, maps.rows)
                            .round_()  // half to even, as torchvision's
                            .mul_(scale_)
                            .add_(offset_)
                            .to(dtype)
                            .permute({0, 3, 1, 2});
  if (!channels_last) batch = batch.contiguous();
  erase(batch, drawn);
  return batch;
}

torch::Tensor Pipeline::apply(const torch::Tensor& images, const torch::Tensor& drawn,
                              torch::ScalarType dtype, bool channels_last) const {
  const torch::NoGradGuard no_grad;
  if (planned_) return apply_plans(images, drawn, dtype, channels_last);
  const auto inputs = sizes({images.size(2), images.size(3)});
  const auto maps = geometry(stages_.front(), drawn, inputs);
  return finish(0, resample_columns(images, maps.cols), maps, drawn, inputs, dtype, channels_last);
}

Pipeline::Plan Pipeline::plan(const torch::Tensor& drawn, Size input) const {
  const auto inputs = sizes(input);
  Plan made{.resamplings = {}, .source = {}, .drawn = drawn};
  const auto* numbers = drawn.const_data_ptr<float>();
  for (const auto& stage : stages_) {
    const auto& [height, width] = inputs[stage.first];
    Plan::Axes axes{.rows = Taps::shift(0, height, height), .cols = Taps::shift(0, width, width)};
    for (auto t = stage.first; t < stage.pixels; ++t) {
      transforms_[t]->compose_taps(axes.rows, axes.cols, inputs[t], numbers + columns_[t]);
    }
    made.resamplings.push_back(std::move(axes));
  }
  const auto rows = made.resamplings.front().rows.source();
  const auto cols = made.resamplings.front().cols.source();
  made.source = {rows.first, cols.first, {rows.count, cols.count}};
  return made;
}

void Pipeline::apply_plan(const Plan& plan, const std::uint8_t* pixels,
                          const torch::Tensor& to) const {
  const auto& axes = plan.resamplings.front();
  const auto first = first_axis(axes.rows);
  if (stages_.size() == 1) {
    resample(axes, first, pixels, /*normalized=*/true, to);
    erase(to.unsqueeze(0), plan.drawn);
    return;
  }
  const auto made = torch::empty({std::ssize(axes.rows.rows), std::ssize(axes.cols.rows), 3});
  resample(axes, first, pixels, /*normalized=*/false, made.permute({2, 0, 1}));
  finish_plan(plan, made.to(torch::kUInt8).unsqueeze(0), to);
}

void Pipeline::finish_plan(const Plan& plan, torch::Tensor pixels, const torch::Tensor& to) const {
  for (std::size_t stage = 0; stage + 1 < stages_.size(); ++stage) {
    pixels = change_pixels(stages_[stage], pixels, plan.drawn).contiguous();
    const auto& axes = plan.resamplings[stage + 1];
    const bool last = stage + 2 == stages_.size();
    const auto rows = axes.rows.source();
    const auto cols = axes.cols.source();
    const auto source =
        pixels[0].narrow(0, rows.first, rows.count).narrow(1, cols.first, cols.count).contiguous();
    const auto made =
        last ? to
             : torch::empty({std::ssize(axes.rows.rows), std::ssize(axes.cols.rows), 3})
                   .permute({2, 0, 1});
    resample(axes, first_axis(axes.rows), source.const_data_ptr<std::uint8_t>(), last, made);
    if (!last) pixels = made.permute({1, 2, 0}).to(torch::kUInt8).unsqueeze(0);
  }
  erase(to.unsqueeze(0), plan.drawn);
}

void Pipeline::resample(const Plan::Axes& axes, FirstAxis first, const std::uint8_t* pixels,
                        bool normalized, const torch::Tensor& to) const {
  Normalization normalization;
  if (normalized) {
    std::copy_n(scale_.const_data_ptr<float>(), 3, normalization.scale);
    std::copy_n(offset_.const_data_ptr<float>(), 3, normalization.offset);
  }
  const auto last = to.permute({1, 2, 0});
  const auto write = [&]<class Value>(Value* values) {
    resample_pixels(pixels, axes.rows, axes.cols, first, normalization, values);
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
  const bool only = stages_.size() == 1;
  const auto& axes = plan.resamplings.front();
  const auto made = only ? to
                         : torch::empty({std::ssize(axes.rows.rows), std::ssize(axes.cols.rows), 3})
                               .permute({2, 0, 1});
  const auto first = first_axis(axes.rows);
  const auto width = plan.source.size.width;
  const auto strip = std::max<std::int64_t>(kStripValues / (3 * width), 1);
  std::int64_t row = 0;
  for (const auto& rows : blocks(axes.rows, strip)) {
    const auto source = rows.source();
    const auto pixels = picture({source.first, plan.source.left, {source.count, width}});
    const auto count = std::ssize(rows.rows);
    resample({.rows = rows, .cols = axes.cols}, first,
             pixels.contiguous().const_data_ptr<std::uint8_t>(), only, made.narrow(1, row, count));
    row += count;
  }
  if (only) {
    erase(to.unsqueeze(0), plan.drawn);
  } else {
    finish_plan(plan, made.permute({1, 2, 0}).to(torch::kUInt8).unsqueeze(0), to);
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
  const auto inputs = sizes(size);
  const auto maps = visible_geometry(stages_.front(), drawn, inputs, source);
  const auto [height, width] = source.size;
  const auto rows = std::clamp<std::int64_t>(kStripValues / (3 * width), 1, height);
  torch::Tensor columns;
  for (std::int64_t row = 0; row < height; row += rows) {
    const auto count = std::min(rows, height - row);
    const auto strip = picture({source.top + row, source.left, {count, width}}).to(device_);
    const auto resampled = resample_columns(strip.permute({2, 0, 1}).unsqueeze(0), maps.cols);
    if (!columns.defined()) {
      columns = torch::empty({1, height, resampled.size(2)}, resampled.options());
    }
    columns.narrow(1, row, count).copy_(resampled);
  }
  return finish(0, columns, maps, drawn, inputs, dtype, channels_last);
}

}  // namespace xception
