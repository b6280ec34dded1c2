"""The kernel's main loop: frames in, frames out."""
import _signal as signal  # the enums of signal.py cost more than the calls
import builtins
import getpass
import json
import os
import platform
import subprocess
import sys
import tempfile

import _power
from power_kernel import asks, cell, checkpoint, display, figures, hints, hooks, names, packages, pools, settings, shell, snapshot, streams

RUN, TASK, CHECKPOINT, SNAPSHOT, READY, DONE = 1, 2, 4, 6, 16, 18

MAX_META = 36_000  # of the 64 KiB of a frame; RESULT may take 24,000 more

to_json = json.JSONEncoder(ensure_ascii=False).encode
state = {}


def prepare():
    """In the zygote, once."""
    main = sys.modules["__main__"]
    main.__builtins__ = builtins
    names.collect()
    hooks.install()
    figures.patch_pyplot()
    state["shell"] = shell.create(main.__dict__)
    fit_builtins()
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        pandas.set_option("display.width", 160)  # nobody's terminal is 80 columns wide here
        pandas.set_option("display.max_columns", 20)  # as in a notebook: wide frames are wrapped, not cut to a terminal's width
    settings.prepare()
    from power_kernel import tablequery, tasks  # compiled before the fork

    tasks.handlers, tablequery.rows
    try:  # DuckDB's library, without the package: that makes a connection, and with it threads and a seed that all would share
        import _duckdb

        _duckdb.Error
    except ImportError:
        pass
    try:
        from power_kernel import snapreader

        snapreader.HEAD
    except ImportError:
        pass  # cloudpickle is missing: a snapshot will say so


class Quit:
    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"{self._name}() ends the cell; the session stays."

    def __call__(self, code=None):
        raise SystemExit(code)


def fit_builtins():
    """What waits for a person asks the server or is refused; what waits for a child can be interrupted."""

    def no_password(prompt="", *_, **__):
        raise EOFError("getpass() is not available: secrets do not belong into a conversation.")

    def no_debugger(*_, **__):
        raise RuntimeError("breakpoint() is not available: nobody is at a keyboard. Print what you want to see.")

    def system(command):
        # libc's system() ignores SIGINT while it waits, and so would the cell.
        _power.mark("o")
        code = subprocess.call(command, shell=True)
        return code << 8 if code >= 0 else -code

    os.system = system
    builtins.input = asks.read_line
    getpass.getpass = no_password
    sys.breakpointhook = no_debugger
    builtins.exit, builtins.quit = Quit("exit"), Quit("quit")


def path_rules(plan):
    """(path in code, real path) where no mount namespace makes the first true. Real places that happen to lie
    below /tmp stay what they are."""
    if plan.get("tier") == "full" or not plan.get("workspace"):
        return []
    pairs = [(plan.get("workspaceInside"), plan["workspace"]), ("/tmp", plan.get("scratch"))]
    rules = [(inner, real) for inner, real in pairs if inner and real and inner != real]
    real = [plan["workspace"], plan.get("scratch"), *plan.get("readOnly", ()), sys.prefix, os.environ.get("MPLCONFIGDIR")]
    return [(path, path) for path in real if path and path.startswith("/tmp/")] + rules


def outside(path, rules):
    """The real path: programs started by a cell do not see the translation."""
    for inner, real in rules:
        if path == inner or path.startswith(inner + "/"):
            return real + path[len(inner) :]
    return path


# When not the cell but the kernel's own code fails twice in a row, it cannot be helped any more.
BROKEN = "This is a failure of the kernel itself; an earlier cell probably changed Python's own modules or builtins. "
STAYS = "Undo that, or call again: when it fails once more the kernel is replaced."
REPLACED = "The kernel is replaced: the next call starts with fresh variables, files are kept."


def make_ready():
    """In the zygote, last: a session with all that is the same in every one. What is written here no kernel has to write,
    and a page that is not written to is not copied."""
    streams.install()
    sys.path.insert(0, "")
    session = state["session"] = cell.Session(state["shell"])
    session.start()
    settings.remember()


