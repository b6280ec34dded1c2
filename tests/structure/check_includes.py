#!/usr/bin/env python3
"""The dependency rule of the design as a check: which folder may include which. Exit 1 names every wrong edge."""
import re
import sys
from pathlib import Path

# folder -> what it may include besides itself; a name stands for the folder and for what that folder may include of
# these foundations too: base and config are open to everyone above them.
ALLOWED = {
    "wire": set(),
    "api": set(),
    "base": set(),
    "config": {"base"},
    "storage": {"base", "config"},
    "net": {"base", "config"},
    "http": {"base", "config"},
    "workspace": {"base", "config"},
    "sandbox": {"wire"},
    "kernel": {"wire", "sandbox"},
    "supervisor": {"base", "wire", "workspace"},
    "access": {"base", "storage", "net", "api"},
    "files": {"base", "workspace", "storage", "net", "supervisor"},
    "sessions": {"base", "supervisor", "workspace", "files", "storage"},
    "jobs": {"base", "net", "supervisor", "workspace", "files", "storage", "sessions"},
    "datasets": {"base", "supervisor", "workspace", "files", "storage", "sessions"},
    "operations": {"base", "net", "workspace", "supervisor", "files", "sessions", "jobs", "datasets", "access"},
    "doors": {"base", "operations", "http", "access"},
    "mcp": {"base", "operations", "http", "access", "doors"},
    "rest": {"base", "operations", "http", "access", "doors"},
    "downloads": {"base", "operations", "http", "files", "doors", "workspace"},
    "uploads": {"base", "workspace", "operations", "http", "doors"},
    "app": None,  # all
}
ADAPTERS = {"doors", "mcp", "rest", "downloads", "uploads", "http", "operations"}
SQL = re.compile(r"\bQSql(Query|Database)\b")


def folder_files(root):
    for top in ("server", "shared"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".h", ".cpp"):
                yield path.relative_to(root / top).parts[0], path


def main():
    root = Path(sys.argv[1])
    problems, edges = [], 0
    for folder, path in folder_files(root):
        if folder not in ALLOWED:
            problems.append(f"{path}: folder {folder} is not in the rule; add it to the design first")
            continue
        text = path.read_text()
        for target in re.findall(r'#include "([a-z]+)/', text):
            if target == folder or target not in ALLOWED:
                continue
            edges += 1
            allowed = ALLOWED[folder]
            if allowed is not None and target not in allowed:
                problems.append(f"{path.relative_to(root)}: {folder} may not include {target}")
        if folder in ADAPTERS and SQL.search(text):
            problems.append(f"{path.relative_to(root)}: SQL belongs beside its service, not in {folder}")
    print(f"{edges} edges between folders checked")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
