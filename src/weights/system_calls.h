#pragma once

namespace xception {

/// From here on this process can compute, read files and write to what is open, and nothing else:
/// no programs, no new files, no network, no machine code in memory of data. Other system calls
/// fail. Where the system can't do that, nothing happens. Source: seccomp(2).
void keep_to_reading();

}  // namespace xception
