"""The names a session starts with (contract 13.1) and the count of those it made itself."""
import sys
import types

START = {}  # name -> object, as put into __main__


def collect():
    """Imports everything once, in the zygote."""
    scope = {}
    exec(
        "import json, csv, math, statistics, datetime, collections, itertools, functools, re, io, copy, hashlib\n"
        "import base64, os, glob, shutil\n"
        "from datetime import timedelta, timezone, date\n"
        "from pathlib import Path\n"
        "from decimal import Decimal\n"
        "from fractions import Fraction\n"
        "from dataclasses import dataclass, field, asdict\n"
        "from typing import Dict, List, Optional, Tuple, Set, Any\n",
        scope,
    )
    for module, short in (("numpy", "np"), ("pandas", "pd"), ("matplotlib.pyplot", "plt")):
        if module in sys.modules:
            scope[short] = sys.modules[module]
            if "." not in module:
                scope[module] = sys.modules[module]
    scope.pop("__builtins__")
    START.update(scope)


def user_variables(namespace):
    """(name, value) of what the session's own code made."""
    for name, value in list(namespace.items()):
        if START.get(name, START) is value or name in HIDDEN or not isinstance(name, str) or name[:1] == "_":
            continue
        if not isinstance(value, types.ModuleType):
            yield name, value


HIDDEN = {"In", "Out", "RESULT", "SANDBOX_DIR", "get_ipython", "exit", "quit", "display"}

MAX_TYPES = 200


def describe(namespace, done):
    """Puts the number of the session's variables, and the types of the first ones, into a Done frame."""
    count, types_ = 0, {}
    for name, value in user_variables(namespace):
        count += 1
        if len(types_) < MAX_TYPES and len(name) <= 60:
            types_[name] = str(type(value).__name__)[:60]
    done["variables"] = count
    if types_:
        done["types"] = types_
