"""The type of a column, decided over all of its values and never by the first rows: exact, or text.

A number stays a number only where nothing of it is lost: codes with leading zeros are text, integers beyond 64 bits and
decimals beyond a double's 17 digits are decimals, one empty cell does not turn integers into floats. Dates that read two
ways (01/02/2024) stay text, with a note. Nothing here starts threads."""
import datetime
import decimal
import json
import math

import pyarrow as pa
import pyarrow.compute as pc

EMPTY = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "<NA>", "NaT")  # in columns that are not text
EXACT = 1 << 53  # integers below it are exact as doubles
JSON = {b"power": b"json"}  # metadata of a text field that holds JSON
TIME = pa.timestamp("us")
ZONED = pa.timestamp("us", "UTC")
DECIMAL_DIGITS = 38
ORDERS = {"%Y/%m/%d": r"^\d{4}/\d{1,2}/\d{1,2}$", "%d.%m.%Y": r"^\d{1,2}\.\d{1,2}\.\d{4}$", "%d/%m/%Y": r"^\d{1,2}/\d{1,2}/\d{4}$",
          "%m/%d/%Y": r"^\d{1,2}/\d{1,2}/\d{4}$", "%d-%m-%Y": r"^\d{1,2}-\d{1,2}-\d{4}$", "%m-%d-%Y": r"^\d{1,2}-\d{1,2}-\d{4}$"}


def cast(values, to):
    """The cast array, or None when one value does not fit."""
    try:
        return pc.cast(values, to)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def all_match(values, pattern):
    return pc.all(pc.match_substring_regex(values, pattern)).as_py()


def zero_led(values):
    """Codes such as 00123 or 0x1F: no numbers, though they could be read as such."""
    led = values.filter(pc.or_(pc.starts_with(values, "0"), pc.starts_with(values, "-0")))
    return len(led) > 0 and pc.any(pc.match_substring_regex(led, r"^-?0[0-9xX]")).as_py()


def longest(values):
    return pc.max(pc.binary_length(values)).as_py() or 0


