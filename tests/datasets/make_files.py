"""The same small table in every format, into the directory of the first argument."""
import datetime
import sys

import pandas as pd

frame = pd.DataFrame({"id": [1, 2, 3], "day": [datetime.datetime(2024, 1, n) for n in (1, 2, 3)], "amount": [1.5, None, 2.25],
                      "who": ["ann", 'b "x", y\nz', "ümläut"], "code": ["001", "002", "003"]})
where = sys.argv[1] + "/table."
frame.to_csv(where + "csv", index=False)
frame.to_csv(where + "tsv", index=False, sep="\t")
frame.to_csv(where + "txt", index=False, sep=";", encoding="utf-16")
frame.to_parquet(where + "parquet", index=False)
frame.to_excel(where + "xlsx", index=False)
frame.to_json(where + "json", orient="records", date_format="iso")
frame.to_json(where + "jsonl", orient="records", lines=True, date_format="iso")

from reportlab.platypus import SimpleDocTemplate, Table

rows = [list(frame.columns), *[["" if pd.isna(v) else str(v).replace("\n", " ") for v in row] for row in frame.itertuples(index=False)]]
SimpleDocTemplate(where + "pdf").build([Table(rows, style=[("GRID", (0, 0), (-1, -1), 1, "black")])])
