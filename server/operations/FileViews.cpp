#include "operations/FileViews.h"
#include "operations/FileTools.h"
#include "operations/RunText.h"
#include <QJsonArray>
#include <QLocale>
#include <QRegularExpression>

namespace power::operations {

namespace {
constexpr qint64 kLargestCopied = 100 << 20; // of files that are read whole into the worker
constexpr int kRows = 5;
constexpr int kPictureSide = 1024; // pixels of the longer side
constexpr int kPageSide = 1200;
constexpr int kMostPages = 10;     // of one call
constexpr int kMostShown = 50;     // columns in the text
const char *const kTables = "csv tsv parquet pq xlsx xlsm xlsb xls ods db sqlite sqlite3";
const char *const kDocuments = "pdf docx doc odt rtf pptx ppt odp xlsx xlsm xls ods";

QString endingOfPath(const QString &path)
{
    return path.section(u'/', -1).section(u'.', 1).section(u'.', -1).toLower();
}

bool isOneOf(const QString &ending, const char *endings)
{
    return !ending.isEmpty() && QString::fromLatin1(endings).split(u' ').contains(ending);
}

bool isPicture(const QString &mime)
{
    return mime.startsWith(u"image/") && mime != u"image/svg+xml";
}

// A cell of the text's rows, as CSV.
QString csvCell(const QString &text)
{
    const bool plain = !text.contains(u',') && !text.contains(u'"');
    return plain ? text : u'"' + QString(text).replace(u'"', QStringLiteral("\"\"")) + u'"';
}

QString csvLine(const QJsonArray &cells)
{
    QStringList texts;
    for (const QJsonValue &cell : cells)
        texts << csvCell(shownName(cell.toString()));
    return texts.mid(0, kMostShown).join(u',');
}

QString tableText(const QJsonObject &facts)
{
    const QJsonArray columns = facts.value(QStringLiteral("columns")).toArray();
    const qint64 leftOut = facts.value(QStringLiteral("columns_left_out")).toInteger();
    const QJsonValue count = facts.value(QStringLiteral("row_count"));
    const QString rows = count.isDouble() ? QLocale(QLocale::English).toString(count.toInteger()) : QStringLiteral("an unknown number of");
    QString text = QStringLiteral("%1%2 rows x %3 columns (%4)")
                       .arg(facts.value(QStringLiteral("about")).toBool() ? QStringLiteral("about ") : QString(), rows)
                       .arg(columns.size() + leftOut)
                       .arg(facts.value(QStringLiteral("kind")).toString());
    QStringList sheets;
    for (const QJsonValue &sheet : facts.value(QStringLiteral("sheets")).toArray())
        sheets << QStringLiteral("%1 (%2 x %3)").arg(shownName(sheet[QLatin1String("name")].toString()))
                      .arg(sheet[QLatin1String("rows")].toInteger()).arg(sheet[QLatin1String("columns")].toInteger());
    if (!sheets.isEmpty())
        text += QStringLiteral("\nSheet %1 of: %2").arg(shownName(facts.value(QStringLiteral("sheet")).toString()), sheets.join(QStringLiteral(", ")));
    QStringList tables;
    for (const QJsonValue &table : facts.value(QStringLiteral("tables")).toArray())
        tables << shownName(table.toString());
    if (!tables.isEmpty())
        text += QStringLiteral("\nTable %1 of: %2").arg(tables.first(), tables.join(QStringLiteral(", ")));
    QStringList schema, names;
    for (const QJsonValue &column : columns) {
        const QString name = shownName(column[QLatin1String("name")].toString());
        schema << name + QStringLiteral(": ") + column[QLatin1String("type")].toString();
        names << csvCell(name);
    }
    text += QStringLiteral("\nColumns: ") + schema.mid(0, kMostShown).join(QStringLiteral(" | "));
    if (schema.size() > kMostShown || leftOut > 0)
        text += QStringLiteral(" ... and %1 more").arg(schema.size() + leftOut - qMin<qsizetype>(schema.size(), kMostShown));
    const QJsonArray first = facts.value(QStringLiteral("rows")).toArray();
    if (!first.isEmpty())
        text += QStringLiteral("\nFirst %1 rows:\n").arg(first.size()) + names.mid(0, kMostShown).join(u',');
    for (const QJsonValue &row : first)
        text += u'\n' + csvLine(row.toArray());
    return text;
}

QString viewText(const QJsonObject &facts)
{
    const QString kind = facts.value(QStringLiteral("kind")).toString();
    if (kind == u"pages")
        return QStringLiteral("Pages %1-%2 of %3").arg(facts.value(QStringLiteral("first")).toInt())
            .arg(facts.value(QStringLiteral("last")).toInt()).arg(facts.value(QStringLiteral("page_count")).toInt());
    if (kind == u"picture")
        return QStringLiteral("%1 picture, %2 x %3 pixels, shown smaller").arg(facts.value(QStringLiteral("format")).toString())
            .arg(facts.value(QStringLiteral("width")).toInt()).arg(facts.value(QStringLiteral("height")).toInt());
    return tableText(facts);
}

// `copied`: the worker reads the whole file.
QCoro::Task<Result<Answer>> looked(Services *services, Caller caller, FilePlace place, QJsonObject arguments, bool copied)
{
    workspace::FileFacts facts;
    const auto opened = place.space->openRead(place.path, &facts);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    if (copied && facts.size > kLargestCopied)
        co_return fail(ErrorCode::TooLarge,
                       QStringLiteral("%1 has %2; views are made of files up to %3.").arg(shownName(place.path), humanSize(facts.size), humanSize(kLargestCopied)),
                       QStringLiteral("Read parts of it in execute_code."));
    const int file = opened->get();
    const CancelToken cancel = caller.cancel;
    const Result<supervisor::FileLook> seen = co_await services->kernels.look(arguments, file, cancel);
    if (!seen)
        co_return Unexpected<Error>{seen.error()};
    Answer answer = textAnswer(viewText(seen->facts), seen->facts);
    QJsonArray pictures;
    int page = seen->facts.value(QStringLiteral("first")).toInt();
    for (const auto &[bytes, type] : seen->pictures) {
        Block block;
        block.kind = Block::Kind::Image;
        block.data = bytes;
        block.mime = type;
        block.text = page > 0 ? QStringLiteral("page %1").arg(page++) : shownName(place.path);
        answer.blocks << block;
        // The JSON door has no blocks.
        pictures.append(QJsonObject{{QStringLiteral("mime_type"), QString::fromLatin1(type)},
                                    {QStringLiteral("content_base64"), QString::fromLatin1(bytes.toBase64())}});
    }
    if (caller.door == u"rest" && !pictures.isEmpty())
        answer.data.insert(QStringLiteral("pictures"), pictures);
    co_return answer;
}

QJsonObject tableOrder(const QString &ending, const QString &sheet)
{
    return {{QStringLiteral("what"), QStringLiteral("table")}, {QStringLiteral("ending"), ending}, {QStringLiteral("rows"), kRows},
            {QStringLiteral("sheet"), sheet}};
}

bool isStreamed(const QString &ending)
{
    return isOneOf(ending, "csv tsv parquet pq");
}

// "3" or "2-5"; at most kMostPages of them. Error: InvalidArgument.
Result<std::pair<int, int>> pagesOf(const QString &text)
{
    static const QRegularExpression form(QStringLiteral("^\\s*(\\d{1,5})\\s*(?:-\\s*(\\d{1,5})\\s*)?$"));
    const QRegularExpressionMatch match = form.match(text);
    const int first = match.captured(1).toInt();
    const int last = match.captured(2).isEmpty() ? first : match.captured(2).toInt();
    if (!match.hasMatch() || first < 1 || last < first || last - first >= kMostPages)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("pages must be a page or a range of at most %1, got \"%2\".").arg(kMostPages).arg(text.left(40)),
                    QStringLiteral("For example \"1\" or \"3-5\"."));
    return std::pair(first, last);
}

QCoro::Task<Result<Answer>> viewFile(Services *services, Caller caller, QJsonObject arguments)
{
    const QString session = arguments.value(QStringLiteral("session_id")).toString();
    const QString given = arguments.value(QStringLiteral("filename")).toString();
    const Caller who = caller;
    const Result<FilePlace> found = co_await placeOf(services, who, session, given);
    if (!found)
        co_return Unexpected<Error>{found.error()};
    const FilePlace place = *found;
    const QString ending = endingOfPath(place.path);
    const QString sheet = arguments.value(QStringLiteral("sheet")).toString();
    QJsonObject order;
    const bool asTable = !sheet.isEmpty() || !isOneOf(ending, kDocuments);
    if (asTable && isOneOf(ending, kTables)) {
        order = tableOrder(ending, sheet);
    } else if (isOneOf(ending, kDocuments)) {
        const auto pages = pagesOf(arguments.value(QStringLiteral("pages")).toString());
        if (!pages)
            co_return Unexpected<Error>{pages.error()};
        order = {{QStringLiteral("what"), QStringLiteral("pages")}, {QStringLiteral("ending"), ending},
                 {QStringLiteral("first"), pages->first}, {QStringLiteral("last"), pages->second}, {QStringLiteral("width"), kPageSide}};
    } else if (isOneOf(ending, "png jpg jpeg gif webp bmp tif tiff")) {
        order = {{QStringLiteral("what"), QStringLiteral("picture")}, {QStringLiteral("side"), kPictureSide}};
    } else {
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("There is no view of %1.").arg(shownName(place.path)),
                       QStringLiteral("Views are of pdf, docx, xlsx, pptx and the like, tables and pictures; fetch_file gives text files."));
    }
    const bool copied = !isStreamed(ending);
    Result<Answer> answer = co_await looked(services, who, place, order, copied);
    co_return answer;
}
} // namespace

