// The program's own OpenMP: what LibTorch, oneDNN and MKL call where libgomp would answer.
//
// In libgomp each thread of a team does its own share and nobody else's, and spins for milliseconds
// where it waits. A training step has hundreds of parallel regions; beside other programs, whose
// processes take a processor for milliseconds at a time, all of them wait for the one thread that
// has none. Here a team is a job of the worker pool: a share that no thread has begun when the
// caller is done with its own is done by the caller, waiting is short, and a thread that loses its
// processor gets the caller's. Which share computes what stays the same, and so do results.
//
// An executable's symbols come before those of its libraries, so defining them here is enough.
// cmake/XceptionOpenMp.cmake checks that LibTorch calls none that are missing; what each does is
// told in the OpenMP specification and in libgomp's manual ("The libgomp ABI"). Not here: nested
// teams of several threads, teams' affinity, and OMP_ variables other than OMP_NUM_THREADS and
// OMP_WAIT_POLICY.

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <mutex>

#include "xception/kernels/worker_pool.h"

namespace xception {
namespace {

/// A loop or `single` whose iterations a team's threads take one after the other.
struct Construct {
  bool begun = false;
  long next = 0;
  long end = 0;
  long step = 1;
  long chunk = 1;
  long chunks_taken = 0;
  long turn = 0;  ///< the chunk whose `ordered` blocks may run

  /// The next chunk's [first, last); false where none is left.
  bool take(long* first, long* last) {
    const bool up = step > 0;
    if (up ? next >= end : next <= end) return false;
    const auto distance = up ? static_cast<unsigned long>(end) - static_cast<unsigned long>(next)
                             : static_cast<unsigned long>(next) - static_cast<unsigned long>(end);
    const auto stride = up ? static_cast<unsigned long>(step) : -static_cast<unsigned long>(step);
    const auto left = (distance - 1) / stride + 1;
    *first = next;
    *last = static_cast<unsigned long>(chunk) < left ? next + chunk * step : end;
    next = *last;
    ++chunks_taken;
    return true;
  }
};

struct Team {
  explicit Team(int threads) : size(threads) {}
  const int size;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Construct> constructs;  ///< in the order in which every thread meets them
  int at_barrier = 0;
  std::atomic<long> barriers = 0;
};

int count_processors() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

int initial_threads() {
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  const int count = wanted == nullptr ? 0 : std::atoi(wanted);
  return count > 0 ? count : count_processors();
}

/// What the calling thread is at.
struct Thread {
  int threads = initial_threads();  ///< that its next team has
  Team* team = nullptr;
  int number = 0;
  bool in_parallel = false;
  std::size_t constructs = 0;  ///< met in this team
  Construct* loop = nullptr;
  long chunk = -1;  ///< of an ordered loop
};

thread_local Thread current;

/// The team of code outside of any: the thread alone.
Team& team() {
  thread_local Team alone(1);
  return current.team == nullptr ? alone : *current.team;
}

/// Runs one thread's share of a region.
void run_share(Team& team, int number, int threads, bool in_parallel, void (*work)(void*),
               void* data) {
  const Thread before = current;
  current = {.threads = threads, .team = &team, .number = number, .in_parallel = in_parallel};
  work(data);
  const int wanted = current.threads;
  current = before;
  if (team.size == 1) current.threads = wanted;
}

/// The construct that the calling thread has come to. Holds `lock`, which is the team's.
Construct& meet_construct(const std::unique_lock<std::mutex>& /*lock*/) {
  auto& constructs = team().constructs;
  if (team().size == 1) {
    constructs.clear();
    current.constructs = 0;
  }
  const auto index = current.constructs++;
  if (constructs.size() <= index) constructs.resize(index + 1);
  return constructs[index];
}

bool take_chunk(const std::unique_lock<std::mutex>& /*lock*/, long* first, long* last) {
  if (!current.loop->take(first, last)) return false;
  current.chunk = current.loop->chunks_taken - 1;
  return true;
}

bool begin_loop(long start, long end, long step, long chunk, long* first, long* last) {
  const std::unique_lock lock(team().mutex);
  auto& loop = meet_construct(lock);
  if (!loop.begun) {
    loop = {.begun = true, .next = start, .end = end, .step = step, .chunk = std::max(chunk, 1L)};
  }
  current.loop = &loop;
  return take_chunk(lock, first, last);
}

bool next_chunk(long* first, long* last) {
  const std::unique_lock lock(team().mutex);
  return take_chunk(lock, first, last);
}

void wait_for_turn(std::unique_lock<std::mutex>& lock) {
  const auto& loop = *current.loop;
  team().changed.wait(lock, [&] { return loop.turn == current.chunk; });
}

void barrier() {
  auto& own = team();
  if (own.size == 1) return;
  std::unique_lock lock(own.mutex);
  const long before = own.barriers;
  if (++own.at_barrier == own.size) {
    own.at_barrier = 0;
    ++own.barriers;
    own.changed.notify_all();
    return;
  }
  const auto passed = [&] { return own.barriers != before; };
  lock.unlock();
  if (wait_briefly(passed)) return;
  lock.lock();
  own.changed.wait(lock, passed);
}

/// Of all `critical` and `atomic` blocks, whatever their names.
std::recursive_mutex& exclusive() {
  static auto* mutex = new std::recursive_mutex;
  return *mutex;
}

}  // namespace
}  // namespace xception

