#include <ATen/Parallel.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "../epoch_order.h"
#include "image_reader.h"
#include "loaders.h"
#include "xception/core/error.h"
#include "xception/kernels/worker_pool.h"

namespace xception {
namespace {

/// One image on its way to a batch.
struct Slot {
  std::int64_t row = 0;    ///< in the loader's indices
  std::int64_t index = 0;  ///< in the subset
  std::int64_t epoch = 0;
  std::shared_ptr<const Pipeline> pipeline = {};  ///< of the epoch
  torch::Tensor batch = {};  ///< (N, 3, S, S) on the CPU, of all that were asked for together
  std::int64_t place = 0;    ///< in it
  std::exception_ptr problem = {};  ///< why there is no input
  bool done = false;
};

/// Reads, decodes and transforms images in threads, each image by its own size on the CPU, into the
/// memory of its batch. While a batch is being read, the images at the same offsets of the next two
/// are prepared, too.
class StreamedLoader : public Loader {
 public:
  StreamedLoader(const Dataset& dataset, const InputConfig& config, const LoaderOptions& options,
                 const torch::Device& device)
      : images_(dataset.images),
        subset_(dataset.subset_of(options.split)),
        config_(config),
        options_(options),
        epoch_order_(dataset, config, options),
        reader_(dataset, config.data, options.split, options_.indices),
        side_(config.data.image_size),
        seed_(static_cast<std::uint64_t>(config.seed)),
        device_(device),
        pipeline_(sized_pipeline(config, options, torch::kCPU, side_)) {
    const auto workers = config.data.workers > 0 ? config.data.workers : at::get_num_threads();
    for (std::int64_t i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }

  ~StreamedLoader() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  StreamedLoader(const StreamedLoader&) = delete;
  StreamedLoader& operator=(const StreamedLoader&) = delete;

  [[nodiscard]] std::int64_t size() const override { return std::ssize(options_.indices); }

  void start_epoch(std::int64_t epoch) override {
    const std::lock_guard lock(mutex_);
    forget();
    if (options_.progressive) {
      const auto side = epoch_image_size(config_.data, epoch);
      if (side != side_) pipeline_ = sized_pipeline(config_, options_, torch::kCPU, side);
      side_ = side;
    }
    order_ = epoch_order_.of(epoch);
    epoch_ = epoch;
    place_ = 0;
  }

  [[nodiscard]] std::int64_t image_size() const override { return side_; }

  void seek(std::int64_t place) override {
    const std::lock_guard lock(mutex_);
    if (place == place_) return;
    forget();
    place_ = place;
  }

  [[nodiscard]] Input read(std::int64_t offset, std::int64_t count) override {
    const auto first = place_ + offset;
    TORCH_CHECK(first + count <= size(), "read past the end of an epoch");
    std::vector<SharedSlot> slots;
    std::vector<std::int64_t> indices, labels;
    std::unique_lock lock(mutex_);
    for (std::int64_t ahead = 0; ahead <= kBatchesAhead; ++ahead) {
      const auto from = first + ahead * batch_;
      request(from, std::min(from + count, size()));
    }
    for (auto position = first; position < first + count; ++position) {
      const auto slot = slots_.at(position);
      changed_.wait(lock, [&] { return slot->done; });
      if (slot->problem) std::rethrow_exception(slot->problem);
      slots.push_back(slot);
      indices.push_back(slot->index);
      labels.push_back(images_->label(subset_, slot->index));
    }
    lock.unlock();
    return {.images = batch_of(slots).to(device_, /*non_blocking=*/true),
            .targets = torch::tensor(labels, torch::kInt64).to(device_),
            .indices = torch::tensor(indices, torch::kInt64).to(device_)};
  }

  void advance(std::int64_t count) override {
    const std::lock_guard lock(mutex_);
    place_ += count;
    batch_ = count;
    slots_.erase(slots_.begin(), slots_.lower_bound(place_));
  }

  [[nodiscard]] bool recordable() const override { return false; }

 private:
  static constexpr std::int64_t kBatchesAhead = 2;
  using SharedSlot = std::shared_ptr<Slot>;  ///< a thread may still fill what nobody wants any more

  void forget() {
    slots_.clear();
    waiting_.clear();
  }

  /// Has the threads prepare the images at these places of the epoch's order.
  void request(std::int64_t first, std::int64_t end) {
    std::vector<SharedSlot> added;
    for (auto position = first; position < end; ++position) {
      auto& slot = slots_[position];
      if (slot) continue;
      const auto row = order_.const_data_ptr<std::int64_t>()[position];
      const auto index = options_.indices[static_cast<std::size_t>(row)];
      slot = std::make_shared<Slot>(Slot{.row = row,
                                         .index = index,
                                         .epoch = epoch_,
                                         .pipeline = pipeline_,
                                         .place = std::ssize(added)});
      added.push_back(slot);
    }
    if (added.empty()) return;
    const auto batch =
        torch::empty({std::ssize(added), 3, side_, side_},
                     torch::TensorOptions().dtype(options_.dtype).pinned_memory(device_.is_cuda()),
                     options_.channels_last ? torch::MemoryFormat::ChannelsLast
                                            : torch::MemoryFormat::Contiguous);
    for (const auto& slot : added) {
      slot->batch = batch;
      waiting_.push_back(slot);
    }
    changed_.notify_all();
  }

  /// The images of slots in their order; without a copy where they were asked for together.
  [[nodiscard]] static torch::Tensor batch_of(const std::vector<SharedSlot>& slots) {
    const auto& batch = slots.front()->batch;
    bool together = batch.size(0) == std::ssize(slots);
    std::vector<torch::Tensor> images;
    for (const auto& slot : slots) {
      together = together && slot->batch.is_same(batch) && slot->place == std::ssize(images);
      images.push_back(slot->batch.narrow(0, slot->place, 1));
    }
    return together ? batch : torch::cat(images).contiguous(batch.suggest_memory_format());
  }

  void work() {
    const OneThread alone;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stopped_ || !waiting_.empty(); });
      if (stopped_) return;
      const auto slot = waiting_.front();
      waiting_.pop_front();
      lock.unlock();
      prepare(*slot);
      lock.lock();
      slot->done = true;
      changed_.notify_all();
    }
  }

