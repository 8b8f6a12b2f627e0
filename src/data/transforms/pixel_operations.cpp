#include "pixel_operations.h"

#include <ATen/ops/grid_sampler_2d.h>

#include <algorithm>
#include <initializer_list>
#include <numbers>

namespace xception {
namespace {

using enum PixelOperation;

constexpr double kMost = 255.0;

/// One call of apply_pixel_operations().
class Batch {
 public:
  Batch(const torch::Tensor& operations, const torch::Tensor& values,
        const std::vector<PixelOperation>& possible)
      : operations_(operations), values_(values), possible_(possible) {}

  /// Whether an image may need one of these: on a CPU, whether it does.
  [[nodiscard]] bool has(std::initializer_list<PixelOperation> some) const {
    return std::any_of(some.begin(), some.end(), [&](PixelOperation one) { return has(one); });
  }
  [[nodiscard]] bool has(PixelOperation one) const {
    if (std::find(possible_.begin(), possible_.end(), one) == possible_.end()) return false;
    if (!operations_.is_cpu()) return true;
    const auto* number = operations_.const_data_ptr<float>();
    for (std::int64_t i = 0; i < operations_.size(0); ++i, number += operations_.stride(0)) {
      if (static_cast<int>(*number) == static_cast<int>(one)) return true;
    }
    return false;
  }

  /// Whether each image is to have this one: bool (N, 1, ..., 1), `dims` in all.
  [[nodiscard]] torch::Tensor is(PixelOperation one, std::int64_t dims = 1) const {
    return over(operations_ == static_cast<double>(one), dims);
  }

  /// The value, where it belongs to this operation, else another: float32 (N, 1, ..., 1).
  [[nodiscard]] torch::Tensor value(PixelOperation one, double other, std::int64_t dims = 1) const {
    return over(torch::where(is(one), values_, torch::full_like(values_, other)), dims);
  }

  [[nodiscard]] static torch::Tensor over(const torch::Tensor& each, std::int64_t dims) {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(dims), 1);
    shape[0] = -1;
    return each.view(shape);
  }

