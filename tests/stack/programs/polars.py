# Lazy queries on its thread pool, joins, Parquet and CSV, to and from pandas.
import pandas as pd
import polars as pl

frame = pl.DataFrame({"k": ["a", "b"] * 50_000, "v": range(100_000)})
sums = frame.lazy().group_by("k").agg(pl.col("v").sum()).sort("k").collect()
assert sums["v"].to_list() == [2_499_950_000, 2_500_000_000]
assert frame.select(pl.col("v").rolling_mean(3).last()).item() == 99_998

joined = frame.join(pl.DataFrame({"k": ["a"], "name": ["alpha"]}), on="k", how="left")
assert joined["name"].null_count() == 50_000

frame.write_parquet("p.parquet")
query = pl.scan_parquet("p.parquet").filter(pl.col("v") >= 99_990).select(pl.len())
assert query.collect().item() == 10
assert query.collect(engine="streaming").item() == 10
frame.write_csv("p.csv")
assert pl.read_csv("p.csv")["v"].sum() == 4_999_950_000

assert frame.to_pandas()["v"].sum() == 4_999_950_000
assert pl.from_pandas(pd.DataFrame({"x": [1, None]}))["x"].null_count() == 1
assert pl.SQLContext(t=frame).execute("SELECT COUNT(*) AS n FROM t WHERE k = 'a'").collect().item() == 50_000
assert pl.thread_pool_size() >= 1
print("stack ok")
