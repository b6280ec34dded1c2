// The names behind Policy.cpp, by purpose. A name the installed libseccomp does not know yet stands in kNewer with
// its number (from 424 on the numbers are the same on every architecture).
#pragma once

namespace power::sandbox::policy {

inline constexpr const char *kAllowed[] = {
    // files and directories
    "access", "chdir", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
    "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchown", "fchownat", "fcntl",
    "fdatasync", "fgetxattr", "flistxattr", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd",
    "getdents", "getdents64", "getxattr", "lchown", "lgetxattr", "link", "linkat", "listxattr", "llistxattr", "lseek",
    "lstat", "mkdir", "mkdirat", "newfstatat", "open", "openat", "pread64", "preadv", "preadv2", "pwrite64", "pwritev",
    "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "rename", "renameat", "renameat2", "rmdir",
    "sendfile", "splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync_file_range", "tee", "truncate",
    "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write", "writev", "inotify_init", "inotify_init1", "inotify_rm_watch",
    // memory
    "brk", "madvise", "mincore", "mlock", "mlock2", "mmap", "mprotect", "mremap", "msync", "munlock", "munlockall",
    "munmap", "membarrier",
    // processes, threads, signals
    "alarm", "capget", "capset", "execve", "exit", "exit_group", "fork", "futex", "futex_waitv", "get_robust_list",
    "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getresgid",
    "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "kill", "pause", "pidfd_open",
    "pidfd_send_signal", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
    "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "set_robust_list",
    "set_tid_address", "setpgid", "setsid", "sigaltstack", "signalfd", "signalfd4", "tgkill",
    "tkill", "vfork", "wait4", "waitid", "arch_prctl", "ioprio_get",
    "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_getscheduler", "sched_rr_get_interval", "sched_yield",
    // waiting, pipes, and descriptors already held
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2",
    "pipe", "pipe2", "poll", "ppoll", "pselect6", "select", "accept", "accept4", "bind", "connect", "getpeername",
    "getsockname", "getsockopt", "listen", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto",
    "setsockopt", "shutdown",
    // time
    "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday", "nanosleep", "setitimer", "time",
    "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create",
    "timerfd_gettime", "timerfd_settime", "times",
    // what the machine is
    "getcpu", "getrandom", "sysinfo", "uname",
};

// cachestat, map_shadow_stack, futex_wake, futex_wait, futex_requeue, mseal
inline constexpr int kNewer[] = {451, 453, 454, 455, 456, 462};
inline constexpr int kFchmodat2 = 452;
// Calls above this one are of kernels newer than this list: ENOSYS, as on the kernels it was made for.
inline constexpr int kLastKnown = 466;

inline constexpr const char *kAbsent[] = {
    "clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "landlock_create_ruleset", "landlock_add_rule",
    "landlock_restrict_self", "openat2", "execveat", "pkey_alloc", "pkey_free", "pkey_mprotect", "get_mempolicy", "mbind",
    "set_mempolicy", "set_mempolicy_home_node", "migrate_pages", "move_pages", "uretprobe",
};

} // namespace power::sandbox::policy
