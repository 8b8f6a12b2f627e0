#include "xception/parallel/gradient_reducer.h"
#include "xception/core/first_line.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include "process_group.h"

namespace xception {

/// A bucket on its way.
struct BucketSum {
  c10::intrusive_ptr<c10::ivalue::Future> future;
  std::chrono::steady_clock::time_point ready;
  /// When it was there, since the clock's beginning; 0: not yet. Set by a thread of the process
  /// group, which may come after the one that waited for the sum.
  std::shared_ptr<std::atomic<std::chrono::steady_clock::rep>> summed;
  std::int64_t bytes = 0;
};

/// The buckets of a step in the order in which they were ready.
using BucketTimeline = std::vector<BucketSum>;

namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

/// Sums a bucket over the ranks, without c10d's division by their number.
class SumBucket : public c10d::CommHookInterface {
 public:
  SumBucket(c10::intrusive_ptr<c10d::ProcessGroup> group, std::shared_ptr<BucketTimeline> timeline)
      : group_(std::move(group)), timeline_(std::move(timeline)) {}

  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    std::vector<torch::Tensor> tensors = {bucket.getBufferRef()};
    const auto ready = Clock::now();
    auto future = group_->allreduce(tensors)->getFuture();
    auto summed = std::make_shared<std::atomic<Clock::rep>>(0);
    // On a GPU the future is complete when the work is queued, which tells nothing about time.
    if (tensors[0].is_cpu()) {
      future->addCallback([summed](c10::ivalue::Future&) {
        summed->store(Clock::now().time_since_epoch().count());
      });
    }
    timeline_->push_back({.future = future,
                          .ready = ready,
                          .summed = summed,
                          .bytes = static_cast<std::int64_t>(tensors[0].nbytes())});
    return future;
  }

  torch::Tensor parseHookResult(const c10::IValue& result) override {
    return c10d::detail::parseCppCommHookResult(result);
  }

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::shared_ptr<BucketTimeline> timeline_;
};

/// The first bucket is small, so that the first sum starts soon.
std::int64_t first_bucket_bytes(const ReducerOptions& options) {
  return std::min<std::int64_t>(c10d::kDefaultFirstBucketBytes, options.bucket_bytes);
}

}  // namespace

/// Indices of the parameters of each bucket.
using Buckets = std::vector<std::vector<std::size_t>>;

struct GradientReducer::Parts {
  c10::intrusive_ptr<c10d::ProcessGroup> group;
  std::vector<std::string> names;
  std::vector<torch::Tensor> parameters;
  ReducerOptions options;
  std::shared_ptr<BucketTimeline> timeline = std::make_shared<BucketTimeline>();
  std::unique_ptr<c10d::Reducer> reducer;
  bool ordered = false;  ///< buckets follow the order in which gradients come
  ReductionCounters counters;

  void make_reducer(const Buckets& buckets);
  void count(Clock::time_point start, Clock::time_point end);
};

void GradientReducer::Parts::make_reducer(const Buckets& buckets) {
  std::unordered_map<std::size_t, std::string> by_index;
  for (std::size_t i = 0; i < names.size(); ++i) by_index[i] = names[i];
  reducer.reset();  // takes its hooks off the parameters
  // The signature changes between versions of LibTorch: it is called here and nowhere else.
  reducer = std::make_unique<c10d::Reducer>(
      parameters, buckets, group,
      /*expect_sparse_gradients=*/std::vector<bool>(parameters.size(), false),
      /*bucket_bytes_cap=*/options.bucket_bytes, options.find_unused_parameters,
      /*gradient_as_bucket_view=*/true, std::move(by_index),
      /*first_bucket_bytes_cap=*/first_bucket_bytes(options),
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      /*bucket_bytes_cap_list=*/std::vector<int64_t>());
  reducer->register_comm_hook(std::make_unique<SumBucket>(group, timeline));
}

