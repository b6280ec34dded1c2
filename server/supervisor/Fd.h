// File descriptors owned by the supervisor: all of them CLOEXEC, those it reads and writes nonblocking.
#pragma once
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace power::supervisor {

// Fd: owns a descriptor; closes it. A plain value of one thread.
class Fd
{
public:
    Fd() = default;
    explicit Fd(int fd) : m_fd(fd) {}
    Fd(Fd &&other) noexcept : m_fd(std::exchange(other.m_fd, -1)) {}
    Fd &operator=(Fd &&other) noexcept
    {
        if (this != &other) {
            reset();
            m_fd = std::exchange(other.m_fd, -1);
        }
        return *this;
    }
    ~Fd() { reset(); }

    int get() const { return m_fd; }
    explicit operator bool() const { return m_fd >= 0; }
    void reset()
    {
        if (m_fd >= 0)
            ::close(m_fd);
        m_fd = -1;
    }

private:
    int m_fd = -1;
};

struct FdPair {
    Fd ours;
    Fd theirs;
    bool ok() const { return ours && theirs; }
};

inline void makeNonBlocking(const Fd &fd)
{
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

// A pipe that the other side writes and we read without blocking. ok() is false when the process or the
// machine is out of descriptors.
inline FdPair makeReadPipe()
{
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return {};
    FdPair pair{Fd(ends[0]), Fd(ends[1])};
    makeNonBlocking(pair.ours);
    return pair;
}

// A pipe whose write end is held only to be closed: the reader sees the end of the file then.
inline FdPair makeLifeline()
{
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return {};
    return {Fd(ends[1]), Fd(ends[0])};
}

// A stream socket pair; our end does not block, theirs does.
inline FdPair makeSocketPair()
{
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return {};
    FdPair pair{Fd(ends[0]), Fd(ends[1])};
    makeNonBlocking(pair.ours);
    return pair;
}

} // namespace power::supervisor
