"""What a session changes besides its variables: random states, options of libraries, environment, search path."""
import os
import random
import sys

from power_kernel import pools

base = {}  # as the zygote left it
OWN = ("HOME", "TMPDIR", "PWD", "JOBLIB_MULTIPROCESSING", *pools.NAMES)


def flatten(prefix, options, found):
    for key, value in options.items():
        if isinstance(value, dict):
            flatten(f"{prefix}{key}.", value, found)
        else:
            found[prefix + key] = value


def library_options():
    found = {}
    pandas = sys.modules.get("pandas")
    if pandas is not None:  # not through its functions: they warn of options that go
        flatten("pandas:", pandas._config.config._global_config, found)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        for key, value in numpy.get_printoptions().items():
            found["numpy:" + key] = value
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is not None:
        for key, value in dict.items(matplotlib.rcParams):
            if not key.startswith("backend"):
                found["matplotlib:" + key] = value
    return found


def environment():
    return {"environ:" + name: value for name, value in os.environ.items()}


def prepare():
    """In the zygote, once: what libraries are set to."""
    try:
        base.update(library_options())
    except Exception:
        base.clear()


def remember():
    """In the zygote: what all kernels begin with."""
    base.update(environment())


def remember_place():
    """Once per kernel, before any user code: what is its own."""
    for name in OWN:
        if name in os.environ:
            base["environ:" + name] = os.environ[name]
    base.update(path=list(sys.path), cwd=os.getcwd())


def states():
    """The random states: taken in the kernel, because a fork changes them."""
    found = {"random": random.getstate()}
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        found["numpy"] = numpy.random.get_state(legacy=False)
    return found


def changed(before):
    """What differs from the start."""
    found = {"states": before}
    try:
        now = {**library_options(), **environment()}
        found["set"] = {key: value for key, value in now.items() if not same(base.get(key), value)}
        found["unset"] = [key for key in base if key.startswith("environ:") and key not in now]
        found["path"] = [entry for entry in sys.path if entry not in base["path"]]
        found["cwd"] = os.path.relpath(os.getcwd(), base["cwd"]) if os.getcwd() != base["cwd"] else None
    except Exception:
        pass
    return found


def same(one, other):
    try:
        return bool(one == other)
    except Exception:
        return one is other


def restore(found, with_states):
    """Each for itself: an option may be gone in another version."""
    for key, value in found.get("set", {}).items():
        try:
            library, name = key.split(":", 1)
            if library == "environ":
                os.environ[name] = value
            elif library == "pandas":
                sys.modules["pandas"].set_option(name, value)
            elif library == "numpy":
                sys.modules["numpy"].set_printoptions(**{name: value})
            elif library == "matplotlib":
                sys.modules["matplotlib"].rcParams[name] = value
        except Exception:
            pass
    for key in found.get("unset", ()):
        os.environ.pop(key.split(":", 1)[1], None)
    sys.path.extend(entry for entry in found.get("path", ()) if entry not in sys.path)
    directory = found.get("cwd")
    if directory and not directory.startswith(".."):
        try:
            os.chdir(directory)
        except OSError:
            pass
    states_ = found.get("states") or {}
    if with_states and "random" in states_:
        random.setstate(states_["random"])
    if with_states and "numpy" in states_ and "numpy" in sys.modules:
        sys.modules["numpy"].random.set_state(states_["numpy"])
