"""IPython as a toolbox: input transformation, magics, display formatters, get_ipython(). It runs no cells."""
import builtins
import subprocess
import sys
import tempfile
import types

import _power
from power_kernel import display, tracebacks


def create(namespace):
    """The InteractiveShell over __main__, made in the zygote; None where IPython is missing."""
    try:
        from IPython.core.displaypub import DisplayPublisher
        from IPython.core.error import UsageError
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config
    except ImportError:
        display.install_plain()
        return None

    class Publisher(DisplayPublisher):
        def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **_):
            display.publish("update" if update else "display", data)

        def clear_output(self, wait=False):
            pass

    class Shell(InteractiveShell):
        def system(self, command):
            _power.mark("o")  # the command writes to the pipe itself
            self.user_ns["_exit_code"] = subprocess.call(self.var_expand(command, depth=1), shell=True)

        system_raw = system_piped = system

        def showtraceback(self, *_, **__):
            print(tracebacks.text(sys.exc_info()[1]), file=sys.stderr, end="")

        def enable_gui(self, gui=None):
            pass

        def enable_matplotlib(self, gui=None):
            return "inline", "Agg"

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.display_page = False
    config.InteractiveShell.separate_in = ""
    # IPython wants a directory for profiles, which no session has use for; it takes no setting for it, only an argument.
    with tempfile.TemporaryDirectory(prefix="power-kernel-") as place:
        shell = Shell.instance(ipython_dir=place, config=config, user_module=sys.modules["__main__"], user_ns=namespace)
    shell.display_pub = Publisher(parent=shell)
    # Everything a value can show is offered; the server chooses.
    shell.display_formatter.active_types = shell.display_formatter.format_types

    def show_in_pager(_, text, start=0, screen_lines=0, pager_cmd=None):
        if isinstance(text, dict):
            text = text.get("text/plain", "")
        print(tracebacks.ANSI.sub("", text))

    shell.set_hook("show_in_pager", show_in_pager, 0)

    def no_install(*_):
        raise UsageError("Nothing can be installed in a session; the common analytics packages are there already.")

    for name in ("pip", "conda", "mamba", "micromamba"):
        shell.register_magic_function(no_install, "line", name)

    from IPython.display import display as show

    def display_any(*values, **options):
        """IPython's display(); figures become charts with a file."""
        from power_kernel import figures

        for value in values:
            if figures.is_figure(value):
                figures.capture(value)
            else:
                show(value, **options)

    builtins.display = display_any
    builtins.get_ipython = lambda: shell
    display.Current.shell = shell
    # Loads lazily made parts once, for all kernels.
    shell.display_formatter.format({"a": 1})
    shell.input_transformer_manager.transform_cell("%time 1\n")
    return shell


def has_callbacks(shell):
    return any(shell.events.callbacks.values())


def run_callbacks(shell, events, source):
    """Extensions such as autoreload hang on IPython's events."""
    for event in events:
        for call in list(shell.events.callbacks.get(event, ())):
            try:
                if event.endswith("_run_cell"):
                    call(types.SimpleNamespace(raw_cell=source, silent=False, store_history=False))
                else:
                    call()
            except Exception as error:
                print(f"A callback for {event} failed: {error!r}", file=sys.stderr)
