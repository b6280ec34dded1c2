#!/usr/bin/env python3
"""Exports a session and runs it in Jupyter: notebook.py [PYTHON_ENV]; the server's address is in POWER_URL.

The notebook must be valid, hold the outputs the session showed (figures as PNG), and give the same results when nbclient
runs it in ipykernel with the session's libraries; the exported script must run in plain Python.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import nbformat
from nbclient import NotebookClient

URL = os.environ["POWER_URL"]
PYTHON = sys.argv[1] + "/bin/python" if len(sys.argv) > 1 else "/usr/bin/python3"
CELLS = [
    "open('in.csv', 'w').write('x,y\\n1,2\\n3,4\\n')\nprint('caf\u00e9', chr(0) == '\\0')",
    "df = pd.read_csv('in.csv')\ndf",
    "plt.plot(df.x, df.y)\nplt.title('points')\nplt.show()",
    "import sys\nprint('to stderr', file=sys.stderr)\nnp.arange(3) * 2",
    "undefined_name",
    "```python\nprint('fenced')\n```",
    "%time total = df.y.sum()\n!echo from the shell",
    "import power\nlen(power.files()) > 0, len(power.load('in.csv')), int(power.query('select sum(x) as s from df').s[0])",
    "loaded = __import__(\"power_kernel.tableload\", fromlist=[\"load_dataset\"]).load_dataset(\"/app/sandbox_data/nb/in.csv\")\nlen(loaded)",
    "import asyncio\nawait asyncio.sleep(0)\nint(total)",
    "from IPython.display import HTML, JSON\ndisplay(HTML('<b>bold</b>'))\ndisplay(JSON({'a': [1]}))",
]


def call(method, path, body=None):
    request = urllib.request.Request(URL + path, method=method, headers={"Content-Type": "application/json"},
                                     data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def texts(cell):
    """What a reader sees of a cell's outputs, without what may differ (times, addresses)."""
    seen = []
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream":
            seen += [line for line in output["text"].splitlines() if "time" not in line.lower()]
        elif output["output_type"] == "error":
            seen.append(output["ename"] + output["evalue"])
        elif "image/png" in output["data"]:
            seen.append("picture")
        else:
            seen.append(output["data"].get("text/plain"))
    return seen


def export(kind):
    answer = json.loads(call("POST", "/api/sessions/nb/export", {"format": kind}))
    assert answer["runs"] == len(CELLS) + 1, answer
    return call("GET", answer["download_url"].removeprefix(URL))


def main():
    for code in CELLS:
        answer = json.loads(call("POST", "/api/execute", {"code": code, "session_id": "nb"}))
        assert answer["success"] or "undefined" in code, answer
    call("POST", "/api/execute", {"code": "sum(given['list'])", "session_id": "nb", "context": {"given": {"list": [1, 2, 3]}}})

    notebook = nbformat.reads(export("ipynb").decode(), as_version=4)
    nbformat.validate(notebook)
    mine = notebook.cells[2:]
    assert [cell.source for cell in mine][:2] == CELLS[:2]
    assert texts(mine[2]) == ["picture"], mine[2]
    picture = next(o for o in mine[2].outputs if "image/png" in o.get("data", {}))
    assert base64.b64decode(picture["data"]["image/png"]).startswith(b"\x89PNG")
    assert mine[1].metadata.power.inputs[0].path == "in.csv" and len(mine[1].metadata.power.inputs[0].sha256) == 64

    with tempfile.TemporaryDirectory() as place:
        # The session's libraries for ipykernel: an environment of its own, as a user's Jupyter would have them installed.
        paths = subprocess.run([PYTHON, "-c", "import sys; print(':'.join(p for p in sys.path if p.endswith('-packages')))"],
                               check=True, capture_output=True, text=True).stdout.strip()
        os.environ["PYTHONPATH"] = paths
        os.environ["IPYTHONDIR"] = os.environ["JUPYTER_CONFIG_DIR"] = os.environ["JUPYTER_RUNTIME_DIR"] = place
        spec = Path(place, "kernels", "python3")
        spec.mkdir(parents=True)
        spec.joinpath("kernel.json").write_text(json.dumps({
            "argv": [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3", "language": "python"}))
        os.environ["JUPYTER_PATH"] = place
        work = Path(place, "work")
        work.mkdir()
        before = [texts(cell) for cell in mine]
        NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(work)}}).execute()
        after = [texts(cell) for cell in notebook.cells[2:]]
        for code, ours, theirs in zip(CELLS + ["sum(...)"], before, after):
            assert ours == theirs, (code, ours, theirs)
        assert after[-1] == ["6"], after[-1]

        script = Path(place, "exported.py")
        script.write_bytes(export("py"))
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"MPLBACKEND": "Agg"}
        ran = subprocess.run([PYTHON, str(script)], cwd=work, env=env, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert "caf\u00e9" in ran.stdout and "fenced" in ran.stdout, ran.stdout
    print(f"{len(notebook.cells)} cells, the same in Jupyter")


if __name__ == "__main__":
    main()
