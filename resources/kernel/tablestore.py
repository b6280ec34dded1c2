"""DataFrames of the session as persistent datasets: a frame goes to the server as a Parquet file."""
import os
import shutil

from power_kernel import asks

DIRECTORY = "/tmp/.power-store-"


def arrow_table(frame):
    """pandas, polars or Arrow; columns of mixed kinds become text, an index that says something becomes columns."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pd.Series):
        frame = frame.to_frame(frame.name if frame.name is not None else "value")
    if isinstance(frame, pd.DataFrame):
        if frame.index.nlevels > 1 or frame.index.name is not None or not isinstance(frame.index, pd.RangeIndex):
            frame = frame.reset_index()
        arrays, names = [], []
        for index, name in enumerate(frame.columns):
            column = frame.iloc[:, index]
            try:
                arrays.append(pa.array(column, from_pandas=True))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
                arrays.append(pa.array([None if pd.api.types.is_scalar(value) and pd.isna(value) else str(value) for value in column], pa.string()))
            names.append(" ".join(map(str, name)) if isinstance(name, tuple) else str(name))
        return pa.Table.from_arrays([one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one for one in arrays], names=names)
    if hasattr(frame, "collect") and hasattr(frame, "schema"):
        frame = frame.collect()
    if hasattr(frame, "to_arrow"):
        return frame.to_arrow()
    raise TypeError(f"power.store() takes a DataFrame or the path of a file, not {type(frame).__name__}.")


def store(data, name, sheet_name=None, delimiter=None, encoding=None, pdf_pages=None):
    """Keeps a DataFrame, or a table file of the session, as the persistent dataset `name`: a table in PostgreSQL that outlives
    the session and that every session can query. A dataset of that name is replaced. Returns a dict: row_count, columns ...

        power.store(df, "sales")
        power.store("invoices.xlsx", "invoices", sheet_name="March")
    """
    options = {"sheet_name": sheet_name, "delimiter": delimiter, "encoding": encoding, "pdf_pages": pdf_pages}
    values = {"name": name, **{option: value for option, value in options.items() if value is not None}}
    if isinstance(data, (str, os.PathLike)):
        return asks.call("store", {"file": os.path.abspath(os.fspath(data)), **values})
    import pyarrow.parquet as parquet

    os.makedirs(directory := f"{DIRECTORY}{os.getpid()}", exist_ok=True)
    path = f"{directory}/DataFrame.parquet"
    try:
        parquet.write_table(arrow_table(data), path, compression="zstd")
        return asks.call("store", {"file": path, **values})
    finally:
        shutil.rmtree(directory, ignore_errors=True)
