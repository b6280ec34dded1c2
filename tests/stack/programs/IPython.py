# Rich display and magics where a shell is there; formatting without one.
from IPython import get_ipython
from IPython.core.formatters import DisplayFormatter
from IPython.display import HTML, Markdown, display

assert HTML("<b>x</b>")._repr_html_() == "<b>x</b>"
data, _ = DisplayFormatter().format(Markdown("# hello"))
assert data["text/markdown"] == "# hello"
display({"a": 1})
shell = get_ipython()
if shell is not None:
    assert shell.run_line_magic("pwd", "").startswith("/")
    assert shell.getoutput("echo 42") == ["42"]
print("stack ok")
