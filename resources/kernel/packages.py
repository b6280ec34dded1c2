"""Packages of this session alone: wheels that the server fetched (install_package), unpacked here, inside the sandbox."""
import importlib
import json
import os
import shutil
import sys
import zipfile

from power_kernel import figures

PLACE = ".packages"  # in the session's directory: it lives and counts as the session's files do, and lists leave it out


def site():
    return os.path.join(figures.workspace, PLACE, "site")


def settle():
    """What is there can be imported: behind everything else, so that the environment's own packages win."""
    path = site()
    if path not in sys.path and os.path.isdir(path):
        sys.path.append(path)


def place_of(name):
    """Where a member of a wheel goes, relative to the site; None: nowhere (scripts, headers, data)."""
    parts = name.split("/")
    if name.endswith("/") or name.startswith("/") or ".." in parts or "\\" in name:
        return None
    if parts[0].endswith(".data"):
        return "/".join(parts[2:]) if parts[1:2] in (["purelib"], ["platlib"]) else None
    return name


def unpack(path, target, left):
    """Bytes still allowed after the wheel."""
    with zipfile.ZipFile(path) as wheel:
        for member in wheel.infolist():
            inner = place_of(member.filename)
            if inner is None:
                continue
            left -= member.file_size
            if left < 0:
                raise ValueError("unpacked it is larger than the session may have")
            place = os.path.join(target, inner)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with wheel.open(member) as source, open(place, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
    return left


def tops(target):
    names = {name.split(".")[0] for name in os.listdir(target) if not name.endswith((".dist-info", ".libs", ".data"))}
    return sorted(name for name in names if name.isidentifier() and name != "__pycache__")


def install(session, meta):
    """{"modules": what can be imported, "loaded": modules that are loaded in an older version}."""
    incoming = os.path.join(figures.workspace, PLACE, "incoming")
    fresh = os.path.join(figures.workspace, PLACE, "next")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        left = int(meta["most_bytes"])
        for name in meta["wheels"]:
            left = unpack(os.path.join(incoming, name), fresh, left)
        modules = tops(fresh)
        os.makedirs(site(), exist_ok=True)
        for name in os.listdir(fresh):
            kept = os.path.join(site(), name)
            if os.path.isdir(kept) and os.path.isdir(os.path.join(fresh, name)) and name.endswith(".libs"):
                shutil.copytree(os.path.join(fresh, name), kept, dirs_exist_ok=True)
                continue
            if os.path.isdir(kept):
                shutil.rmtree(kept)
            os.replace(os.path.join(fresh, name), kept)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(incoming, ignore_errors=True)
    settle()
    importlib.invalidate_caches()
    return json.dumps({"modules": modules, "loaded": [name for name in modules if name in sys.modules]}).encode()
