#include "../epoch_order.h"
#include "loaders.h"

namespace xception {
namespace {

/// Keeps the images on the device as uint8, gathers batches there and transforms them there. The
/// place is a device tensor, so that a recorded graph moves it on by itself.
class ResidentLoader : public Loader {
 public:
  ResidentLoader(const Dataset& dataset, const InputConfig& config, const LoaderOptions& options,
                 const torch::Device& device)
      : config_(config),
        options_(options),
        side_(config.data.image_size),
        pipeline_(sized_pipeline(config, options, device, side_)),
        indices_(torch::tensor(options.indices, torch::kInt64)),
        seed_(static_cast<std::uint64_t>(config.seed)),
        order_(dataset, config, options),
        device_(device) {
    const auto subset = dataset.subset_of(options.split);
    images_ = dataset.images->pixels(subset).index_select(0, indices_).to(device);
    pipeline_->check({images_.size(2), images_.size(3)});
    std::vector<std::int64_t> labels;
    for (const auto index : options.indices) {
      labels.push_back(dataset.images->label(subset, index));
    }
    labels_ = torch::tensor(labels, torch::kInt64).to(device);
    place_ = torch::zeros({}, torch::TensorOptions(device).dtype(torch::kInt64));
  }

  [[nodiscard]] std::int64_t size() const override { return indices_.size(0); }

  void start_epoch(std::int64_t epoch) override {
    if (options_.progressive) {
      const auto side = epoch_image_size(config_.data, epoch);
      if (side != side_) pipeline_ = sized_pipeline(config_, options_, device_, side);
      side_ = side;
    }
    const auto rows = order_.of(epoch);
    const auto epoch_indices = indices_.index_select(0, rows);
    // Into the same memory in every epoch: a recorded step reads there.
    const auto keep = [](torch::Tensor& tensor, const torch::Tensor& values) {
      tensor.defined() ? tensor.copy_(values) : tensor = values;
    };
    keep(drawn_, pipeline_->draw(seed_, epoch, epoch_indices, {images_.size(2), images_.size(3)}));
    keep(rows_, rows.to(device_));
    keep(epoch_indices_, epoch_indices.to(device_));
    seek(0);
  }

  [[nodiscard]] std::int64_t image_size() const override { return side_; }

  void seek(std::int64_t place) override { place_.fill_(place); }

  [[nodiscard]] Input read(std::int64_t offset, std::int64_t count) override {
    const auto positions = place_ + torch::arange(offset, offset + count, place_.options());
    const auto rows = rows_.index_select(0, positions);
    const auto images = images_.index_select(0, rows);
    const auto drawn = drawn_.index_select(0, positions);
    return {.images = pipeline_->apply(images, drawn, options_.dtype, options_.channels_last),
            .targets = labels_.index_select(0, rows),
            .indices = epoch_indices_.index_select(0, positions)};
  }

  void advance(std::int64_t count) override { place_.add_(count); }

  [[nodiscard]] bool recordable() const override { return true; }

 private:
  const InputConfig config_;
  const LoaderOptions options_;
  std::int64_t side_;  ///< of this epoch's images, px
  std::shared_ptr<const Pipeline> pipeline_;
  torch::Tensor images_;   ///< uint8 (n, 3, H, W) on the device
  torch::Tensor labels_;   ///< int64 (n) on the device
  torch::Tensor indices_;  ///< int64 (n) on the CPU
  std::uint64_t seed_;
  EpochOrder order_;
  torch::Device device_;
  torch::Tensor place_;  ///< int64 scalar on the device
  // Of the current epoch, in its order, on the device:
  torch::Tensor rows_;           ///< int64 (n), rows of images_
  torch::Tensor epoch_indices_;  ///< int64 (n)
  torch::Tensor drawn_;          ///< float32 (n, p), random numbers of the transforms
};

}  // namespace

std::unique_ptr<Loader> make_resident_loader(const Dataset& dataset, const InputConfig& config,
                                             const LoaderOptions& options,
                                             const torch::Device& device) {
  return std::make_unique<ResidentLoader>(dataset, config, options, device);
}

}  // namespace xception
