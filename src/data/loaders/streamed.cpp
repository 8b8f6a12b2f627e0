#include <ATen/Parallel.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "../epoch_order.h"
#include "loaders.h"
#include "xception/core/error.h"
#include "xception/kernels/worker_pool.h"

namespace xception {
namespace {

/// One image on its way to a batch.
struct Slot {
  std::int64_t index = 0;  ///< in the subset
  std::int64_t epoch = 0;
  torch::Tensor input = {};         ///< (1, 3, S, S) on the CPU
  std::exception_ptr problem = {};  ///< why there is no input
  bool done = false;
};

/// Reads, decodes and transforms images in threads, each image by its own size on the CPU. While a
/// batch is being read, the images at the same offsets of the next one are prepared, too.
class StreamedLoader : public Loader {
 public:
  StreamedLoader(const Dataset& dataset, const InputConfig& config, const LoaderOptions& options,
                 const torch::Device& device)
      : images_(dataset.images),
        name_(dataset.name),
        subset_(dataset.subset_of(options.split)),
        options_(options),
        epoch_order_(dataset, config, options),
        seed_(static_cast<std::uint64_t>(config.seed)),
        device_(device),
        pipeline_(config, options.transforms, torch::kCPU, options.steps) {
    for (int i = 0; i < at::get_num_threads(); ++i) threads_.emplace_back([this] { work(); });
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
    order_ = epoch_order_.of(epoch);
    epoch_ = epoch;
    place_ = 0;
  }

  void seek(std::int64_t place) override {
    const std::lock_guard lock(mutex_);
    if (place == place_) return;
    forget();
    place_ = place;
  }

  [[nodiscard]] Input read(std::int64_t offset, std::int64_t count) override {
    const auto first = place_ + offset;
    TORCH_CHECK(first + count <= size(), "read past the end of an epoch");
    std::vector<torch::Tensor> inputs;
    std::vector<std::int64_t> indices, labels;
    std::unique_lock lock(mutex_);
    request(first, first + count);
    request(first + batch_, std::min(first + batch_ + count, size()));
    for (auto position = first; position < first + count; ++position) {
      const auto slot = slots_.at(position);
      changed_.wait(lock, [&] { return slot->done; });
      if (slot->problem) std::rethrow_exception(slot->problem);
      inputs.push_back(slot->input);
      indices.push_back(slot->index);
      labels.push_back(images_->label(subset_, slot->index));
    }
    lock.unlock();
    const auto format = options_.channels_last ? torch::MemoryFormat::ChannelsLast
                                               : torch::MemoryFormat::Contiguous;
    return {.images = torch::cat(inputs).contiguous(format).to(device_),
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
  using SharedSlot = std::shared_ptr<Slot>;  ///< a thread may still fill what nobody wants any more

  void forget() {
    slots_.clear();
    waiting_.clear();
  }

  /// Has the threads prepare the images at these places of the epoch's order.
  void request(std::int64_t first, std::int64_t end) {
    for (auto position = first; position < end; ++position) {
      auto& slot = slots_[position];
      if (slot) continue;
      const auto row = order_.const_data_ptr<std::int64_t>()[position];
      const auto index = options_.indices[static_cast<std::size_t>(row)];
      slot = std::make_shared<Slot>(Slot{.index = index, .epoch = epoch_});
      waiting_.push_back(slot);
    }
    changed_.notify_all();
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

  void prepare(Slot& slot) const {
    try {
      slot.input = input_of(slot);
    } catch (...) {
      auto line = describe_error(std::current_exception());
      if (line.message.starts_with('[')) line.message.erase(0, line.message.find("] ") + 2);
      slot.problem =
          std::make_exception_ptr(Error(static_cast<Error::Kind>(line.exit_code), "data",
                                        fmt::format("{} image {} of {}: {}", split_name(subset_),
                                                    slot.index, name_, line.message)));
    }
  }

  [[nodiscard]] torch::Tensor input_of(const Slot& slot) const {
    auto image = images_->read(subset_, slot.index);
    const auto [height, width] = Size{image.height, image.width};
    if (std::min(height, width) < 1 || std::ssize(image.pixels) != height * width * 3) {
      throw run_error("data", "read as {} x {} px with {} bytes", height, width,
                      image.pixels.size());
    }
    const auto pixels = torch::from_blob(image.pixels.data(), {height, width, 3}, torch::kUInt8);
    const auto drawn =
        pipeline_.draw(seed_, slot.epoch, torch::tensor({slot.index}), {height, width});
    return pipeline_.apply_to_picture(
        [&](const Part& part) {
          return pixels.narrow(0, part.top, part.size.height).narrow(1, part.left, part.size.width);
        },
        {height, width}, drawn, options_.dtype, options_.channels_last);
  }

  const std::shared_ptr<const ImageCatalog> images_;
  const std::string name_;
  const Split subset_;
  const LoaderOptions options_;
  const EpochOrder epoch_order_;
  const std::uint64_t seed_;
  const torch::Device device_;
  const Pipeline pipeline_;
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
