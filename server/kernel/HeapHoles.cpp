#include "kernel/HeapHoles.h"
#include <Python.h>
#include <cstddef>
#include <cstdint>
#include <malloc.h>
#include <unistd.h>

namespace power::kernel
{

namespace
{
constexpr std::size_t kLargestHole = 96 << 10; // below the size that libc serves by mmap
constexpr int kMostHoles = 200'000;
constexpr std::size_t kMostOfClass = 8 << 20; // bytes: an allocator of another kind has no such pools

// libc: whatever fits below the free top of the heap was a hole.
void fillLibc()
{
    ::malloc_trim(0);
    const auto top = reinterpret_cast<std::uintptr_t>(::sbrk(0)) - ::mallinfo2().keepcost;
    int holes = 0;
    for (std::size_t size = kLargestHole; size >= 48; size = size * 7 / 8) {
        while (++holes < kMostHoles) {
            void *block = ::malloc(size);
            if (reinterpret_cast<std::uintptr_t>(block) >= top) {
                ::free(block);
                break;
            }
        }
    }
}

// Python: a class of sizes has no hole left when a block begins a pool.
void fillPython()
{
    constexpr std::uintptr_t kPool = 16 << 10, kPoolHeader = 48; // Objects/obmalloc.c
    for (std::size_t size = 16; size <= 512; size += 16) {
        for (std::size_t taken = 0; taken < kMostOfClass; taken += size) {
            void *block = PyObject_Malloc(size);
            if (!block) break;
            if (reinterpret_cast<std::uintptr_t>(block) % kPool == kPoolHeader) {
                PyObject_Free(block);
                break;
            }
        }
    }
}
} // namespace

void fillHeapHoles()
{
    fillPython();
    fillLibc();
}

} // namespace power::kernel
