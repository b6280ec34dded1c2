"""Fetches one package for one session: python -I -c <this> REQUIREMENT DIRECTORY INDEX MOST_BYTES.

The wheels that the environment does not have yet come to DIRECTORY/wheels. Wheels only, so nothing of a package runs; they are
unpacked inside the session's sandbox. The environment's packages keep their versions. Last line of the output, JSON:
{"wheels": [file names], "installed": [{"name", "version"}], "already": "name version" or null}; with exit code 1 a sentence why not.
As root it becomes the user nobody before anything is read from the index; its process group is its own.
"""
import importlib.metadata as metadata
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

requirement, directory, index, most = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
constraints, report, wheels = directory / "constraints.txt", directory / "report.json", directory / "wheels"
NOBODY = 65534


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def become_nobody():
    os.setpgid(0, 0)
    os.environ["HOME"] = str(directory)
    if os.getuid() == 0:
        for path in (directory, wheels):
            os.chown(path, NOBODY, NOBODY)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def pip(command, *arguments):
    line = [sys.executable, "-I", "-m", "pip", command, "--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--quiet",
            "--cache-dir", str(directory / "cache"), "--progress-bar", "off", "--retries", "1", "--timeout", "20", *arguments]
    if os.path.isdir(index):
        line += ["--no-index", "--find-links", index]
    elif index:
        line += ["--index-url", index]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        if "File too large" in done.stderr or "Errno 27" in done.stderr:
            refuse(f"it is larger than {most >> 20} MB")
        lines = [text for text in done.stderr.splitlines() if "ERROR" in text] or done.stderr.splitlines()[-1:] or ["pip failed"]
        refuse(re.sub(r"://[^/@\s]*@", "://***@", " ".join(lines))[:1000])


def refuse(text):
    sys.exit(text.replace(str(directory), "."))


def main():
    os.umask(0o022)
    wheels.mkdir()
    base = {plain(dist.name): dist.version for dist in metadata.distributions() if dist.name and dist.version}
    become_nobody()
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(base.items())))
    pip("install", "--dry-run", "--report", str(report), "-c", str(constraints), requirement)
    chosen = [(item["metadata"]["name"], item["metadata"]["version"]) for item in json.loads(report.read_text())["install"]]
    chosen = [(name, version) for name, version in chosen if plain(name) not in base]
    if chosen:
        pip("download", "--no-deps", "--dest", str(wheels), *[f"{name}=={version}" for name, version in chosen])
    names = sorted(path.name for path in wheels.iterdir())
    size = sum((wheels / name).stat().st_size for name in names)
    if size > most:
        refuse(f"with what it needs it has {size / 1e6:.0f} MB; {most >> 20} MB are allowed")
    wanted = plain(re.match(r"[A-Za-z0-9._-]+", requirement).group())
    already = f"{wanted} {base[wanted]}" if wanted in base else None
    print(json.dumps({"wheels": names, "installed": [{"name": n, "version": v} for n, v in chosen], "already": already}))


main()
