#include "kernels/cuda_on_host/block.h"

#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace xception::cuda_on_host {

Index thread_index, block_index, block_size, grid_size;

namespace {

constexpr std::size_t kStackBytes = 64 * 1024;
constexpr std::size_t kMargin = 64;  // bytes beside shared memory that must not change
constexpr std::size_t kMaxSharedBytes = 48 * 1024;
constexpr int kMaxThreads = 1024;
constexpr std::int64_t kMaxBlocks = 2147483647;
constexpr unsigned char kMarginByte = 0xA5;
constexpr unsigned char kUnset = 0xFF;  // of floats and doubles: NaN

std::mt19937_64 generator;
std::int64_t launch_count = 0;

enum class State { ready, waiting, ended };

/// One piece of shared memory between two margins.
class Shared {
 public:
  explicit Shared(std::size_t bytes) : bytes_(bytes), memory_(bytes + 2 * kMargin) {}

  void clear() {
    std::fill(memory_.begin(), memory_.end(), kMarginByte);
    std::memset(data(), kUnset, bytes_);
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  unsigned char* data() { return memory_.data() + kMargin; }
  [[nodiscard]] bool intact() const {
    const auto margin = [](unsigned char byte) { return byte == kMarginByte; };
    return std::all_of(memory_.begin(), memory_.begin() + kMargin, margin) &&
           std::all_of(memory_.end() - kMargin, memory_.end(), margin);
  }

 private:
  std::size_t bytes_;
  std::vector<unsigned char> memory_;
};

/// A thread's stack and where it stands. It lives on for the same thread of the next block.
struct Fiber {
  ucontext_t context = {};
  std::unique_ptr<unsigned char[]> stack;
  State state = State::ready;
  Index index = {};
  int line = 0;
  std::size_t pieces = 0;  // of shared memory asked for
  std::exception_ptr error;
};

struct Block {
  ucontext_t scheduler = {};
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<std::unique_ptr<Shared>> shared;
  const std::function<void()>* thread = nullptr;
  Fiber* current = nullptr;
};

Block block;

void yield_as(State state) {
  Fiber& own = *block.current;
  own.state = state;
  swapcontext(&own.context, &block.scheduler);
}

void fiber_main() {
  for (;;) {
    try {
      (*block.thread)();
    } catch (...) {
      block.current->error = std::current_exception();
    }
    yield_as(State::ended);
  }
}

std::unique_ptr<Fiber> make_fiber() {
  auto fiber = std::make_unique<Fiber>();
  fiber->stack = std::make_unique_for_overwrite<unsigned char[]>(kStackBytes);
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack.get();
  fiber->context.uc_stack.ss_size = kStackBytes;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, fiber_main, 0);
  return fiber;
}

void resume(Fiber& fiber) {
  block.current = &fiber;
  thread_index = fiber.index;
  swapcontext(&block.scheduler, &fiber.context);
  if (fiber.error) std::rethrow_exception(std::exchange(fiber.error, nullptr));
}

[[noreturn]] void refuse(const char* kernel, const std::string& why) {
  throw std::runtime_error(std::string(kernel) + ": " + why);
}

/// All threads stand at one barrier, or all have ended.
void check_together(const char* kernel, const std::vector<Fiber*>& threads) {
  const Fiber& first = *threads.front();
  for (const Fiber* thread : threads) {
    if (thread->state != first.state) refuse(kernel, "some threads miss a barrier");
    if (thread->state == State::waiting && thread->line != first.line) {
      refuse(kernel, "threads wait at different barriers");
    }
  }
}

void run_block(const char* kernel) {
  block.shared.clear();
  std::vector<Fiber*> threads;
  for (unsigned y = 0; y < block_size.y; ++y) {
    for (unsigned x = 0; x < block_size.x; ++x) {
      Fiber& fiber = *block.fibers[threads.size()];
      fiber.index = {.x = x, .y = y};
      fiber.state = State::ready;
      fiber.pieces = 0;
      threads.push_back(&fiber);
    }
  }
  do {
    std::shuffle(threads.begin(), threads.end(), generator);
    for (Fiber* thread : threads) resume(*thread);
    check_together(kernel, threads);
  } while (threads.front()->state == State::waiting);
  std::size_t bytes = 0;
  for (const auto& piece : block.shared) {
    if (!piece->intact()) refuse(kernel, "a write beside shared memory");
    bytes += piece->bytes();
  }
  if (bytes > kMaxSharedBytes) refuse(kernel, "more shared memory than a block has");
}

}  // namespace

void set_seed(std::uint64_t seed) {
  generator.seed(seed);
}

std::int64_t launches() {
  return launch_count;
}

void run_blocks(const char* kernel, std::int64_t blocks, int threads_x, int threads_y,
                const std::function<void()>& thread) {
  if (threads_x < 1 || threads_y < 1 || threads_x * threads_y > kMaxThreads) {
    refuse(kernel, "a block of a size that no GPU has");
  }
  if (blocks < 1 || blocks > kMaxBlocks) refuse(kernel, "a grid of a size that no GPU has");
  ++launch_count;
  block_size = {
      .x = static_cast<unsigned>(threads_x), .y = static_cast<unsigned>(threads_y), .z = 1};
  grid_size = {.x = static_cast<unsigned>(blocks), .y = 1, .z = 1};
  while (block.fibers.size() < static_cast<std::size_t>(threads_x * threads_y)) {
    block.fibers.push_back(make_fiber());
  }
  block.thread = &thread;
  std::vector<unsigned> order(static_cast<std::size_t>(blocks));
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), generator);
  try {
    for (const unsigned index : order) {
      block_index = {.x = index};
      run_block(kernel);
    }
  } catch (...) {
    block.fibers.clear();  // some stand in the middle of a kernel
    throw;
  }
}

void barrier(int line) {
  block.current->line = line;
  yield_as(State::waiting);
}

void* shared_memory(std::size_t bytes) {
  const std::size_t piece = block.current->pieces++;
  if (piece == block.shared.size()) {
    block.shared.push_back(std::make_unique<Shared>(bytes));
    block.shared.back()->clear();
  }
  if (block.shared[piece]->bytes() != bytes) {
    throw std::logic_error("threads declare different shared memory");
  }
  return block.shared[piece]->data();
}

}  // namespace xception::cuda_on_host
