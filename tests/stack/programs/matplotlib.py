# Charts of several kinds, as PNG, SVG and PDF; pixels of the PNG are looked at.
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

assert matplotlib.get_backend().lower() == "agg"
fig, axes = plt.subplots(2, 2, figsize=(6, 4))
axes[0, 0].plot([1, 4, 9, 16], label="squares")
axes[0, 0].legend()
axes[0, 1].bar(["a", "b"], [3, 5], color="red")
axes[1, 0].hist(np.random.default_rng(0).normal(size=500), bins=20)
axes[1, 1].imshow(np.eye(10))
axes[1, 1].set_title(r"$\int_0^1 x^2\,dx = \frac{1}{3}$")
fig.tight_layout()
fig.savefig("chart.png", dpi=100)
fig.savefig("chart.svg")
fig.savefig("chart.pdf")

pixels = plt.imread("chart.png")
assert pixels.shape == (400, 600, 4)
red = (pixels[..., 0] > 0.99) & (pixels[..., 1] < 0.01) & (pixels[..., 2] < 0.01)
assert red.sum() > 2000
assert open("chart.svg").read().rstrip().endswith("</svg>")
assert open("chart.pdf", "rb").read(5) == b"%PDF-"
plt.close("all")
print("stack ok")
