// What has to happen before LibTorch and oneMKL set themselves up, which takes half a second. The
// dynamic linker has mapped and relocated them by then; nothing of the program can run earlier.
//
// A working directory that was removed: relative paths mean nothing there, and oneMKL, which asks
// for it as it is loaded, ends the process with a message that blames LibTorch.
//
// SIGUSR1, "save and go on": there is nothing to save yet, and by default it ends a process.

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)

#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace {

constexpr char kMessage[] =
    "error: [commands] the working directory was removed; change to one that exists\n";

// Not of the standard library, none of which is set up yet.
void check_working_directory() {
  char path[4096];
  if (::getcwd(path, sizeof(path)) != nullptr || errno != ENOENT) return;
  (void)!::write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  ::_exit(2);
}

void prepare() {
  ::signal(SIGUSR1, SIG_IGN);
  check_working_directory();
}

// The dynamic linker calls what is in this section of a program, before libraries set themselves
// up.
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)() = prepare;

}  // namespace

#endif
