#include "epoch_order.h"

#include <algorithm>
#include <numeric>

#include "xception/core/random.h"

namespace xception {

EpochOrder::EpochOrder(const Dataset& dataset, const InputConfig& config,
                       const LoaderOptions& options)
    : size_(std::ssize(options.indices)),
      order_(options.order),
      seed_(static_cast<std::uint64_t>(config.seed)),
      window_(config.data.shuffle_window) {
  if (window_ == 0 || window_ >= size_) return;
  // `options.indices` ascends, so that a group's images are neighbors there, too.
  const auto& indices = options.indices;
  for (const auto first : dataset.images->groups(dataset.subset_of(options.split))) {
    const auto start = std::lower_bound(indices.begin(), indices.end(), first) - indices.begin();
    if (starts_.empty() || starts_.back() != start) starts_.push_back(start);
  }
  if (!starts_.empty() && starts_.back() != size_) starts_.push_back(size_);
}

std::vector<std::int64_t> EpochOrder::grouped(std::int64_t epoch) const {
  const CounterRandom random(seed_, RandomStream::shards, static_cast<std::uint32_t>(epoch));
  std::vector<std::int64_t> places;
  places.reserve(static_cast<std::size_t>(size_));
  for (const auto group : random_permutation(std::ssize(starts_) - 1, random)) {
    const auto start = starts_[static_cast<std::size_t>(group)];
    const auto end = starts_[static_cast<std::size_t>(group) + 1];
    for (auto place = start; place < end; ++place) places.push_back(place);
  }
  return places;
}

torch::Tensor EpochOrder::of(std::int64_t epoch) const {
  if (order_ == Order::ascending) return torch::arange(size_, torch::kInt64);
  const auto permutation = [&](std::int64_t n, std::int64_t window) {
    return random_permutation(
        n, CounterRandom(seed_, RandomStream::order, static_cast<std::uint32_t>(epoch),
                         static_cast<std::uint32_t>(window)));
  };
  if (starts_.empty()) return torch::tensor(permutation(size_, 0), torch::kInt64);
  const auto places = grouped(epoch);
  auto order = torch::empty({size_}, torch::kInt64);
  auto* to = order.mutable_data_ptr<std::int64_t>();
  for (std::int64_t first = 0; first < size_; first += window_) {
    const auto n = std::min(window_, size_ - first);
    for (const auto place : permutation(n, first / window_)) {
      *to++ = places[static_cast<std::size_t>(first + place)];
    }
  }
  return order;
}

}  // namespace xception