// As GCC and LibTorch's libraries declare them.
// NOLINTBEGIN(readability-identifier-naming)
extern "C" {
#pragma GCC visibility push(default)

void GOMP_parallel(void (*work)(void*), void* data, unsigned threads, unsigned /*flags*/) {
  using namespace xception;
  const int own_threads = current.threads;
  const int wanted = threads == 0 ? own_threads : static_cast<int>(threads);
  if (current.in_parallel || wanted <= 1) {
    Team alone(1);
    run_share(alone, 0, own_threads, current.in_parallel, work, data);
    return;
  }
  Team team(wanted);
  run_team(wanted, [&](std::int64_t number) {
    run_share(team, static_cast<int>(number), own_threads, true, work, data);
  });
}

int omp_get_thread_num() {
  return xception::current.number;
}
int omp_get_num_threads() {
  return xception::team().size;
}
int omp_in_parallel() {
  return xception::current.in_parallel ? 1 : 0;
}
int omp_get_max_threads() {
  return xception::current.threads;
}
int omp_get_num_procs() {
  return xception::count_processors();
}
void omp_set_num_threads(int threads) {
  xception::current.threads = std::max(threads, 1);
}

void GOMP_barrier() {
  xception::barrier();
}

void GOMP_atomic_start() {
  xception::exclusive().lock();
}
void GOMP_atomic_end() {
  xception::exclusive().unlock();
}
void GOMP_critical_start() {
  xception::exclusive().lock();
}
void GOMP_critical_end() {
  xception::exclusive().unlock();
}
void GOMP_critical_name_start(void** /*name*/) {
  xception::exclusive().lock();
}
void GOMP_critical_name_end(void** /*name*/) {
  xception::exclusive().unlock();
}

bool GOMP_single_start() {
  using namespace xception;
  const std::unique_lock lock(team().mutex);
  auto& single = meet_construct(lock);
  if (single.begun) return false;
  single.begun = true;
  return true;
}

bool GOMP_loop_dynamic_start(long start, long end, long step, long chunk, long* first, long* last) {
  return xception::begin_loop(start, end, step, chunk, first, last);
}
bool GOMP_loop_dynamic_next(long* first, long* last) {
  return xception::next_chunk(first, last);
}
void GOMP_loop_end() {
  xception::barrier();
}
void GOMP_loop_end_nowait() {}

bool GOMP_loop_ordered_dynamic_start(long start, long end, long step, long chunk, long* first,
                                     long* last) {
  return xception::begin_loop(start, end, step, chunk, first, last);
}
bool GOMP_loop_ordered_dynamic_next(long* first, long* last) {
  using namespace xception;
  std::unique_lock lock(team().mutex);
  wait_for_turn(lock);
  ++current.loop->turn;
  team().changed.notify_all();
  return take_chunk(lock, first, last);
}
void GOMP_ordered_start() {
  using namespace xception;
  std::unique_lock lock(team().mutex);
  wait_for_turn(lock);
}
void GOMP_ordered_end() {}

unsigned GOMP_sections_start(unsigned count) {
  long first = 0;
  long last = 0;
  return xception::begin_loop(1, static_cast<long>(count) + 1, 1, 1, &first, &last)
             ? static_cast<unsigned>(first)
             : 0;
}
unsigned GOMP_sections_next() {
  long first = 0;
  long last = 0;
  return xception::next_chunk(&first, &last) ? static_cast<unsigned>(first) : 0;
}
void GOMP_sections_end_nowait() {}

#pragma GCC visibility pop
}
// NOLINTEND(readability-identifier-naming)
