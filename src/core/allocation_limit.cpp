#include "xception/core/allocation_limit.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <optional>

namespace xception {
namespace {

/// Passes on to another allocator. It is never destroyed, since a tensor may outlive the limit.
class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (used_ += bytes; used_ > limit_) throw *error_;
    return inner_->allocate(bytes);
  }
  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return inner_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    inner_->copy_data(to, from, bytes);
  }

  void begin(std::uint64_t bytes, const Error& error) {
    inner_ = c10::GetCPUAllocator();
    error_ = error;
    used_ = 0;
    limit_ = bytes;
    c10::SetCPUAllocator(this, kPriority);
  }
  void end() { c10::SetCPUAllocator(inner_, kPriority); }

 private:
  static constexpr std::uint8_t kPriority = 255;

  c10::Allocator* inner_ = nullptr;
  std::optional<Error> error_;
  std::atomic<std::uint64_t> used_ = 0;
  std::uint64_t limit_ = 0;
};

CountingAllocator& allocator() {
  static auto* const one = new CountingAllocator;
  return *one;
}

}  // namespace

AllocationLimit::AllocationLimit(std::uint64_t bytes, const Error& error) {
  allocator().begin(bytes, error);
}

AllocationLimit::~AllocationLimit() {
  allocator().end();
}

}  // namespace xception
