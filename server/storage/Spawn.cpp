#include "storage/Spawn.h"
#include <QFile>
#include <QSocketNotifier>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace power::storage {

namespace {
constexpr int directoryDescriptor = 9;

struct CharArray {
    std::vector<QByteArray> held;
    std::vector<char *> pointers;

    explicit CharArray(const QStringList &list)
    {
        held.reserve(size_t(list.size()));
        for (const QString &item : list)
            pointers.push_back(held.emplace_back(QFile::encodeName(item)).data());
        pointers.push_back(nullptr);
    }
};

// In the child, between fork and exec: system calls only.
[[noreturn]] void becomeProgram(const SpawnPlan &plan, const char *program, char **arguments, char **environment, int report)
{
    const auto die = [report](int error) {
        [[maybe_unused]] const auto written = ::write(report, &error, sizeof error);
        _exit(127);
    };
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number = 1; number < 32; ++number)
        signal(number, SIG_DFL);
    setsid();
    if (::fchdir(plan.directory) != 0)
        die(errno);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(plan.output, 1) < 0 || dup2(plan.output, 2) < 0
        || dup2(plan.directory, directoryDescriptor) < 0)
        die(errno);
    if (geteuid() == 0 && plan.uid != 0) {
        if (setgroups(0, nullptr) != 0 || setgid(plan.gid) != 0 || setuid(plan.uid) != 0)
            die(errno);
    }
    umask(077);
    // Everything else of the server (sockets, kernels, lock files) stays here.
    syscall(SYS_close_range, 3u, unsigned(directoryDescriptor - 1), 4u /* CLOEXEC */);
    syscall(SYS_close_range, unsigned(directoryDescriptor + 1), ~0u, 4u);
    const rlimit data{rlim_t(plan.dataBytes), rlim_t(plan.dataBytes)};
    if (plan.dataBytes > 0)
        setrlimit(RLIMIT_DATA, &data); // best effort: the cluster runs without it too
    execve(program, arguments, environment);
    die(errno);
    _exit(127);
}
} // namespace

Result<pid_t> spawn(const SpawnPlan &plan)
{
    const QByteArray program = QFile::encodeName(plan.program);
    CharArray arguments(QStringList{plan.program} + plan.arguments);
    CharArray environment(plan.environment);
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0)
        return fail(ErrorCode::Unavailable, QStringLiteral("No pipe for %1: %2.").arg(plan.program, qt_error_string(errno)));
    // The child must not see our descriptors 9 and report overlap.
    const int writeEnd = fcntl(report[1], F_DUPFD_CLOEXEC, 64);
    ::close(report[1]);
    SpawnPlan high = plan;
    high.directory = fcntl(plan.directory, F_DUPFD_CLOEXEC, 64);
    high.output = fcntl(plan.output, F_DUPFD_CLOEXEC, 64);
    const pid_t pid = ::fork();
    if (pid == 0)
        becomeProgram(high, program.constData(), arguments.pointers.data(), environment.pointers.data(), writeEnd);
    const int forkError = errno;
    ::close(writeEnd);
    ::close(high.directory);
    ::close(high.output);
    int problem = pid < 0 ? forkError : 0;
    if (pid > 0 && ::read(report[0], &problem, sizeof problem) == ssize_t(sizeof problem))
        ::waitpid(pid, nullptr, 0);
    ::close(report[0]);
    if (problem != 0)
        return fail(ErrorCode::Unavailable, QStringLiteral("%1 could not be started: %2.").arg(plan.program, qt_error_string(problem)));
    return pid;
}

OneShot<int> whenEnded(pid_t pid)
{
    OneShot<int> shot;
    const int descriptor = int(syscall(SYS_pidfd_open, pid, 0u));
    const auto reap = [pid] {
        int status = 0;
        return ::waitpid(pid, &status, WNOHANG) == pid ? status : 0;
    };
    if (descriptor < 0) {
        shot.resolve(reap());
        return shot;
    }
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    auto *notifier = new QSocketNotifier(descriptor, QSocketNotifier::Read);
    QObject::connect(notifier, &QSocketNotifier::activated, notifier, [notifier, descriptor, shot, reap] {
        notifier->setEnabled(false);
        notifier->deleteLater();
        ::close(descriptor);
        shot.resolve(reap());
    });
    return shot;
}

} // namespace power::storage