 private:
  torch::Tensor operations_, values_;
  const std::vector<PixelOperation>& possible_;
};

/// As torchvision: a mantissa is cut off, not rounded.
torch::Tensor bytes(const torch::Tensor& values) {
  return values.clamp(0.0, kMost).to(torch::kUInt8);
}

/// images: uint8 (N, H, W, 3) -> float32 (N, H, W, 1), whole values.
torch::Tensor gray(const torch::Tensor& images) {
  const auto color = [&](std::int64_t c) { return images.select(3, c); };
  return color(0).mul(0.2989F).add_(color(1), 0.587F).add_(color(2), 0.114F).floor_().unsqueeze(3);
}

/// factor * images + (1 - factor) * others.
torch::Tensor blend(const torch::Tensor& images, const torch::Tensor& others,
                    const torch::Tensor& factor) {
  return bytes(images.mul(factor).add_(others.mul(1.0 - factor)));
}

/// How often each byte occurs in each color: int64 (N, 3, 256).
torch::Tensor count_bytes(const torch::Tensor& images) {
  const auto n = images.size(0);
  auto counts = torch::zeros({n * 3, 256}, images.options().dtype(torch::kInt64));
  if (images.is_cpu()) {
    const auto rows = images.contiguous();
    const auto* pixel = rows.const_data_ptr<std::uint8_t>();
    auto* count = counts.mutable_data_ptr<std::int64_t>();
    const auto values = images.size(1) * images.size(2);
    for (std::int64_t i = 0; i < n; ++i, count += 3 * 256) {
      for (std::int64_t k = 0; k < values; ++k, pixel += 3) {
        for (int c = 0; c < 3; ++c) ++count[256 * c + pixel[c]];
      }
    }
  } else {
    const auto index = images.permute({0, 3, 1, 2}).reshape({n * 3, -1}).to(torch::kInt64);
    const auto first = torch::arange(n * 3, index.options()).unsqueeze(1) * 256;
    const auto flat = (index + first).flatten();
    counts.view({-1}).scatter_add_(0, flat, torch::ones_like(flat));
  }
  return counts.view({n, 3, 256});
}

/// What each byte becomes: uint8 (N, 3, 256).
torch::Tensor tables(const torch::Tensor& images, const Batch& batch) {
  const auto n = images.size(0);
  const auto options = images.options().dtype(torch::kFloat32);
  const auto own = torch::arange(256, options);  // (256)
  auto table = own.expand({n, 3, 256});
  const auto use = [&](PixelOperation one, const torch::Tensor& other) {
    table = torch::where(batch.is(one, 3), other, table);
  };
  if (batch.has(brightness)) use(brightness, own * batch.value(brightness, 1.0, 3));
  if (batch.has(contrast)) {
    const auto mean = gray(images).mean({1, 2, 3}).view({-1, 1, 1});
    const auto factor = batch.value(contrast, 1.0, 3);
    use(contrast, own * factor + mean * (1.0 - factor));
  }
  if (batch.has(posterize)) {
    const auto step = torch::exp2(8.0 - batch.value(posterize, 8.0, 3));
    use(posterize, (own / step).floor_() * step);
  }
  if (batch.has(solarize)) {
    use(solarize, torch::where(own >= batch.value(solarize, 256.0, 3), kMost - own, own));
  }
  if (batch.has(auto_contrast)) {
    const auto colors = images.flatten(1, 2);  // (N, H x W, 3)
    const auto low = colors.amin(1).to(torch::kFloat32).unsqueeze(2);
    const auto high = colors.amax(1).to(torch::kFloat32).unsqueeze(2);
    const auto flat = high == low;
    const auto scale = torch::where(flat, torch::ones_like(low), (high - low) * (1.0 / kMost));
    use(auto_contrast, (own - torch::where(flat, torch::zeros_like(low), low)) / scale);
  }
  if (batch.has(equalize)) {
    const auto counts = count_bytes(images);
    const auto sums = counts.cumsum(2);
    const auto last = sums.argmax(2, /*keepdim=*/true);  // the first of the largest
    const auto pixels = images.size(1) * images.size(2);
    const auto step = (pixels - counts.gather(2, last)).div(255, "floor");  // (N, 3, 1)
    const auto below = torch::constant_pad_nd(sums.narrow(2, 0, 255), {1, 0});
    auto equal = (below + step.div(2, "floor")).div(step.clamp_min(1), "floor");
    equal.select(2, 0).zero_();
    use(equalize, torch::where(step > 0, equal.to(torch::kFloat32), own));
  }
  return bytes(table).contiguous();
}

torch::Tensor look_up(const torch::Tensor& images, const torch::Tensor& table) {
  const auto n = images.size(0);
  if (!images.is_cpu()) {
    const auto index = images.permute({0, 3, 1, 2}).reshape({n, 3, -1}).to(torch::kInt64);
    return table.gather(2, index)
        .view({n, 3, images.size(1), images.size(2)})
        .permute({0, 2, 3, 1})
        .contiguous();
  }
  const auto from = images.contiguous();
  auto made = torch::empty_like(from);
  const auto* pixel = from.const_data_ptr<std::uint8_t>();
  const auto* row = table.const_data_ptr<std::uint8_t>();
  auto* to = made.mutable_data_ptr<std::uint8_t>();
  const auto values = images.size(1) * images.size(2);
  for (std::int64_t i = 0; i < n; ++i, row += 3 * 256) {
    for (std::int64_t k = 0; k < values; ++k, pixel += 3, to += 3) {
      for (int c = 0; c < 3; ++c) to[c] = row[256 * c + pixel[c]];
    }
  }
  return made;
}

torch::Tensor sharpen(const torch::Tensor& images, const torch::Tensor& factor) {
  const auto height = images.size(1), width = images.size(2);
  if (height <= 2 || width <= 2) return images;
  const auto values = images.to(torch::kFloat32);
  // Sums of three, along columns and then rows: whole numbers, so exact.
  const auto three = [](const torch::Tensor& of, std::int64_t axis) {
    const auto n = of.size(axis) - 2;
    return of.narrow(axis, 0, n) + of.narrow(axis, 1, n) + of.narrow(axis, 2, n);
  };
  auto inner = values.narrow(1, 1, height - 2).narrow(2, 1, width - 2);
  const auto blurred = three(three(values, 2), 1).add_(inner, 4.0).div_(13.0).round_();
  inner.add_(blurred.sub_(inner).mul_(1.0 - factor));
  return bytes(values);
}

/// turn: of a whole circle, (N, 1, 1).
torch::Tensor turn_hue(const torch::Tensor& images, const torch::Tensor& turn) {
  const auto colors = images.to(torch::kFloat32).div_(kMost);
  const auto red = colors.select(3, 0), green = colors.select(3, 1), blue = colors.select(3, 2);
  const auto low = colors.amin(3), high = colors.amax(3);
  const auto range = high - low;
  const auto flat = range == 0;
  const auto one = torch::ones_like(range);
  const auto saturation = range / torch::where(flat, one, high);
  const auto divisor = torch::where(flat, one, range);
  const auto from = [&](const torch::Tensor& color) { return (high - color) / divisor; };
  const auto r = from(red), g = from(green), b = from(blue);
  auto hue = torch::where(high == red, b - g,
                          torch::where(high == green, r.add(2.0).sub(b), g.add(4.0).sub(r)));
  hue = hue.mul(1.0 / 6.0).add(1.0).fmod(1.0).add(turn).remainder(1.0);
  const auto sixths = hue * 6.0;
  const auto sector = sixths.floor();
  const auto part = sixths - sector;
  const auto i = sector.remainder(6.0);
  const auto v = high;
  const auto p = ((1.0 - saturation) * v).clamp(0.0, 1.0);
  const auto q = ((1.0 - saturation * part) * v).clamp(0.0, 1.0);
  const auto t = ((saturation * part + (1.0 - saturation)) * v).clamp(0.0, 1.0);
  const auto choose = [&](const std::vector<torch::Tensor>& of_sector) {
    auto chosen = of_sector[0];
    for (std::size_t k = 1; k < of_sector.size(); ++k) {
      chosen = torch::where(i == static_cast<double>(k), of_sector[k], chosen);
    }
    return chosen;
  };
  const auto made = torch::stack(
      {choose({v, q, p, p, t, v}), choose({t, v, v, q, p, p}), choose({p, p, t, v, v, q})}, 3);
  return bytes(made.mul(kMost + 1.0 - 1e-3));
}

/// Moves, turns and shears: nearest pixel, black outside.
torch::Tensor deform(const torch::Tensor& images, const Batch& batch) {
  const auto height = images.size(1), width = images.size(2);
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  const auto angle = batch.value(rotate, 0.0) * (-std::numbers::pi / 180.0);
  const auto x_shear = batch.value(shear_x, 0.0), y_shear = batch.value(shear_y, 0.0);
  const auto cos = angle.cos(), sin = angle.sin();
  // From a pixel's place, counted from the middle, to that in the source: each (N, 3).
  const auto to_x =
      torch::stack({cos, sin + x_shear, x_shear * (h / 2) - batch.value(translate_x, 0.0)}, 1);
  const auto to_y =
      torch::stack({y_shear - sin, cos, y_shear * (w / 2) - batch.value(translate_y, 0.0)}, 1);
  const auto options = images.options().dtype(torch::kFloat32);
  const auto x = torch::arange(width, options).sub_((w - 1) / 2).expand({height, width});
  const auto y = torch::arange(height, options).sub_((h - 1) / 2).unsqueeze(1).expand_as(x);
  const auto places = torch::stack({x, y, torch::ones_like(x)}, 2).view({1, -1, 3});
  const auto matrix = torch::stack({to_x / (0.5 * w), to_y / (0.5 * h)}, 2);  // (N, 3, 2)
  const auto grid = places.matmul(matrix).view({images.size(0), height, width, 2});
  const auto planes = images.permute({0, 3, 1, 2}).to(torch::kFloat32);
  constexpr std::int64_t kNearest = 1, kZeros = 0;
  return at::grid_sampler_2d(planes, grid, kNearest, kZeros, /*align_corners=*/false)
      .to(torch::kUInt8)
      .permute({0, 2, 3, 1})
      .contiguous();
}

}  // namespace

