#include "sandbox/Sys.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace power::sandbox::sys {

bool fail(Failure &failure, const char *step, const std::string &about)
{
    failure.error = errno;
    failure.step = step;
    failure.text = about.empty() ? std::string(step) : std::string(step) + " (" + about + ")";
    failure.text += ": ";
    failure.text += std::strerror(failure.error);
    return false;
}

bool writeFile(const char *path, const std::string &text)
{
    const Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
    if (!fd) return false;
    return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string readFile(const char *path)
{
    const Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
    std::string text;
    char buffer[4096];
    while (fd) {
        const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
        if (got <= 0) break;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
}

// One number on every architecture (the tables were unified before these came).
long openTree(int directory, const char *path, unsigned flags)
{
    return ::syscall(428, directory, path, flags);
}

long moveMount(int fromDirectory, const char *from, int toDirectory, const char *to, unsigned flags)
{
    return ::syscall(429, fromDirectory, from, toDirectory, to, flags);
}

long mountSetAttributes(int directory, const char *path, unsigned flags, const MountAttributes &attributes)
{
    return ::syscall(442, directory, path, flags, &attributes, sizeof(attributes));
}

Fd &Fd::operator=(Fd &&other) noexcept
{
    if (this != &other) {
        if (m_fd >= 0) ::close(m_fd);
        m_fd = other.m_fd;
        other.m_fd = -1;
    }
    return *this;
}

Fd::~Fd()
{
    if (m_fd >= 0) ::close(m_fd);
}

int Fd::release()
{
    const int fd = m_fd;
    m_fd = -1;
    return fd;
}

} // namespace power::sandbox::sys
