# t-test, analysis of variance, correlation.
import numpy as np
import pandas as pd
import pingouin as pg

a = [5.1, 4.9, 5.6, 5.8, 6.0]
b = [6.1, 6.3, 5.9, 6.8, 7.0]
t = pg.ttest(a, b)
assert abs(float(t["T"].iloc[0]) + 3.190568) < 0.01

frame = pd.DataFrame({"value": a + b + [8.1, 8.4, 7.9, 8.8, 9.0], "group": ["a"] * 5 + ["b"] * 5 + ["c"] * 5})
anova = pg.anova(data=frame, dv="value", between="group")
assert anova["ddof1"].iloc[0] == 2 and anova["ddof2"].iloc[0] == 12 and float(anova["F"].iloc[0]) > 40

x = np.arange(30.0)
r = pg.corr(x, x + np.tile([1, -1], 15))
assert abs(float(r["r"].iloc[0]) - 0.9933) < 0.001
assert abs(pg.compute_effsize(a, b, eftype="cohen") + 2.017892) < 1e-5
print("stack ok")
