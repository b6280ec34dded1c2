"""The kernel that Jupyter's side runs: ipykernel of the running Python with the libraries of the sessions."""
import json
import os
import subprocess
import sys
from pathlib import Path


def prepare(python_env, place):
    """The kernel spec `compat` in the directory `place`, which becomes Jupyter's home; BLAS and OpenMP have one thread."""
    python = python_env + "/bin/python" if python_env else "/usr/bin/python3"
    paths = subprocess.run([python, "-c", "import sys; print(':'.join(p for p in sys.path if p.endswith('-packages')))"],
                           check=True, capture_output=True, text=True).stdout.strip()
    spec = Path(place, "kernels", "compat")
    spec.mkdir(parents=True)
    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")}
    spec.joinpath("kernel.json").write_text(json.dumps({
        "argv": [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "compat", "language": "python",
        "env": {"PYTHONPATH": paths, "HOME": place, "PLOTLY_RENDERER": "plotly_mimetype", "COLUMNS": "80", **one}}))
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_PATH", "MPLCONFIGDIR"):
        os.environ[name] = place
