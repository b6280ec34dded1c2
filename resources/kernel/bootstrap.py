"""Makes the embedded files importable as power_kernel.<name>. SOURCES is given by Interpreter.cpp."""
import sys
import types
from importlib.machinery import ModuleSpec


class Embedded:
    """Finder and loader in one. Files are called <power/...>: tracebacks and the hard interrupt skip them."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("power_kernel.") and name[13:] in SOURCES:
            return ModuleSpec(name, Embedded, origin=f"<power/{name[13:]}.py>")
        return None

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        name = module.__name__[13:]
        exec(compile(SOURCES[name], f"<power/{name}.py>", "exec"), module.__dict__)


class Tools:
    """`import power` of user code, when the session has no file of that name."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "power":
            return None
        from power_kernel import tools

        return ModuleSpec(name, tools.Loader, origin="the server")


package = types.ModuleType("power_kernel")
package.__path__ = []
sys.modules["power_kernel"] = package
sys.meta_path.insert(0, Embedded)
sys.meta_path.append(Tools)
