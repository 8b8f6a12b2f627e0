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