void GradientReducer::Parts::count(Clock::time_point start, Clock::time_point end) {
  ++counters.steps;
  counters.buckets = static_cast<std::int64_t>(timeline->size());
  counters.bytes = 0;
  counters.backward_seconds += seconds(end - start);
  Clock::time_point covered = start;  // the time up to here is counted
  Clock::time_point last_ready = start;
  for (const auto& sum : *timeline) {
    counters.bytes += sum.bytes;
    last_ready = sum.ready;
    const auto moment = sum.summed->load();
    const auto summed = moment == 0 ? end : Clock::time_point(Clock::duration(moment));
    const auto from = std::max(covered, sum.ready);
    if (summed <= from) continue;
    counters.reducing_seconds += seconds(summed - from);
    covered = summed;
  }
  counters.exposed_seconds += seconds(std::max(covered, last_ready) - last_ready);
}

GradientReducer::GradientReducer(const std::shared_ptr<Communicator>& communicator,
                                 const std::vector<std::pair<std::string, torch::Tensor>>& named,
                                 const ReducerOptions& options)
    : parts_(std::make_unique<Parts>()) {
  parts_->group = device_group(*communicator);
  parts_->options = options;
  for (const auto& [name, parameter] : named) {
    parts_->names.push_back(name);
    parts_->parameters.push_back(parameter);
  }
  // Gradients are ready from the last layer to the first.
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(
      parts_->parameters, {static_cast<std::size_t>(first_bucket_bytes(options)),
                           static_cast<std::size_t>(options.bucket_bytes)}));
  std::reverse(buckets.begin(), buckets.end());
  parts_->make_reducer(buckets);
}

GradientReducer::~GradientReducer() = default;

void GradientReducer::start_forward() {
  parts_->reducer->prepare_for_forward();
  reducing_ = true;
}

void GradientReducer::backward(const torch::Tensor& loss) {
  if (!reducing_) {
    loss.backward();
    return;
  }
  reducing_ = false;
  parts_->timeline->clear();
  const auto start = Clock::now();
  try {
    parts_->reducer->prepare_for_backward({loss});
    loss.backward();
  } catch (const c10::DistError& error) {
    rethrow_of_collective("sum of the gradients", error);
  } catch (const std::exception& error) {
    // Gloo's errors have no type of their own.
    const auto failed = [](const BucketSum& sum) {
      return sum.future->completed() && sum.future->hasError();
    };
    if (std::none_of(parts_->timeline->begin(), parts_->timeline->end(), failed)) throw;
    rethrow_of_collective("sum of the gradients", error);
  }
  parts_->count(start, Clock::now());
  try {
    // After the first step, when the gradients' order is known.
    if (parts_->reducer->rebuild_buckets()) parts_->ordered = true;
  } catch (const std::exception& error) {
    const auto line = first_line(error.what());
    // Not every parameter got a gradient: this rank's own affair.
    if (line.find("Expected to have finished reduction") != std::string::npos) throw;
    rethrow_of_collective("order of the gradients", error);
  }
}

State GradientReducer::state() const {
  State state;
  state.values["bucket_bytes"] = parts_->options.bucket_bytes;
  if (!parts_->ordered) return state;
  auto& buckets = state.values["buckets"] = nlohmann::json::array();
  for (const auto& bucket : parts_->reducer->get_grad_buckets()) {
    auto names = nlohmann::json::array();
    for (const auto& parameter : bucket.getParameters()) {
      const auto found =
          std::find_if(parts_->parameters.begin(), parts_->parameters.end(),
                       [&](const torch::Tensor& own) { return own.is_same(parameter); });
      names.push_back(
          parts_->names.at(static_cast<std::size_t>(found - parts_->parameters.begin())));
    }
    buckets.push_back(std::move(names));
  }
  return state;
}

void GradientReducer::load_state(const State& state) {
  const auto& names = parts_->names;
  if (state.values.value("bucket_bytes", std::int64_t{0}) != parts_->options.bucket_bytes) return;
  Buckets buckets;
  std::size_t count = 0;
  for (const auto& bucket : state.values.value("buckets", nlohmann::json::array())) {
    auto& indices = buckets.emplace_back();
    for (const auto& name : bucket) {
      const auto found = std::find(names.begin(), names.end(), name.get<std::string>());
      if (found == names.end()) return;
      indices.push_back(static_cast<std::size_t>(found - names.begin()));
      ++count;
    }
  }
  if (count != names.size()) return;
  parts_->make_reducer(buckets);
  parts_->ordered = true;
}

const ReductionCounters& GradientReducer::counters() const {
  return parts_->counters;
}

}  // namespace xception