class TextColumn:
    """A column of texts (CSV, PDF), null where a cell is empty. feed() every batch, then `type`, `note` and convert(batch) hold for all of them."""

    FIRST = ("bool", "int", "big", "float", "decimal", "comma", "date", "order", "time", "zoned")
    NEXT = {"bool": (), "int": ("big", "float", "decimal", "comma"), "big": ("decimal",), "float": ("decimal",), "decimal": (), "comma": (),
            "date": ("time",), "order": (), "time": (), "zoned": ()}

    def __init__(self, comma=False, only=FIRST):
        self.kind = None          # None: nothing but empty cells so far; "text" is final
        self.comma = comma        # 1,5 may be a number
        self.only = only
        self.nulls = self.zeros = 0
        self.wide = False         # integers above EXACT were seen
        self.whole = self.part = 0  # digits before and behind the point
        self.long = 0             # characters of a float
        self.exponent = False     # among the floats are 1e5 or inf
        self.orders = set(ORDERS)
        self.note = ""

    def feed(self, values):
        self.nulls += values.null_count
        if self.kind == "text" or len(values) == values.null_count or self.kind and self.fits(self.kind, values):
            return
        kept = self.trimmed(values)
        self.nulls += kept.null_count - values.null_count
        kept = kept.drop_null()
        if not len(kept) or self.kind and self.fits(self.kind, kept):
            return
        for kind in (self.only if self.kind is None else self.NEXT[self.kind]):
            if self.fits(kind, kept):
                self.kind = kind
                return
        self.kind = "text"

    @staticmethod
    def trimmed(values):
        values = pc.ascii_trim_whitespace(values)
        return pc.if_else(pc.is_in(values, value_set=pa.array(EMPTY)), pa.scalar(None, values.type), values)

    def fits(self, kind, values):
        return getattr(self, "is_" + kind)(values)

    def is_bool(self, values):
        return longest(values) <= 5 and pc.all(pc.is_in(pc.utf8_lower(values), value_set=pa.array(["true", "false"]))).as_py()

    def is_int(self, values):
        if longest(values) > 20 or zero_led(values):
            return False
        numbers = cast(values, pa.int64())
        if numbers is None:
            return False
        ends = pc.min_max(numbers).as_py()
        self.wide = self.wide or ends["min"] < -EXACT or ends["max"] > EXACT
        self.whole = max(self.whole, len(str(max(abs(ends["min"]), abs(ends["max"])))))
        return True

    def is_big(self, values):
        if not all_match(values, r"^-?(0|[1-9][0-9]{0,37})$"):
            return False
        self.whole = max(self.whole, longest(values))
        return True

    def is_float(self, values):
        if self.wide or zero_led(values) or pc.any(pc.starts_with(values, "+")).as_py():
            return False
        if longest(values) >= 16 and pc.any(pc.match_substring_regex(values, r"^-?[0-9]{16,}(\.0*)?$")).as_py():
            return False  # integers that a double may not hold
        if longest(values) > 17 and not all_match(values, r"^-?([0-9.]{1,18}|0\.0*[0-9]{1,17}|[0-9.]{1,18}[eE][-+]?[0-9]+|0\.0*[0-9]{1,17}[eE][-+]?[0-9]+|inf|infinity|-inf)$"):
            return False
        numbers = cast(values, pa.float64())
        if numbers is None:
            return False
        self.nulls += pc.sum(pc.is_nan(numbers)).as_py() or 0
        self.long = max(self.long, longest(values))
        self.exponent = self.exponent or pc.any(pc.match_substring_regex(values, "[a-zA-Z]")).as_py()
        return True

    def is_decimal(self, values):
        if zero_led(values) or not all_match(values, r"^-?[0-9]*\.?[0-9]*$") or not all_match(values, "[0-9]"):
            return False
        dot = pc.find_substring(values, ".")
        length = pc.binary_length(values)
        there = pc.greater_equal(dot, 0)
        part = pc.max(pc.if_else(there, pc.subtract(pc.subtract(length, dot), 1), 0)).as_py()
        whole = pc.max(pc.if_else(there, dot, length)).as_py()
        if self.exponent:
            return False
        if self.kind == "float":  # of those only the length is known
            whole, part = max(whole, self.long), max(part, self.long)
        whole, part = max(whole, self.whole), max(part, self.part)
        if whole + part > DECIMAL_DIGITS:
            return False
        self.whole, self.part = whole, part
        return True

    def is_comma(self, values):
        return (self.comma and not self.wide and longest(values) <= 18 and not zero_led(pc.replace_substring(values, ",", "."))
                and all_match(values, r"^-?[0-9]+(,[0-9]+)?$"))

    def is_date(self, values):
        return longest(values) == 10 and self.has_years(values) and cast(values, pa.date32()) is not None

    def is_time(self, values):
        return longest(values) <= 26 and self.has_years(values) and cast(values, TIME) is not None

    def is_zoned(self, values):
        return longest(values) <= 32 and self.has_years(values) and cast(values, ZONED) is not None

    @staticmethod
    def has_years(values):
        """There is no year 0."""
        return not pc.any(pc.starts_with(values, "0000")).as_py()

    def is_order(self, values):
        if longest(values) > 10:
            return False
        self.orders = {order for order in self.orders if all_match(values, ORDERS[order])
                       and pc.strptime(values, format=order, unit="s", error_is_null=True).null_count == 0}
        return bool(self.orders)

    def settle(self, name):
        """After the last feed()."""
        if self.kind == "order" and len(self.orders) > 1:
            self.note = (f"Column {name!r} stays text: its dates read as day/month and as month/day. "
                         f"Convert it with the order you know, e.g. to_date({name}, 'DD/MM/YYYY').")
            self.kind = "text"
        elif self.kind == "order":
            order = next(iter(self.orders))
            if order != "%Y/%m/%d":
                self.note = f"Column {name!r} is a date, read as {order.replace('%', '')}."
        elif self.kind == "comma":
            self.note = f"Column {name!r} has decimal commas; it became numbers."

    @property
    def type(self):
        if self.kind in ("big", "decimal"):
            return pa.decimal128(DECIMAL_DIGITS, self.part if self.kind == "decimal" else 0)
        return {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "comma": pa.float64(), "date": pa.date32(),
                "order": pa.date32(), "time": TIME, "zoned": ZONED}.get(self.kind, pa.string())

    def convert(self, values):
        if self.kind in (None, "text"):
            return values
        made = self.cast(values)
        if made is None:
            made = self.cast(self.trimmed(values))
        if made is None:
            raise ValueError("the file changed while it was read")
        return pc.if_else(pc.is_nan(made), pa.scalar(None, made.type), made) if self.kind == "float" else made

    def cast(self, values):
        if self.kind == "bool":
            values = pc.utf8_lower(values)
        elif self.kind == "comma":
            values = pc.replace_substring(values, ",", ".")
        elif self.kind == "order":
            values = pc.strptime(self.trimmed(values), format=next(iter(self.orders)), unit="s")
        return cast(values, self.type)


