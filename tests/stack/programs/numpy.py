# Linear algebra, random streams and its own file formats.
import numpy as np

a = np.array([[4.0, 1.0], [2.0, 3.0]])
assert np.allclose(np.sort(np.linalg.eigvals(a)), [2, 5])
assert np.allclose(np.linalg.solve(a, [1, 2]), [0.1, 0.6])
assert np.allclose(a @ np.linalg.inv(a), np.eye(2))

big = np.arange(250_000.0).reshape(500, 500) / 250_000
u, s, vt = np.linalg.svd(big)
assert np.isclose((s ** 2).sum(), (big ** 2).sum())

first = np.random.default_rng(42).integers(0, 100, 5)
assert first.tolist() == [8, 77, 65, 43, 43]

wave = np.sin(2 * np.pi * 7 * np.arange(256) / 256)
assert np.abs(np.fft.rfft(wave)).argmax() == 7

np.savez_compressed("arrays.npz", a=a, wave=wave)
with np.load("arrays.npz") as back:
    assert np.array_equal(back["a"], a) and np.array_equal(back["wave"], wave)
mapped = np.memmap("map.bin", dtype="int32", mode="w+", shape=(1000,))
mapped[:] = np.arange(1000)
mapped.flush()
assert np.fromfile("map.bin", dtype="int32").sum() == 499_500
print("stack ok")
