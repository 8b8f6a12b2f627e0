#include "xception/kernels/worker_pool.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "waiting.h"

namespace xception {
namespace {

using Work = std::function<void(std::int64_t)>;

/// How long another thread may be without a processor until it gets the caller's.
constexpr std::int64_t kStallNanoseconds = 20'000;

/// MKL's number of threads for this thread alone; 0: as for all. Nothing where LibTorch has no MKL.
void set_mkl_threads(int count) {
  using Function = int (*)(int);
  static const auto set =
      reinterpret_cast<Function>(::dlsym(RTLD_DEFAULT, "MKL_Set_Num_Threads_Local"));
  if (set != nullptr) (void)set(count);
}

class Pool {
 public:
  /// work(0) by the caller, the others by whoever is free.
  void run(std::int64_t parts, int threads, const Work& work) {
    grow(threads - 1);
    work_ = &work;
    failure_ = nullptr;
    unfinished_.store(static_cast<std::uint32_t>(parts - 1), std::memory_order_relaxed);
    helpers_.store(threads - 1, std::memory_order_relaxed);
    job_ = (job_ + 1) & 0xFFFFFFFF;
    left_.store(job_ << 32U | static_cast<std::uint64_t>(parts - 1), std::memory_order_release);
    published_.fetch_add(1);
    if (sleepers_.load() > 0) futex_wake(published_, INT_MAX);
    do_part(0);
    take_parts();
    finish();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  struct Worker {
    std::atomic<bool> busy = false;
    std::atomic<pid_t> id = 0;
    std::atomic<int> processor = 0;  ///< that it was on when it began to look for parts
    clockid_t clock = 0;
  };

  void grow(int count) {
    while (static_cast<int>(workers_.size()) < count) {
      auto worker = std::make_unique<Worker>();
      auto* own = worker.get();
      const int index = static_cast<int>(workers_.size());
      workers_.push_back(std::move(worker));
      if (workers_.size() == 1) {
        allowed_known_ = ::sched_getaffinity(0, sizeof(allowed_), &allowed_) == 0;
      }
      std::thread thread([this, own, index] { serve(*own, index); });
      own->clock = 0;
      if (::pthread_getcpuclockid(thread.native_handle(), &own->clock) != 0) own->clock = 0;
      thread.detach();
    }
  }

  [[noreturn]] void serve(Worker& own, int index) {
    const OneThread alone;
    own.id = static_cast<pid_t>(::syscall(SYS_gettid));
    while (true) {
      const auto seen = published_.load();
      if (index < helpers_.load(std::memory_order_relaxed)) {
        own.processor.store(::sched_getcpu(), std::memory_order_relaxed);
        own.busy.store(true);
        const bool woke_caller = take_parts();
        own.busy.store(false);
        if (woke_caller) ::sched_yield();  // on whose processor it is
      }
      const auto changed = [&] { return published_.load(std::memory_order_relaxed) != seen; };
      if (spin(spin_nanoseconds(), changed)) continue;
      sleepers_.fetch_add(1);
      while (!changed()) futex_wait(published_, seen);
      sleepers_.fetch_sub(1);
    }
  }

  /// Takes parts until none is left. Returns whether the caller slept and was woken for the last.
  bool take_parts() {
    while (true) {
      auto left = left_.load(std::memory_order_acquire);
      do {
        if ((left & 0xFFFFFFFF) == 0) return false;
      } while (!left_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel,
                                            std::memory_order_acquire));
      do_part(static_cast<std::int64_t>(left & 0xFFFFFFFF));
      if (unfinished_.fetch_sub(1) == 1 && caller_sleeps_.load()) {
        futex_wake(unfinished_, 1);
        return true;
      }
    }
  }

