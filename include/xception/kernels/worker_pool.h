#pragma once

#include <cstdint>
#include <functional>

namespace xception {

/// Calls work(0) ... work(parts - 1), each once, on as many threads as LibTorch has, the caller
/// among them; whoever is free takes the next part. Inside `work` LibTorch and MKL use one thread.
/// Returns when all are done; throws what `work` throws.
///
/// Not OpenMP, whose loops end only when every thread of the team has been there: where other
/// programs have its processor, that is milliseconds later. Here a thread that comes too late finds
/// nothing left to do, and one that loses its processor in the middle of a part is given the
/// caller's, which would only wait.
void run_parts(std::int64_t parts, const std::function<void(std::int64_t part)>& work);

/// Calls work(0) in the calling thread and work(1) ... work(size - 1) each once, in threads of its
/// own or, where these come too late, in the calling one after its own. Any of them may wait for
/// all others. `work` must not throw. The program's OpenMP (src/openmp.cpp) is built on it.
void run_team(int size, const std::function<void(std::int64_t number)>& work);

/// Looks until `done()`, for as long as our threads spin before they sleep (50 us; OMP_WAIT_POLICY:
/// passive not at all, active 5 ms). Returns whether done.
bool wait_briefly(const std::function<bool()>& done);

/// LibTorch, MKL and run_parts use the calling thread alone, for its lifetime: one of several that
/// share the processors already.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace xception
