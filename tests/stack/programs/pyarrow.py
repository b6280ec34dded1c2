# Tables, computing, Parquet (also a partitioned data set), Feather, CSV.
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet as pq

table = pa.table({"k": ["a", "b"] * 50_000, "v": range(100_000)})
assert pc.sum(table["v"]).as_py() == 4_999_950_000
sums = table.group_by("k").aggregate([("v", "sum")]).sort_by("k")
assert sums["v_sum"].to_pylist() == [2_499_950_000, 2_500_000_000]

pq.write_table(table, "t.parquet", compression="zstd")
assert pq.read_metadata("t.parquet").num_rows == 100_000
assert pq.read_table("t.parquet", columns=["v"], filters=[("v", "<", 10)])["v"].to_pylist() == list(range(10))
assert pd.read_parquet("t.parquet", engine="pyarrow")["v"].sum() == 4_999_950_000

ds.write_dataset(table, "parts", format="parquet", partitioning=["k"])
assert ds.dataset("parts", partitioning=["k"]).count_rows(filter=ds.field("k") == "a") == 50_000
pyarrow.feather.write_feather(table, "t.feather")
assert pyarrow.feather.read_table("t.feather").equals(table)
pyarrow.csv.write_csv(table, "t.csv")
assert pyarrow.csv.read_csv("t.csv").num_rows == 100_000
assert pa.cpu_count() >= 1
print("stack ok")