def prepare_random():
    """In the zygote: where numpy's common generator has its state, if it looks as expected."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return
    numpy.random.seed()  # also forgets a second normal number that is waiting
    try:
        import ctypes

        address = numpy.random.mtrand._rand._bit_generator.ctypes.state_address
        _, words, position, waiting, _ = numpy.random.get_state()
        found = list((ctypes.c_uint32 * 625).from_address(address))
        if found == [*words.tolist(), position] and position == 624 and not waiting:
            _power.set_random_state(address)
    except Exception:
        pass  # each kernel seeds it, which takes longer


def settle(info):
    """The forked child becomes a session of its own."""
    rules = path_rules(info.get("plan") or {})
    for name, value in (("HOME", info.get("home")), ("TMPDIR", info.get("tmp")), ("PWD", info.get("cwd"))):
        if value:
            os.environ[name] = outside(value, rules)
    _power.map_paths(rules)
    if (info.get("plan") or {}).get("tier") != "full":
        # No private /dev/shm there: process pools would leave semaphores where other sessions see them.
        os.environ.setdefault("JOBLIB_MULTIPROCESSING", "0")
    tempfile.tempdir = None
    if not _power.draw_random_state() and "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # identical in every fork otherwise; `random` reseeds itself
    arm_signals()
    pools.use(int(info.get("cores") or 1))


def arm_signals():
    """Again before every cell: code may have replaced them."""
    signal.signal(signal.SIGINT, _power.soft_interrupt)
    signal.signal(signal.SIGUSR2, _power.hard_interrupt)


def send_done(run, done, blob, notes):
    """Flushes both pipes, marks their end, and answers."""
    streams.flush()
    done.update(run=run, epoch=_power.mark("f"))
    done.setdefault("notes", notes)
    result = done.pop("result", None)
    text = to_json(done)
    if len(text.encode("utf-8", "replace")) > MAX_META:
        done.pop("types", None)
        done["notes"] = done["notes"][:3]
        if "error" in done:
            done["error"]["value"] = done["error"]["value"][:1000]
        text = to_json(done)
    if result is not None:
        text = f'{text[:-1]}, "result": {result}}}'
    _power.send(DONE, text.encode("utf-8", "replace"), blob)


def fit_streams():
    """A cell that replaced or detached sys.stdout does not silence the following ones for ever."""
    for stream, saved in ((sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__)):
        if stream is None or getattr(stream, "closed", False):
            streams.install()
            return


def run(session, meta, code):
    notes = []
    display.begin(meta["run"], int(meta.get("max_display") or 32 << 20), notes)
    asks.person["there"] = bool(meta.get("input"))
    arm_signals()
    fit_streams()
    context = meta.get("context")
    if isinstance(context, dict):
        session.namespace.update(context)
    done, blob = session.run(code.decode("utf-8", "replace"), bool(meta.get("silent")))
    display.end()
    asks.settle()
    send_done(meta["run"], done, blob, notes)


def task(session, meta):
    from power_kernel import tasks

    notes = []
    display.begin(meta["run"], 0, notes)
    arm_signals()
    done, blob = tasks.run(session, meta)
    display.end()
    asks.settle()
    send_done(meta["run"], done, blob, notes)


def wake(info):
    """The session that the zygote made ready, in its place."""
    settle(info)
    directory = figures.workspace = os.getcwd()
    packages.settle()
    hints.offers["install"] = bool(info.get("installs"))
    session = state["session"]
    session.namespace["SANDBOX_DIR"] = directory
    settings.remember_place()
    return session


def main(info):
    """Serves frames until the server closes the connection. Never returns."""
    session = wake(info)
    _power.send(READY, json.dumps({"pid": os.getpid(), "python": platform.python_version()}).encode(), b"")
    failures = 0
    while True:
        frame = _power.receive()
        if frame is None:
            os._exit(0)
        kind, meta, blob = frame
        meta = json.loads(meta)
        try:
            if kind == RUN:
                if snapshot.children:
                    snapshot.reap()
                run(session, meta, blob)
            elif kind == TASK:
                task(session, meta)
            elif kind == CHECKPOINT:
                checkpoint.take(session)
            elif kind == SNAPSHOT:
                snapshot.take(session, meta)
            failures = 0
        except ConnectionError:
            os._exit(0)
        except BaseException as error:  # an interrupt between two lines of the kernel's own
            _power.end_cell()
            display.end()
            asks.settle()
            name = type(error).__name__
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
            done = {"status": status, "error": {"name": name, "value": str(error)[:2000]}, "hard": _power.was_hard()}
            if status == "error":
                failures += 1
                done["error"]["hint"] = BROKEN + (REPLACED if failures > 1 else STAYS)
            done.update(count=session.count, variables=0)
            if "run" not in meta:
                continue
            send_done(meta["run"], done, b"", [])
            if failures > 1:
                os._exit(70)
