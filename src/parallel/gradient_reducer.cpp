#include "xception/parallel/gradient_reducer.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "process_group.h"

namespace xception {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// When each bucket of a step was ready and when its sum was there. Written by the threads of the
/// backward pass and of the process group.
struct Timeline {
  struct Bucket {
    Clock::time_point ready;
    Clock::time_point summed;
    std::int64_t bytes = 0;
  };
  std::mutex mutex;
  std::vector<Bucket> buckets;
  bool failed = false;
};

/// Sums a bucket over the ranks, without c10d's division by their number.
class SumBucket : public c10d::CommHookInterface {
 public:
  SumBucket(c10::intrusive_ptr<c10d::ProcessGroup> group, std::shared_ptr<Timeline> timeline)
      : group_(std::move(group)), timeline_(std::move(timeline)) {}

  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    std::vector<torch::Tensor> tensors = {bucket.getBufferRef()};
    std::size_t index = 0;
    {
      const std::lock_guard lock(timeline_->mutex);
      index = timeline_->buckets.size();
      const auto now = Clock::now();
      timeline_->buckets.push_back(
          {.ready = now, .summed = now, .bytes = static_cast<std::int64_t>(tensors[0].nbytes())});
    }
    auto future = group_->allreduce(tensors)->getFuture();
    // On a GPU the future is complete when the work is queued, which tells nothing about time.
    if (tensors[0].is_cpu()) {
      future->addCallback([timeline = timeline_, index](c10::ivalue::Future& done) {
        const std::lock_guard lock(timeline->mutex);
        timeline->failed = timeline->failed || done.hasError();
        timeline->buckets.at(index).summed = Clock::now();
      });
    }
    return future;
  }

  torch::Tensor parseHookResult(const c10::IValue& result) override {
    return c10d::detail::parseCppCommHookResult(result);
  }

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::shared_ptr<Timeline> timeline_;
};

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

struct GradientReducer::Parts {
  std::shared_ptr<Communicator> communicator;
  std::shared_ptr<Timeline> timeline = std::make_shared<Timeline>();
  std::unique_ptr<c10d::Reducer> reducer;
  ReductionCounters counters;

  void count(Clock::time_point start, Clock::time_point end);
};

void GradientReducer::Parts::count(Clock::time_point start, Clock::time_point end) {
  const std::lock_guard lock(timeline->mutex);
  auto& buckets = timeline->buckets;
  ++counters.steps;
  counters.buckets = static_cast<std::int64_t>(buckets.size());
  counters.bytes = 0;
  counters.backward_seconds += seconds(end - start);
  Clock::time_point covered = start;  // the time up to here is counted
  Clock::time_point last_ready = start;
  for (const auto& bucket : buckets) {  // in the order of `ready`
    counters.bytes += bucket.bytes;
    last_ready = bucket.ready;
    const auto from = std::max(covered, bucket.ready);
    if (bucket.summed <= from) continue;
    counters.reducing_seconds += seconds(bucket.summed - from);
    covered = bucket.summed;
  }
  counters.exposed_seconds += seconds(std::max(covered, last_ready) - last_ready);
}

GradientReducer::GradientReducer(const std::shared_ptr<Communicator>& communicator,
                                 const std::vector<std::pair<std::string, torch::Tensor>>& named,
                                 const ReducerOptions& options)
    : parts_(std::make_unique<Parts>()) {
  parts_->communicator = communicator;
  const auto group = device_group(*communicator);
  std::vector<torch::Tensor> parameters;
  std::unordered_map<std::size_t, std::string> names;
  for (const auto& [name, parameter] : named) {
    names[parameters.size()] = name;
    parameters.push_back(parameter);
  }
  const auto first = std::min<std::int64_t>(c10d::kDefaultFirstBucketBytes, options.bucket_bytes);
  // Gradients are ready from the last layer to the first.
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(
      parameters,
      {static_cast<std::size_t>(first), static_cast<std::size_t>(options.bucket_bytes)}));
  std::reverse(buckets.begin(), buckets.end());
  // The signature changes between versions of LibTorch: it is called here and nowhere else.
  parts_->reducer = std::make_unique<c10d::Reducer>(
      parameters, std::move(buckets), group,
      /*expect_sparse_gradients=*/std::vector<bool>(parameters.size(), false),
      /*bucket_bytes_cap=*/options.bucket_bytes, options.find_unused_parameters,
      /*gradient_as_bucket_view=*/true, std::move(names), /*first_bucket_bytes_cap=*/first,
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      /*bucket_bytes_cap_list=*/std::vector<int64_t>());
  parts_->reducer->register_comm_hook(std::make_unique<SumBucket>(group, parts_->timeline));
}

GradientReducer::~GradientReducer() = default;

void GradientReducer::start_forward() {
  try {
    parts_->reducer->prepare_for_forward();
    parts_->reducer->rebuild_buckets();
  } catch (const std::exception& error) {
    throw LostContact("order of the gradients: " + first_line(error.what()));
  }
  reducing_ = true;
}

void GradientReducer::backward(const torch::Tensor& loss) {
  if (!reducing_) {
    loss.backward();
    return;
  }
  reducing_ = false;
  auto& timeline = *parts_->timeline;
  timeline.buckets.clear();
  const auto start = Clock::now();
  try {
    parts_->reducer->prepare_for_backward({loss});
    loss.backward();
  } catch (const c10::DistError& error) {
    throw LostContact("sum of the gradients: " + first_line(error.what()));
  } catch (const std::exception& error) {
    // Gloo's errors have no type of their own.
    const std::lock_guard lock(timeline.mutex);
    if (!timeline.failed) throw;
    throw LostContact("sum of the gradients: " + first_line(error.what()));
  }
  parts_->count(start, Clock::now());
}

const ReductionCounters& GradientReducer::counters() const {
  return parts_->counters;
}

}  // namespace xception
