#include "xception/train/views.h"

#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/reflection_pad2d.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "xception/core/error.h"

namespace xception {

const std::vector<std::string>& view_choices() {
  static const std::vector<std::string> choices = {"none", "flip", "flip+crops", "multi-scale"};
  return choices;
}

std::vector<View> views_of(const std::string& choice, std::int64_t image_size,
                           std::int64_t smallest) {
  std::vector<View> views;
  if (choice == "flip") {
    views = {{}};
  } else if (choice == "flip+crops") {
    const auto by = std::max<std::int64_t>(image_size / 16, 1);
    views = {{}};
    for (const auto down : {-by, by}) {
      for (const auto right : {-by, by}) views.push_back({.down = down, .right = right});
    }
  } else if (choice == "multi-scale") {
    views = {{}};
    for (const std::int64_t eighths : {7, 9}) {
      views.push_back({.size = std::max(smallest, (image_size * eighths + 4) / 8)});
    }
  } else if (choice != "none") {
    throw input_error("eval", "--tta: found {}, expected one of {}", choice,
                      fmt::join(view_choices(), ", "));
  }
  const auto upright = views;
  for (auto view : upright) {
    view.mirrored = true;
    views.push_back(view);
  }
  return views;
}

torch::Tensor view_of(const torch::Tensor& images, const View& view) {
  auto result = images;
  const auto dtype = images.scalar_type();
  const bool changes = view.down != 0 || view.right != 0 || view.size > 0;
  if (changes && dtype != torch::kFloat64) result = result.to(torch::kFloat32);
  if (view.down != 0 || view.right != 0) {
    const auto by = std::max(std::abs(view.down), std::abs(view.right));
    const auto height = images.size(2), width = images.size(3);
    result = at::reflection_pad2d(result, {by, by, by, by})
                 .narrow(2, by - view.down, height)
                 .narrow(3, by - view.right, width);
  }
  if (view.size > 0) {
    result = at::_upsample_bilinear2d_aa(result, {view.size, view.size}, /*align_corners=*/false,
                                         std::nullopt, std::nullopt);
  }
  if (view.mirrored) result = result.flip(3);
  return result.to(dtype).contiguous(images.suggest_memory_format());
}

torch::Tensor view_probabilities(Classifier& model, const torch::Tensor& images,
                                 const torch::Tensor& logits, const std::vector<View>& views) {
  auto sum = logits.to(torch::kFloat32).softmax(1);
  for (const auto& view : views) {
    if (view == View()) continue;
    sum.add_(model.forward(view_of(images, view)).logits.to(torch::kFloat32).softmax(1));
  }
  return sum.div_(static_cast<double>(views.size()));
}

}  // namespace xception
