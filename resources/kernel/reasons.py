"""Exceptions of a cell that mean a limit or a wall: a typed cause with its figures, for programs; hints.py has the words."""
import errno
import os
import resource

MISSING, REFUSED = "missing_package", "refused_by_sandbox"
CALLS = {errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT}


def words(count):
    return f"{count / (1 << 20):.0f} MB" if count < 10 << 30 else f"{count / (1 << 30):.1f} GB"


def limit(kind, unit=None):
    most = resource.getrlimit(kind)[0]
    return "" if most == resource.RLIM_INFINITY else words(most) if unit is None else f"{most} {unit}"


def status(name):
    """A line of /proc/self/status in bytes; 0 where it cannot be read."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":")), 0)
    except (OSError, ValueError):
        return 0


def size_of(value):
    """Bytes of what agents fill memory with; 0 for anything else. Runs no code of the value's own class."""
    kind = type(value)
    if kind in (bytes, bytearray, str):
        return len(value)
    module, name = kind.__module__, kind.__name__
    try:
        if module == "numpy" and name == "ndarray":
            return value.nbytes
        if module.startswith("pandas.") and name in ("DataFrame", "Series"):
            total = value.memory_usage(index=True)
            return int(total if name == "Series" else total.sum())
        if kind in (list, tuple, set, dict):
            few = list(value.values() if kind is dict else value)[:64]
            return int(len(value) * (sum(map(size_of, few)) / len(few) + 56)) if few else 0
    except Exception:
        pass
    return 0


def biggest(namespace):
    """"df 512 MB, blocks 80 MB": the variables that take most, above a megabyte."""
    found = sorted(((size_of(value), name) for name, value in list(namespace.items())[:5000] if name[:1] != "_"), reverse=True)[:3]
    return ", ".join(f"{name} {words(size)}" for size, name in found if size >= 1 << 20)


def of(error, namespace):
    """{cause, limit, peak} or None. Limits and figures are this process's own."""
    if isinstance(error, MemoryError):
        large = biggest(namespace)
        peak = words(status("VmHWM")) if status("VmHWM") else ""
        return {"cause": "memory_limit", "limit": limit(resource.RLIMIT_DATA), "peak": f"{peak}; largest variables: {large}" if large else peak}
    if isinstance(error, ModuleNotFoundError):
        return {"cause": MISSING, "limit": "", "peak": (error.name or "").split(".")[0][:100]}
    if isinstance(error, RuntimeError) and "start new thread" in str(error)[:200]:
        return {"cause": "process_limit", "limit": limit(resource.RLIMIT_NPROC, "processes and threads"), "peak": ""}
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.EMFILE:
        try:
            count = f"{len(os.listdir('/proc/self/fd'))} open"
        except OSError:
            count = ""
        return {"cause": "open_files_limit", "limit": limit(resource.RLIMIT_NOFILE, "open files"), "peak": count}
    if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN and not error.filename:
        return {"cause": "process_limit", "limit": limit(resource.RLIMIT_NPROC, "processes and threads"), "peak": ""}
    if error.errno in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT):
        return {"cause": "disk_limit", "limit": limit(resource.RLIMIT_FSIZE) + " per file" if error.errno == errno.EFBIG else "", "peak": ""}
    if error.errno in CALLS and not error.filename:
        return {"cause": REFUSED, "limit": "", "peak": f"{errno.errorcode.get(error.errno, error.errno)}{called(error)}"}
    return None


def called(error):
    """" in name()": the function whose system call was refused, as the innermost line of code names it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {trace.tb_frame.f_code.co_name}()" if trace is not None and not trace.tb_frame.f_code.co_name.startswith("<") else ""
