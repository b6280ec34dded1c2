# Tests, fitting, optimising, integrating, interpolating, sparse systems.
import numpy as np
from scipy import integrate, interpolate, linalg, optimize, signal, sparse, stats
from scipy.sparse.linalg import spsolve

t = stats.ttest_ind([5.1, 4.9, 5.6, 5.8, 6.0], [6.1, 6.3, 5.9, 6.8, 7.0])
assert abs(t.statistic + 3.190568) < 1e-5 and abs(t.pvalue - 0.012792) < 1e-5
assert abs(stats.norm.ppf(0.975) - 1.959964) < 1e-6
chi2, p, dof, _ = stats.chi2_contingency([[10, 20], [30, 5]])
assert dof == 1 and 0 < p < 0.001

x = np.linspace(0, 4, 50)
(a, b), _ = optimize.curve_fit(lambda x, a, b: a * np.exp(-b * x), x, 3 * np.exp(-1.5 * x), p0=(1, 1))
assert abs(a - 3) < 1e-6 and abs(b - 1.5) < 1e-6
best = optimize.minimize(optimize.rosen, [1.3, 0.7, 0.8])
assert np.allclose(best.x, 1, atol=1e-3)

assert abs(integrate.quad(np.sin, 0, np.pi)[0] - 2) < 1e-12
decay = integrate.solve_ivp(lambda t, y: -y, (0, 1), [1.0], rtol=1e-8, atol=1e-10)
assert abs(decay.y[0, -1] - np.exp(-1)) < 1e-6
assert abs(interpolate.CubicSpline(x, np.sin(x))(1.23) - np.sin(1.23)) < 1e-5
assert np.allclose(linalg.expm(np.zeros((3, 3))), np.eye(3))
assert signal.find_peaks(np.sin(np.linspace(0, 6 * np.pi, 300)))[0].size == 3

line = sparse.diags([-1, 2, -1], [-1, 0, 1], shape=(200, 200), format="csc")
assert np.allclose(line @ spsolve(line, np.ones(200)), 1)
print("stack ok")
