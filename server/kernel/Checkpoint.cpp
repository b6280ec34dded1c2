#include "kernel/Checkpoint.h"
#include "kernel/ThreadRegistry.h"
#include "kernel/Threads.h"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace power::kernel
{

namespace
{
constexpr int kMostDescriptors = 4096;
constexpr char kKernelBadness[] = "960"; // the system's memory killer shall take the kernel before its copy
constexpr char kCopyBadness[] = "900";

// What the copy shares with the kernel by its descriptors.
struct Descriptors {
    struct Position {
        int descriptor;
        off_t offset;
    };
    std::vector<Position> files; // regular ones: their offsets are common to both
    std::vector<int> lines;      // pipes and sockets to other processes
};

bool sameFile(const struct stat &one, const struct stat &other)
{
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

Descriptors lookAtDescriptors(int control, int socket, const std::vector<int> &keep)
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const int most = int(std::min<rlim_t>(limit.rlim_cur, kMostDescriptors));
    std::vector<struct stat> own(keep.size());
    for (std::size_t i = 0; i < keep.size(); ++i) {
        if (::fstat(keep[i], &own[i]) != 0) own[i] = {};
    }
    Descriptors found;
    struct stat facts {};
    for (int descriptor = 0; descriptor < most; ++descriptor) {
        if (descriptor == control || descriptor == socket || ::fstat(descriptor, &facts) != 0) continue;
        if (S_ISREG(facts.st_mode)) {
            const off_t offset = ::lseek(descriptor, 0, SEEK_CUR);
            if (offset >= 0) found.files.push_back({descriptor, offset});
        } else if (S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode)) {
            const bool isOutput = std::any_of(own.begin(), own.end(), [&facts](const struct stat &each) { return sameFile(each, facts); });
            if (!isOutput) found.lines.push_back(descriptor);
        }
    }
    return found;
}

// Readers meet the end of the file, writers EPIPE.
void cutLines(const std::vector<int> &lines)
{
    if (lines.empty()) return;
    int forReaders[2], forWriters[2], forSockets[2];
    if (::pipe2(forReaders, O_CLOEXEC) != 0 || ::pipe2(forWriters, O_CLOEXEC) != 0 ||
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, forSockets) != 0) {
        for (const int line : lines)
            ::close(line);
        return;
    }
    for (const int line : lines) {
        struct stat facts {};
        const int flags = ::fcntl(line, F_GETFD);
        const int mode = ::fcntl(line, F_GETFL) & O_ACCMODE;
        const bool isSocket = ::fstat(line, &facts) == 0 && S_ISSOCK(facts.st_mode);
        const int end = isSocket ? forSockets[0] : mode == O_RDONLY ? forReaders[0] : forWriters[1];
        ::dup3(end, line, flags & FD_CLOEXEC ? O_CLOEXEC : 0);
    }
    for (const int end : {forReaders[0], forReaders[1], forWriters[0], forWriters[1], forSockets[0], forSockets[1]})
        ::close(end);
}

void setBadness(const char *value)
{
    const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    (void)!::write(file, value, std::strlen(value));
    ::close(file);
}

// fork(2) as a sibling. With one thread nothing that hangs on fork in the libraries has to run: the copy is exact.
// -1 + errno.
pid_t cloneSibling()
{
    int *tid = nullptr; // where the C library keeps the thread's number
    void *robust = nullptr;
    std::size_t robustSize = 0;
    if (::prctl(PR_GET_TID_ADDRESS, &tid) != 0 || !tid) return -1;
    ::syscall(SYS_get_robust_list, 0, &robust, &robustSize);
    const long flags = CLONE_PARENT | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
#if defined(__aarch64__)
    const long pid = ::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, tid);
#else
    const long pid = ::syscall(SYS_clone, flags, nullptr, nullptr, tid, nullptr);
#endif
    if (pid == 0 && robust) ::syscall(SYS_set_robust_list, robust, robustSize);
    return pid_t(pid);
}

// Ends all that the dead kernel left running. In a pid namespace, under an own uid or behind Landlock's signal scope
// "everybody" is this session; where none of these holds nobody is killed.
void killOthers()
{
    const pid_t parent = ::getppid();
    const bool walled = parent == 0 || (::kill(parent, 0) != 0 && errno == EPERM);
    if (walled) ::kill(-1, SIGKILL);
}

// In the copy: until the server says that it is the kernel now.
wire::Frame park(Channel &channel)
{
    wire::Frame frame;
    if (!channel.send(wire::FrameType::Parked, "{}")) ::_exit(0);
    for (;;) {
        const Channel::Received got = channel.next(frame);
        if (got == Channel::Received::Frame && frame.type == wire::FrameType::Resume) return frame;
        if (got == Channel::Received::Bad) ::_exit(0);
        if (got == Channel::Received::Nothing && channel.fill(nullptr) == Channel::Received::Closed) ::_exit(0);
    }
}

// What was sent to the copy while it was none of anybody's business.
void forgetSignals(const sigset_t &all)
{
    const timespec now{0, 0};
    while (::sigtimedwait(&all, nullptr, &now) > 0) {
    }
}

std::int64_t microsecondsSince(std::chrono::steady_clock::time_point start)
{
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start).count();
}
} // namespace

CheckpointResult takeCheckpoint(Channel &control, int socket, const std::vector<int> &keep)
{
    const auto start = std::chrono::steady_clock::now();
    CheckpointResult result;
    if (const std::string others = quietThreads(); !others.empty()) {
        result.reason = others;
        ::close(socket);
        return result;
    }
    const Descriptors shared = lookAtDescriptors(control.socket(), socket, keep);
    sigset_t all, before;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, &before);
    const bool alone = countThreads() == 1;
    if (!alone) callPrepareHandlers();
    const pid_t pid = cloneSibling();
    if (pid != 0) {
        const int error = errno;
        if (!alone) callParentHandlers();
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        ::close(socket);
        if (pid < 0) {
            result.reason = std::string("the system refused the copy: ") + std::strerror(error);
            return result;
        }
        result.kind = CheckpointResult::Kind::Taken;
        setBadness(kKernelBadness);
        result.microseconds = microsecondsSince(start);
        return result;
    }
    if (!alone) callChildHandlers();
    forgetThreads();
    const int number = control.socket();
    ::dup3(socket, number, O_CLOEXEC);
    ::close(socket);
    control = Channel(number); // what the kernel had already received is the kernel's
    cutLines(shared.lines);
    setBadness(kCopyBadness);
    ::setpgid(0, 0); // what is meant for the kernel's group does not reach it
    result.resume = park(control);
    killOthers();
    forgetSignals(all);
    for (const Descriptors::Position &file : shared.files)
        ::lseek(file.descriptor, file.offset, SEEK_SET);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    result.kind = CheckpointResult::Kind::Resumed;
    return result;
}

} // namespace power::kernel
