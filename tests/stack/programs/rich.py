# A table, markup and a traceback on a console of a known width.
import io

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.tree import Tree

out = io.StringIO()
console = Console(file=out, width=40, force_terminal=False)
table = Table(title="Prices")
table.add_column("item")
table.add_column("price", justify="right")
table.add_row("apple", "1.20")
console.print(table)
console.print("[bold red]warning[/] done")
tree = Tree("root")
tree.add("leaf")
console.print(tree)
console.print(Markdown("# Title\n* one"))
text = out.getvalue()
assert "│ apple │  1.20 │" in text and "warning done" in text and "└── leaf" in text and "• one" in text
assert max(len(line) for line in text.splitlines()) <= 40
Console().print(table)
print("stack ok")
