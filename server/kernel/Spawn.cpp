#include "kernel/Spawn.h"
#include "kernel/Json.h"
#include "kernel/Native.h"
#include "kernel/Output.h"
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <pybind11/embed.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace py = pybind11;

namespace power::kernel
{

namespace
{
constexpr int kControl = 3; // of the kernel, after the descriptors are in place
constexpr int kReport = 4;
constexpr std::chrono::seconds kReportTimeout{10};

constexpr char kGood[] = "{\"timings_us\":";

py::object *kernelMain = nullptr; // never freed: Python does not end in this program

std::string failureFields(const sandbox::Failure &failure)
{
    return "{\"step\":" + jsonText(failure.step) + ",\"errno\":" + std::to_string(failure.error) +
           ",\"text\":" + jsonText(failure.text) + "}";
}

[[noreturn]] void giveUp(int report, const sandbox::Failure &failure)
{
    const std::string meta = failureFields(failure);
    (void)!::write(report, meta.data(), meta.size());
    ::_exit(70);
}

std::vector<int> openDescriptors()
{
    std::vector<int> all;
    DIR *directory = ::opendir("/proc/self/fd");
    if (!directory) return all;
    while (const dirent *entry = ::readdir(directory)) {
        const int descriptor = std::atoi(entry->d_name);
        if (entry->d_name[0] != '.' && descriptor != ::dirfd(directory)) all.push_back(descriptor);
    }
    ::closedir(directory);
    return all;
}

// Copies `from` to a number no descriptor of the frame has, so that dup2 onto 1..4 cannot overwrite a source.
int liftAway(int from)
{
    return ::fcntl(from, F_DUPFD_CLOEXEC, 64);
}

py::object toPython(const sandbox::JsonValue &value)
{
    using Kind = sandbox::JsonValue::Kind;
    switch (value.kind) {
    case Kind::Bool:
        return py::bool_(value.boolean);
    case Kind::Number:
        if (value.number == std::floor(value.number) && std::fabs(value.number) < 1e15) return py::int_(std::int64_t(value.number));
        return py::float_(value.number);
    case Kind::Text:
        return py::str(value.text);
    case Kind::List: {
        py::list list;
        for (const sandbox::JsonValue &each : value.list)
            list.append(toPython(each));
        return list;
    }
    case Kind::Object: {
        py::dict dict;
        for (const auto &[name, each] : value.object)
            dict[py::str(name)] = toPython(each);
        return dict;
    }
    case Kind::Null:
        break;
    }
    return py::none();
}

// The child: nothing of the zygote's may survive here but memory.
[[noreturn]] void becomeKernel(const SpawnOrder &order, Confinement &confinement, int report)
{
    report = liftAway(report);
    const int control = liftAway(order.descriptors[0]);
    const int out = liftAway(order.descriptors[1]);
    const int err = liftAway(order.descriptors[2]);
    if (report < 0 || control < 0 || out < 0 || err < 0) ::_exit(70);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::prctl(PR_SET_DUMPABLE, 1);
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);

    // The sandbox may open descriptors that have to stay (Landlock's hold on /proc/self): only older ones go.
    const std::vector<int> inherited = openDescriptors();
    std::string timings;
    sandbox::Failure failure;
    if (!confinement.confine(order.plan, timings, failure)) giveUp(report, failure);
    ::dup3(control, kControl, O_CLOEXEC);
    ::dup3(report, kReport, O_CLOEXEC);
    for (const int descriptor : inherited) {
        if (descriptor > kReport) ::close(descriptor);
    }
    // Without a mount namespace the inner name of the workspace may not exist; the sandbox entered it
    // already.
    if (!order.cwd.empty() && order.cwd != order.plan.workspaceInside && ::chdir(order.cwd.c_str()) != 0)
        giveUp(kReport, {"chdir", errno, "the working directory " + order.cwd + " cannot be entered"});

    const std::string done = kGood + timings + "}";
    (void)!::write(kReport, done.data(), done.size());
    ::close(kReport);
    setControlSocket(kControl);
    try {
        const auto &facts = order.kernel.object;
        const auto token = facts.find("token"), role = facts.find("run_as");
        if (!startOutput(token == facts.end() ? std::string() : token->second.text)) ::_exit(70);
        const std::string runAs = role == facts.end() ? std::string() : role->second.text;
        const py::object kernel = toPython(order.kernel);
        const char *worker = runAs == kRenderRole ? "power_kernel.worker"
                             : runAs == kViewRole ? "power_kernel.viewer"
                             : runAs == kLoadRole ? "power_kernel.loader"
                                                  : nullptr;
        if (worker)
            py::module_::import(worker).attr("main")(kernel);
        else
            (*kernelMain)(kernel);
    } catch (const std::exception &error) {
        const std::string text = std::string("power-kernel: ") + error.what() + "\n";
        (void)!::write(2, text.data(), text.size());
    }
    ::_exit(70);
}

SpawnResult failed(const std::string &id, const std::string &fields)
{
    return {0, "{\"spawn\":" + id + "," + fields.substr(1)};
}

} // namespace

void prepareBirths()
{
    kernelMain = new py::object(py::module_::import("power_kernel.loop").attr("main"));
    PyOS_BeforeFork(); // once for all births: what it locks stays locked here, and each child unlocks its own
}

Birth beginBirth(const SpawnOrder &order, Confinement &confinement)
{
    Birth birth;
    birth.id = order.id;
    birth.until = std::chrono::steady_clock::now() + kReportTimeout;
    const auto closeAll = [&order] {
        for (const int descriptor : order.descriptors)
            ::close(descriptor);
    };
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) {
        const int error = errno;
        closeAll();
        birth.said = failureFields({"pipe", error, std::strerror(error)});
        return birth;
    }
    pid_t init = 0;
    sandbox::Failure failure;
    const pid_t pid = confinement.fork(order.plan, order.descriptors[3], init, failure);
    if (pid == 0) {
        PyOS_AfterFork_Child();
        becomeKernel(order, confinement, pipe[1]);
    }
    ::close(pipe[1]);
    closeAll();
    if (pid < 0) {
        ::close(pipe[0]);
        birth.said = failureFields(failure);
        return birth;
    }
    ::fcntl(pipe[0], F_SETFL, O_NONBLOCK);
    birth.report = pipe[0];
    birth.tree = {order.plan.tier, init, pid, order.plan.uid};
    return birth;
}

bool hearBirth(Birth &birth)
{
    char bytes[8192];
    while (birth.report >= 0) {
        const ssize_t n = ::read(birth.report, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return std::chrono::steady_clock::now() >= birth.until;
        if (n <= 0) break;
        birth.said.append(bytes, std::size_t(n));
    }
    return true;
}

SpawnResult endBirth(Birth &birth)
{
    if (birth.report < 0) return failed(birth.id, birth.said);
    ::close(birth.report);
    const pid_t pid = birth.tree.kernel;
    if (birth.said.rfind(kGood, 0) == 0)
        return {pid, "{\"spawn\":" + birth.id + ",\"pid\":" + std::to_string(pid) +
                         ",\"init_pid\":" + std::to_string(birth.tree.init) + "," + birth.said.substr(1)};
    const int status = endTree(birth.ended ? 0 : pid, birth.initEnded ? 0 : birth.tree.init);
    if (birth.said.empty())
        birth.said = failureFields({"start", 0, "the child ended or hung before it reported (wait status " +
                                                    std::to_string(birth.ended ? birth.status : status) + ")"});
    return failed(birth.id, birth.said);
}

} // namespace power::kernel