  void prepare(Slot& slot) {
    try {
      reader_.read(slot.row, [&](OpenImage& image) { transform(image, slot); });
    } catch (...) {
      slot.problem = std::current_exception();
    }
  }

  void transform(OpenImage& image, const Slot& slot) const {
    const torch::NoGradGuard no_grad;
    const auto& pipeline = *slot.pipeline;
    const Size size{image.height(), image.width()};
    const auto drawn = pipeline.draw(seed_, slot.epoch, torch::tensor({slot.index}), size);
    const auto to = slot.batch[slot.place];
    if (pipeline.planned()) {
      const auto plan = pipeline.plan(drawn, size);
      const auto [top, left, part] = plan.source;
      pipeline.apply_plan(plan, image.part(top, left, part.height, part.width).pixels.data(), to);
      return;
    }
    auto whole = image.part(0, 0, size.height, size.width);
    const auto pixels =
        torch::from_blob(whole.pixels.data(), {size.height, size.width, 3}, torch::kUInt8);
    to.copy_(pipeline.apply_to_picture(
        [&](const Part& part) {
          return pixels.narrow(0, part.top, part.size.height).narrow(1, part.left, part.size.width);
        },
        size, drawn, options_.dtype, options_.channels_last)[0]);
  }

  const std::shared_ptr<const ImageCatalog> images_;
  const Split subset_;
  const InputConfig config_;
  const LoaderOptions options_;
  const EpochOrder epoch_order_;
  ImageReader reader_;
  std::int64_t side_;  ///< of this epoch's images, px
  const std::uint64_t seed_;
  const torch::Device device_;
  std::shared_ptr<const Pipeline> pipeline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  torch::Tensor order_;  ///< int64 (n) on the CPU, places in options_.indices
  std::int64_t epoch_ = 0;
  std::int64_t place_ = 0;  ///< in order_
  std::int64_t batch_ = 0;  ///< by how much the place moved last: where the next batch begins
  std::map<std::int64_t, SharedSlot> slots_;  ///< by place in order_
  std::deque<SharedSlot> waiting_;            ///< that no thread has taken up
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Loader> make_streamed_loader(const Dataset& dataset, const InputConfig& config,
                                             const LoaderOptions& options,
                                             const torch::Device& device) {
  return std::make_unique<StreamedLoader>(dataset, config, options, device);
}

}  // namespace xception
