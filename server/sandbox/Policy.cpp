#include "sandbox/Policy.h"
#include "sandbox/PolicyNames.h"
#include "sandbox/Sys.h"
#include <cerrno>
#include <cstddef>
#include <linux/seccomp.h>
#include <memory>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

// clone() flags that make a namespace (CLONE_NEWTIME has no bit here, it exists for clone3 and unshare only).
constexpr scmp_datum_t kNamespaceFlags = 0x7E020000;
constexpr scmp_datum_t kLow32 = 0xffffffff;
constexpr scmp_datum_t kSocketTypeMask = 0xf;
constexpr std::uint32_t kX32Bit = 0x40000000;

// Argument number `argument` of a call; what libseccomp's macros say in C only.
constexpr scmp_arg_cmp equals(unsigned argument, scmp_datum_t value)
{
    return {argument, SCMP_CMP_EQ, value, 0};
}
constexpr scmp_arg_cmp above(unsigned argument, scmp_datum_t value)
{
    return {argument, SCMP_CMP_GT, value, 0};
}
constexpr scmp_arg_cmp masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value)
{
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

constexpr unsigned kPrctls[] = {
    PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ,
    PR_SET_TIMERSLACK, PR_GET_TIMERSLACK, PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS,
    PR_GET_NO_NEW_PRIVS, PR_GET_TID_ADDRESS, PR_SET_THP_DISABLE, PR_GET_THP_DISABLE, 0x53564d41 /* PR_SET_VMA */,
};

// Terminal attributes and sizes, byte counts, blocking and close-on-exec flags, reflink copies. Not TIOCSTI and
// TIOCLINUX, which type into a terminal, and no device's own commands.
constexpr unsigned kIoctls[] = {
    TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCSWINSZ, TIOCGPGRP, TIOCSPGRP, TIOCOUTQ, FIONREAD, FIONBIO, FIOASYNC,
    FIOCLEX, FIONCLEX, 0x40049409 /* FICLONE */,
};

class PolicyBuilder
{
public:
    explicit PolicyBuilder(PolicyKind kind)
        : m_kind(kind), m_context(seccomp_init(SCMP_ACT_ERRNO(EPERM)), &seccomp_release)
    {
        if (!m_context) {
            m_error = ENOMEM;
            return;
        }
        keep(seccomp_attr_set(m_context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
        keep(seccomp_attr_set(m_context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
    }

    void build()
    {
        for (const char *name : policy::kAllowed)
            allow(name);
        for (const int number : policy::kNewer)
            newer(SCMP_ACT_ALLOW, number);
        for (const char *name : policy::kAbsent)
            rule(SCMP_ACT_ERRNO(ENOSYS), name, {});
        allow("clone", {masked(0, kNamespaceFlags, 0)});
        for (const unsigned option : kPrctls)
            allow("prctl", {masked(0, kLow32, option)});
        for (const unsigned request : kIoctls)
            allow("ioctl", {masked(1, kLow32, request)});
        // mkfifo is mknod; nothing else of it is wanted
        allow("mknod", {masked(1, S_IFMT, S_IFIFO)});
        allow("mknodat", {masked(2, S_IFMT, S_IFIFO)});
        // Chromium has its shared memory nowhere else; of the render worker the watchdog counts what is mapped.
        if (m_kind != PolicyKind::Container && m_kind != PolicyKind::NonRoot) allow("memfd_create");
        sockets();
        ofOthers();
    }

    bool exportTo(Program &out, Failure &failure)
    {
        if (m_error) {
            errno = m_error;
            return sys::fail(failure, "seccomp_rule_add", m_problem);
        }
        const sys::Fd file(::memfd_create("policy", MFD_CLOEXEC));
        if (!file) return sys::fail(failure, "memfd_create");
        const int result = seccomp_export_bpf(m_context.get(), file.get());
        if (result != 0) {
            errno = -result;
            return sys::fail(failure, "seccomp_export_bpf");
        }
        Program exported(BPF_MAXINSNS);
        const ssize_t bytes = ::pread(file.get(), exported.data(), exported.size() * sizeof(sock_filter), 0);
        if (bytes <= 0) return sys::fail(failure, "seccomp_export_bpf", "read");
        exported.resize(static_cast<std::size_t>(bytes) / sizeof(sock_filter));
        out = prologue();
        out.insert(out.end(), exported.begin(), exported.end());
        return true;
    }

private:
    // libseccomp 2.5 cannot say "numbers above N". Foreign architectures (x32 shares the number space, above its
    // bit) go on to the exported program, which ends them.
    Program prologue() const
    {
        const std::uint32_t native = seccomp_arch_native();
        return {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native, 0, 4),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0),
            BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, policy::kLastKnown, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        };
    }

    // EAFNOSUPPORT rather than EPERM: libraries then try another family or give up politely.
    void sockets()
    {
        const std::uint32_t refused = SCMP_ACT_ERRNO(EAFNOSUPPORT);
        const bool full = m_kind == PolicyKind::Full;
        if (m_kind == PolicyKind::Container || m_kind == PolicyKind::NonRoot) {
            rule(refused, "socket", {});
            // A datagram pair could still send to a socket by its path; streams are connected for good.
            allow("socketpair", pairOf(SOCK_STREAM));
            allow("socketpair", pairOf(SOCK_SEQPACKET));
            rule(SCMP_ACT_ERRNO(EPROTONOSUPPORT), "socketpair", pairOf(SOCK_DGRAM));
        } else {
            allow("socket", {equals(0, AF_UNIX)});
            allow("socketpair", {equals(0, AF_UNIX)});
            for (const int family : {AF_INET, AF_INET6})
                for (const int type : {SOCK_STREAM, SOCK_DGRAM})
                    for (const int protocol : {0, 6 /* TCP */, 17 /* UDP */})
                        if (full)
                            allow("socket", {equals(0, static_cast<scmp_datum_t>(family)),
                                             masked(1, kSocketTypeMask, static_cast<scmp_datum_t>(type)),
                                             equals(2, static_cast<scmp_datum_t>(protocol))});
            for (scmp_datum_t family = 0; family <= AF_INET6; ++family)
                if (family != AF_UNIX && !(full && (family == AF_INET || family == AF_INET6)))
                    rule(refused, "socket", {equals(0, family)});
            rule(refused, "socket", {above(0, AF_INET6)});
        }
    }

    // Calls that reach another process or file of the same user by its number or path. In nonroot those are the
    // server and all sessions, and Landlock checks none of these calls: limits, priority and processors can be set for
    // oneself (0) only; chmod by path says it worked and does nothing, because copying a file ends with it.
    void ofOthers()
    {
        const bool shared = m_kind == PolicyKind::NonRoot || m_kind == PolicyKind::NonRootUnix;
        const scmp_arg_cmp self = masked(0, kLow32, 0);
        const std::uint32_t chmod = shared ? SCMP_ACT_ERRNO(0) : SCMP_ACT_ALLOW;
        rule(chmod, "chmod", {});
        rule(chmod, "fchmodat", {});
        newer(chmod, policy::kFchmodat2);
        if (!shared) {
            for (const char *name : {"prlimit64", "setrlimit", "sched_setaffinity", "setpriority", "inotify_add_watch"})
                allow(name);
            return;
        }
        allow("sched_setaffinity", {self});
        allow("setpriority", {self, masked(1, kLow32, 0)});
        for (scmp_datum_t resource = 0; resource < RLIM_NLIMITS; ++resource) {
            if (resource == RLIMIT_LOCKS) continue; // the mark that says whose a process is (Limits.h)
            allow("prlimit64", {self, masked(1, kLow32, resource)});
            allow("setrlimit", {masked(0, kLow32, resource)});
        }
    }

    static std::vector<scmp_arg_cmp> pairOf(int type)
    {
        return {equals(0, AF_UNIX),
                masked(1, kSocketTypeMask, static_cast<scmp_datum_t>(type))};
    }

    void allow(const char *name, const std::vector<scmp_arg_cmp> &arguments = {}) { rule(SCMP_ACT_ALLOW, name, arguments); }

    void rule(std::uint32_t action, const char *name, const std::vector<scmp_arg_cmp> &arguments)
    {
        const int number = seccomp_syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR || number < 0) return; // not on this architecture, or newer than libseccomp
        keep(seccomp_rule_add_array(m_context.get(), action, number, static_cast<unsigned>(arguments.size()),
                                    arguments.empty() ? nullptr : arguments.data()),
             name);
    }

    // By number: libseccomp may not know the name yet.
    void newer(std::uint32_t action, int number)
    {
        keep(seccomp_rule_add_array(m_context.get(), action, number, 0, nullptr), "newer");
    }

    void keep(int result, const char *what = "")
    {
        if (result == 0 || m_error) return;
        m_error = -result;
        m_problem = what;
    }

    PolicyKind m_kind;
    std::unique_ptr<void, void (*)(scmp_filter_ctx)> m_context;
    int m_error = 0;
    std::string m_problem;
};

} // namespace

PolicyKind policyFor(const Plan &plan)
{
    if (plan.tier == Tier::Full) return PolicyKind::Full;
    if (plan.tier == Tier::NonRoot) return plan.allowUnixSockets ? PolicyKind::NonRootUnix : PolicyKind::NonRoot;
    return plan.allowUnixSockets ? PolicyKind::ContainerUnix : PolicyKind::Container;
}

bool buildPolicy(PolicyKind kind, Program &out, Failure &failure)
{
    PolicyBuilder builder(kind);
    builder.build();
    return builder.exportTo(out, failure);
}

bool loadPolicy(const Program &program, Failure &failure)
{
    const sock_fprog filter{static_cast<unsigned short>(program.size()), const_cast<sock_filter *>(program.data())};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return sys::fail(failure, "seccomp");
    return true;
}

} // namespace power::sandbox
