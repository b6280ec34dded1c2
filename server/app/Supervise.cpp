#include "app/Supervise.h"
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <initializer_list>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace power::app {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {
constexpr std::chrono::milliseconds kFirstPause = 200ms;
constexpr std::chrono::milliseconds kLongestPause = 30s; // between servers that end before they serve
constexpr std::chrono::milliseconds kServedPause = 1s;   // after one that did: whatever killed it, the next one is of use
constexpr std::chrono::seconds kGoodLife = 60s;
constexpr int kSettingsUnusable = 2;

int g_word = -1; // in the server: where it says that it serves

sigset_t watchedSignals()
{
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD})
        ::sigaddset(&set, number);
    return set;
}

struct Server {
    pid_t pid = -1;
    int word = -1; // its word that it serves is read here
};

// pid 0: the server. The parent's death becomes the server's SIGTERM, even when it happened before that was asked for. In a process
// group of its own: Ctrl+C on a terminal reaches the server once, from here (a second signal would end it at once).
Server startServer(const sigset_t &before)
{
    const pid_t supervisor = ::getpid();
    int word[2] = {-1, -1};
    if (::pipe2(word, O_CLOEXEC | O_NONBLOCK) != 0)
        return {};
    const pid_t child = ::fork();
    if (child != 0) {
        ::close(word[1]);
        return {child, word[0]};
    }
    ::close(word[0]);
    g_word = word[1];
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != supervisor)
        ::_exit(0);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return {0, -1};
}

// Whether a server that is dead ever served. Closes its line.
bool hasServed(const Server &server)
{
    char word = 0;
    const bool said = ::read(server.word, &word, 1) == 1;
    ::close(server.word);
    return said;
}

// The status of `server` when it is among the dead, who are all collected.
std::optional<int> collect(pid_t server)
{
    std::optional<int> found;
    int status = 0;
    for (pid_t dead = 0; (dead = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        if (dead == server)
            found = status;
    }
    return found;
}

// A watched signal, or 0 when the time is over.
int nextSignal(const sigset_t &watched, std::chrono::milliseconds most)
{
    const timespec limit{time_t(most.count() / 1000), long(most.count() % 1000) * 1'000'000};
    const int number = ::sigtimedwait(&watched, nullptr, &limit);
    return number > 0 ? number : 0;
}

// The status of the server's death; `asked` becomes true when somebody wanted it to end.
int watch(pid_t server, const sigset_t &watched, bool &asked)
{
    while (true) {
        const int number = nextSignal(watched, 1h);
        if (number != 0 && number != SIGCHLD) {
            asked = true;
            ::kill(server, number);
        }
        if (const auto status = collect(server))
            return *status;
    }
}

// False when it is to end instead.
bool rest(std::chrono::milliseconds pause, const sigset_t &watched)
{
    const Clock::time_point until = Clock::now() + pause;
    while (Clock::now() < until) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
        const int number = nextSignal(watched, std::max(left, 1ms));
        if (number != 0 && number != SIGCHLD)
            return false;
        collect(0);
    }
    return true;
}

void tell(int status, std::chrono::milliseconds pause)
{
    char how[64];
    if (WIFSIGNALED(status))
        std::snprintf(how, sizeof how, "was ended by signal %d (%s)", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
    else
        std::snprintf(how, sizeof how, "ended with exit code %d", WEXITSTATUS(status));
    std::fprintf(stderr, "power-interpreter: the server %s; starting it again in %.1f s\n", how, double(pause.count()) / 1000);
}
} // namespace

std::optional<int> supervise()
{
    const sigset_t watched = watchedSignals();
    sigset_t before;
    ::sigprocmask(SIG_BLOCK, &watched, &before);
    std::chrono::milliseconds pause = kFirstPause;
    while (true) {
        const Clock::time_point started = Clock::now();
        const Server server = startServer(before);
        if (server.pid == 0)
            return std::nullopt;
        if (server.pid < 0) {
            std::perror("power-interpreter: fork");
            return 1;
        }
        bool asked = false;
        const int status = watch(server.pid, watched, asked);
        const bool served = hasServed(server);
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (asked || (WIFEXITED(status) && (code == 0 || code == kSettingsUnusable)))
            return code;
        if (Clock::now() - started >= kGoodLife)
            pause = kFirstPause;
        else if (served)
            pause = std::min(pause, kServedPause);
        tell(status, pause);
        if (!rest(pause, watched))
            return 0;
        pause = std::min(2 * pause, kLongestPause);
    }
}

void tellServing()
{
    if (g_word < 0)
        return;
    (void)!::write(g_word, "s", 1);
    ::close(std::exchange(g_word, -1));
}

} // namespace power::app
