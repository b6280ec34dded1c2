"""Between cells: the kernel is copied (frame Checkpoint); and the copy becomes the kernel (frame Resume)."""
import ast
import json
import os
import selectors
import sys
import threading
import types

import _power
from power_kernel import names, packages

CHECKPOINTED, RESUMED = 20, 22
MOST_NAMES = 50


def take(session):
    """Returns in the kernel at once, in the copy when it has become the kernel."""
    outcome, *facts = _power.checkpoint()
    if outcome == "resumed":
        resumed(session, json.loads(facts[0]), facts[1])
    elif outcome == "taken":
        send(CHECKPOINTED, ok=True, count=session.count, us=facts[0])
    else:
        send(CHECKPOINTED, ok=False, count=session.count, reason=reason(facts[0]))


def send(kind, **fields):
    _power.send(kind, json.dumps(fields).encode("utf-8", "replace"), b"")


def reason(text):
    """Threads that Python knows are named."""
    main = threading.main_thread()
    found = sorted({str(thread.name)[:60] for thread in threading.enumerate() if thread is not main})
    return f"{text} ({', '.join(found[:5])})" if found else text


def resumed(session, meta, blob):
    threading.current_thread()._set_native_id()
    renew_loop(session)
    packages.settle()
    gone, older = [], []
    text, at = blob.decode("utf-8", "replace"), 0
    for size in meta.get("sizes", ()):
        for name in touched(session, text[at : at + size]):
            value = session.namespace.get(name, names)
            if name in gone or name in older or name[:1] == "_":
                continue
            if value is names:
                gone.append(name)
            elif not isinstance(value, types.ModuleType) and names.START.get(name, names) is not value:
                older.append(name)
        at += size
    done = {"count": session.count, "gone": gone[:MOST_NAMES], "older": older[:MOST_NAMES]}
    names.describe(session.namespace, done)
    send(RESUMED, **done)


def renew_loop(session):
    """Its selector and the pipe that wakes it were shared with the kernel that is gone."""
    loop = session.loop
    if loop is None or loop.is_closed():
        return
    try:
        old = loop._selector
        watched = [key for key in old.get_map().values() if key.fileobj is not loop._ssock]
        fresh = selectors.DefaultSelector()
        for key in watched:
            fresh.register(key.fileobj, key.events, key.data)
        loop._ssock.close()
        loop._csock.close()
        loop._internal_fds -= 1
        old.close()
        loop._selector = fresh
        loop._make_self_pipe()
    except Exception:
        session.loop = None


def root(node):
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


class Names(ast.NodeVisitor):
    """Names that the statements of a cell bind, or whose objects they seem to change; functions are not looked into."""

    def __init__(self):
        self.found = []

    def add(self, name):
        if name and name not in self.found:
            self.found.append(name)

    def definition(self, node):
        self.add(node.name)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = definition

    def visit_Lambda(self, node):
        pass

    def visit_Name(self, node):
        if not isinstance(node.ctx, ast.Load):
            self.add(node.id)

    def visit_Attribute(self, node):
        if not isinstance(node.ctx, ast.Load):
            self.add(root(node))
        self.generic_visit(node)

    visit_Subscript = visit_Attribute

    def visit_alias(self, node):
        self.add((node.asname or node.name).split(".")[0])

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
            self.add(root(node.value.func))  # list.append(), frame.drop(inplace=True)
        self.generic_visit(node)

    def comprehension(self, node):
        pass  # its variables are its own

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = comprehension


def touched(session, source):
    try:
        tree, _ = session.parse(source, "<cell lost>")
    except (SyntaxError, ValueError, RecursionError):
        return []
    names_ = Names()
    try:
        names_.visit(tree)
    except RecursionError:
        pass
    return [name for name in names_.found if name not in names.HIDDEN]
