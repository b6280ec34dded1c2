#include "kernel/Zygote.h"
#include "kernel/Channel.h"
#include "kernel/Confine.h"
#include "kernel/Interpreter.h"
#include "kernel/Json.h"
#include "kernel/Spawn.h"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <iterator>
#include <list>
#include <map>
#include <poll.h>
#include <pybind11/embed.h>
#include <pybind11/stl.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace py = pybind11;

namespace power::kernel
{

namespace
{
constexpr int kServer = 3;
constexpr std::ptrdiff_t kSpawnDescriptors = 4; // control, stdout, stderr, lifeline
using sandbox::JsonValue;
using wire::FrameType;

void setEnvironment()
{
    // One thread everywhere: a pool alive at a fork hangs the child. Must be set before the first import.
    for (const char *name :
         {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"})
        ::setenv(name, "1", 1);
    ::setenv("MPLBACKEND", "Agg", 1);
    ::setenv("JE_ARROW_MALLOC_CONF", "background_thread:false", 1);
    ::setenv("_RJEM_MALLOC_CONF", "background_thread:false", 1); // of polars
    ::setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
}

// Descriptors 0..2 exist, and 0 is /dev/null for every kernel to inherit.
void settleStandardDescriptors()
{
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(null, 0);
    for (int descriptor = 1; descriptor <= 2; ++descriptor) {
        if (::fcntl(descriptor, F_GETFD) < 0) ::dup2(null, descriptor);
    }
    if (null > 2 && null != kServer) ::close(null);
    ::fcntl(kServer, F_SETFD, FD_CLOEXEC);
    ::close_range(kServer + 1, ~0u, 0);
}

void closeAll(const std::vector<int> &descriptors)
{
    for (const int descriptor : descriptors)
        ::close(descriptor);
}

std::string exitMeta(pid_t pid, int status, const rusage &usage)
{
    const auto micros = [](const timeval &t) { return std::to_string(t.tv_sec * 1'000'000LL + t.tv_usec); };
    std::string meta = "{\"pid\":" + std::to_string(pid);
    if (WIFSIGNALED(status))
        meta += ",\"signal\":" + std::to_string(WTERMSIG(status));
    else
        meta += ",\"code\":" + std::to_string(WEXITSTATUS(status));
    meta += std::string(",\"core\":") + (WIFSIGNALED(status) && WCOREDUMP(status) ? "true" : "false");
    meta += ",\"max_rss_kb\":" + std::to_string(usage.ru_maxrss);
    return meta + ",\"utime_us\":" + micros(usage.ru_utime) + ",\"stime_us\":" + micros(usage.ru_stime) + "}";
}

// A field that must be there.
JsonValue &member(JsonValue &object, const char *name)
{
    const auto found = object.object.find(name);
    if (found == object.object.end()) throw std::runtime_error(std::string("no field ") + name);
    return found->second;
}

class Zygote
{
public:
    explicit Zygote(Confinement &confinement) : m_server(kServer), m_confinement(confinement) {}
    int serve();

private:
    void handle(const wire::Frame &frame);
    void spawn(JsonValue &meta);
    void refuse(SpawnOrder &order, const std::string &fields);
    void hearBirths();
    int patience() const;
    void kill(JsonValue &meta);
    void adopt(JsonValue &meta);
    pid_t familyOf(pid_t pid) const;
    void bury(pid_t pid);
    void reap();
    bool readFrames();

    Channel m_server;
    std::vector<int> m_descriptors; // arrived, not yet claimed by a Spawn frame
    std::map<pid_t, sandbox::Tree> m_kernels; // and their checkpoints
    std::map<pid_t, pid_t> m_family;          // checkpoint -> the kernel that was spawned
    std::list<Birth> m_births;
    Confinement &m_confinement;
};

void Zygote::spawn(JsonValue &meta)
{
    SpawnOrder order;
    const JsonValue &id = member(meta, "spawn");
    order.id = id.kind == JsonValue::Kind::Text ? jsonText(id.text) : std::to_string(std::int64_t(id.number));
    JsonValue &plan = member(meta, "plan");
    JsonValue &kernel = member(meta, "kernel");
    if (const auto cwd = kernel.object.find("cwd"); cwd != kernel.object.end()) order.cwd = cwd->second.text;
    // Exactly one order's worth: those of the next frame may have arrived already.
    const auto end =
        m_descriptors.begin() + std::min<std::ptrdiff_t>(kSpawnDescriptors, std::ssize(m_descriptors));
    order.descriptors.assign(m_descriptors.begin(), end);
    m_descriptors.erase(m_descriptors.begin(), end);
    if (order.descriptors.size() < std::size_t(kSpawnDescriptors)) {
        return refuse(order, R"("step":"descriptors","errno":0,"text":"a Spawn frame needs control socket, stdout, stderr and lifeline")");
    }
    std::string reason;
    const auto named = kernel.object.find("run_as");
    const std::string role = named == kernel.object.end() ? "kernel" : named->second.text;
    if (role != "kernel" && role != kRenderRole && role != kViewRole && role != kLoadRole)
        return refuse(order, R"("step":"run_as","errno":0,"text":"this power-kernel has no such worker")");
    if (!sandbox::planFromValue(plan, order.plan, reason))
        return refuse(order, R"("step":"plan","errno":0,"text":)" + jsonText(reason));
    kernel.object["plan"] = std::move(plan); // the kernel translates its paths where no mount namespace does
    order.kernel = std::move(kernel);
    m_births.push_back(beginBirth(order, m_confinement));
}

void Zygote::refuse(SpawnOrder &order, const std::string &fields)
{
    closeAll(order.descriptors);
    m_server.send(FrameType::SpawnFailed, "{\"spawn\":" + order.id + "," + fields + "}");
}

// Tells the server of the births that are over.
void Zygote::hearBirths()
{
    for (auto birth = m_births.begin(); birth != m_births.end();) {
        if (!hearBirth(*birth)) {
            ++birth;
            continue;
        }
        const SpawnResult result = endBirth(*birth);
        if (result.pid > 0) m_kernels[result.pid] = birth->tree;
        m_server.send(result.pid > 0 ? FrameType::Spawned : FrameType::SpawnFailed, result.meta);
        if (result.pid > 0 && birth->ended) {
            bury(result.pid);
            m_server.send(FrameType::Exited, exitMeta(result.pid, birth->status, birth->usage));
        }
        birth = m_births.erase(birth);
    }
}

// Milliseconds to wait for news (poll(2)): until the next birth is out of time.
int Zygote::patience() const
{
    using namespace std::chrono;
    milliseconds left{-1};
    for (const Birth &birth : m_births) {
        const auto its = std::max(ceil<milliseconds>(birth.until - steady_clock::now()), milliseconds{0});
        left = left.count() < 0 ? its : std::min(left, its);
    }
    return int(left.count());
}

void Zygote::kill(JsonValue &meta)
{
    // The zygote's own record counts, not the frame: a pid that was reaped may belong to somebody else by
    // now.
    const auto found = m_kernels.find(pid_t(member(meta, "pid").number));
    if (found == m_kernels.end()) return;
    sandbox::Failure failure;
    if (!sandbox::killTree(found->second, failure))
        std::fprintf(stderr, "power-kernel zygote: kill of %d: %s\n", int(found->first),
                     failure.text.c_str());
}

// A checkpoint is a child of the zygote, because its kernel made it a sibling. It lives on when the kernel dies.
void Zygote::adopt(JsonValue &meta)
{
    const auto kernel = m_kernels.find(pid_t(member(meta, "pid").number));
    const auto checkpoint = pid_t(member(meta, "checkpoint").number);
    if (kernel == m_kernels.end() || checkpoint <= 1) return;
    sandbox::Tree tree = kernel->second;
    tree.kernel = checkpoint;
    m_kernels.emplace(checkpoint, tree);
    m_family[checkpoint] = familyOf(kernel->first);
}

pid_t Zygote::familyOf(pid_t pid) const
{
    const auto found = m_family.find(pid);
    return found == m_family.end() ? pid : found->second;
}

// What a kernel without a living relative leaves behind is ended.
void Zygote::bury(pid_t pid)
{
    const pid_t family = familyOf(pid);
    const sandbox::Tree tree = m_kernels.at(pid);
    m_kernels.erase(pid);
    m_family.erase(pid);
    for (const auto &[other, its] : m_kernels) {
        if (familyOf(other) == family) return;
    }
    sweepTree(tree);
}

void Zygote::handle(const wire::Frame &frame)
{
    JsonValue meta;
    std::string reason;
    if (!sandbox::readJson(frame.meta, meta, reason)) throw std::runtime_error(reason);
    if (frame.type == FrameType::Spawn)
        spawn(meta);
    else if (frame.type == FrameType::Kill)
        kill(meta);
    else if (frame.type == FrameType::Adopt)
        adopt(meta);
}

void Zygote::reap()
{
    int status = 0;
    rusage usage{};
    pid_t pid = 0;
    // Orphans of user code arrive here too (subreaper): they are reaped and not reported.
    while ((pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0) {
        for (Birth &birth : m_births) {
            birth.initEnded = birth.initEnded || birth.tree.init == pid;
            if (birth.tree.kernel != pid) continue;
            birth.ended = true;
            birth.status = status;
            birth.usage = usage;
        }
        if (!m_kernels.count(pid)) continue;
        bury(pid);
        m_server.send(FrameType::Exited, exitMeta(pid, status, usage));
    }
}

// False when the server is gone or sends garbage.
bool Zygote::readFrames()
{
    if (m_server.fill(&m_descriptors) == Channel::Received::Closed) return false;
    wire::Frame frame;
    Channel::Received got;
    while ((got = m_server.next(frame)) == Channel::Received::Frame) {
        try {
            handle(frame);
        } catch (const std::exception &error) { // a frame that lacks a field; the kernels must not pay for it
            std::fprintf(stderr, "power-kernel zygote: frame not understood: %s\n", error.what());
        }
    }
    return got != Channel::Received::Bad;
}

int Zygote::serve()
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &child, nullptr);
    const int deaths = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    std::vector<pollfd> wait;
    for (;;) {
        wait = {{kServer, POLLIN, 0}, {deaths, POLLIN, 0}};
        for (const Birth &birth : m_births)
            wait.push_back({birth.report, POLLIN, 0});
        if (::poll(wait.data(), wait.size(), patience()) < 0 && errno != EINTR) return 1;
        if (wait[1].revents & POLLIN) {
            signalfd_siginfo info;
            while (::read(deaths, &info, sizeof info) > 0) {
            }
        }
        // What the server said before a death counts at it: the dead kernel may have a copy that is to live on.
        if ((wait[0].revents & (POLLIN | POLLHUP | POLLERR)) && !readFrames()) break;
        hearBirths();
        reap();
    }
    sandbox::Failure ignored;
    for (const Birth &birth : m_births)
        endTree(birth.ended ? 0 : birth.tree.kernel, birth.initEnded ? 0 : birth.tree.init);
    for (const auto &[pid, tree] : m_kernels)
        sandbox::killTree(tree, ignored);
    return 0;
}
} // namespace

int runZygote(const std::vector<std::string> &imports)
{
    settleStandardDescriptors();
    setEnvironment();
    const char *setting = std::getenv("POWER_PYTHON_ENV");
    const std::string environment = setting ? setting : "";
    ::unsetenv("POWER_PYTHON_ENV"); // before os.environ is made of it
    Channel server(kServer);
    std::string reason;
    if (!startInterpreter(environment, reason)) {
        server.send(FrameType::ZygoteReady, "{\"error\":" + jsonText(reason) + "}");
        return 1;
    }
    try {
        Confinement confinement;
        sandbox::Failure failure;
        if (!confinement.prepare(failure)) {
            server.send(FrameType::ZygoteReady, "{\"error\":" + jsonText(failure.text) + "}");
            return 1;
        }
        const py::tuple warm = py::module_::import("power_kernel.warmup").attr("warm_up")(imports);
        const bool fit = warm[0].cast<bool>();
        server.send(FrameType::ZygoteReady, warm[1].cast<std::string>());
        if (!fit) return 1;
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        ::prctl(PR_SET_DUMPABLE, 0);
        prepareBirths();
        Zygote zygote(confinement);
        return zygote.serve();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "power-kernel zygote: %s\n", error.what());
        server.send(FrameType::ZygoteReady, "{\"error\":" + jsonText(error.what()) + "}");
        return 1;
    }
}

} // namespace power::kernel
