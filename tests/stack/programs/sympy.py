# Algebra, calculus, equations, and LaTeX.
import sympy as sp

x, y = sp.symbols("x y")
assert sp.factor(x**3 - 6*x**2 + 11*x - 6) == (x - 1) * (x - 2) * (x - 3)
assert sp.solve([x + y - 10, x - y - 2], [x, y]) == {x: 6, y: 4}
assert sp.diff(sp.sin(x) * sp.exp(x), x) == sp.exp(x) * sp.sin(x) + sp.exp(x) * sp.cos(x)
assert sp.integrate(sp.exp(-x**2), (x, -sp.oo, sp.oo)) == sp.sqrt(sp.pi)
assert sp.limit(sp.sin(x) / x, x, 0) == 1
assert sp.series(sp.cos(x), x, 0, 5).removeO() == 1 - x**2 / 2 + x**4 / 24
f = sp.Function("f")
assert sp.dsolve(f(x).diff(x) - f(x), f(x)).rhs.has(sp.exp(x))
assert sp.Matrix([[2, 0], [0, 3]]).eigenvals() == {2: 1, 3: 1}
assert sp.latex(sp.Rational(1, 3)) == r"\frac{1}{3}"
assert str(sp.N(sp.pi, 30)) == "3.14159265358979323846264338328"
assert abs(sp.lambdify(x, x**2 + 1, "numpy")(3) - 10) < 1e-12
print("stack ok")
