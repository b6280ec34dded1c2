"""One cell: parse (IPython only when plain Python fails), run, display the last value, tell how it ended."""
import __future__
import ast
import asyncio
import inspect
import re
import sys
import textwrap
import time

import _power
from power_kernel import display, figures, hints, jsonsafe, names, reasons, shell as ipython, streams, tracebacks

FUTURES = 0
for _name in __future__.all_feature_names:
    FUTURES |= getattr(__future__, _name).compiler_flag
PARSE = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
FENCE = re.compile(r"\s*```[ \t]*([A-Za-z0-9_+-]*)[ \t]*\n(.*?)\n?[ \t]*```\s*", re.S)
KEPT_OUT = 16
KEPT_IN = 1000
MAX_INLINE_RESULT = 24_000


class Session:
    """The state of one kernel's Python: namespace, counters, event loop."""

    def __init__(self, shell):
        self.namespace = sys.modules["__main__"].__dict__
        self.shell = shell
        self.count = 0
        self.flags = 0
        self.loop = None
        self.inputs = [""]
        self.outputs = {}
        self.last = None

    def start(self):
        self.namespace.update(names.START)
        self.namespace.update(
            __name__="__main__", In=self.inputs, Out=self.outputs, SANDBOX_DIR="", RESULT=None, _="", __="", ___=""
        )
        for name in ("exit", "quit", "open", "_ih", "_oh", "_dh", "_i", "_ii", "_iii"):
            self.namespace.pop(name, None)

    # -- parsing -----------------------------------------------------------------------------------------------

    def parse(self, source, name):
        """(tree, text that runs). Raises SyntaxError."""
        fence = FENCE.fullmatch(source)
        if fence:
            source = fence.group(2)
        try:
            return self.tree(source, name), source
        except SyntaxError as error:
            for changed in self.readings(source):
                if changed == source:
                    continue
                try:
                    return self.tree(changed, name), changed
                except SyntaxError as again:
                    # The line numbers of a cell with magics are those of its transformed text.
                    if "get_ipython()" in changed and "get_ipython()" not in source:
                        raise again from None
            raise error from None

    def tree(self, source, name):
        tracebacks.remember(name, source)
        return compile(source, name, "exec", PARSE | self.flags, dont_inherit=True)

    def readings(self, source):
        yield textwrap.dedent(source)
        if self.shell is not None:
            try:
                yield self.shell.input_transformer_manager.transform_cell(source)
            except SyntaxError:
                pass

    # -- running -----------------------------------------------------------------------------------------------

    def compiled(self, tree, name):
        """(code of the statements or None, code of the last expression or None)."""
        body, last = tree.body, None
        if body and isinstance(body[-1], ast.Expr):
            last = ast.Expression(body.pop().value)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | self.flags
        statements = None
        if body:
            statements = compile(tree, name, "exec", flags, dont_inherit=True)
            flags |= statements.co_flags & FUTURES
            self.flags |= statements.co_flags & FUTURES
        expression = compile(last, name, "eval", flags, dont_inherit=True) if last else None
        return statements, expression

    def call(self, code):
        if code.co_flags & inspect.CO_COROUTINE:
            return self.wait_for(eval(code, self.namespace))
        return eval(code, self.namespace)

    def wait_for(self, coroutine):
        if self.loop is None or self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        task = self.loop.create_task(coroutine)
        try:
            return self.loop.run_until_complete(task)
        except KeyboardInterrupt:
            if not task.done() and not _power.was_hard():
                task.cancel()
                self.loop.run_until_complete(asyncio.wait({task}, timeout=0.5))
            elif not task.done():
                self.loop = None
            raise

    def show(self, value):
        if value is None:
            return
        space = self.namespace
        if space.get("_") is self.last or space.get("_") == "":
            space["___"], space["__"], space["_"] = space.get("__"), space.get("_"), value
            self.last = value
        self.outputs[self.count] = value
        while len(self.outputs) > KEPT_OUT:
            self.outputs.pop(next(iter(self.outputs)))
        display.show(value, "result")

    def body(self, source, name, silent):
        tree, text = self.parse(source, name)
        statements, expression = self.compiled(tree, name)
        if self.shell is not None:
            if "get_ipython" in text:
                self.shell.execution_count = self.count
            if ipython.has_callbacks(self.shell):
                ipython.run_callbacks(self.shell, ("pre_execute", "pre_run_cell"), source)
        if statements is not None:
            self.call(statements)
        if expression is not None:
            value = self.call(expression)
            if not silent and not text.rstrip().endswith(";"):
                self.show(value)

    def run(self, source, silent=False):
        """The Done frame's fields and the traceback text."""
        source = source.replace("\r\n", "\n").replace("\r", "\n")
        if not silent:
            self.count += 1
            self.inputs.append(source)
            if len(self.inputs) > KEPT_IN:
                self.inputs[len(self.inputs) - KEPT_IN] = ""
        name = f"<cell {self.count}>" if not silent else "<cell silent>"
        self.namespace["RESULT"] = None
        done, trace = {"status": "ok"}, ""
        try:
            try:
                _power.begin_cell()
                self.body(source, name, silent)
            finally:
                _power.end_cell()
        except SystemExit as error:
            done.update(self.exited(error))
        except BaseException as error:
            done["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
            trace = tracebacks.text(error)
            done["error"] = {"name": type(error).__name__[:200], "value": tracebacks.message(error)}
            number = tracebacks.line(error)
            if number:
                done["error"]["line"] = number
            hint = self.hint(error, source)
            if hint:
                done["error"]["hint"] = hint
            done["error"].update(self.reason(error))
            error.__traceback__ = None  # its frames hold the cell's data
        done["hard"] = _power.was_hard()
        if self.shell is not None and done["status"] != "interrupted" and ipython.has_callbacks(self.shell):
            ipython.run_callbacks(self.shell, ("post_execute", "post_run_cell"), source)
        self.end_figures(done["status"])
        done["count"] = self.count
        names.describe(self.namespace, done)
        blob = self.add_result(done)
        return done, trace.encode("utf-8", "replace") or blob

    def hint(self, error, source):
        try:
            return hints.for_error(error, source)
        except Exception:
            return None

    def reason(self, error):
        try:
            return reasons.of(error, self.namespace) or {}
        except Exception:
            return {}

    def exited(self, error):
        code = error.code
        if code is None or isinstance(code, int):
            return {"status": "exit", "code": int(code or 0) if abs(int(code or 0)) < 2**31 else 1}
        print(code, file=sys.stderr)
        return {"status": "exit", "code": 1}

    def end_figures(self, status):
        """Interruptible too: drawing can take long. After an interrupt only what is drawn at once is kept."""
        if not figures.open_figures():
            return
        deadline = time.monotonic() + 0.3 if status == "interrupted" else None
        try:
            try:
                _power.begin_cell()
                figures.capture_open(deadline)
            finally:
                _power.end_cell()
        except BaseException:
            display.note("Drawing of the open figures was interrupted.")
        figures.close_all()

    def add_result(self, done):
        """RESULT as JSON: in the frame when small, else as the blob of a run without a traceback."""
        value = self.namespace.get("RESULT")
        if value is None:
            return b""
        try:
            text = jsonsafe.dumps(value)
        except Exception as error:
            display.note(f"RESULT could not be converted to JSON: {error!r}")
            return b""
        if len(text.encode()) <= MAX_INLINE_RESULT:
            done["result"] = text
            return b""
        if done["status"] == "ok" and len(text) < 16 << 20:
            done["result_in_blob"] = True
            return text.encode()
        display.note("RESULT was left out: too big.")
        return b""
