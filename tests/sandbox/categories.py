"""What the suite covers, by the categories of SandboxEval (arXiv 2504.00018: sensitive information, file system, external
communication, dangerous operations; its scenarios have no public names, so those here are re-created by group) and by what
shared-kernel sandboxes fell to since. Each scenario names rows of the suite; check() fails when a row is not there, and when a row
of the attack table belongs to no scenario. LEFT_OPEN says for each tier what it does not stop.
"""
import fnmatch

CATEGORIES = {
    "sensitive information": {
        "secrets of the environment": ["own_environment", "server_environ", "read /proc/1/environ"],
        "another process: memory, files, command line": ["server_maps", "server_mem", "server_cmdline", "server_status", "server_stack", "server_fd",
                                                         "server_task", "server_root", "server_cwd"],
        "users and their passwords": ["shadow", "read /etc/gshadow", "home_of_root", "read /root/.bash_history"],
        "keys and tokens on disk": ["read /root/.ssh/id_rsa", "read /root/.aws/credentials", "read /etc/ssh/ssh_host_rsa_key",
                                    "read /var/run/secrets/*", "read /etc/machine-id"],
        "logs and boot files": ["read /var/log/*", "read /boot/*"],
        "facts of the host": ["read /proc/cmdline", "read /proc/kallsyms", "read /proc/kcore", "read /proc/sys/kernel/core_pattern",
                              "read /proc/timer_list", "read /proc/keys", "read /proc/1/root/etc/hostname", "mounts_of_the_machine", "own_facts"],
        "processes of the host": ["list_processes"],
        "facts of the network": ["connections_of_the_machine", "list_network_devices"],
        "other sessions": ["other_session_directory", "other_session_file", "watch_other_session", "list_shared_memory"],
        "devices": ["device *"],
    },
    "file system": {
        "read outside": ["world_readable_file_outside", "list_root"],
        "modify system files": ["write /usr/x", "write /usr/lib/x", "write /usr/bin/python3", "write /lib/x", "write /etc/*", "write /dev/x", "write /sys/x",
                                "write /x", "write /app/x", "write /var/tmp/x", "write /run/x", "write_slash_tmp"],
        "modify the kernel's files": ["write /proc/x", "write /proc/self/oom_score_adj_x", "write_sysrq"],
        "come back later (cron, keys, preload)": ["write /etc/cron.d/x", "write /var/spool/cron/x", "write /root/.ssh/authorized_keys", "write /etc/ld.so.preload"],
        "delete and rename": ["delete /etc/passwd", "delete /usr/bin", "rename /etc/hosts", "rename_out_of_the_workspace"],
        "rights and owners": ["mode of /etc/passwd", "owner of /etc/passwd", "chmod_of_other_session", "setxattr"],
        "links against the server": ["hard_link_to_passwd", "symlink_to_shadow", "mkfifo"],
        "its own directory works": ["own_workspace"],
        "the marks of its process tree": ["change_the_mark_of_the_tree", "change_the_mark_the_old_way"],
    },
    "external communication": {
        "names": ["dns_lookup"],
        "internet": ["tcp_outside", "udp_outside", "inet *"],
        "cloud metadata": ["metadata_address"],
        "server and machine": ["tcp_to_server", "tcp6_to_server", "own_loopback"],
        "sockets by path and abstract": ["unix_socket_of_server", "abstract_socket_of_server", "datagram_pair_to_socket_of_server",
                                         "stream_pair_to_socket_of_server", "docker_socket"],
        "other families": ["socket *"],
        "packages": ["install_with_pip"],
    },
    "dangerous operations": {
        "control other processes": ["signal *", "signal_everything", "ptrace_*", "process_*", "pidfd_getfd", "kcmp", "prlimit_of_server", "priority_of_*",
                                    "affinity_of_server", "type_into_terminal*"],
        "more rights": ["setuid_*", "setgid_root", "setresuid_root", "setfsuid", "setgroups", "capabilities", "run_as_another_user", "prctl_*", "personality"],
        "namespaces and mounts": ["unshare_*", "clone*", "setns", "mount", "umount", "chroot", "pivot_root", "fsopen", "fsmount", "open_tree", "move_mount",
                                  "mount_setattr", "statmount", "listmount"],
        "the sandbox itself": ["landlock_*", "seccomp", "newer_than_the_list", "openat2", "execveat", "x32_call", "i386_call"],
        "kernel interfaces": ["io_*", "keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "memfd_*", "*_handle_at",
                              "mq_open", "shmget", "semget", "msgget", "modify_ldt", "syslog", "quotactl", "vmsplice", "fanotify_init", "lookup_dcookie", "iopl",
                              "ioperm", "remap_file_pages", "mknod*"],
        "the machine": ["swapon", "kexec_load", "init_module", "finit_module", "delete_module", "acct", "settimeofday", "clock_settime", "adjtimex", "reboot",
                        "sethostname"],
        "more of the machine than its share": ["own_limits_and_priority", "raise_*", "lower_oom_score", "runs_nice", "ioprio_set", "sched_*"],
        "resource bombs": ["memory: *", "file size: *", "open files: *", "fork bomb: *"],
        "act after the cell": ["daemons die with their kernel", "a segfault is told by its signal"],
        "harm the server": ["the server was not touched", "the other session's mode is what it was"],
    },
}
# Elsewhere in the tests, because they need a kernel or a server: output floods, closed channels and deadlines
# (supervisor/tst_kernel_limits), poisoned frames (supervisor/tst_hostile_kernel), leaks between sessions (supervisor, app/tst_faults).
ALWAYS = ["the Linux kernel is shared: a hole in the about 270 system calls that are left defeats every tier",
          "side channels between sessions on one processor, and what they tell of load",
          "sessions that work together: locks on files of the system that all may read tell one another something, bit by bit"]
LEFT_OPEN = {
    "full": [],
    "userns": ["sessions have one user on the host: separated by namespaces and Landlock, not by uid"],
    "container": ["no namespaces: Landlock and the uid alone hide files and processes; below ABI 6 signals and abstract sockets are stopped "
                  "by the uid and the ban on sockets only",
                  "/dev/shm is the container's: its names are not listed and open to nobody but their session, which is charged for them "
                  "and with which they go; a session can fill it and can try whether a name is taken, and sessions that work together can "
                  "share data there: one opens a file of its own to all, the other knows its name",
                  "facts of the host that /proc files of everybody tell (processors, memory, load)"],
    "nonroot": ["as container, and all sessions and the server have one uid: Landlock (ABI 6 or newer) is the only wall between them",
                "limits of processes count for all sessions together; /dev/shm is neither private nor charged"],
}


def missing(names):
    """Scenarios' rows that no row of `names` fits."""
    wanted = [(f"{category}/{scenario}", pattern) for category, scenarios in CATEGORIES.items()
              for scenario, patterns in scenarios.items() for pattern in patterns]
    return [f"{where}: {pattern}" for where, pattern in wanted if not fnmatch.filter(names, pattern)]


def homeless(names):
    """Rows that belong to no scenario."""
    patterns = [pattern for scenarios in CATEGORIES.values() for rows in scenarios.values() for pattern in rows]
    return [name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def summary(held):
    """One line per category; `held` = names of the rows that held."""
    for category, scenarios in CATEGORIES.items():
        rows = sum(len(fnmatch.filter(held, pattern)) for patterns in scenarios.values() for pattern in patterns)
        yield f"{category}: {len(scenarios)} scenarios, {rows} rows held"