class ValueColumn:
    """The same for a column of Python values (workbooks, JSON). `integral`: floats without a fraction are integers, as
    workbooks know no others. `dates`: texts that are all ISO dates are dates, as JSON knows no others."""

    def __init__(self, integral=False, dates=False):
        self.integral = integral
        self.texts = TextColumn(only=("date", "time", "zoned") if dates else ())
        self.seen = set()
        self.low = self.high = 0
        self.fraction = False
        self.digits = self.part = 0
        self.nulls = 0
        self.note = ""

    def feed(self, values):
        texts = []
        for value in values:
            if value is None or value == "" or value != value:
                self.nulls += 1
            elif value is True or value is False:
                self.seen.add("bool")
            elif isinstance(value, int):
                self.seen.add("number")
                self.low, self.high = min(self.low, value), max(self.high, value)
            elif isinstance(value, float):
                self.seen.add("number")
                if not self.integral or not value.is_integer() or abs(value) >= EXACT:
                    self.fraction = True
                else:
                    self.low, self.high = min(self.low, int(value)), max(self.high, int(value))
            elif isinstance(value, str):
                self.seen.add("text")
                texts.append(value)
            else:
                self.seen.add(self.family(value))
        if texts:
            self.texts.feed(pa.array([clean(text) for text in texts], pa.string()))

    @staticmethod
    def family(value):
        if isinstance(value, datetime.datetime):
            return "zoned" if value.tzinfo else "time"
        if isinstance(value, datetime.date):
            return "date"
        return "json" if isinstance(value, (dict, list)) else "other"

    def settle(self, name):
        seen = self.seen
        if "json" in seen:
            self.kind = "json"
        elif seen == {"number"}:
            wide = self.low < -EXACT or self.high > EXACT
            fits = -(1 << 63) <= self.low and self.high < 1 << 63
            huge = max(len(str(self.high)), len(str(-self.low))) > DECIMAL_DIGITS
            self.kind = ("text" if huge or wide else "float") if self.fraction else "int" if fits else "text" if huge else "big"
        elif seen == {"text"} and self.texts.kind in ("date", "time", "zoned"):
            self.kind = "iso"
        elif seen in ({"bool"}, {"date"}, {"time"}, {"zoned"}):
            self.kind = next(iter(seen))
        else:
            self.kind = "time" if seen == {"date", "time"} else "text"
            if len(seen) > 1 and self.kind == "text":
                self.note = f"Column {name!r} mixes {' and '.join(sorted(seen))}; it became text."

    @property
    def type(self):
        if self.kind == "iso":
            return self.texts.type
        return {"int": pa.int64(), "big": pa.decimal128(DECIMAL_DIGITS, 0), "float": pa.float64(), "bool": pa.bool_(), "date": pa.date32(),
                "time": TIME, "zoned": ZONED}.get(self.kind, pa.string())

    def convert(self, values):
        one = getattr(self, "one_" + self.kind, None)
        plain = [None if value is None or value == "" or value != value else one(value) if one else value for value in values]
        if self.kind == "iso":
            return self.texts.convert(pa.array(plain, pa.string()))
        return pa.array(plain, self.type)

    @staticmethod
    def one_int(value):
        return int(value)

    @staticmethod
    def one_big(value):
        return decimal.Decimal(int(value))

    @staticmethod
    def one_time(value):
        return value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())

    @staticmethod
    def one_json(value):
        text = json.dumps(value, ensure_ascii=False, default=str)
        if "\\u0000" in text:
            text = json.dumps(without_nul(value), ensure_ascii=False, default=str)
        return clean(text)

    def one_text(self, value):
        if isinstance(value, str):
            return clean(value).replace("\0", "")
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and self.integral and value.is_integer() and abs(value) < EXACT:
            return str(int(value))
        if isinstance(value, float) and math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return value.isoformat() if hasattr(value, "isoformat") else str(value)


def clean(text):
    """Without lone surrogates, which no UTF-8 has."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def without_nul(value):
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(one) for key, one in value.items()}
    return [without_nul(one) for one in value] if isinstance(value, list) else value
