// The threads of a kernel, which stand in the way of a checkpoint: only the calling one would be in the copy.
#pragma once
#include <string>

namespace power::kernel
{

// Tasks of this process as the system counts them.
int countThreads();

// Ends the threads that their libraries can start again (OpenMP, OpenBLAS). Empty when one thread is left, or only such
// others whose loss a copy bears if the fork handlers are called around it; else what the others are: "2 threads: ...".
// Thread: the main one, between cells.
std::string quietThreads();

} // namespace power::kernel