  void do_part(std::int64_t part) {
    try {
      (*work_)(part);
    } catch (...) {
      const std::lock_guard guard(failure_lock_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  [[nodiscard]] bool is_done() const { return unfinished_.load(std::memory_order_acquire) == 0; }

  /// Until the parts that others took are done.
  void finish() {
    while (!spin(kStallNanoseconds, [&] { return is_done(); })) {
      Worker* stalled = find_stalled();
      if (is_done()) return;
      if (stalled == nullptr) continue;
      const int mine = ::sched_getcpu();
      const int before = stalled->processor.load(std::memory_order_relaxed);
      if (!allowed_known_ || !move(*stalled, mine)) {
        ::sched_yield();
        continue;
      }
      sleep();
      // Back, or both would share one from then on, and leave the other to other programs.
      (void)move(*stalled, before != mine ? before : another(mine));
      ::sched_setaffinity(stalled->id.load(), sizeof(allowed_), &allowed_);
    }
  }

  static bool move(const Worker& worker, int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(processor), &set);
    return ::sched_setaffinity(worker.id.load(), sizeof(set), &set) == 0;
  }

  /// The next one that this process may use.
  [[nodiscard]] int another(int processor) const {
    for (int i = 1; i < CPU_SETSIZE; ++i) {
      const int next = (processor + i) % CPU_SETSIZE;
      if (CPU_ISSET(static_cast<unsigned>(next), &allowed_)) return next;
    }
    return processor;
  }

  /// A thread that has a part and no processor.
  Worker* find_stalled() {
    for (const auto& worker : workers_) {
      if (!worker->busy.load() || worker->clock == 0 || worker->id.load() == 0) continue;
      const auto before = nanoseconds(worker->clock);
      if (spin(kStallNanoseconds, [&] { return is_done(); })) return nullptr;
      if (worker->busy.load() && nanoseconds(worker->clock) == before) return worker.get();
    }
    return nullptr;
  }

  void sleep() {
    caller_sleeps_.store(true);
    while (true) {
      const auto value = unfinished_.load();
      if (value == 0) break;
      futex_wait(unfinished_, value);
    }
    caller_sleeps_.store(false);
  }

  std::vector<std::unique_ptr<Worker>> workers_;
  const Work* work_ = nullptr;
  std::uint64_t job_ = 0;
  std::atomic<std::uint64_t> left_ = 0;  ///< the job's number, and the last part nobody took yet
  std::atomic<std::uint32_t> unfinished_ = 0;
  std::atomic<std::uint32_t> published_ = 0;
  std::atomic<int> helpers_ = 0;
  std::atomic<int> sleepers_ = 0;
  std::atomic<bool> caller_sleeps_ = false;
  std::mutex failure_lock_;
  std::exception_ptr failure_;
  cpu_set_t allowed_{};
  bool allowed_known_ = false;
};

/// A pool for one job: each calling thread has threads of its own while its job lasts.
class Borrowed {
 public:
  Borrowed() {
    const std::lock_guard lock(idle().mutex);
    auto& pools = idle().pools;
    if (pools.empty()) pools.push_back(new Pool);  // never deleted: its threads never end
    pool_ = pools.back();
    pools.pop_back();
  }
  ~Borrowed() {
    const std::lock_guard lock(idle().mutex);
    idle().pools.push_back(pool_);
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Pool* operator->() const { return pool_; }

 private:
  struct Idle {
    std::mutex mutex;
    std::vector<Pool*> pools;
  };
  static Idle& idle() {
    static auto* all = new Idle;  // threads may still ask for it as the program ends
    return *all;
  }
  Pool* pool_;
};

}  // namespace

OneThread::OneThread() : before_(at::get_num_threads()) {
  ::omp_set_num_threads(1);
  set_mkl_threads(1);
}

OneThread::~OneThread() {
  ::omp_set_num_threads(before_);
  set_mkl_threads(0);
}

void run_parts(std::int64_t parts, const Work& work) {
  const int threads = at::get_num_threads();
  if (parts <= 1 || threads <= 1) {
    for (std::int64_t part = 0; part < parts; ++part) work(part);
    return;
  }
  const OneThread alone;
  Borrowed()->run(parts, threads, work);
}

void run_team(int size, const std::function<void(std::int64_t)>& work) {
  Borrowed()->run(size, size, work);
}

bool wait_briefly(const std::function<bool()>& done) {
  return spin(spin_nanoseconds(), done);
}

}  // namespace xception
