# Grouping, joining, time series, and writing and reading again in text formats.
import pandas as pd

sales = pd.DataFrame({
    "day": pd.date_range("2026-01-01", periods=60, freq="D"),
    "shop": ["north", "south", "east"] * 20,
    "amount": range(60),
})
by_shop = sales.groupby("shop")["amount"].agg(["sum", "mean"])
assert by_shop.loc["east", "sum"] == 610 and by_shop.loc["north", "mean"] == 28.5

monthly = sales.set_index("day")["amount"].resample("MS").sum()
assert monthly.tolist() == [465, 1246, 59]
assert sales["amount"].rolling(7).mean().iloc[-1] == 56

towns = pd.DataFrame({"shop": ["north", "south"], "town": ["Oslo", "Rome"]})
joined = sales.merge(towns, on="shop", how="left")
assert joined["town"].isna().sum() == 20

table = sales.pivot_table(index=sales["day"].dt.month, columns="shop", values="amount", aggfunc="count", fill_value=0)
assert table.to_numpy().sum() == 60

sales.to_csv("sales.csv", index=False)
again = pd.read_csv("sales.csv", parse_dates=["day"])
assert (again == sales).all().all()
assert pd.read_json(sales.to_json("sales.json", orient="records") or "sales.json")["amount"].sum() == 1770
sales.to_pickle("sales.pkl")
pd.testing.assert_frame_equal(pd.read_pickle("sales.pkl"), sales)
print("stack ok")
