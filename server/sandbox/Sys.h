// What the wall needs of the Linux interface and older headers lack: numbers, structures and thin wrappers.
// Constants that newer kernels brought are defined here by hand; Debian 12's headers know Landlock ABI 2 only.
#pragma once
#include "sandbox/Apply.h"
#include <cstdint>
#include <string>

namespace power::sandbox::sys {

// errno as a Failure of `step`; false, so that a caller can return it.
bool fail(Failure &failure, const char *step, const std::string &about = {});

// Whole write to an existing file (of /proc, of a cgroup). False with errno.
bool writeFile(const char *path, const std::string &text);
// Whole small file, empty when unreadable.
std::string readFile(const char *path);

long openTree(int directory, const char *path, unsigned flags);
long moveMount(int fromDirectory, const char *from, int toDirectory, const char *to, unsigned flags);

struct MountAttributes {
    std::uint64_t set = 0, clear = 0, propagation = 0, userNamespace = 0;
};
long mountSetAttributes(int directory, const char *path, unsigned flags, const MountAttributes &attributes);

inline constexpr unsigned kOpenTreeClone = 1, kOpenTreeCloseOnExec = 02000000, kEmptyPath = 0x1000, kRecursive = 0x8000;
inline constexpr unsigned kMoveFromEmptyPath = 4;
inline constexpr std::uint64_t kMountReadOnly = 1, kMountNoSuid = 2, kMountNoDevices = 4, kMountNoExec = 8;

// Owns a file descriptor.
class Fd
{
public:
    explicit Fd(int fd = -1) : m_fd(fd) {}
    Fd(Fd &&other) noexcept : m_fd(other.m_fd) { other.m_fd = -1; }
    Fd &operator=(Fd &&other) noexcept;
    Fd(const Fd &) = delete;
    Fd &operator=(const Fd &) = delete;
    ~Fd();
    int get() const { return m_fd; }
    int release();
    explicit operator bool() const { return m_fd >= 0; }

private:
    int m_fd;
};

} // namespace power::sandbox::sys
