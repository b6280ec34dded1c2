"""Installs EXTRA_REQUIREMENTS beside the environment of the sessions: python -I -c <this> REQUIREMENTS DIRECTORY INDEX STAMP.

Wheels only, so nothing of a package runs while it is installed. The environment's own packages keep their versions. Last line
of the output: what was installed, or (exit code 1) why not. DIRECTORY/site is what sessions see; it changes in one step.
"""
import importlib.metadata as metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

requirements, directory, index, stamp = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
fresh, site, old = directory / "next", directory / "site", directory / "old"
PROBE = "import os, {0}; print(len(os.listdir('/proc/self/task')))"


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pip(base):
    constraints = directory / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(base.items())))
    command = [sys.executable, "-I", "-m", "pip", "install", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check",
               "--progress-bar", "off", "--retries", "2", "--timeout", "20", "--target", str(fresh), "-c", str(constraints), "-r", requirements]
    if os.path.isdir(index):
        command += ["--no-index", "--find-links", index]
    elif index:
        command += ["--index-url", index]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()[-1:] or ["pip failed"]
        sys.exit(re.sub(r"://[^/@\s]*@", "://***@", " ".join(lines))[:1000])


def modules(dist):
    tops = {path.parts[0] for path in dist.files or () if path.suffix in (".py", ".so") and ".." not in path.parts}
    return sorted({top.split(".")[0] for top in tops if top.split(".")[0].isidentifier() and top.split(".")[0] != "bin"})


def is_safe(module):
    """One thread after the import: a zygote may have it."""
    env = {**os.environ, "PYTHONPATH": str(fresh), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run([sys.executable, "-c", PROBE.format(module)], env=env, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and done.stdout.split()[-1:] == ["1"]


def main():
    os.umask(0o022)
    directory.chmod(0o755)
    base = {plain(dist.name): dist.version for dist in metadata.distributions() if dist.name and dist.version}
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    pip(base)
    wanted = {plain(match.group()) for match in (re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line.strip()) for line in open(requirements)) if match}
    installed, joins = [], []
    for dist in list(metadata.distributions(path=[str(fresh)])):
        if plain(dist.name) in base:  # the environment has it already
            for path in dist.files or ():
                if ".." not in path.parts:
                    (fresh / path).unlink(missing_ok=True)
            continue
        installed.append(f"{dist.name} {dist.version}")
        if plain(dist.name) in wanted and len(joins) < 20:
            joins += [module for module in modules(dist) if is_safe(module)]
    (fresh / ".zygote-imports").write_text("\n".join(joins))
    shutil.rmtree(old, ignore_errors=True)
    if site.exists():
        site.rename(old)
    fresh.rename(site)
    shutil.rmtree(old, ignore_errors=True)
    (directory / "stamp").write_text(stamp)
    print(", ".join(sorted(installed)) or "nothing that was not there already")


main()