torch::Tensor apply_pixel_operations(const torch::Tensor& images, const torch::Tensor& operations,
                                     const torch::Tensor& values,
                                     const std::vector<PixelOperation>& possible) {
  const Batch batch(operations, values, possible);
  const bool alone = images.size(0) == 1 && images.is_cpu();
  // Each sees the images as they came, because an image has one operation.
  auto result = images;
  const auto use = [&](const torch::Tensor& which, const torch::Tensor& made) {
    result = alone ? made : torch::where(Batch::over(which, 4), made, result);
  };
  if (batch.has({brightness, contrast, posterize, solarize, auto_contrast, equalize})) {
    result = look_up(images, tables(images, batch));  // the others' tables change nothing
  }
  if (batch.has(saturation)) {
    use(batch.is(saturation), blend(images, gray(images), batch.value(saturation, 1.0, 4)));
  }
  if (batch.has(sharpness)) {
    use(batch.is(sharpness), sharpen(images, batch.value(sharpness, 1.0, 4)));
  }
  if (batch.has(hue)) use(batch.is(hue), turn_hue(images, batch.value(hue, 0.0, 3)));
  if (batch.has({shear_x, shear_y, translate_x, translate_y, rotate})) {
    use(operations >= static_cast<double>(shear_x), deform(images, batch));
  }
  return result;
}

}  // namespace xception
