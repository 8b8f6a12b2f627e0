#pragma once

#include "xception/data/loader.h"

namespace xception {

/// The training or test pipeline for images of so many px.
[[nodiscard]] std::shared_ptr<const Pipeline> sized_pipeline(const InputConfig& config,
                                                             const LoaderOptions& options,
                                                             const torch::Device& device,
                                                             std::int64_t image_size);

/// For a subset that has its pixels in memory.
[[nodiscard]] std::unique_ptr<Loader> make_resident_loader(const Dataset& dataset,
                                                           const InputConfig& config,
                                                           const LoaderOptions& options,
                                                           const torch::Device& device);

/// For any subset. As many threads as LibTorch's operations have.
[[nodiscard]] std::unique_ptr<Loader> make_streamed_loader(const Dataset& dataset,
                                                           const InputConfig& config,
                                                           const LoaderOptions& options,
                                                           const torch::Device& device);

}  // namespace xception
