"""The module `power` of user code: functions that the server carries out while a cell runs, made from its declarations."""
import inspect
import math
import os
import time
import types

from power_kernel import asks

DOC = """What the server does for your code while a cell runs. There is no network in a session; these calls go to the
server itself, with the rights of whoever runs the cell, and each is recorded in the session's history.

    import power
    df = power.load(power.fetch("https://example.org/data.csv"))
    power.store(df, "sales")                # a dataset: outlives the session
    top = power.query("SELECT region, SUM(amount) AS total FROM sales GROUP BY region")
    for done, part in enumerate(parts):
        power.progress(done, len(parts), "fitting")

Calls wait for their answer; interrupting the cell ends the wait. Threads may call too, one after the other. A call that the
server refuses raises power.Error, which says why and what to do.
"""
TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "object": dict, "array": list}


class Told:
    at = 0.0


def progress(done, total=None, text=""):
    """Tell whoever waits for this cell how far it is: progress(3, 10, "third file").

    Cheap enough for loops: what comes more often than ten times a second is left out, the end (done == total) never is.
    """
    done = float(done)
    total = None if total is None else float(total)
    if not math.isfinite(done) or done < 0 or not (total is None or math.isfinite(total)):
        raise ValueError("done and total are numbers from 0 on")
    now = time.monotonic()
    if now - Told.at < 0.1 and done != total:
        return
    Told.at = now
    asks.tell(done, total, str(text)[:500])


def function_of(tool):
    """One declared tool as a function with signature and help."""
    parameters = []
    lines = [tool["about"]]
    for given in sorted(tool["parameters"], key=lambda one: not one["required"]):
        default = inspect.Parameter.empty if given["required"] else given.get("default")
        parameters.append(inspect.Parameter(
            given["name"], inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=TYPES.get(given["type"], object)))
        lines.append(f"    {given['name']}: {given['about']}")
    if tool.get("returns"):
        lines.append(f"Returns {tool['returns']}.")
    signature = inspect.Signature(parameters)

    def function(*args, **kwargs):
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"power.{tool['name']}() {error}") from None
        values = {name: os.fspath(value) if isinstance(value, os.PathLike) else value
                  for name, value in bound.arguments.items() if value is not None}
        return asks.call(tool["name"], values)

    function.__name__ = function.__qualname__ = tool["name"]
    function.__module__ = "power"
    function.__signature__ = signature
    function.__doc__ = "\n".join(lines)
    return function


class Power(types.ModuleType):
    """Asks for the declarations once; when that was not possible (no cell was running), again at first use."""

    def __getattr__(self, name):
        there = self.__dict__.get("__all__", [])
        if name.startswith("_") or self.__dict__.get("_loaded"):
            raise AttributeError(f"module 'power' has no attribute {name!r}; there are: {', '.join(sorted(there))}")
        load(self)
        return getattr(self, name)

    def __dir__(self):
        return sorted([*self.__all__, "Error"])


def load(module):
    from power_kernel import tableload, tablequery, tablestore

    declared = {tool["name"]: function_of(tool) for tool in asks.call("", {}) if tool["name"][:1] != "_"}
    # In front of the server's own: what works on variables.
    declared["load"], declared["query"] = tableload.load, tablequery.query
    if "store" in declared:
        declared["store"] = tablestore.store
    for name, function in declared.items():
        function.__module__ = "power"
        setattr(module, name, function)
        module.__all__.append(name)
    module._loaded = True


class Loader:
    """The last finder on sys.meta_path: a power.py of the session's own comes first."""

    @staticmethod
    def create_module(spec):
        return Power(spec.name, DOC)

    @staticmethod
    def exec_module(module):
        module.__all__ = ["progress"]  # without Error: help(power) would show all of it
        module.progress = progress
        progress.__module__ = "power"
        module.Error = asks.Refused
        try:
            load(module)
        except asks.Refused:
            pass
