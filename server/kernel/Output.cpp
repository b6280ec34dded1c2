#include "kernel/Output.h"
#include <Python.h>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace power::kernel
{

namespace
{
struct OutputState {
    int pipes[2] = {-1, -1}; // private copies of the stdout and stderr pipes
    std::string token;
    std::uint64_t epoch = 0;
    char active = 'f';
    bool forked = false;
    bool muted = false;
};
OutputState state;
pthread_mutex_t outputLock = PTHREAD_MUTEX_INITIALIZER;

void afterForkInChild()
{
    pthread_mutex_init(&outputLock, nullptr);
    state.forked = true;
}

// Markers are far below PIPE_BUF: written whole or not at all.
void writeMarkers()
{
    char text[80];
    const int size = std::snprintf(text, sizeof text, "\033]PI;%s;%llu;%c\a", state.token.c_str(),
                                   static_cast<unsigned long long>(state.epoch), state.active);
    for (const int pipe : state.pipes) {
        while (::write(pipe, text, std::size_t(size)) < 0 && errno == EINTR) {
        }
    }
}

// Both with the lock held.
void switchTo(char channel)
{
    if (state.forked || (channel == state.active && channel != 'f')) return;
    std::fflush(stdout);
    std::fflush(stderr);
    ++state.epoch;
    state.active = channel;
    writeMarkers();
}

// The lock is only ever waited for without the GIL, so taking the GIL under the lock cannot deadlock.
class Waiting
{
public:
    Waiting() : m_thread(PyEval_SaveThread()) { pthread_mutex_lock(&outputLock); }
    ~Waiting()
    {
        pthread_mutex_unlock(&outputLock);
        if (m_thread) PyEval_RestoreThread(m_thread);
    }
    Waiting(const Waiting &) = delete;
    Waiting &operator=(const Waiting &) = delete;
    void takeGil()
    {
        PyEval_RestoreThread(m_thread);
        m_thread = nullptr;
    }
    void dropGil() { m_thread = PyEval_SaveThread(); }

private:
    PyThreadState *m_thread;
};
} // namespace

bool startOutput(const std::string &token)
{
    static bool hooked = false;
    if (!hooked) pthread_atfork(nullptr, nullptr, afterForkInChild);
    hooked = true;
    for (int i = 0; i < 2; ++i) {
        state.pipes[i] = ::fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
        if (state.pipes[i] < 0) return false;
    }
    std::setvbuf(stdout, nullptr, _IONBF, 0);
    std::setvbuf(stderr, nullptr, _IONBF, 0);
    state.token = token;
    state.epoch = 0;
    state.active = 'f';
    state.forked = false;
    return true;
}

bool writeOutput(char channel, std::string_view data)
{
    const int descriptor = channel == 'e' ? 2 : 1;
    Waiting waiting;
    switchTo(channel);
    while (!data.empty() && !state.muted) {
        const ssize_t n = ::write(descriptor, data.data(), data.size());
        if (n >= 0) {
            data.remove_prefix(std::size_t(n));
            continue;
        }
        const int error = errno;
        waiting.takeGil();
        if (error != EINTR) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
            return false;
        }
        if (PyErr_CheckSignals() != 0) return false;
        waiting.dropGil();
    }
    return true;
}

std::uint64_t markOutput(char channel)
{
    Waiting waiting;
    switchTo(channel);
    return state.epoch;
}

void muteOutput(bool mute)
{
    state.muted = mute;
}

std::vector<int> outputDescriptors()
{
    return {0, 1, 2, state.pipes[0], state.pipes[1]};
}

bool inForkedChild()
{
    return state.forked;
}

} // namespace power::kernel
