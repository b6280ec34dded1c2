// In place of the C library's calls; see FailSync.h. Without Qt: it is loaded into servers too.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {
// A part of the path; its end, when `part` ends with a dollar.
bool fits(const char *path, char *part)
{
    const std::size_t length = std::strlen(part), whole = std::strlen(path);
    if (length == 0 || part[length - 1] != '$')
        return std::strstr(path, part) != nullptr;
    part[length - 1] = 0;
    return whole >= length - 1 && std::strcmp(path + whole - (length - 1), part) == 0;
}

bool isMeant(const char *call, int file)
{
    const char *order = std::getenv("POWER_FAIL_SYNC");
    const int meant = order ? ::open(order, O_RDWR | O_CLOEXEC) : -1;
    if (meant < 0)
        return false;
    char text[4096] = {}, link[64] = {}, path[4096] = {};
    bool fit = ::read(meant, text, sizeof text - 1) > 0;
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const std::size_t length = std::strlen(call);
    // "9 fsync path": the first character says how many come before the one that fails.
    fit = fit && ::readlink(link, path, sizeof path - 1) >= 0 && std::strncmp(text + 2, call, length) == 0 && text[length + 2] == ' '
          && fits(path, text + length + 3);
    if (fit && text[0] > '0') {
        --text[0];
        fit = ::pwrite(meant, text, 1, 0) != 1;
    }
    ::close(meant);
    return fit && ::unlink(order) == 0; // one thread only
}

int answer(const char *call, long number, int file)
{
    if (!isMeant(call, file))
        return int(::syscall(number, file));
    errno = EIO;
    return -1;
}
} // namespace

extern "C" __attribute__((visibility("default"))) int fsync(int file)
{
    return answer("fsync", SYS_fsync, file);
}

extern "C" __attribute__((visibility("default"))) int fdatasync(int file)
{
    return answer("fdatasync", SYS_fdatasync, file);
}
