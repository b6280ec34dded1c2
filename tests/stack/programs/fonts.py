# Chinese, Japanese, Korean, Arabic and Devanagari text in a chart: every letter has a glyph, and none looks like another.
import warnings

import matplotlib.pyplot as plt
import numpy as np

warnings.simplefilter("error")
texts = ["销售额 季度", "売上 かな", "매출 분기", "مبيعات", "बिक्री", "Größe Ελλάδα Россия", "€ − × ≤ √"]
fig, ax = plt.subplots(figsize=(7, 4))
ax.barh(texts, range(1, len(texts) + 1))
ax.set_title("人工智能 العربية हिन्दी")
fig.tight_layout()
fig.savefig("fonts.png")
plt.close(fig)


def ink(text):
    picture = plt.figure(figsize=(1, 1))
    picture.text(0.3, 0.4, text, size=24)
    picture.canvas.draw()
    pixels = np.asarray(picture.canvas.buffer_rgba())[..., 0].copy()
    plt.close(picture)
    return pixels


letters = [ink(letter) for letter in "销售ा売한عब"]
assert all((pixels < 128).sum() > 10 for pixels in letters)
assert all(not np.array_equal(a, b) for i, a in enumerate(letters) for b in letters[:i])
print("stack ok")
