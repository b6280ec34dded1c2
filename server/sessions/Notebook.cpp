#include "sessions/Notebook.h"
#include <QJsonDocument>
#include <QRegularExpression>

namespace power::sessions {

namespace {
const char *const kNames =
    "import json, csv, math, statistics, datetime, collections, itertools, functools, re, io, copy, hashlib\n"
    "import base64, os, glob, shutil\n"
    "from datetime import timedelta, timezone, date\n"
    "from pathlib import Path\n"
    "from decimal import Decimal\n"
    "from fractions import Fraction\n"
    "from dataclasses import dataclass, field, asdict\n"
    "from typing import Dict, List, Optional, Tuple, Set, Any\n"
    "import numpy, numpy as np\n"
    "import pandas, pandas as pd\n"
    "import matplotlib.pyplot as plt\n"
    "\n"
    "SANDBOX_DIR = os.getcwd()\n"
    "RESULT = None\n";

// Stands for the module that cells of a session find there.
const char *const kTools =
    "\n"
    "import sys, types, urllib.parse, urllib.request\n"
    "power = types.ModuleType(\"power\", \"What a session's module power does, as far as it can be done here.\")\n"
    "def _fetch(url, name=None):\n"
    "    name = name or os.path.basename(urllib.parse.urlparse(url).path) or \"downloaded_file\"\n"
    "    return urllib.request.urlretrieve(url, name)[0]\n"
    "def _files():\n"
    "    return [{\"filename\": p.name, \"path\": str(p), \"size_bytes\": p.stat().st_size} for p in Path(\".\").rglob(\"*\") if p.is_file()]\n"
    "power.fetch, power.files, power.progress = _fetch, _files, lambda done, total=None, text=\"\": None\n"
    "def _load(file=None, dataset=None, sheet_name=None, delimiter=None, encoding=None, pdf_pages=None):\n"
    "    name = file or f\"{dataset}.parquet\"\n"
    "    if not os.path.exists(name):\n"
    "        name = \"/\".join(name.split(\"/\")[4:]) if name.startswith(\"/app/sandbox_data/\") else f\"{name}.parquet\"\n"
    "    ending = os.path.splitext(name)[1].lower()\n"
    "    if ending in (\".parquet\", \".pq\"):\n"
    "        return pd.read_parquet(name)\n"
    "    if ending in (\".json\", \".jsonl\"):\n"
    "        return pd.read_json(name, lines=ending == \".jsonl\")\n"
    "    if ending.startswith(\".xls\"):\n"
    "        return pd.read_excel(name, sheet_name=sheet_name or 0)\n"
    "    return pd.read_csv(name, sep=delimiter, encoding=encoding or \"utf-8\", engine=\"python\")\n"
    "def _query(sql, params=None):\n"
    "    import duckdb\n"
    "    return duckdb.execute(sql, params).df()\n"
    "def _store(data, name, **options):\n"
    "    (_load(data, **options) if isinstance(data, (str, Path)) else data).to_parquet(f\"{name}.parquet\")\n"
    "power.load = power.load_dataset = _load\n"
    "power.query, power.store = _query, _store\n"
    "power.datasets = lambda: [{\"name\": p.stem} for p in Path(\".\").glob(\"*.parquet\")]\n"
    "sys.modules[\"power\"] = power\n";

// What a script needs besides.
const char *const kAwaited =
    "\n"
    "def display(*values):\n"
    "    for value in values:\n"
    "        print(value)\n"
    "\n"
    "def awaited(source):\n"
    "    import ast, asyncio\n"
    "    result = eval(compile(source, \"<cell>\", \"exec\", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), globals())\n"
    "    if asyncio.iscoroutine(result):\n"
    "        asyncio.run(result)\n";

bool usesTools(const QList<RunRow> &runs)
{
    static const QRegularExpression import(QStringLiteral("^\\s*(import|from)\\s+power\\b|\"power_kernel\\.tableload\""),
                                           QRegularExpression::MultilineOption);
    return std::any_of(runs.cbegin(), runs.cend(), [](const RunRow &run) { return run.code.contains(import); });
}

QString prelude(const QList<RunRow> &runs)
{
    return QLatin1String(kNames) + (usesTools(runs) ? QString(QLatin1String(kTools)) : QString());
}

// What Python gets of a cell: without a code fence around it, behind the variables that were set for it.
QString sourceOf(const RunRow &run)
{
    static const QRegularExpression fence(QStringLiteral("\\A\\s*```[ \\t]*[A-Za-z0-9_+-]*[ \\t]*\\n(.*?)\\n?[ \\t]*```\\s*\\z"),
                                          QRegularExpression::DotMatchesEverythingOption);
    const auto match = fence.match(run.code);
    QString source = match.hasMatch() ? match.captured(1) : run.code;
    // What load_dataset runs.
    source.replace(QStringLiteral("__import__(\"power_kernel.tableload\", fromlist=[\"load_dataset\"]).load_dataset("),
                   QStringLiteral("power.load_dataset("));
    if (!run.context.isEmpty()) {
        // A JSON text is a string literal of Python when it is quoted as JSON once more.
        const QByteArray quoted = QJsonDocument(QJsonArray{run.context}).toJson(QJsonDocument::Compact).mid(1).chopped(1);
        source = QStringLiteral("globals().update(__import__(\"json\").loads(%1))\n").arg(QString::fromUtf8(quoted)) + source;
    }
    return source;
}

QString heading(const ExportFacts &facts, qsizetype count)
{
    return QStringLiteral("Session %1 of Power Interpreter: %2 runs, exported %3. Files are looked for beside this file.")
        .arg(facts.sessionId).arg(count).arg(facts.made.toUTC().toString(Qt::ISODate));
}

QJsonObject cell(const char *kind, const QString &id, const QString &source)
{
    return {{QStringLiteral("cell_type"), QLatin1String(kind)},
            {QStringLiteral("id"), id},
            {QStringLiteral("metadata"), QJsonObject()},
            {QStringLiteral("source"), source}};
}

QJsonObject codeCell(const QString &id, const QString &source, QJsonValue count, const QJsonArray &outputs)
{
    QJsonObject made = cell("code", id, source);
    made.insert(QStringLiteral("execution_count"), count);
    made.insert(QStringLiteral("outputs"), outputs);
    return made;
}

QString inComments(const QString &source)
{
    return QStringLiteral("# ") + QString(source).replace(u'\n', QStringLiteral("\n# "));
}

// Without what only IPython reads: %time's statement stays, other magics, !shell and help? become comments.
QString plainPython(QString source)
{
    static const auto lines = QRegularExpression::MultilineOption;
    static const QRegularExpression timed(QStringLiteral("\\A\\s*%%(time|timeit|capture)\\b.*\\n"));
    static const QRegularExpression time(QStringLiteral("^([ \\t]*)%time[ \\t]+"), lines);
    static const QRegularExpression special(
        QStringLiteral("^([ \\t]*)(?=[%!?]|[\\w, ]+=[ \\t]*[%!]|[\\w.]+\\?{1,2}[ \\t]*$)"), lines);
    source.remove(timed);
    if (source.trimmed().startsWith(QLatin1String("%%")))
        return inComments(source);
    return source.replace(time, QStringLiteral("\\1")).replace(special, QStringLiteral("\\1pass  # "));
}

bool awaits(const QString &source)
{
    static const QRegularExpression await(QStringLiteral("^(await\\b|async (with|for)\\b|[^\\s#].*\\bawait\\b)"),
                                          QRegularExpression::MultilineOption);
    return source.contains(await);
}

// A cell with await outside of a function, as a call of awaited() (kAwaited).
QString awaitedCell(const QString &source)
{
    QString call = QStringLiteral("awaited(");
    const QStringList lines = source.split(u'\n');
    for (const QString &line : lines)
        call += QStringLiteral("\n    ")
              + QString::fromUtf8(QJsonDocument(QJsonArray{line + u'\n'}).toJson(QJsonDocument::Compact).mid(1).chopped(1));
    return call + QStringLiteral("\n)");
}

QString scriptCell(const RunRow &run)
{
    const QString source = sourceOf(run).trimmed();
    if (run.status != u"ok")
        return inComments(source);
    const QString plain = plainPython(source);
    return awaits(plain) ? awaitedCell(plain) : plain;
}
} // namespace

QByteArray notebookOf(const ExportFacts &facts, const QList<RunRow> &runs)
{
    QJsonArray cells;
    cells.append(cell("markdown", QStringLiteral("about"), heading(facts, runs.size())));
    cells.append(codeCell(QStringLiteral("names"), prelude(runs), QJsonValue(), {}));
    for (const RunRow &run : runs) {
        QJsonObject made = codeCell(run.id, sourceOf(run), run.executionCount > 0 ? QJsonValue(run.executionCount) : QJsonValue(),
                                    run.outputs);
        QJsonObject metadata{{QStringLiteral("power"), QJsonObject{{QStringLiteral("run"), run.number},
                                                                   {QStringLiteral("started"), run.started.toString(Qt::ISODateWithMs)},
                                                                   {QStringLiteral("status"), run.status},
                                                                   {QStringLiteral("cause"), run.cause},
                                                                   {QStringLiteral("duration_ms"), run.durationMs},
                                                                   {QStringLiteral("principal"), run.principal},
                                                                   {QStringLiteral("door"), run.door},
                                                                   {QStringLiteral("inputs"), run.inputs},
                                                                   {QStringLiteral("files"), run.files}}}};
        if (run.status != u"ok")
            metadata.insert(QStringLiteral("tags"), QJsonArray{QStringLiteral("raises-exception")});
        made.insert(QStringLiteral("metadata"), metadata);
        cells.append(made);
    }
    const QJsonObject notebook{
        {QStringLiteral("cells"), cells},
        {QStringLiteral("metadata"),
         QJsonObject{{QStringLiteral("kernelspec"), QJsonObject{{QStringLiteral("name"), QStringLiteral("python3")},
                                                                {QStringLiteral("display_name"), QStringLiteral("Python 3")},
                                                                {QStringLiteral("language"), QStringLiteral("python")}}},
                     {QStringLiteral("language_info"), QJsonObject{{QStringLiteral("name"), QStringLiteral("python")},
                                                                   {QStringLiteral("version"), facts.pythonVersion}}}}},
        {QStringLiteral("nbformat"), 4},
        {QStringLiteral("nbformat_minor"), 5}};
    return QJsonDocument(notebook).toJson(QJsonDocument::Indented);
}

QByteArray scriptOf(const ExportFacts &facts, const QList<RunRow> &runs)
{
    QString text = QStringLiteral("# ") + heading(facts, runs.size()) + QStringLiteral("\n# %% names of a session\n")
                 + prelude(runs) + QLatin1String(kAwaited);
    for (const RunRow &run : runs) {
        text += QStringLiteral("\n# %% [%1] %2 %3%4, %5 ms\n")
                    .arg(run.number).arg(run.started.toString(Qt::ISODate), run.status,
                                         run.cause.isEmpty() ? QString() : u' ' + run.cause)
                    .arg(run.durationMs);
        text += scriptCell(run) + u'\n';
    }
    return text.toUtf8();
}

} // namespace power::sessions
