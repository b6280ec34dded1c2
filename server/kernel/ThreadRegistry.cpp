#include "kernel/ThreadRegistry.h"
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <new>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" void *__dso_handle;

namespace power::kernel
{

namespace
{
// Threads above these numbers are not known by origin, which only means that no checkpoint is made beside them.
constexpr std::size_t kMostThreads = 512;
constexpr std::size_t kMostHandlers = 64;

struct Slot {
    std::atomic<int> tid{0}; // 0: free, -1: being filled
    const char *library = nullptr;
    char name[16] = {};
};
std::array<Slot, kMostThreads> slots;

struct Handlers {
    void (*prepare)();
    void (*parent)();
    void (*child)();
};
std::array<Handlers, kMostHandlers> handlers;
std::atomic<std::size_t> handlerCount{0};

const char *libraryOf(const void *code)
{
    Dl_info info{};
    if (!code || ::dladdr(code, &info) == 0 || !info.dli_fname) return "";
    const char *slash = std::strrchr(info.dli_fname, '/');
    return slash ? slash + 1 : info.dli_fname;
}

// The starter's library. std::thread calls from within libstdc++: there its state object tells, by its virtual table.
const char *starterOf(const void *caller, const void *argument)
{
    const char *library = libraryOf(caller);
    if (!argument || std::strncmp(library, "libstdc++", 9) != 0) return library;
    return libraryOf(*static_cast<const void *const *>(argument));
}

// One per thread; its destructor runs at every kind of end.
struct Registration {
    Slot *slot = nullptr;
    ~Registration()
    {
        if (slot) slot->tid.store(0);
        slot = nullptr;
    }
};
thread_local Registration registration;

struct Start {
    void *(*routine)(void *);
    void *argument;
    const char *library;
};

void *runThread(void *raw)
{
    const Start start = *static_cast<Start *>(raw);
    delete static_cast<Start *>(raw);
    for (Slot &slot : slots) {
        int expected = 0;
        if (!slot.tid.compare_exchange_strong(expected, -1)) continue;
        slot.library = start.library;
        slot.name[0] = '\0';
        slot.tid.store(int(::syscall(SYS_gettid)));
        registration.slot = &slot;
        break;
    }
    return start.routine(start.argument);
}

template <typename Function>
Function real(const char *name)
{
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}
} // namespace

std::vector<ThreadOrigin> startedThreads()
{
    std::vector<ThreadOrigin> threads;
    for (const Slot &slot : slots) {
        const int tid = slot.tid.load();
        if (tid > 0) threads.push_back({tid, slot.library, std::string(slot.name, ::strnlen(slot.name, sizeof slot.name))});
    }
    return threads;
}

void forgetThreads()
{
    for (Slot &slot : slots)
        slot.tid.store(0);
}

void callPrepareHandlers()
{
    for (std::size_t i = handlerCount.load(); i-- > 0;) {
        if (handlers[i].prepare) handlers[i].prepare();
    }
}

void callParentHandlers()
{
    for (std::size_t i = 0; i < handlerCount.load(); ++i) {
        if (handlers[i].parent) handlers[i].parent();
    }
}

void callChildHandlers()
{
    for (std::size_t i = 0; i < handlerCount.load(); ++i) {
        if (handlers[i].child) handlers[i].child();
    }
}

} // namespace power::kernel

extern "C" {

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                                          void *(*routine)(void *), void *argument)
{
    using namespace power::kernel;
    static const auto next = real<decltype(&pthread_create)>("pthread_create");
    auto *start = new (std::nothrow) Start{routine, argument, starterOf(__builtin_return_address(0), argument)};
    if (!start) return EAGAIN;
    const int error = next(thread, attributes, runThread, start);
    if (error != 0) delete start;
    return error;
}

__attribute__((visibility("default"))) int pthread_setname_np(pthread_t thread, const char *name)
{
    using namespace power::kernel;
    static const auto next = real<decltype(&pthread_setname_np)>("pthread_setname_np");
    if (registration.slot && ::pthread_equal(thread, ::pthread_self()))
        std::strncpy(registration.slot->name, name, sizeof registration.slot->name - 1);
    return next(thread, name);
}

// What pthread_atfork calls, once per registration. The program's own handler is not a library's.
__attribute__((visibility("default"))) int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void *owner)
{
    using namespace power::kernel;
    using Register = int (*)(void (*)(), void (*)(), void (*)(), void *);
    static const auto next = real<Register>("__register_atfork");
    if (owner != __dso_handle) {
        const std::size_t at = handlerCount.load();
        if (at < kMostHandlers) {
            handlers[at] = {prepare, parent, child};
            handlerCount.store(at + 1);
        }
    }
    return next(prepare, parent, child, owner);
}

} // extern "C"