bool hasView(const QString &path, const QString &mime)
{
    return isOneOf(endingOfPath(path), kTables) || isPicture(mime);
}

QCoro::Task<Result<Answer>> viewOf(Services *services, Caller caller, FilePlace place, QString mime)
{
    const QString ending = endingOfPath(place.path);
    const QJsonObject order = isPicture(mime) ? QJsonObject{{QStringLiteral("what"), QStringLiteral("picture")}, {QStringLiteral("side"), kPictureSide}}
                                              : tableOrder(ending, QString());
    return looked(services, std::move(caller), std::move(place), order, !isStreamed(ending));
}

Operation viewFileOperation(Services &services)
{
    Operation view = fileOperation("view_file", "View a file",
                                   "See a file as pictures: pages of pdf, docx, xlsx, pptx, a picture; or a table's columns and first rows.");
    Parameter pages = textParameter("pages", "Page or range, such as 3-5.");
    pages.defaultValue = QStringLiteral("1");
    view.parameters = {textParameter("filename", "Name or link as an answer shows it.", true), sessionParameter(), pages,
                       textParameter("sheet", "Of a workbook: its rows instead of pages.")};
    view.hints = {true, false, true, false};
    view.toolset = QStringLiteral("extended");
    view.method = boundFile(services, viewFile);
    return view;
}

} // namespace power::operations
