#!/usr/bin/env python3
"""fetch_sources.py LIST TARGET: the source packages of LIST, checked against their hashes, unpacked below TARGET.

Run with the Python of an environment that has pip: pip's own finder and downloader get them, from whatever index pip is
configured with; nothing of a package is run. `pip download` would run each package's build backend for its metadata.
"""
import hashlib
import inspect
import sys
import tarfile
from pathlib import Path

import pip._internal.req  # first: newer ones of pip import it and the downloader in a circle
from pip._internal.commands import create_command
from pip._internal.network.download import Downloader

ENDINGS = (".py", ".csv", ".txt", ".dat", ".json", ".npz")


def wanted(path):
    """Of an archive: examples and the modules whose docstrings are examples."""
    return path.endswith(ENDINGS) and any(part in path for part in ("/examples/", "/pandas/core/", "/plotly/"))


def main():
    target = Path(sys.argv[2])
    lines = [line.split() for line in Path(sys.argv[1]).read_text().splitlines() if line and not line.startswith("#")]
    done = target / ("fetched-" + hashlib.sha256(repr(lines).encode()).hexdigest()[:16])
    if done.exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    command = create_command("download")
    options, _ = command.parse_args(["--no-deps", "--no-binary", ":all:", "--no-input", "x"])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)
        resumes = {"resume_retries": 2} if "resume_retries" in inspect.signature(Downloader).parameters else {}  # pip 25.1
        download = Downloader(session, "off", **resumes)
        for requirement, wanted_hash in lines:
            name, version = requirement.split("==")
            links = [c.link for c in finder.find_all_candidates(name) if str(c.version) == version and not c.link.is_wheel]
            if not links:
                sys.exit(f"no source package of {requirement} in pip's index")
            path, _ = download(links[0], str(target))
            digest = "sha256:" + hashlib.sha256(Path(path).read_bytes()).hexdigest()
            if digest != wanted_hash:
                sys.exit(f"{requirement}: {digest} is not {wanted_hash}")
            with tarfile.open(path) as archive:
                members = [m for m in archive.getmembers() if m.isfile() and wanted("/" + m.name)]
                archive.extractall(target, members=members)
            Path(path).unlink()
    done.touch()


if __name__ == "__main__":
    main()
