# Figures built, written as HTML and JSON, and read again.
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
import plotly.io as pio
from plotly.subplots import make_subplots

frame = pd.DataFrame({"month": ["Jan", "Feb", "Mar"] * 2, "amount": [3, 5, 4, 1, 2, 6], "shop": ["n"] * 3 + ["s"] * 3})
fig = px.bar(frame, x="month", y="amount", color="shop", title="Sales")
assert [trace.name for trace in fig.data] == ["n", "s"]
assert list(fig.data[1].y) == [1, 2, 6]

again = pio.from_json(fig.to_json())
assert again.layout.title.text == "Sales" and list(again.data[0].x) == ["Jan", "Feb", "Mar"]

fig.write_html("sales.html", include_plotlyjs=True)
text = open("sales.html", encoding="utf-8").read()
assert "Plotly.newPlot" in text and len(text) > 1_000_000

both = make_subplots(rows=1, cols=2)
both.add_trace(go.Scatter(x=[1, 2], y=[3, 4]), row=1, col=1)
both.add_trace(go.Pie(labels=["a", "b"], values=[1, 3]), row=None, col=None)
assert len(both.data) == 2 and both.data[0].xaxis == "x"
print("stack ok")
