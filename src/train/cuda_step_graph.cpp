#include <ATen/autocast_mode.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>

#include <cstdint>
#include <exception>

#include "xception/core/first_line.h"
#include "xception/train/step_graph.h"

namespace xception {
namespace {

/// Steps before the recording: cuDNN chooses its algorithms, libraries make their handles, and
/// optimizers their state, none of which may happen while a graph is recorded.
constexpr int kWarmUps = 3;

constexpr const char* kNoMemory =
    "out of memory for a recorded step beside one that isn't";  // words of is_out_of_memory

class CudaStepGraph : public StepGraph {
 public:
  explicit CudaStepGraph(const torch::Device& device)
      : stream_(at::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {}

  void run(const std::function<void()>& work) override {
    if (graph_ == nullptr && obstacle_.empty() && ++steps_ > kWarmUps) record(work);
    run_once([&] { graph_ ? graph_->replay() : work(); });
  }

  void run_once(const std::function<void()>& work) override {
    const auto callers = at::cuda::getCurrentCUDAStream(stream_.device_index());
    follow(stream_, callers, before_);
    {
      const at::cuda::CUDAStreamGuard guard(stream_);
      work();
    }
    follow(callers, stream_, after_);
  }

  [[nodiscard]] bool is_recorded() const override { return graph_ != nullptr; }
  [[nodiscard]] std::string obstacle() const override { return obstacle_; }

 private:
  /// What `later` gets from now on waits for what `earlier` has got so far.
  static void follow(const at::cuda::CUDAStream& later, const at::cuda::CUDAStream& earlier,
                     at::cuda::CUDAEvent& event) {
    event.record(earlier);
    event.block(later);
  }

  /// Records the work without running it.
  void record(const std::function<void()>& work) {
    follow(stream_, at::cuda::getCurrentCUDAStream(stream_.device_index()), before_);
    const at::cuda::CUDAStreamGuard guard(stream_);
    // Weights cast outside of the recording would be read from memory that is given away.
    at::autocast::clear_cache();
    stream_.synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();  // the graph has a pool of its own
    const auto memory_before = free_memory();
    auto graph = std::make_unique<at::cuda::CUDAGraph>();
    const auto pool = at::cuda::graph_pool_handle();
    try {
      // Other threads (NCCL's watchdog, a loader) may go on calling CUDA meanwhile.
      graph->capture_begin(pool, cudaStreamCaptureModeThreadLocal);
      work();
      graph->capture_end();
    } catch (const std::exception& error) {
      obstacle_ = "the step cannot be recorded: " + first_line(error.what());
      end_capture(*graph, pool);
      return;
    }
    // What a batch of another size needs comes from outside of the graph's pool.
    const auto memory_after = free_memory();
    if (memory_after < memory_before - memory_after) {
      obstacle_ = kNoMemory;
      return;
    }
    graph_ = std::move(graph);
  }

  /// Bytes of the device that nobody has.
  static std::int64_t free_memory() {
    std::size_t free = 0, total = 0;
    C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return static_cast<std::int64_t>(free);
  }

  /// Leaves a recording that failed; that it failed is known already. Where the driver refuses to
  /// end it, LibTorch leaves its allocator and its generator as they are during one.
  void end_capture(at::cuda::CUDAGraph& graph, const at::cuda::MempoolId_t& pool) const {
    try {
      graph.capture_end();
      return;
    } catch (const std::exception&) {
      (void)cudaGetLastError();
    }
    const auto device = stream_.device_index();
    const auto attempt = [](const auto& step) {
      try {
        step();
      } catch (const std::exception&) {
        (void)cudaGetLastError();
      }
    };
    attempt([&] { c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool); });
    attempt([&] {
      // A copy of the state isn't part of any recording.
      auto generator = at::cuda::detail::getDefaultCUDAGenerator(device);
      generator.graphsafe_set_state(generator.clone());
    });
    attempt([&] { graph.reset(); });
  }

  at::cuda::CUDAStream stream_;
  at::cuda::CUDAEvent before_;  ///< what the caller's stream had when the work began
  at::cuda::CUDAEvent after_;   ///< what this stream had when it ended
  std::unique_ptr<at::cuda::CUDAGraph> graph_;
  int steps_ = 0;
  std::string obstacle_;
};

}  // namespace

std::unique_ptr<StepGraph> make_step_graph(const torch::Device& device) {
  return std::make_unique<CudaStepGraph>(device);
}

}  // namespace xception
