#include "supervisor/ProcMemory.h"
#include "supervisor/Fd.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace power::supervisor {

ProcMemory procMemory(pid_t pid)
{
    char text[4096];
    std::snprintf(text, sizeof text, "/proc/%d/status", int(pid));
    const Fd file(::open(text, O_RDONLY | O_CLOEXEC));
    const ssize_t size = file ? ::read(file.get(), text, sizeof text - 1) : -1;
    if (size <= 0)
        return {};
    text[size] = 0;
    const auto bytes = [&text](const char *name) {
        const char *at = std::strstr(text, name);
        return at ? qint64(std::strtoll(at + std::strlen(name), nullptr, 10)) * 1024 : 0;
    };
    const qint64 resident = bytes("\nVmRSS:");
    if (resident == 0) // a zombie
        return {};
    return {pid, bytes("\nRssAnon:") + bytes("\nRssShmem:"), resident, bytes("\nVmHWM:")};
}

qint64 peakOf(const ProcMemory &now, qint64 highestBefore, qint64 shared, qint64 exact)
{
    const qint64 givenBack = now.highest > highestBefore ? std::max<qint64>(0, now.highest - now.resident) : 0;
    return std::max<qint64>({0, now.own - shared, exact}) + givenBack;
}

} // namespace power::supervisor
