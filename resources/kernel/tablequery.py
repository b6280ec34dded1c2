"""SQL over the DataFrames of a session and the persistent datasets of its owner, by their names, also joined.

DuckDB does it in a forked child. When a statement names datasets alone, PostgreSQL does: then the answer only says so. For a
join the columns of the datasets that the statement needs come as a file."""
import json
import re

from power_kernel import apart, asks, jsonsafe, names, tableload

MAX_NAMES = 50
TABLE = re.compile(r"\b(?:from|join)\s+(\"(?:[^\"]|\"\")+\"|[^\W\d]\w*)", re.I)
WITH = re.compile(r"\b(\w+)\s+as\s+(?:(?:not\s+)?materialized\s+)?\(", re.I)
FILE = re.compile(r"""['"][^'"]*[./][^'"]*['"]""")
STAR = re.compile(r"(?<!\()\s*\*(?!\s*\))|\bcolumns\s*\(|\bnatural\b|\bsummarize\b|\bdescribe\b|\bpivot\b|\bunpivot\b|\btable\b", re.I)


def is_frame(value):
    from power_kernel import tasks

    return tasks.is_frame(value)


def frames_of(namespace):
    return {name: value for name, value in names.user_variables(namespace) if is_frame(value)}


def named(frames, name):
    """The frame that a table of this name means: SQL does not tell cases apart."""
    if name in frames:
        return frames[name]
    same = [frame for known, frame in frames.items() if known.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def words(sql):
    """Names that may be tables, where the statement does not parse as DuckDB's."""
    found = dict.fromkeys(one.replace('""', '"') for one in re.findall(r'"((?:[^"]|"")+)"', sql))
    found.update(dict.fromkeys(re.findall(r"[^\W\d]\w*", re.sub(r"'(?:[^']|'')*'", "''", sql))))
    return list(found)[:500]


def collect(node, found, own):
    """Names without a schema that a statement's tree selects from, and those that its WITH clauses make."""
    if isinstance(node, list):
        for one in node:
            collect(one, found, own)
    elif isinstance(node, dict):
        if node.get("type") == "BASE_TABLE" and not node.get("schema_name"):
            found[node["table_name"]] = None
        if isinstance(node.get("cte_map"), dict):
            own.update(entry["key"] for entry in node["cte_map"].get("map", []))
        for one in node.values():
            collect(one, found, own)


def needed(sql, columns):
    """Names of the columns that the statement may touch; all when it is not plain."""
    plain = re.sub(r"'(?:[^']|'')*'", "''", sql)
    selects, froms = (len(re.findall(rf"\b{word}\b", plain, re.I)) for word in ("select", "from"))
    if STAR.search(plain) or froms > selects:
        return columns
    lower = plain.lower()
    return [name for name in columns if appears(name.lower(), lower)] or columns[:1]


def only_datasets(namespace, sql):
    """True when a look at the text is enough: whatever it selects from are datasets, and no word of it may be a frame or a file.
    Most statements over datasets are like that, and DuckDB, which knows for sure, takes a tenth of a second to begin."""
    said = {word.lower() for word in re.findall(r"[^\W\d]\w*", sql)}
    tables = {name.strip('"').replace('""', '"') for name in TABLE.findall(sql)}
    made = {name.lower() for name in WITH.findall(sql)}
    tables = [name for name in tables if name.lower() not in made]
    if not tables or FILE.search(sql) or any(name.lower() in said for name in frames_of(namespace)):
        return False
    try:
        found = asks.call("_tables", {"names": tables})["found"]
    except asks.Refused:
        return False
    return all(name in found for name in tables)


def appears(name, text):
    return re.search(rf"\b{name}\b", text) is not None if re.fullmatch(r"\w+", name) else name in text


def dollar_names(sql):
    """:name as $name, outside of texts."""
    return re.sub(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(?<![:\w]):([A-Za-z_]\w*)", lambda m: m[1] or "$" + m[2], sql)


class Statement:
    """In the child: one statement, prepared."""

    def __init__(self, talk, namespace, sql, local, parameters):
        try:
            import _duckdb as duckdb  # a connection of its own is all that is needed: the package begins with another one
        except ImportError:
            import duckdb

        self.duckdb, self.talk, self.sql, self.parameters = duckdb, talk, sql, parameters
        if isinstance(parameters, dict):
            self.sql = dollar_names(sql)
        self.connection = duckdb.connect(":memory:", config={"threads": 1})
        self.frames = frames_of(namespace)
        self.used, self.datasets, self.unknown, self.known = [], [], [], []
        self.notes = []
        self.elsewhere = False
        self.failure = None
        parsed = self.tables()
        for name in parsed if parsed is not None else words(sql):
            frame = named(self.frames, name)
            if frame is not None:
                self.used.append(name)
                self.connection.register(name, frame)
            elif parsed is None or not re.search(r"[./]", name) or re.fullmatch(r"[\w. -]+", name):
                self.unknown.append(name)
        found = self.ask_for(self.unknown, parsed is None)
        files = [name for name in self.unknown if name not in found]
        if found and not self.used and not local and (parsed is None or not files):
            self.elsewhere = True
            return
        if isinstance(self.failure, self.duckdb.ParserException):
            raise self.failure
        for name, facts in found.items():
            self.bring(name, facts)
        self.unknown = files

    def tables(self):
        """Names of the tables in the statement; None when it does not parse as DuckDB's."""
        tree = json.loads(self.connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [self.sql]).fetchone()[0])
        if not tree["error"]:
            found, own = {}, set()
            collect(tree, found, own)
            return [name for name in found if name not in own]
        try:  # statements that only begin with another word: EXPLAIN, PIVOT, DESCRIBE
            return sorted(self.connection.get_table_names(self.sql))
        except self.duckdb.Error as error:
            self.failure = error
            return None

    def ask_for(self, unknown, guessed):
        """name in the statement -> the dataset it means."""
        if not unknown:
            return {}
        try:
            answer = self.talk.ask({"tables": unknown})
        except apart.Refused as refusal:
            if not guessed:
                self.notes.append(str(refusal))
            return {}
        self.known = answer["names"]
        return answer["found"]

    def bring(self, name, facts):
        from power_kernel import tablerows

        columns = [column["name"] for column in facts["columns"]]
        chosen = needed(self.sql, columns)
        rows = self.talk.ask({"rows": facts["name"], "columns": None if chosen == columns else chosen})
        data = tablerows.dataset(rows)
        if any(str(field.type) == "double" and column["type"].startswith("numeric") for field, column in zip(data.schema, rows["columns"])):
            self.notes.append(f"Numeric columns of {name} with more than 38 digits were read as DOUBLE.")
        self.connection.register(name, data)
        self.datasets.append(facts["name"])

    def run(self):
        try:
            return self.connection.execute(self.sql, self.parameters) if self.parameters else self.connection.execute(self.sql)
        except self.duckdb.CatalogException as error:
            missing = [name for name in self.unknown if f"Table with name {name} does not exist".lower() in str(error).lower()]
            if not missing:
                raise
            raise apart.Refused({"name": "LookupError", "value": f"There is no table {missing[0]!r}. {self.what_there_is()}"}) from None

    def what_there_is(self):
        parts = []
        for what, found in (("DataFrames of the session", sorted(self.frames)), ("datasets", self.known)):
            more = f" and {len(found) - MAX_NAMES} more" if len(found) > MAX_NAMES else ""
            parts.append(f"{what}: {', '.join(found[:MAX_NAMES]) + more if found else 'none'}")
        return "There are " + "; ".join(parts) + "."

    def facts(self):
        facts = {"engine": "duckdb", "frames": self.used, "datasets": self.datasets}
        if self.notes:
            facts["notes"] = self.notes
        return facts


def parent_side(brought):
    """Answers to the child's questions; files that came are put into `brought`."""
    def answer(question):
        if "tables" in question:
            return asks.call("_tables", {"names": question["tables"]})
        rows = tableload.fetch_rows(question["rows"], question["columns"])
        brought.append(rows)
        return rows

    return answer


def carried_out(work, data=None, tell=None):
    brought = []
    try:
        return apart.run(work, parent_side(brought), data, tell)
    finally:
        for rows in brought:
            tableload.forget(rows)


def rows(namespace, meta):
    """The task `query`: JSON text of {"columns", "data", "row_count", "has_more", "engine", ...}, or {"engine": "postgresql"}."""
    sql, parameters = str(meta.get("sql", "")), meta.get("params")
    limit = min(max(int(meta.get("limit") or 100), 1), 10_000)
    offset = max(int(meta.get("offset") or 0), 0)
    local = bool(meta.get("local"))
    if not local and only_datasets(namespace, sql):
        return b'{"engine": "postgresql"}'

    def work(talk):
        statement = Statement(talk, namespace, sql, local, parameters)
        if statement.elsewhere:
            return {"engine": "postgresql"}
        cursor = statement.run()
        if cursor.description is None:
            return {"columns": [], "data": [], "row_count": 0, "has_more": False, **statement.facts()}
        skip = offset
        while skip > 0:
            skipped = len(cursor.fetchmany(min(skip, 10_000)))
            if not skipped:
                break
            skip -= skipped
        got = cursor.fetchmany(limit + 1)
        data = [[jsonsafe.safe(cell, 4) for cell in row] for row in got[:limit]]
        return {"columns": [column[0] for column in cursor.description], "data": data, "row_count": len(data),
                "has_more": len(got) > limit, **statement.facts()}

    return carried_out(work)


def query(sql, params=None):
    """A DataFrame of what one SQL SELECT gives. Tables are DataFrames of the session and persistent datasets, by their names, also
    joined: power.query("SELECT region, SUM(amount) AS total FROM sales GROUP BY region"). Statements over datasets alone run in
    PostgreSQL, others and those with very many rows in DuckDB. params: a dict for :name, a list for $1."""
    import sys

    namespace = sys.modules["__main__"].__dict__
    why = ""
    for local in (False, True):
        pieces = tableload.Pieces()

        def work(talk, local=local):
            from power_kernel import tableload

            statement = Statement(talk, namespace, sql, local, params)
            if statement.elsewhere:
                return {"engine": "postgresql"}
            reader = statement.run().to_arrow_reader(50_000)
            talk.tell({"schema": tableload.schema_text(reader.schema)})
            talk.batches(reader)
            return statement.facts()

        try:
            plain = not local and only_datasets(namespace, sql)
            facts = {"engine": "postgresql"} if plain else json.loads(carried_out(work, pieces.take, pieces.tell))
        except apart.Refused as error:
            if why:
                error.args[0]["value"] = f"PostgreSQL: {why} DuckDB, which was asked then: {error}"
            raise tableload.raised(error) from None
        if facts["engine"] == "duckdb":
            return pieces.frame()
        frame, why = from_server(sql, params)
        if frame is not None:
            return frame


def from_server(sql, params):
    """(frame, "") of what PostgreSQL answers; (None, why) when that is too much, or said in DuckDB's dialect: then the rows are
    brought and asked here."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from power_kernel import tablerows

    answer = asks.call("_query", {"query": sql, **({"params": params} if params else {})})
    if answer.get("elsewhere"):
        return None, answer["elsewhere"]
    columns, names_ = [], []
    for index, (name, word) in enumerate(zip(answer["columns"], answer["types"])):
        cells = [row[index] for row in answer["rows"]]
        texts = pa.array([cell if cell is None or isinstance(cell, str) else json.dumps(cell) for cell in cells], pa.string())
        kind = tablerows.type_of(word)
        if kind == pa.string() and word.startswith("numeric"):
            column = tablerows.TextColumn(only=("int", "big", "decimal", "float"))
            column.feed(texts)
            kind = column.type
        field = pa.field(name, kind, metadata=tablerows.JSON if word in ("json", "jsonb") else None)
        columns.append((field, texts if kind == pa.string() else pc.cast(texts, kind)))
        while name in names_:
            name += "_"
        names_.append(name)
    schema = pa.schema([field.with_name(name) for name, (field, _) in zip(names_, columns)])
    return tableload.frame_of(pa.table([values for _, values in columns], schema=schema)), ""
