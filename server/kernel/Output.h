// The kernel's way to its two output pipes: bytes plus the epoch markers of shared/wire/PROTOCOL.md.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace power::kernel
{

// Takes over descriptors 1 and 2: keeps private copies for the markers, so that code which redirects
// descriptor 1 into a file does not find markers in it. Turns libc's buffering of both off. Once per kernel,
// before threads.
bool startOutput(const std::string &token);

// Writes `data` to the channel ('o' or 'e') behind a marker when the active channel changes. Safe from every
// thread. The caller holds the GIL, which is released while waiting for the reader. False: a Python exception
// is set (an interrupt arrived, or EPIPE).
bool writeOutput(char channel, std::string_view data);

// Makes `channel` the active one if it is not; 'f' always begins a new epoch. Returns the epoch. GIL as
// above.
std::uint64_t markOutput(char channel);

// While muted nothing is written: the zygote rehearses cells that way.
void muteOutput(bool mute);

// Every descriptor that leads to the two pipes.
std::vector<int> outputDescriptors();

// True in processes that user code forked from the kernel: they write without markers and send no frames.
bool inForkedChild();

} // namespace power::kernel
