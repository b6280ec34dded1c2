"""Snapshots in the kernel: a forked child writes them, a task of a fresh kernel reads them."""
import contextlib
import json
import os
import signal
import sys
import warnings

import _power

KERNEL_SOCKET = 3
SECONDS = 180
children = []  # forked and not reaped yet


def reap():
    for pid in list(children):
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        except ChildProcessError:  # user code waited for all its children
            pass
        children.remove(pid)


def take(session, meta):
    """Returns at once: the child does the work at the lowest priority, and answers on the socket that came along."""
    reap()
    for pid in children:  # nobody waits for its answer any more
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    descriptor = _power.take_descriptor()
    if descriptor < 0:
        return
    try:
        from power_kernel import settings

        before = settings.states()
        sys.stdout.flush(), sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads: the child only reads, and has a time limit
            pid = os.fork()
    except Exception as error:
        refuse(descriptor, f"the system refused the copy: {error}")
        os.close(descriptor)
        return
    if pid == 0:
        work(session, descriptor, meta, before)
    os.close(descriptor)
    children.append(pid)


def work(session, descriptor, meta, before):
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        os.nice(19)
        os.close(KERNEL_SOCKET)
        nothing = os.open("/dev/null", os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 3000))
        from power_kernel import snapwriter

        snapwriter.write(session, descriptor, meta, before)
    except ImportError as error:
        refuse(descriptor, f"a library that it needs is missing: {error}")
    except BaseException as error:
        refuse(descriptor, f"{type(error).__name__}: {error}")
    os._exit(0)


def refuse(descriptor, text):
    import struct

    meta = json.dumps({"ok": False, "reason": text[:500]}).encode()
    try:
        os.write(descriptor, struct.pack("<IHHII", 0x31465750, 24, 0, len(meta), 0) + meta)
    except OSError:
        pass


def restore(session, meta):
    """The task "restore"."""
    from power_kernel import snapreader

    descriptor = _power.take_descriptor()
    if descriptor < 0:
        raise LookupError("no snapshot came along")
    try:
        found = snapreader.restore(session, descriptor, meta)
    finally:
        os.close(descriptor)
    text = json.dumps(found, ensure_ascii=True).encode()
    if len(text) > 1 << 20:
        found.update(restored=found["restored"][:1000], missing=found["missing"][:1000], remarks={})
        text = json.dumps(found, ensure_ascii=True).encode()
    return text

