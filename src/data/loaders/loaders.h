#pragma once

#include "xception/data/loader.h"

namespace xception {

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

/// The images of an epoch in its order, as places in the loader's list of `n` indices.
[[nodiscard]] torch::Tensor epoch_order(std::int64_t n, Order order, std::uint64_t seed,
                                        std::int64_t epoch);

}  // namespace xception
