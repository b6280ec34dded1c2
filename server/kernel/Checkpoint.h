// The frozen copy of a kernel: how it is made, waits, and becomes the kernel.
#pragma once
#include "kernel/Channel.h"
#include <cstdint>
#include <string>
#include <vector>

namespace power::kernel
{

struct CheckpointResult {
    enum class Kind { Taken, Skipped, Resumed } kind = Kind::Skipped;
    std::string reason;           // of Skipped, one sentence part: "2 threads: ..."
    std::int64_t microseconds = 0; // of Taken: the kernel stood still this long
    wire::Frame resume;           // of Resumed: the server's frame
};

// Copies the process. Returns Taken or Skipped in the kernel, and much later Resumed in the copy, which until then
// waits on `socket` with every signal blocked and runs nothing; it ends when the server closes the other end.
// `control`: the kernel's channel; in the copy its number belongs to the socket. `keep`: descriptors of the output.
// The copy is a child of the kernel's parent (the zygote): user code that waits for its children does not see it.
// Pipes and sockets to other processes are dead ends in the copy: else they would stay open when the kernel closes
// them. Closes `socket` in the kernel. Thread: the kernel's only one; a second one makes it Skipped.
CheckpointResult takeCheckpoint(Channel &control, int socket, const std::vector<int> &keep);

} // namespace power::kernel
