#include "xception/data/pipeline.h"

#include "xception/core/error.h"

namespace xception {
namespace {

/// images: uint8 (N, 3, H, W) -> float32 (N, H', W', 3).
torch::Tensor resample(const torch::Tensor& images, const AxisMaps& maps) {
  const auto n = images.size(0);
  const auto height = images.size(2);
  const auto width = images.size(3);
  // Columns first, on (W, H x 3); then rows, on (H, W' x 3), whose result is already channels last.
  auto batch = images.permute({0, 3, 2, 1}).to(torch::kFloat32).reshape({n, width, height * 3});
  if (maps.cols.defined()) batch = torch::matmul(maps.cols, batch);  // (N, W', H x 3)
  const auto new_width = batch.size(1);
  batch = batch.view({n, new_width, height, 3}).transpose(1, 2).reshape({n, height, new_width * 3});
  if (maps.rows.defined()) batch = torch::matmul(maps.rows, batch);  // (N, H', W' x 3)
  return batch.view({n, batch.size(1), new_width, 3});
}

}  // namespace

Pipeline::Pipeline(const nlohmann::json& transforms, const std::string& key,
                   const AugmentConfig& config, std::int64_t image_size, Size input,
                   const torch::Device& device)
    : transforms_(build_transforms(transforms, key, image_size)), device_(device) {
  // (x / 255 - mean) / std as one product and one sum a pixel.
  const auto std = torch::tensor(config.std, torch::kFloat64);
  const auto mean = torch::tensor(config.mean, torch::kFloat64);
  const auto options = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  scale_ = (1.0 / (255.0 * std)).to(options);
  offset_ = (-mean / std).to(options);
  for (const auto& transform : transforms_) {
    inputs_.push_back(input);
    input = transform->output(input);
    draws_ += transform->draws();
  }
  if (input != Size{image_size, image_size}) {
    throw input_error("config",
                      "{}: the transforms end at {} x {} px, expected data.image_size {} x {}; end "
                      "with center_crop or random_resized_crop",
                      key, input.height, input.width, image_size, image_size);
  }
}

torch::Tensor Pipeline::draw(std::uint64_t seed, std::int64_t epoch,
                             const torch::Tensor& indices) const {
  const auto n = indices.size(0);
  auto table = torch::zeros({n, draws_}, torch::kFloat32);
  if (draws_ > 0) {
    const auto* index = indices.const_data_ptr<std::int64_t>();
    auto* numbers = table.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < n; ++i) {
      CounterRandom random(seed, RandomStream::augment, static_cast<std::uint32_t>(epoch),
                           static_cast<std::uint32_t>(index[i]));
      for (std::size_t t = 0; t < transforms_.size(); ++t) {
        transforms_[t]->draw(random, inputs_[t], numbers);
        numbers += transforms_[t]->draws();
      }
    }
  }
  return table.to(device_);
}

torch::Tensor Pipeline::transformed(const torch::Tensor& images, const torch::Tensor& drawn) const {
  const torch::NoGradGuard no_grad;
  AxisMaps maps;
  std::vector<torch::Tensor> numbers;
  std::int64_t column = 0;
  for (std::size_t t = 0; t < transforms_.size(); ++t) {
    numbers.push_back(drawn.narrow(1, column, transforms_[t]->draws()));
    column += transforms_[t]->draws();
    transforms_[t]->compose(maps, inputs_[t], numbers.back());
  }
  auto batch = resample(images, maps).round_();  // half to even, as torchvision's
  for (std::size_t t = 0; t < transforms_.size(); ++t) {
    batch = transforms_[t]->pixels(batch, numbers[t]);
  }
  return batch;
}

torch::Tensor Pipeline::apply(const torch::Tensor& images, const torch::Tensor& drawn,
                              torch::ScalarType dtype, bool channels_last) const {
  const torch::NoGradGuard no_grad;
  auto batch = transformed(images, drawn);
  batch = batch.mul_(scale_).add_(offset_);
  batch = batch.to(dtype).permute({0, 3, 1, 2});
  return channels_last ? batch : batch.contiguous();
}

}  // namespace xception
