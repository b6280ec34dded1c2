"""The zygote's warm-up: import the hot part of the stack, prove that there is one task, freeze the gc."""
import gc
import importlib
import io
import json
import os
import platform
import sys
import time

import _power

# What almost every session uses; the rest loads on first use (heavy, or it starts threads).
HOT = ["numpy", "pandas", "pyarrow", "matplotlib.pyplot", "IPython.core.interactiveshell"]


def tasks():
    """Names of the threads of this process."""
    names = []
    for task in sorted(os.listdir("/proc/self/task"), key=int):
        with open(f"/proc/self/task/{task}/comm") as comm:
            names.append(comm.read().strip())
    return names


def keep_matplotlibrc():
    """matplotlib passes over a configuration directory that it may not write to, and with it the fonts named there:
    the file itself has to be named, here and for the Python programs that a cell starts."""
    file = os.path.join(os.environ.get("MPLCONFIGDIR", ""), "matplotlibrc")
    if os.path.isabs(file) and os.access(file, os.R_OK):
        os.environ.setdefault("MATPLOTLIBRC", file)


def rss_mb():
    with open("/proc/self/statm") as statm:
        return round(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def add_extra():
    """Packages of EXTRA_REQUIREMENTS: behind the environment's own on the path, also when they are installed later. Returns
    the modules that were seen to keep to one thread."""
    site = os.environ.get("POWER_EXTRA_SITE")
    if not site:
        return []
    sys.path.append(site)
    try:
        with open(os.path.join(site, ".zygote-imports")) as names:
            return names.read().split()
    except OSError:
        return []


def exercise():
    """Runs once what first uses would otherwise pay for in every kernel."""
    if "pandas" in sys.modules:
        import pandas as pd

        frame = pd.DataFrame({"k": ["a", "b", "a"], "v": [1.0, 2.0, 3.0]})
        grouped = frame.groupby("k").mean()
        repr(grouped), grouped.to_html()
    if "matplotlib.pyplot" in sys.modules:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots()
        axes.plot([1, 2, 3])
        axes.set_title("warm")
        figure.savefig(io.BytesIO(), format="png", bbox_inches="tight")
        plt.close(figure)


def warm_up(extra):
    """(fit to serve, JSON of the ZygoteReady frame)."""
    begin = time.monotonic()
    report = {"pid": os.getpid(), "python": platform.python_version(), "imports": [], "missing": []}
    keep_matplotlibrc()
    found = add_extra()
    for name in HOT + list(extra) + found:
        at, before = time.monotonic(), rss_mb()
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken wheel must not take the others down
            report["missing"].append(name)
            print(f"power-kernel zygote: {name} is not usable: {error}", file=sys.stderr)
            continue
        report["imports"].append(
            {"name": name, "ms": round((time.monotonic() - at) * 1e3), "mb": round(rss_mb() - before, 1)}
        )
        if len(tasks()) > 1:
            if name in found:  # the zygote that comes in place of this one leaves them to the sessions
                os.unlink(os.path.join(os.environ["POWER_EXTRA_SITE"], ".zygote-imports"))
            return refusal(report, f"import of {name}")
    from power_kernel import loop, rehearsal

    loop.prepare()
    try:
        exercise()
    except Exception as error:
        print(f"power-kernel zygote: warm-up: {error}", file=sys.stderr)
    if len(tasks()) > 1:
        return refusal(report, "the warm-up after the imports")
    gc.collect()
    try:
        rehearsal.rehearse()
    except Exception as error:  # kernels are larger then, not worse
        print(f"power-kernel zygote: rehearsal: {error!r}", file=sys.stderr)
    loop.prepare_random()
    loop.make_ready()
    gc.collect()
    _power.fill_heap_holes()
    gc.freeze()
    report["huge_pages"] = _power.use_huge_pages()
    report.update(tasks=1, rss_mb=rss_mb(), ms=round((time.monotonic() - begin) * 1e3))
    return True, json.dumps(report)


def refusal(report, where):
    names = tasks()
    report["tasks"] = len(names)
    report["error"] = (
        f"the zygote has {len(names)} threads instead of one after {where} (newest: {names[-1]!r}): "
        "kernels forked from it could hang. Remove that import from the warm-up."
    )
    return False, json.dumps(report)
