# Parquet without Arrow; read by both.
import fastparquet
import pandas as pd

frame = pd.DataFrame({"k": ["a", "b", "c"] * 100, "v": range(300), "x": [0.5] * 300})
fastparquet.write("f.parquet", frame, compression="GZIP")
file = fastparquet.ParquetFile("f.parquet")
assert file.columns == ["k", "v", "x"] and file.count() == 300
assert file.to_pandas(columns=["v"])["v"].sum() == 44_850
assert pd.read_parquet("f.parquet", engine="fastparquet")["k"].tolist() == frame["k"].tolist()
assert pd.read_parquet("f.parquet", engine="pyarrow")["x"].sum() == 150

frame.to_parquet("g.parquet", engine="pyarrow")
assert fastparquet.ParquetFile("g.parquet").to_pandas()["v"].sum() == 44_850
print("stack ok")
