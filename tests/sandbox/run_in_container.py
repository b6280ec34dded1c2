"""Runs run_sandbox.py container, or with --script PATH another Python program, inside runc as Docker would: its default capabilities, seccomp profile, masked paths, device
rules and read-only cgroups. The root is the host's /usr and /etc, read only. Exit code 77 (skipped) without runc or a profile.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CAPABILITIES = ["CAP_" + name for name in ("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
                                           "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE").split()]


def seccomp(path):
    """Docker's profile as runc wants it: the rules whose conditions hold for amd64 and the default capabilities."""
    with open(path) as file:
        profile = json.load(file)

    def holds(rule):
        wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
        if set(wanted.get("caps", [])) - set(CAPABILITIES) or set(unwanted.get("caps", [])) & set(CAPABILITIES):
            return False
        return "amd64" in wanted.get("arches", ["amd64"]) and "amd64" not in unwanted.get("arches", [])

    def translated(rule):
        kept = {key: rule[key] for key in ("names", "action", "errnoRet") if rule.get(key) is not None}
        if rule.get("args"):
            kept["args"] = rule["args"]
        return kept

    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [translated(rule) for rule in profile["syscalls"] if holds(rule)]}


def bind(path, *options):
    return {"destination": path, "source": path, "type": "bind", "options": ["rbind", *options]}


def device(allow, kind=None, major=None, minor=None, access="rwm"):
    rule = {"allow": allow, "access": access}
    rule.update({key: value for key, value in (("type", kind), ("major", major), ("minor", minor)) if value is not None})
    return rule


def config(arguments, profile, shown):
    devices = [device(False)] + [device(True, "c", 1, minor) for minor in (3, 5, 7, 8, 9)] + [device(True, "c", 5, 0), device(True, "c", 5, 2)]
    return {
        "ociVersion": "1.0.2", "hostname": "container",
        "process": {
            "args": arguments, "cwd": "/", "user": {"uid": 0, "gid": 0}, "noNewPrivileges": False,
            "env": ["PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8"] + [f"{n}={os.environ[n]}" for n in ("POWER_BIN", "POWER_TRY") if n in os.environ] +
                   ["POWER_BEST=container", "POWER_TEST_CACHE=/var/tmp/cache"] +
                   [f"{n}={os.environ[n]}" for n in ("POWER_PYTHON_ENV",) if os.environ.get(n)],
            "capabilities": {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")}},
        "root": {"path": "rootfs", "readonly": False},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]},
            {"destination": "/var/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]},
            bind("/usr", "ro"), bind("/etc", "ro")] + [bind(path, "ro") for path in shown],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "network", "ipc", "uts")],
            "seccomp": profile, "resources": {"devices": devices, "memory": {"limit": 2 << 30}},
            "maskedPaths": ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                            "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}}


def main():
    path = os.environ.get("POWER_DOCKER_SECCOMP", "")
    if not shutil.which("runc") or not os.path.isfile(path):
        print("skipped: needs runc and POWER_DOCKER_SECCOMP (cmake -DPOWER_DOCKER_SECCOMP=<Docker's default.json>)")
        sys.exit(77)
    name = f"power-sandbox-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="power-bundle-") as bundle:
        root = os.path.join(bundle, "rootfs")
        os.mkdir(root)
        for link in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if os.path.islink("/" + link):
                os.symlink(os.readlink("/" + link), os.path.join(root, link))
        program = [os.path.join(HERE, "run_sandbox.py"), "container", *sys.argv[1:]]
        if sys.argv[1:2] == ["--script"]:
            program = [os.path.abspath(sys.argv[2]), *sys.argv[3:]]
        shown = [os.path.dirname(program[0]), os.environ["POWER_BIN"]]
        shown += [path for path in (os.path.dirname(os.environ.get("POWER_TRY", "")), os.environ.get("POWER_PYTHON_ENV")) if path]
        arguments = ["/usr/bin/python3", "-B", *program]
        with open(os.path.join(bundle, "config.json"), "w") as file:
            json.dump(config(arguments, seccomp(path), shown), file)
        try:
            code = subprocess.run(["runc", "run", "--bundle", bundle, name], stdin=subprocess.DEVNULL).returncode
        finally:
            subprocess.run(["runc", "delete", "--force", name], capture_output=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
