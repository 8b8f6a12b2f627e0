#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

// A GPU's blocks on the host: threads are fibers, blocks run one after another. Between two
// barriers threads run one after another, in an order that the seed shuffles, as it does the
// blocks'. So what differs from seed to seed is a race.
namespace xception::cuda_on_host {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

extern Index thread_index, block_index, block_size, grid_size;

void set_seed(std::uint64_t seed);
/// Since the process began.
std::int64_t launches();

/// Runs `thread` for every thread of `blocks` blocks of threads_x * threads_y.
/// Errors (std::runtime_error): sizes that a GPU refuses; threads that end or wait at another line
/// while others wait at a barrier; writes beside shared memory.
void run_blocks(const char* kernel, std::int64_t blocks, int threads_x, int threads_y,
                const std::function<void()>& thread);

/// The calling thread waits for its block.
void barrier(int line);

/// The block's next piece of shared memory, the same for all threads; NaN when the block begins.
void* shared_memory(std::size_t bytes);

}  // namespace xception::cuda_on_host
