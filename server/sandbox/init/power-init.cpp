// power-init: pid 1 of a kernel's pid namespace. It does two things: orphans of user code vanish under it
// (SIGCHLD ignored, so the system reaps), and it ends, taking the whole namespace along, when the lifeline on
// descriptor 3 reports end of file: the server that held the other end is gone.
// Started by PidNamespace::enter, as root or as the server's own user; drops what it can and locks itself to three
// system calls. Exit codes: 0 lifeline closed, 1 could not lock itself.
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

namespace {

#if defined(__x86_64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "power-init knows x86_64 and aarch64"
#endif

constexpr unsigned kNobody = 65534;
constexpr int kLifeline = 3;
constexpr long kInterrupted = -4; // EINTR

long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
#endif
}

[[noreturn]] void leave(int code)
{
    for (;;)
        call(SYS_exit_group, code);
}

// What the kernel itself takes for sigaction; libc's struct differs.
struct KernelAction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    unsigned long mask;
};

void ignoreChildren()
{
    constexpr long kChild = 17; // SIGCHLD
    KernelAction action{};
    action.handler = reinterpret_cast<void (*)(int)>(1); // SIG_IGN
    call(SYS_rt_sigaction, kChild, reinterpret_cast<long>(&action), 0, sizeof(action.mask));
}

// Each step may be refused (no privilege to begin with); none of them is needed for safety once the filter is on.
void dropPrivileges()
{
    call(SYS_prctl, PR_SET_DUMPABLE, 0);
    for (long capability = 0; capability <= 63; ++capability)
        call(SYS_prctl, PR_CAPBSET_DROP, capability);
    call(SYS_setgroups, 0, 0);
    call(SYS_setresgid, kNobody, kNobody, kNobody);
    call(SYS_setresuid, kNobody, kNobody, kNobody);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    call(SYS_capset, reinterpret_cast<long>(&header), reinterpret_cast<long>(data));
    call(SYS_prctl, PR_SET_DUMPABLE, 0); // the change of ids may have raised it
    call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

bool lock()
{
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const sock_fprog filter{sizeof(program) / sizeof(program[0]), program};
    return call(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, reinterpret_cast<long>(&filter)) == 0;
}

} // namespace

extern "C" [[noreturn, gnu::used]] void powerInitMain()
{
    ignoreChildren();
    dropPrivileges();
    if (!lock()) leave(1);
    char byte;
    for (;;) {
        const long got = call(SYS_read, kLifeline, reinterpret_cast<long>(&byte), 1);
        if (got > 0 || got == kInterrupted) continue;
        leave(0);
    }
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp,%ebp\n\tand $-16,%rsp\n\tcall powerInitMain\n");
#else
__asm__(".globl _start\n_start:\n\tmov x29,#0\n\tbl powerInitMain\n");
#endif
