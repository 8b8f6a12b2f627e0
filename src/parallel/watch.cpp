#include "watch.h"

#include <fmt/format.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

namespace xception {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBeat{500};
constexpr milliseconds kStoreCall{3000};  // the longest that a failing rank waits for the store
constexpr milliseconds kPause{5000};      // longer between two beats: the process was stopped
constexpr milliseconds kNoticeTime{
    3000};  // for the training to notice by itself what the watch knows
constexpr const char* kFailureKey = "failure";

std::string alive_key(int rank) {
  return "alive/" + std::to_string(rank);
}
std::string ended_key(int rank) {
  return "ended/" + std::to_string(rank);
}
std::string host_key(int rank) {
  return "host/" + std::to_string(rank);
}

/// The result of a call, or nothing if it failed or takes longer; then it goes on alone.
template <class Call>
auto within(milliseconds time, Call call) -> std::optional<decltype(call())> {
  using Result = decltype(call());
  const auto task = std::make_shared<std::packaged_task<Result()>>(std::move(call));
  auto result = task->get_future();
  std::thread([task] { (*task)(); }).detach();
  if (result.wait_for(time) != std::future_status::ready) return std::nullopt;
  try {
    return result.get();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

std::string Failure::line() const {
  // What rank 0 finds wrong with the input, the others do too.
  if (rank < 0 || (rank == 0 && exit_code == 2)) return message;
  return fmt::format("{} (rank {}, {})", message, rank, host);
}

bool post_failure(c10d::Store& store, const Failure& failure) {
  const nlohmann::json json = {{"rank", failure.rank},
                               {"host", failure.host},
                               {"message", failure.message},
                               {"exit_code", failure.exit_code},
                               {"printed", failure.printed}};
  const auto text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return store.compareSet(kFailureKey, std::string(), text) == text;
}

std::optional<Failure> read_failure(c10d::Store& store) {
  if (!store.check({kFailureKey})) return std::nullopt;
  const auto json = nlohmann::json::parse(store.get_to_str(kFailureKey), nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return Failure{.rank = json.value("rank", -1),
                 .host = json.value("host", ""),
                 .message = json.value("message", ""),
                 .exit_code = json.value("exit_code", 1),
                 .printed = json.value("printed", false)};
}

struct Watch::Beating {
  using Clock = std::chrono::steady_clock;

  c10::intrusive_ptr<c10d::Store> store;
  RankInfo place;
  milliseconds heartbeat{};
  std::mutex mutex = {};
  std::condition_variable changed = {};
  std::optional<Failure> failure = {};
  Clock::time_point noted = {};
  Clock::time_point last_contact = Clock::now();
  bool stopping = false;
  bool running = true;
  // Of the beating thread alone:
  std::string neighbor_value = {};
  Clock::time_point neighbor_changed = Clock::now();
  Clock::time_point looked = Clock::now();

  void beat();
  void look_at_neighbor();
  void note(const Failure& found);
};

Watch::Watch(c10::intrusive_ptr<c10d::Store> beats, c10::intrusive_ptr<c10d::Store> asks,
             const RankInfo& place, std::string host, milliseconds heartbeat,
             std::function<void(const Failure&)> on_end)
    : beating_(std::make_shared<Beating>()),
      asks_(std::move(asks)),
      place_(place),
      on_end_(std::move(on_end)) {
  beating_->store = std::move(beats);
  beating_->place = place;
  beating_->heartbeat = heartbeat;
  beating_->store->set(host_key(place_.rank), host);
  beating_->store->set(alive_key(place_.rank), std::string("0"));
  beat_thread_ = std::thread([beating = beating_] { beating->beat(); });
  guard_thread_ = std::thread([this] { guard(); });
}

Watch::~Watch() {
  {
    const std::lock_guard lock(beating_->mutex);
    beating_->stopping = true;
  }
  beating_->changed.notify_all();
  guard_thread_.join();
  // A store call that hangs is left behind; the process ends soon.
  std::unique_lock lock(beating_->mutex);
  if (beating_->changed.wait_for(lock, kStoreCall, [this] { return !beating_->running; })) {
    lock.unlock();
    beat_thread_.join();
  } else {
    beat_thread_.detach();
  }
}

void Watch::Beating::beat() {
  try {
    for (std::int64_t count = 1;; ++count) {
      store->set(alive_key(place.rank), std::to_string(count));
      if (const auto found = read_failure(*store)) note(*found);
      look_at_neighbor();
      std::unique_lock lock(mutex);
      last_contact = Clock::now();
      if (changed.wait_for(lock, kBeat, [this] { return stopping; })) break;
    }
  } catch (const std::exception&) {
    // The store is gone. If the job goes on without it, well; else the guard ends this process.
  }
  const std::lock_guard lock(mutex);
  running = false;
  changed.notify_all();
}

void Watch::Beating::look_at_neighbor() {
  if (heartbeat.count() == 0) return;
  const int neighbor = (place.rank + 1) % place.size;
  const auto now = Clock::now();
  // One that isn't there yet is awaited elsewhere.
  if (!store->check({alive_key(neighbor)})) return;
  auto value = store->get_to_str(alive_key(neighbor));
  if (now - looked > kPause) neighbor_changed = now;  // this process was stopped for a while
  looked = now;
  if (value != neighbor_value) {
    neighbor_value = std::move(value);
    neighbor_changed = now;
  } else if (now - neighbor_changed > heartbeat && !store->check({ended_key(neighbor)})) {
    const Failure silent{.rank = neighbor,
                         .host = store->get_to_str(host_key(neighbor)),
                         .message = fmt::format(
                             "[parallel] no sign of life for {} s: stopped, or its machine or "
                             "network is gone",
                             std::chrono::duration_cast<std::chrono::seconds>(heartbeat).count())};
    (void)post_failure(*store, silent);
    neighbor_changed = now;
  }
}

void Watch::Beating::note(const Failure& found) {
  const std::lock_guard lock(mutex);
  if (failure) return;
  failure = found;
  noted = Clock::now();
  changed.notify_all();
}

void Watch::guard() {
  using Clock = Beating::Clock;
  auto& shared = *beating_;
  std::unique_lock lock(shared.mutex);
  auto before = Clock::now();
  while (!shared.changed.wait_for(lock, kBeat, [&] { return shared.stopping; })) {
    const auto now = Clock::now();
    // The process itself was stopped for a while (Ctrl-Z, a suspended job): it has missed nothing.
    if (now - before > kPause) shared.last_contact = now;
    before = now;
    std::optional<Failure> failure;
    if (shared.failure && now - shared.noted > kNoticeTime) {
      failure = shared.failure;
    } else if (shared.heartbeat.count() > 0 && now - shared.last_contact > shared.heartbeat) {
      failure =
          Failure{.message = fmt::format(
                      "[parallel] no answer for {} s from the job's store at {}:{}: rank 0's "
                      "machine or the network is gone",
                      std::chrono::duration_cast<std::chrono::seconds>(shared.heartbeat).count(),
                      place_.store_address, place_.store_port)};
    }
    if (!failure) continue;
    lock.unlock();
    on_end_(*failure);
    lock.lock();
    return;
  }
}

bool Watch::post(const Failure& failure) {
  const auto first =
      within(kStoreCall, [store = asks_, failure] { return post_failure(*store, failure); });
  return first.value_or(true);
}

std::optional<Failure> Watch::wait_for_failure(milliseconds time) {
  std::unique_lock lock(beating_->mutex);
  beating_->changed.wait_for(lock, time, [this] { return beating_->failure.has_value(); });
  return beating_->failure;
}

std::vector<int> Watch::find_silent_ranks() {
  const auto read = [store = asks_, size = place_.size] {
    std::vector<std::pair<std::string, bool>> values;
    for (int rank = 0; rank < size; ++rank) {
      const bool there = store->check({alive_key(rank)});
      values.emplace_back(there ? store->get_to_str(alive_key(rank)) : "",
                          store->check({ended_key(rank)}));
    }
    return values;
  };
  const auto before = within(kStoreCall, read);
  std::this_thread::sleep_for(4 * kBeat);
  const auto after = within(kStoreCall, read);
  std::vector<int> silent;
  if (!before || !after) return silent;
  for (int rank = 0; rank < place_.size; ++rank) {
    const auto i = static_cast<std::size_t>(rank);
    if (rank != place_.rank && !after->at(i).second && before->at(i).first == after->at(i).first) {
      silent.push_back(rank);
    }
  }
  return silent;
}

std::string Watch::host_of(int rank) {
  const auto host = within(kStoreCall, [store = asks_, rank] {
    return store->check({host_key(rank)}) ? store->get_to_str(host_key(rank)) : std::string("?");
  });
  return host.value_or("?");
}

void Watch::announce_end() {
  (void)within(kStoreCall, [store = asks_, rank = place_.rank] {
    store->set(ended_key(rank), std::string("1"));
    return true;
  });
}

}  // namespace xception
