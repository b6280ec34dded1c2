# Tables as text in several styles.
import pandas as pd
from tabulate import tabulate

rows = [["apple", 1.2], ["pear", 30]]
assert tabulate(rows, headers=["item", "price"], tablefmt="github").splitlines()[0] == "| item   |   price |"
grid = tabulate(rows, tablefmt="grid").splitlines()
assert len(grid) == 5 and grid[0] == "+-------+------+"
assert "<td>apple" in tabulate(rows, tablefmt="html")
frame = pd.DataFrame(rows, columns=["item", "price"])
assert frame.to_markdown(index=False).splitlines()[2] == "| apple  |     1.2 |"
print("stack ok")
