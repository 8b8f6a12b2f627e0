#include "system_calls.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace xception {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = 0;
#endif

constexpr std::array kAllowed = {
    SYS_read,      SYS_pread64,      SYS_write,        SYS_lseek,          SYS_close,
    SYS_fstat,     SYS_newfstatat,   SYS_readlinkat,   SYS_getcwd,         SYS_fcntl,
    SYS_flock,     SYS_brk,          SYS_munmap,       SYS_mremap,         SYS_madvise,
    SYS_futex,     SYS_rt_sigreturn, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_getpid,
    SYS_gettid,    SYS_tgkill,       SYS_sched_yield,  SYS_clock_gettime,  SYS_gettimeofday,
    SYS_getrandom, SYS_exit,         SYS_exit_group,
#ifdef SYS_readlink
    SYS_readlink,  SYS_stat,         SYS_lstat,        SYS_access,
#endif
};

/// A call that is allowed if some bits of an argument are 0.
struct Conditional {
  long call;
  unsigned argument;
  std::uint32_t bits;
};
constexpr std::array kConditional = {
    Conditional{SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND},
    Conditional{SYS_mmap, 2, PROT_EXEC},
    Conditional{SYS_mprotect, 2, PROT_EXEC},
};

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
/// Skips the next `otherwise` instructions where the value isn't `value`.
sock_filter if_equal(std::uint32_t value, std::uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise);
}
sock_filter give(std::uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}

}  // namespace

void keep_to_reading() {
  constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
  std::vector<sock_filter> rules = {load(offsetof(seccomp_data, arch)),
                                    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
                                    give(kRefuse), load(offsetof(seccomp_data, nr))};
  for (const long call : kAllowed) {
    rules.push_back(if_equal(static_cast<std::uint32_t>(call), 1));
    rules.push_back(give(SECCOMP_RET_ALLOW));
  }
  for (const auto& [call, argument, bits] : kConditional) {
    // The low half of the argument, on a little-endian machine.
    const auto place = offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t);
    rules.push_back(if_equal(static_cast<std::uint32_t>(call), 4));
    rules.push_back(load(place));
    rules.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    rules.push_back(give(kRefuse));
    rules.push_back(give(SECCOMP_RET_ALLOW));
  }
  rules.push_back(give(kRefuse));
  const sock_fprog program{.len = static_cast<unsigned short>(rules.size()),
                           .filter = rules.data()};
  if (kArchitecture != 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
    (void)::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
  }
}

}  // namespace xception
