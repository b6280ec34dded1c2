# SQL over frames and files, fetchone on relations, several threads, a database file.
import duckdb
import pandas as pd

df = pd.DataFrame({"vendor": ["a", "b", "a"], "amount": [10, 20, 30]})
relation = duckdb.sql("SELECT vendor, SUM(amount) AS total FROM df GROUP BY vendor ORDER BY total DESC")
assert relation.fetchone() == ("a", 40)
assert relation.fetchone() == ("b", 20)
assert relation.fetchone() is None
assert duckdb.sql("SELECT COUNT(*) FROM df").df().iloc[0, 0] == 3

assert duckdb.sql("SELECT SUM(i) FROM range(3000000) t(i)").fetchone()[0] == 4_499_998_500_000
duckdb.sql("COPY (SELECT i, i % 7 AS k FROM range(100000) t(i)) TO 'n.parquet'")
assert duckdb.sql("SELECT COUNT(*) FROM 'n.parquet' WHERE k = 0").fetchone() == (14286,)
df.to_csv("v.csv", index=False)
assert duckdb.read_csv("v.csv").aggregate("max(amount)").fetchone() == (30,)

with duckdb.connect("shop.duckdb") as db:
    db.execute("PRAGMA threads=4")
    db.execute("CREATE TABLE t AS SELECT i FROM range(1000000) t(i)")
with duckdb.connect("shop.duckdb", read_only=True) as db:
    assert db.execute("SELECT COUNT(*), MAX(i) FROM t WHERE i >= ?", [500_000]).fetchone() == (500_000, 999_999)
assert duckdb.sql("SELECT 1 AS one").arrow() is not None
assert duckdb.sql("SELECT 42 AS n").pl().item() == 42
print("stack ok")
