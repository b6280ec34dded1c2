# Statistical charts on a frame; what was drawn is read from the axes.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

rng = np.random.default_rng(0)
frame = pd.DataFrame({"group": ["a", "b", "c"] * 40, "x": rng.normal(size=120)})
frame["y"] = 2 * frame["x"] + 1

ax = sns.barplot(data=frame, x="group", y="x", errorbar=None)
heights = sorted(patch.get_height() for patch in ax.patches)
assert np.allclose(heights, sorted(frame.groupby("group")["x"].mean()))
plt.close("all")

ax = sns.regplot(data=frame, x="x", y="y", ci=None)
x, y = ax.lines[0].get_data()
assert abs((y[-1] - y[0]) / (x[-1] - x[0]) - 2) < 1e-9
plt.close("all")

ax = sns.heatmap(frame[["x", "y"]].corr(), annot=True)
assert [t.get_text() for t in ax.texts] == ["1"] * 4
plt.close("all")

grid = sns.relplot(data=frame, x="x", y="y", col="group", height=2)
assert grid.axes.shape == (1, 3)
grid.savefig("grid.png")
plt.close("all")
print("stack ok")
