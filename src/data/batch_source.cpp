#include "xception/data/batch_source.h"

#include "xception/core/random.h"

namespace xception {

ResidentSource::ResidentSource(const ImageSet& set, const std::vector<std::int64_t>& indices,
                               Order order, std::uint64_t seed, const Pipeline& pipeline,
                               const torch::Device& device)
    : indices_(torch::tensor(indices, torch::kInt64)),
      order_(order),
      seed_(seed),
      pipeline_(pipeline),
      device_(device) {
  images_ = set.images.index_select(0, indices_).to(device);
  labels_ = set.labels.index_select(0, indices_).to(device);
}

void ResidentSource::start_epoch(std::int64_t epoch) {
  const CounterRandom random(seed_, RandomStream::order, static_cast<std::uint32_t>(epoch));
  const auto rows = order_ == Order::shuffled
                        ? torch::tensor(random_permutation(size(), random), torch::kInt64)
                        : torch::arange(size(), torch::kInt64);
  const auto epoch_indices = indices_.index_select(0, rows);
  // Into the same memory in every epoch: a recorded step reads there.
  const auto keep = [](torch::Tensor& tensor, const torch::Tensor& values) {
    tensor.defined() ? tensor.copy_(values) : tensor = values;
  };
  keep(drawn_, pipeline_.draw(seed_, epoch, epoch_indices));
  keep(rows_, rows.to(device_));
  keep(epoch_indices_, epoch_indices.to(device_));
}

Batch ResidentSource::at(const torch::Tensor& positions) const {
  const auto rows = rows_.index_select(0, positions);
  return {.images = images_.index_select(0, rows),
          .labels = labels_.index_select(0, rows),
          .indices = epoch_indices_.index_select(0, positions),
          .drawn = drawn_.index_select(0, positions)};
}

}  // namespace xception
