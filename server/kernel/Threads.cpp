#include "kernel/Threads.h"
#include "kernel/ThreadRegistry.h"
#include <algorithm>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <map>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace power::kernel
{

namespace
{
constexpr int kPauseHard = 2; // omp_pause_hard of OpenMP 5
constexpr int kMostLooks = 40;

int collectLibrary(dl_phdr_info *info, std::size_t, void *into)
{
    if (info->dlpi_name && *info->dlpi_name) static_cast<std::vector<std::string> *>(into)->emplace_back(info->dlpi_name);
    return 0;
}

bool contains(const std::string &text, const char *part)
{
    return text.find(part) != std::string::npos;
}

// A wheel brings its own copy of a library: there may be several of each.
void stopPools()
{
    std::vector<std::string> libraries;
    ::dl_iterate_phdr(collectLibrary, &libraries);
    for (const std::string &library : libraries) {
        const bool openMp = contains(library, "libgomp") || contains(library, "libomp") || contains(library, "libiomp");
        if (!openMp && !contains(library, "openblas")) continue;
        void *handle = ::dlopen(library.c_str(), RTLD_LAZY | RTLD_NOLOAD);
        if (!handle) continue;
        void *stop = ::dlsym(handle, openMp ? "omp_pause_resource_all" : "blas_thread_shutdown_");
        if (stop && openMp)
            reinterpret_cast<int (*)(int)>(stop)(kPauseHard);
        else if (stop)
            reinterpret_cast<int (*)()>(stop)();
        ::dlclose(handle);
    }
}

// Threads whose loss the copy bears: Arrow's pools are made anew by its own fork handlers, and what polars starts when
// it is imported only tidies up files that it spilled.
bool isBorne(const ThreadOrigin &thread)
{
    return contains(thread.library, "libarrow") || (contains(thread.library, "polars") && contains(thread.name, "polars-ooc"));
}

// Between two tasks: such a thread holds no lock of the allocator. Where /proc is closed the pause since the last cell
// has to do.
bool isIdle(int tid)
{
    const std::string path = "/proc/self/task/" + std::to_string(tid) + "/stat";
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return true;
    char text[512] = {};
    const ssize_t size = ::read(file, text, sizeof text - 1);
    ::close(file);
    const char *name = size > 0 ? std::strrchr(text, ')') : nullptr;
    return !name || (name[1] && name[2] == 'S');
}

bool onlyBorneAreLeft()
{
    int borne = 0;
    for (const ThreadOrigin &thread : startedThreads()) {
        if (!isBorne(thread) || !isIdle(thread.tid)) return false;
        ++borne;
    }
    return countThreads() - 1 == borne;
}

std::string labelOf(const ThreadOrigin &thread)
{
    for (const char *known : {"polars", "duckdb", "arrow", "openblas", "jemalloc"}) {
        if (contains(thread.library, known)) return known;
    }
    if (contains(thread.library, "libpython") || contains(thread.library, "power-kernel") || thread.library.rfind("python", 0) == 0)
        return "started by the session's code";
    return thread.library.substr(0, thread.library.find('.'));
}

std::string describeThreads(int count)
{
    std::map<std::string, int> labels;
    for (const ThreadOrigin &thread : startedThreads()) {
        if (!isBorne(thread)) ++labels[labelOf(thread)];
    }
    std::string text = std::to_string(count) + (count == 1 ? " thread" : " threads");
    const char *between = ": ";
    for (const auto &[label, times] : labels) {
        text += between + label;
        between = ", ";
    }
    return text;
}
} // namespace

// By the link count of the directory, which can be read where listing it is not allowed.
int countThreads()
{
    struct stat facts {};
    return ::stat("/proc/self/task", &facts) == 0 && facts.st_nlink > 2 ? int(facts.st_nlink) - 2 : 1;
}

std::string quietThreads()
{
    if (countThreads() == 1) return {};
    stopPools();
    // Threads that end are counted for a moment longer.
    for (int look = 0; look < kMostLooks && countThreads() > 1; ++look) {
        if (onlyBorneAreLeft()) return {};
        const timespec pause{0, 50'000};
        ::nanosleep(&pause, nullptr);
    }
    const int left = countThreads() - 1;
    return left == 0 ? std::string() : describeThreads(left);
}

} // namespace power::kernel
