"""Runs inside a sandbox and tries to get out of it; one row per attempt.

argv[1] is a JSON object: the tier and where the targets are (see Ground in run_sandbox.py). Prints one JSON line per row:
[name, outcome, wanted, good]. An outcome is the name of an errno, "open" (the attempt worked), or a word of the row.
`wanted` lists the outcomes that count as held; a row without a word for a tier takes that of `out` (outside `full`).
"""
import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys

T = json.loads(sys.argv[1])
FULL = T["tier"] == "full"
NONROOT = T["tier"] == "nonroot"
WAY = sys.prefix.split("/")[1:]  # to the kernels' libraries, wherever the checkout lies: directories with nothing else in them
libc = ctypes.CDLL(None, use_errno=True)
rows = []


def row(full, out, nonroot=None):
    def keep(function):
        wanted = full if FULL else (nonroot or out) if NONROOT else out
        rows.append((function.__name__, function, wanted.split()))
        return function
    return keep


def tried(function, *arguments):
    try:
        result = function(*arguments)
    except OSError as problem:
        return errno.errorcode.get(problem.errno, str(problem.errno))
    return result if isinstance(result, str) else "open"


def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return "open" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def in_child(function):
    """The outcome of a child: the signal that ended it, or its word."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(writer, tried(function).encode())
        os._exit(0)
    os.close(writer)
    word = os.read(reader, 200).decode()
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else word


def read(path):
    with open(path, "rb") as file:
        file.read(100)


def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)


# ---- secrets and other processes
PROC = f"/proc/{T['server_pid']}"
HIDDEN = dict(full="ENOENT", out="EACCES")
for part in ("environ", "maps", "mem", "cmdline", "status", "stack"):
    row(**HIDDEN)(lambda part=part: tried(read, f"{PROC}/{part}"))
    rows[-1] = (f"server_{part}",) + rows[-1][1:]
for part in ("fd", "task", "root", "cwd"):
    row(**HIDDEN)(lambda part=part: tried(os.listdir, f"{PROC}/{part}"))
    rows[-1] = (f"server_{part}",) + rows[-1][1:]


@row("clean", "clean")
def own_environment():
    text = str(os.environ)
    try:
        text += open("/proc/self/environ").read()
    except OSError:
        pass
    return "open" if T["secret"] in text else "clean"


@row("own", "EACCES")
def list_processes():
    def attempt():
        others = [p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]
        return "open" if others else "own"
    return tried(attempt)


for path, full in (("/proc/cmdline", "empty"), ("/proc/kallsyms", "empty"), ("/proc/kcore", "empty EACCES EPERM ENOENT"),
                   ("/proc/sys/kernel/core_pattern", "ENOENT"), ("/proc/timer_list", "empty ENOENT"),
                   ("/proc/1/environ", "ENOENT"), ("/proc/1/root/etc/hostname", "ENOENT"), ("/proc/keys", "empty")):
    def readable(path=path):
        with open(path, "rb") as file:
            return "open" if file.read(10) else "empty"
    row(full, "EACCES ENOENT empty")(lambda readable=readable: tried(readable))
    rows[-1] = ("read " + path,) + rows[-1][1:]


@row("EACCES ENOENT EROFS empty", "EACCES ENOENT")
def write_sysrq():
    def attempt():
        # /dev/null stands there in `full`: writing it changes nothing
        write("/proc/sysrq-trigger")
        return "empty" if FULL and os.stat("/proc/sysrq-trigger").st_rdev == os.makedev(1, 3) else "open"
    return tried(attempt)


@row("empty", "EACCES")
def connections_of_the_machine():
    def attempt():
        with open("/proc/self/net/tcp") as file:
            return "open" if len(file.readlines()) > 1 else "empty"
    return tried(attempt)


@row("own", "EACCES")
def mounts_of_the_machine():
    return tried(lambda: "open" if "/boot" in open("/proc/self/mountinfo").read() else "own")


@row("open", "open")
def own_facts():
    return tried(lambda: [read("/proc/self/" + name) for name in ("status", "statm", "maps", "environ")] and None)


@row("ENOENT", "EACCES")
def list_network_devices():
    return tried(os.listdir, "/sys/class/net")


# ---- files
@row("ENOENT", "EACCES")
def other_session_directory():
    return tried(os.listdir, T["other"])


@row("ENOENT", "EACCES")
def other_session_file():
    return tried(read, T["other"] + "/private.csv")


@row("ENOENT", "EACCES")
def world_readable_file_outside():
    return tried(read, T["readable"])


@row("ENOENT", "EACCES")
def shadow():
    return tried(read, "/etc/shadow")


@row("ENOENT way", "EACCES ENOENT")
def home_of_root():
    return tried(lambda: "way" if os.listdir("/root") == WAY[1:2] and WAY[0] == "root" else "open")


@row("own", "EACCES")
def list_root():
    return tried(lambda: "own" if ({"home", "root", "srv", "run", "boot"} - {WAY[0]}).isdisjoint(os.listdir("/")) else "open")


for path in ("/usr/x", "/usr/lib/x", "/etc/x", "/etc/passwd", "/app/x", "/x", "/var/tmp/x", "/dev/x", "/proc/x", "/run/x"):
    row("EROFS EACCES ENOENT", "EACCES ENOENT EROFS")(lambda path=path: tried(write, path))
    rows[-1] = ("write " + path,) + rows[-1][1:]


@row("open", "EACCES EROFS")
def write_slash_tmp():
    return tried(write, "/tmp/x")


@row("open", "EACCES EROFS")
def list_shared_memory():
    return tried(os.listdir, "/dev/shm")


@row("EXDEV EPERM ENOENT", "EPERM EXDEV EACCES")
def hard_link_to_passwd():
    return tried(os.link, "/etc/passwd", "passwd.link")


@row("ENOENT EACCES", "EACCES")
def symlink_to_shadow():
    os.symlink("/etc/shadow", "shadow.link")
    return tried(read, "shadow.link")


@row("ENOENT EXDEV EACCES", "EXDEV EACCES")
def rename_out_of_the_workspace():
    write("mine")
    return tried(os.rename, "mine", T["elsewhere"] + "/mine")


@row("open", "open")
def own_workspace():
    def attempt():
        os.makedirs("a/b", exist_ok=True)
        write("a/b/c")
        os.rename("a/b/c", "a/c")
        os.truncate("a/c", 0)
        os.unlink("a/c")
    return tried(attempt)


for device in ("vda", "mem", "kmsg", "tty", "fuse", "net/tun", "ptmx", "kvm"):
    row("ENOENT", "EACCES ENOENT")(lambda device=device: tried(read, "/dev/" + device))
    rows[-1] = ("device " + device,) + rows[-1][1:]

# ---- network
REFUSED = "EAFNOSUPPORT"
for name, family, kind in (("netlink", 16, 3), ("packet", 17, 3), ("vsock", 40, 1), ("alg", 38, 5), ("bluetooth", 31, 3),
                           ("xdp", 44, 3), ("rds", 21, 5), ("can", 29, 3), ("tipc", 30, 1), ("x25", 9, 5)):
    row(REFUSED, REFUSED)(lambda family=family, kind=kind: tried(lambda: socket.socket(family, kind).close()))
    rows[-1] = ("socket " + name,) + rows[-1][1:]
for name, kind, protocol in (("icmp", 3, 1), ("raw", 3, 255), ("sctp", 1, 132), ("mptcp", 1, 262), ("dccp", 6, 33)):
    row("EPERM EAFNOSUPPORT", REFUSED)(
        lambda kind=kind, protocol=protocol: tried(lambda: socket.socket(socket.AF_INET, kind, protocol).close()))
    rows[-1] = ("inet " + name,) + rows[-1][1:]


def connect(family, kind, address):
    with socket.socket(family, kind) as s:
        s.settimeout(2)
        s.connect(address)
        s.send(b"x")


@row("ECONNREFUSED", REFUSED)
def tcp_to_server():
    return tried(connect, socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", T["port"]))


@row("ECONNREFUSED EADDRNOTAVAIL", REFUSED)
def tcp6_to_server():
    return tried(connect, socket.AF_INET6, socket.SOCK_STREAM, ("::1", T["port"]))


@row("ENETUNREACH", REFUSED)
def tcp_outside():
    return tried(connect, socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80))


@row("ENETUNREACH", REFUSED)
def udp_outside():
    return tried(connect, socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53))


@row("open", REFUSED)
def own_loopback():
    def attempt():
        with socket.create_server(("127.0.0.1", 0)) as server:
            connect(socket.AF_INET, socket.SOCK_STREAM, server.getsockname())
    return tried(attempt)


@row("ENOENT", REFUSED)
def unix_socket_of_server():
    return tried(connect, socket.AF_UNIX, socket.SOCK_STREAM, T["unix"])


@row("ECONNREFUSED", REFUSED)
def abstract_socket_of_server():
    return tried(connect, socket.AF_UNIX, socket.SOCK_STREAM, "\0" + T["abstract"])


@row("ENOENT", "EPROTONOSUPPORT")
def datagram_pair_to_socket_of_server():
    def attempt():
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        pair[0].sendto(b"x", T["unix_datagram"])
    return tried(attempt)


@row("ENOENT EISCONN", "EISCONN")
def stream_pair_to_socket_of_server():
    return tried(lambda: socket.socketpair()[0].connect(T["unix"]))


# ---- processes
for name, number in (("term", signal.SIGTERM), ("nothing", 0), ("stop", signal.SIGSTOP)):
    row("ESRCH", "EPERM")(lambda number=number: tried(os.kill, T["server_pid"], number))
    rows[-1] = ("signal " + name,) + rows[-1][1:]
buffer = ctypes.create_string_buffer(8)
PID = T["server_pid"]
EPERM, ENOSYS = "EPERM", "ENOSYS"
SYSCALLS = [
    ("ptrace_attach", EPERM, 101, 16, PID, 0, 0), ("ptrace_traceme", EPERM, 101, 0, 0, 0, 0),
    ("process_vm_readv", EPERM, 310, PID, 0, 0, 0, 0, 0), ("process_vm_writev", EPERM, 311, PID, 0, 0, 0, 0, 0),
    ("pidfd_getfd", EPERM, 438, 3, 0, 0), ("kcmp", EPERM, 312, PID, os.getpid(), 0, 0, 0),
    ("process_madvise", EPERM, 440, 3, 0, 0, 4, 0),
    ("unshare_user", EPERM, 272, 0x10000000), ("unshare_mount", EPERM, 272, 0x20000), ("unshare_pid", EPERM, 272, 0x20000000),
    ("unshare_net", EPERM, 272, 0x40000000), ("clone_user", EPERM, 56, 0x10000000 | 17, 0, 0, 0, 0),
    ("clone_pid", EPERM, 56, 0x20000000 | 17, 0, 0, 0, 0), ("setns", EPERM, 308, 0, 0), ("clone3", ENOSYS, 435, 0, 0),
    ("mount", EPERM, 165, b"none", b"/tmp", b"tmpfs", 0, 0), ("umount", EPERM, 166, b"/proc", 2), ("chroot", EPERM, 161, b"."),
    ("pivot_root", EPERM, 155, b".", b"."), ("fsopen", EPERM, 430, b"tmpfs", 0), ("fsmount", EPERM, 432, 3, 0, 0),
    ("open_tree", EPERM, 428, -100, b"/", 1), ("move_mount", EPERM, 429, 3, b"", -100, b"/", 4),
    ("mount_setattr", EPERM, 442, -100, b"/", 0, 0, 0), ("statmount", EPERM, 457, 0, 0, 0, 0), ("listmount", EPERM, 458, 0, 0, 0, 0),
    ("io_uring_setup", ENOSYS, 425, 8, buffer), ("io_uring_enter", ENOSYS, 426, 3, 0, 0, 0), ("io_uring_register", ENOSYS, 427, 3, 0, 0, 0),
    ("landlock_create_ruleset", ENOSYS, 444, 0, 0, 1), ("landlock_restrict_self", ENOSYS, 446, 3, 0),
    ("keyctl", EPERM, 250, 0, -4, 1), ("add_key", EPERM, 248, b"user", b"x", b"x", 1, -2), ("request_key", EPERM, 249, b"user", b"x", 0, 0),
    ("bpf", EPERM, 321, 0, buffer, 8), ("perf_event_open", EPERM, 298, buffer, 0, -1, -1, 0), ("userfaultfd", EPERM, 323, 1),
    ("memfd_secret", EPERM, 447, 0), ("name_to_handle_at", EPERM, 303, -100, b".", 0, 0, 0), ("open_by_handle_at", EPERM, 304, -100, 0, 0),
    ("io_setup", EPERM, 206, 1, buffer), ("mq_open", EPERM, 240, b"x", 0x40, 0o600, 0), ("shmget", EPERM, 29, 0, 4096, 0o1600),
    ("semget", EPERM, 64, 0, 1, 0o1600), ("msgget", EPERM, 68, 0, 0o1600), ("modify_ldt", EPERM, 154, 0, buffer, 8),
    ("personality", EPERM, 135, 0x0040000), ("syslog", EPERM, 103, 10, 0, 0), ("swapon", EPERM, 167, b"/x", 0),
    ("kexec_load", EPERM, 246, 0, 0, 0, 0), ("init_module", EPERM, 175, 0, 0, b""), ("finit_module", EPERM, 313, 3, b"", 0),
    ("delete_module", EPERM, 176, b"x", 0), ("acct", EPERM, 163, b"/x"), ("settimeofday", EPERM, 164, buffer, 0),
    ("clock_settime", EPERM, 227, 0, buffer), ("adjtimex", EPERM, 159, buffer), ("reboot", EPERM, 169, 0, 0, 0, 0),
    ("sethostname", EPERM, 170, b"x", 1), ("quotactl", EPERM, 179, 0, 0, 0, 0), ("seccomp", EPERM, 317, 0, 0, 0),
    ("vmsplice", EPERM, 278, 0, 0, 0, 0), ("setxattr", EPERM, 188, b".", b"user.x", b"x", 1, 0), ("fanotify_init", EPERM, 300, 0, 0),
    ("lookup_dcookie", EPERM, 212, 0, 0, 0), ("iopl", EPERM, 172, 3), ("ioperm", EPERM, 173, 0, 1, 1), ("remap_file_pages", EPERM, 216, 0, 0, 0, 0, 0),
    ("openat2", ENOSYS, 437, -100, b".", buffer, 24), ("execveat", ENOSYS, 322, -100, b"", 0, 0, 0), ("newer_than_the_list", ENOSYS, 500),
    ("setuid_root", EPERM, 105, 0), ("setgid_root", EPERM, 106, 0), ("setresuid_root", EPERM, 117, 0, 0, 0), ("setfsuid", EPERM, 122, 0),
    ("setgroups", EPERM, 116, 0, 0), ("ioprio_set", EPERM, 251, 1, 0, 1 << 13), ("sched_setscheduler", EPERM, 144, 0, 1, buffer),
    ("sched_setattr", EPERM, 314, 0, buffer, 0), ("mknod_device", EPERM, 133, b"node", 0o20600, os.makedev(1, 1)),
    ("mknodat_block", EPERM, 259, -100, b"node", 0o60600, os.makedev(254, 0)), ("prctl_dumpable", EPERM, 157, 4, 0, 0, 0, 0),
    ("prctl_ptracer", EPERM, 157, 0x59616D61, -1, 0, 0, 0), ("prctl_mm", EPERM, 157, 35, 1, 0, 0, 0), ("prctl_seccomp", EPERM, 157, 22, 1, 0, 0, 0),
    ("prctl_ambient", EPERM, 157, 47, 2, 0, 0, 0), ("prctl_securebits", EPERM, 157, 28, 0, 0, 0, 0),
]
for name, wanted, number, *arguments in SYSCALLS:
    row(wanted, wanted)(lambda number=number, arguments=arguments: call(number, *arguments))
    rows[-1] = (name,) + rows[-1][1:]


# ---- what one user may do to another process or file of the same user (the server's, in nonroot)
FOREIGN = [("prlimit_of_server", 302, PID, 7, struct.pack("QQ", 5, 5), 0), ("priority_of_server", 141, 0, PID, 19),
           ("affinity_of_server", 203, PID, 8, struct.pack("Q", 1))]
for name, number, *arguments in FOREIGN:
    row("EPERM ESRCH", "EPERM")(lambda number=number, arguments=arguments: call(number, *arguments))
    rows[-1] = (name,) + rows[-1][1:]


@row("open", "open", "EPERM")
def priority_of_user():
    return call(141, 2, 0, 19)


@row("ENOENT", "EACCES EPERM", "unchanged")
def chmod_of_other_session():
    # the driver looks afterwards whether the mode is what it was
    return tried(lambda: os.chmod(T["other"], 0) or "unchanged")


@row("ENOENT", "EACCES", "EPERM")
def watch_other_session():
    return call(254, libc.syscall(294, 0), T["other"].encode(), 0xFFF)


@row("open", "open", "EPERM")
def change_the_mark_of_the_tree():
    return call(302, 0, (1 << 32) | 10, struct.pack("QQ", 1, 1), 0)


@row("open", "open", "EPERM")
def change_the_mark_the_old_way():
    return call(160, 10, struct.pack("QQ", 1, 1))


@row("works", "works")
def own_limits_and_priority():
    def attempt():
        resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
        os.nice(1)
        os.sched_setaffinity(0, os.sched_getaffinity(0))
        return "works"
    return tried(attempt)


@row("open", "EPERM")
def memfd_create():
    return tried(lambda: os.close(os.memfd_create("x")))


@row("open", "open")
def mkfifo():
    return tried(os.mkfifo, "fifo")


@row("SIGSYS", "SIGSYS")
def x32_call():
    return in_child(lambda: call(39 | 0x40000000))


@row("SIGSYS", "SIGSYS")
def i386_call():
    def attempt():
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, getpid; int 0x80; ret
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    return in_child(attempt)


@row("EPERM", "EPERM")
def type_into_terminal():
    return tried(fcntl.ioctl, 0, 0x5412, b"x")


@row("EPERM", "EPERM")
def type_into_terminal_with_high_bits():
    return call(16, 0, (1 << 32) | 0x5412, buffer)


@row("none", "none")
def capabilities():
    left = [c for c in range(41) if libc.prctl(23, c, 0, 0, 0) == 1 and not NONROOT]
    libc.capget.restype = ctypes.c_int
    header, data = struct.pack("Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    libc.capget(header, data)
    return "open" if left or any(data.raw) else "none"


@row("same", "same")
def setuid_program():
    ran = subprocess.run([T["setuid"], "-u"], capture_output=True, text=True)
    return "same" if ran.stdout.strip() == str(os.getuid()) or ran.returncode < 0 else "open: " + ran.stdout + ran.stderr


@row("EPERM", "EPERM")
def raise_open_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))
    except (ValueError, OSError):  # Python's word for EPERM here is ValueError
        return "EPERM"
    return "open"


@row("EACCES EPERM", "EACCES EPERM")
def raise_priority():
    return tried(os.setpriority, os.PRIO_PROCESS, 0, -5)


@row("EACCES EROFS", "EACCES ENOENT")
def lower_oom_score():
    return tried(write, "/proc/self/oom_score_adj", "0")


@row("nice", "nice")
def runs_nice():
    return "nice" if os.getpriority(os.PRIO_PROCESS, 0) >= 10 else "open"


# ---- what SandboxEval's scenarios ask for besides
for path in ("/root/.ssh/id_rsa", "/root/.aws/credentials", "/root/.bash_history", "/var/log/syslog", "/var/log/auth.log", "/boot/grub/grub.cfg",
             "/var/run/secrets/kubernetes.io/serviceaccount/token", "/etc/gshadow", "/etc/ssh/ssh_host_rsa_key", "/etc/machine-id"):
    row("ENOENT EACCES", "EACCES ENOENT")(lambda path=path: tried(read, path))
    rows[-1] = ("read " + path,) + rows[-1][1:]
for path in ("/etc/cron.d/x", "/etc/hosts", "/etc/ld.so.preload", "/etc/resolv.conf", "/root/.ssh/authorized_keys", "/usr/bin/python3",
             "/var/spool/cron/x", "/lib/x", "/proc/self/oom_score_adj_x", "/sys/x"):
    row("EROFS EACCES ENOENT ETXTBSY", "EROFS EACCES ENOENT")(lambda path=path: tried(write, path))
    rows[-1] = ("write " + path,) + rows[-1][1:]
def changed_mode(path):
    os.chmod(path, 0o777)
    return "open" if os.stat(path).st_mode & 0o022 else "EPERM"  # nonroot: chmod says it worked and does nothing


for name, function, target in (("delete", os.unlink, "/etc/passwd"), ("delete", os.rmdir, "/usr/bin"), ("rename", lambda p: os.rename(p, p + "x"), "/etc/hosts"),
                               ("mode of", changed_mode, "/etc/passwd"), ("owner of", lambda p: os.chown(p, os.getuid(), -1), "/etc/passwd")):
    row("EROFS EACCES EPERM ENOENT EXDEV ENOTEMPTY EBUSY", "EROFS EACCES EPERM ENOENT EXDEV")(lambda function=function, target=target: tried(function, target))
    rows[-1] = (f"{name} {target}",) + rows[-1][1:]


@row("EAI", "EAI")
def dns_lookup():
    try:
        socket.getaddrinfo("example.com", 80)
    except socket.gaierror:
        return "EAI"
    return "open"


@row("ENETUNREACH EAFNOSUPPORT", REFUSED)
def metadata_address():
    return tried(connect, socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80))


@row("ENOENT EAFNOSUPPORT EACCES", "EAFNOSUPPORT")
def docker_socket():
    return tried(connect, socket.AF_UNIX, socket.SOCK_STREAM, "/var/run/docker.sock")


@row("ESRCH EPERM open", "ESRCH EPERM open")  # its own leftovers it may end; the server's row tells about the rest
def signal_everything():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return tried(os.kill, -1, signal.SIGTERM)


@row("EPERM ENOENT EACCES EROFS", "EPERM EACCES ENOENT")
def run_as_another_user():
    return tried(lambda: "open" if subprocess.run(["/bin/su", "-c", "id", "root"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
                 else "EPERM")


@row("EPERM ENOENT EACCES EROFS", "EPERM EACCES ENOENT")
def install_with_pip():
    code = "import pip._internal.cli.main as m, sys; sys.exit(m.main(['install', '--quiet', '--retries', '0', '--timeout', '1', 'six==1.16.0']))"
    return "open" if subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0 else "EPERM"


for name, function, wanted in rows:
    try:
        outcome = function()
    except Exception as problem:  # a row that cannot be tried is a failure of the test, with its text
        outcome = f"{type(problem).__name__}: {problem}"
    print(json.dumps([name, outcome, wanted, outcome in wanted]), flush=True)
