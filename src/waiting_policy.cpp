// How long threads of OpenMP wait for each other before they sleep.
//
// By default libgomp's spin for milliseconds at the end of each parallel loop, of which a training
// step has hundreds. On a machine with other work the thread that they wait for may have no
// processor, because they have it. libgomp reads its variables when it is loaded, before main; so
// this runs still earlier, sets one and starts the program anew, which costs what loading its
// libraries does, some milliseconds. Children get the variable from us. What the user has set
// counts.

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)

#include <alloca.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstddef>

namespace {

/// Rounds of a loop of some nanoseconds; libgomp's own number is 300000. Fewer yet serve a busy
/// machine better, and cost a quiet one a third of a narrow network's speed (src/README.md).
char spin_count[] = "GOMP_SPINCOUNT=10000";
constexpr const char* kNames[] = {"GOMP_SPINCOUNT=", "OMP_WAIT_POLICY="};

// Not of the standard library, none of which is set up yet.
bool starts_with(const char* text, const char* start) {
  while (*start != '\0') {
    if (*text++ != *start++) return false;
  }
  return true;
}

void set_waiting_policy(int /*argc*/, char** argv, char** environment) {
  std::size_t count = 0;
  for (; environment[count] != nullptr; ++count) {
    for (const char* name : kNames) {
      if (starts_with(environment[count], name)) return;
    }
  }
  auto** with_policy = static_cast<char**>(alloca((count + 2) * sizeof(char*)));
  for (std::size_t i = 0; i < count; ++i) with_policy[i] = environment[i];
  with_policy[count] = spin_count;
  with_policy[count + 1] = nullptr;
  // By its own path, so that the process keeps its name.
  char path[4096];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof(path) - 1);
  if (length <= 0) return;
  path[length] = '\0';
  ::execve(path, argv, with_policy);
  // Where that fails all goes on as it was.
}

// The dynamic linker calls what is in this section of a program, before libraries set themselves
// up.
[[gnu::section(".preinit_array"),
  gnu::used]] void (*const before_libraries)(int, char**, char**) = set_waiting_policy;

}  // namespace

#endif
