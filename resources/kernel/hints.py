"""One sentence of help for errors that agents meet often. Only text: nothing is ever run again."""
import errno
import os
import re

offers = {"install": False}  # the tool install_package
MAX_MESSAGE = 2000  # characters searched: a hint must not cost more than its cell
INSTEAD = {
    "cv2": "PIL (Pillow) or skimage where present",
    "torch": "scikit-learn, xgboost or lightgbm",
    "tensorflow": "scikit-learn, xgboost or lightgbm",
    "keras": "scikit-learn, xgboost or lightgbm",
    "PyPDF2": "pdfplumber or pypdfium2",
    "pypdf": "PyPDF2 or pdfplumber",
    "fitz": "pdfplumber or pypdfium2",
    "bokeh": "plotly or matplotlib",
    "altair": "plotly or matplotlib",
    "dask": "pandas, polars or duckdb",
    "pyspark": "pandas, polars or duckdb",
    "psycopg2": "duckdb or sqlite3 (no network in here)",
    "selenium": "requests is blocked too; fetch pages with the tool fetch_from_url",
    "playwright": "fetch pages with the tool fetch_from_url",
    "yfinance": "fetch the data with the tool fetch_from_url and read it with pandas",
    "httpx": "the tool fetch_from_url (no network in here)",
    "aiohttp": "the tool fetch_from_url (no network in here)",
    "fpdf": "reportlab",
    "xlwt": "openpyxl or xlsxwriter",
    "prophet": "statsmodels",
}
NETWORK = (
    "There is no network inside a session. Fetch the URL with the tool fetch_from_url: it saves the file into this "
    "session's directory, then read it from there."
)
FREQUENCIES = {"M": "ME", "Q": "QE", "Y": "YE", "A": "YE", "BM": "BME", "H": "h", "T": "min", "S": "s", "L": "ms"}
OFFLINE = {errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ECONNREFUSED}


def chain(error):
    seen = []
    while error is not None and error not in seen and len(seen) < 12:
        seen.append(error)
        reason = getattr(error, "reason", None)
        error = error.__cause__ or error.__context__ or (reason if isinstance(reason, BaseException) else None)
    return seen


def is_network(error):
    for link in chain(error):
        kind = type(link)
        if kind.__name__ in ("gaierror", "herror", "URLError", "NameResolutionError", "NewConnectionError"):
            return True
        if kind.__name__ in ("ConnectionError", "ConnectTimeout", "MaxRetryError") and kind.__module__ != "builtins":
            return True
        if isinstance(link, OSError) and link.errno in OFFLINE and not link.filename:
            return True
    return False


def missing_module(error):
    name = (getattr(error, "name", None) or "").split(".")[0]
    if not name:
        return None
    instead = INSTEAD.get(name)
    if offers["install"]:
        text = f"The package {name} is not installed. The tool install_package adds it to this session when there is a wheel of it."
        return text + (f" Or use {instead}." if instead else "")
    text = f"The package {name} is not installed and nothing can be installed in a session."
    text += f" Use {instead} instead." if instead else " Use what is installed, or the standard library."
    return text + " Whoever runs the server can add it with EXTRA_REQUIREMENTS."


def frequency(error):
    message = str(error)[:MAX_MESSAGE]
    found = re.search(r"[Ii]nvalid frequency: ([A-Za-z]+)", message) or re.search(
        r"'?([A-Za-z]{1,2})'? is no longer supported", message
    )
    if not found:
        return None
    word = found.group(1)
    if word in FREQUENCIES:
        return f"pandas names this frequency {FREQUENCIES[word]!r} now (M->ME, Q->QE, Y->YE, H->h, T->min, S->s)."
    for old, new in FREQUENCIES.items():
        if new == word:
            return f"This older pandas names it {old!r}."
    return None


def missing_file(error):
    try:
        names = sorted(name for name in os.listdir(".") if not name.startswith("."))
    except OSError:
        return None
    shown = ", ".join(names[:15]) + (f" and {len(names) - 15} more" if len(names) > 15 else "")
    return f"Files in the session's directory: {shown}." if names else "The session's directory has no files yet."


def prose(source):
    """True when a cell that does not parse looks like a sentence instead of code."""
    line = next((text.strip() for text in source.splitlines() if text.strip()), "")
    words = re.findall(r"[A-Za-z']+", line)
    return len(words) >= 4 and not re.search(r"[=(){}\[\]#@:]", line.rstrip(":.!?")) and not line.startswith(
        ("import ", "from ", "def ", "class ", "print ", "%", "!")
    )


def for_error(error, source):
    """The hint for an exception of a cell, or None."""
    if isinstance(error, SyntaxError):
        if "```" in source:
            return "Send only the code: text around a code fence is not Python."
        if prose(source):
            return "This reads like prose, not Python. Send only code; put remarks behind #."
        if re.match(r"\s*pip3? install ", source):
            if offers["install"]:
                return "The tool install_package adds a package to this session; pip cannot, there is no network in here."
            return "Nothing can be installed in a session; the common analytics packages are there already."
        return None
    if isinstance(error, ModuleNotFoundError):
        return missing_module(error)
    if isinstance(error, (OSError, RuntimeError)) and is_network(error):
        return NETWORK
    if isinstance(error, FileNotFoundError):
        return missing_file(error)
    if isinstance(error, BlockingIOError) or (isinstance(error, RuntimeError) and "start new thread" in str(error)[:200]):
        return "The session has as many processes and threads as it may. End some, or start fewer at once."
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return "Too many files are open in this session. Close them (with open(...) as f), or collect garbage with gc.collect()."
    if isinstance(error, OSError) and error.errno in (errno.EFBIG, errno.ENOSPC, errno.EDQUOT):
        return "There is no room for this file. Delete files that are no longer needed, or write less (parquet instead of csv)."
    if isinstance(error, OSError) and error.errno in (errno.EPERM, errno.ENOSYS) and not error.filename:
        return "The sandbox refuses this system call; no setting of the session changes that. Do without it."
    if isinstance(error, PermissionError) or (isinstance(error, OSError) and error.errno == errno.EROFS):
        return "Write files into the working directory (bare names) or /tmp; nothing else is writable."
    if isinstance(error, MemoryError):
        return "The session's memory limit was reached. Delete big variables (del x), read fewer columns or in chunks."
    if isinstance(error, ValueError):
        return frequency(error)
    return None
