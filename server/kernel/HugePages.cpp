#include "kernel/HugePages.h"
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <utility>
#include <vector>

namespace power::kernel
{

namespace
{
constexpr std::uintptr_t kHuge = 2 << 20;
constexpr int kCollapse = 25; // MADV_COLLAPSE, newer than the C library's headers

using Range = std::pair<std::uintptr_t, std::uintptr_t>;

// What malloc, Python's arenas and the like have from the system.
std::vector<Range> ownMemory()
{
    std::vector<Range> found;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        unsigned long long begin = 0, end = 0, inode = 0;
        char rights[8] = {}, name[32] = {};
        if (std::sscanf(line.c_str(), "%llx-%llx %7s %*x %*s %llu %31s", &begin, &end, rights, &inode, name) < 4) continue;
        if (inode == 0 && std::strcmp(rights, "rw-p") == 0 && std::strncmp(name, "[stack", 6) != 0)
            found.emplace_back(std::uintptr_t(begin), std::uintptr_t(end));
    }
    return found;
}
} // namespace

int useHugePages()
{
    int made = 0;
    for (const auto &[begin, end] : ownMemory()) {
        for (std::uintptr_t at = (begin + kHuge - 1) / kHuge * kHuge; at + kHuge <= end; at += kHuge)
            made += ::madvise(reinterpret_cast<void *>(at), kHuge, kCollapse) == 0 ? 1 : 0;
    }
    return made;
}

} // namespace power::kernel
