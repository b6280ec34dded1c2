"""Which scripts, and their cells. The rule of selection (README.md) is select(); its result is committed as scripts.txt.

`python3 scripts.py SOURCES` prints the list.
"""
import ast
import doctest
import re
import sys
from pathlib import Path

# Needs a network: a function that loads from one, an address of a data file.
NETWORK = re.compile(r"fetch_|load_dataset|get_rdataset|urlopen|urlretrieve|requests|pooch|data_?reader|webuse|openml"
                     r"|https?://\S+\.(csv|zip|dta|json|gz|xls)", re.IGNORECASE)
# Needs a window, a browser, TeX, ffmpeg or an event loop of a window system.
WINDOW = re.compile(r"\b(gtk\d?|PyQt\d|qt\w*agg|tkinter|wx|pgf|usetex|FuncAnimation|ArtistAnimation|ffmpeg|webagg|nbagg)\b"
                    r"|animation\.|Slider|Button")
GALLERIES = {  # source package: (directory of scripts, every n-th of those that qualify)
    "matplotlib": ("galleries/examples", 5),
    "seaborn": ("examples", 1),
    "scikit-learn": ("examples", 4),
    "statsmodels": ("examples/python", 2),
}
DOCSTRINGS = {  # source package: (modules, least number of examples in a docstring, every n-th)
    "pandas": (("core/frame", "core/series", "core/generic", "core/indexes/base", "core/groupby/groupby",
                "core/groupby/generic", "core/strings/accessor", "core/reshape/pivot", "core/reshape/merge",
                "core/reshape/concat", "core/indexes/multi"), 6, 3),
    "plotly": (("_subplots", "figure_factory"), 4, 1),
}
PRELUDE = {"pandas": "import numpy as np\nimport pandas as pd", "plotly": "import plotly.io as pio"}


def root_of(sources, package):
    found = sorted(Path(sources).glob(package.replace("-", "[-_]") + "-*/"))
    if len(found) != 1:
        raise SystemExit(f"{package}: {len(found)} source packages in {sources}")
    return found[0]


def imports_of(text):
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def qualifies(text):
    """It parses, needs no network and no window, and imports nothing but what the environment is made for."""
    try:
        known = imports_of(text) <= set(sys.stdlib_module_names) | {"matplotlib", "mpl_toolkits", "numpy", "scipy", "pandas",
                                                                    "sklearn", "seaborn", "statsmodels", "PIL", "plotly", "joblib"}
    except SyntaxError:
        return False
    return known and not NETWORK.search(text) and not WINDOW.search(text)


def examples_of(path):
    """{name of a class or function: its docstring's examples} of a module."""
    found = {}

    def visit(node, name):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)) and not child.name.startswith("_"):
                inner = f"{name}.{child.name}".lstrip(".")
                try:
                    examples = doctest.DocTestParser().get_examples(ast.get_docstring(child) or "")
                except ValueError:
                    examples = []
                found[inner] = [example.source for example in examples]
                visit(child, inner)

    visit(ast.parse(path.read_text()), "")
    return found


def select(sources):
    """Names of the scripts: package/path, or package/module:name for a docstring."""
    names = []
    for package, (directory, step) in GALLERIES.items():
        base = root_of(sources, package) / directory
        names += [f"{package}/{path.relative_to(base)}"
                  for path in [p for p in sorted(base.rglob("*.py")) if qualifies(p.read_text())][::step]]
    for package, (modules, least, step) in DOCSTRINGS.items():
        base = root_of(sources, package) / package
        found = []
        for module in modules:
            paths = sorted((base / module).glob("*.py")) if (base / module).is_dir() else [base / f"{module}.py"]
            for path in paths:
                found += [f"{package}/{path.relative_to(base).with_suffix('')}:{name}" for name, cells in examples_of(path).items()
                          if len(cells) >= least and qualifies("".join(cells))]
        names += found[::step]
    return names


def cells_of(sources, name):
    """The cells of a script, as its authors show them: sphinx-gallery's blocks, jupytext's paragraphs, a docstring's examples."""
    package, path = name.split("/", 1)
    if package in DOCSTRINGS:
        module, function = path.split(":")
        return [PRELUDE[package], *examples_of(root_of(sources, package) / package / f"{module}.py")[function]]
    text = (root_of(sources, package) / GALLERIES[package][0] / path).read_text()
    if package == "statsmodels":
        blocks = re.split(r"\n\n(?=#)", text)
    else:
        blocks = re.split(r"^(?:# ?%%.*|#{20,})$", text, flags=re.MULTILINE)
    cells = []
    for block in blocks:
        if cells and not parses(cells[-1]):
            cells[-1] += "\n\n" + block
        elif re.search(r"^\s*[^#\s]", block, re.MULTILINE):
            cells.append(block)
    return cells


def parses(text):
    try:
        ast.parse(text)
        return True
    except SyntaxError:
        return False


if __name__ == "__main__":
    print("\n".join(select(sys.argv[1])))
