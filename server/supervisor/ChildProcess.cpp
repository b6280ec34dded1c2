#include "supervisor/ChildProcess.h"
#include <QFile>
#include <csignal>
#include <cstring>
#include <spawn.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <vector>

namespace power::supervisor {

namespace {
std::vector<char *> pointersTo(QByteArrayList &texts)
{
    std::vector<char *> all;
    for (QByteArray &text : texts)
        all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}
} // namespace

Fd openPidfd(pid_t pid)
{
    return Fd(int(::syscall(SYS_pidfd_open, pid, 0))); // CLOEXEC by itself
}

void signalPidfd(const Fd &pidfd, int signal)
{
    if (pidfd)
        ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

QByteArrayList helperEnvironment()
{
    QByteArrayList environment{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/nonexistent"};
    if (const QByteArray zone = qgetenv("TZ"); !zone.isEmpty())
        environment << "TZ=" + zone;
    return environment;
}

Result<Child> startChild(const ChildStart &start)
{
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, start.output >= 0 ? start.output : 2, 1);
    if (start.control >= 0)
        ::posix_spawn_file_actions_adddup2(&actions, start.control, 3);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, start.control >= 0 ? 4 : 3);

    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);

    const QByteArray program = QFile::encodeName(start.program);
    QByteArrayList arguments = start.arguments;
    arguments.prepend(program);
    QByteArrayList environment = start.environment;
    const std::vector<char *> argv = pointersTo(arguments);
    const std::vector<char *> envp = pointersTo(environment);
    Child child;
    const int error = ::posix_spawn(&child.pid, program.constData(), &actions, &attributes, argv.data(), envp.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("The program %1 could not be started: %2.")
                        .arg(start.program, QString::fromLocal8Bit(std::strerror(error))),
                    QStringLiteral("Check the installation: the kernel program belongs beside the server."));
    }
    child.pidfd = openPidfd(child.pid);
    if (!child.pidfd) {
        const QString why = QString::fromLocal8Bit(std::strerror(errno));
        ::kill(child.pid, SIGKILL);
        ::waitpid(child.pid, nullptr, 0);
        return fail(ErrorCode::Unavailable, QStringLiteral("This system offers no pidfd (%1); Linux 5.3 or newer is needed.").arg(why));
    }
    return child;
}

bool hasEnded(const Fd &pidfd)
{
    pollfd ended{pidfd.get(), POLLIN, 0};
    return !pidfd || ::poll(&ended, 1, 0) != 0;
}

} // namespace power::supervisor
