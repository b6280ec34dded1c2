#include "datasets/DatasetReader.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QtEndian>
#include <cerrno>
#include <cstring>
#include <poll.h>

namespace power::datasets {

namespace {
constexpr quint32 kSchema = 1, kRows = 2, kEnd = 3;
constexpr quint32 kMostJson = 4 << 20;
constexpr qsizetype kPiece = 256 << 10;
constexpr qsizetype kWidestTable = 1600; // of a table in PostgreSQL
constexpr int kLookAgain = 200; // ms

Unexpected<Error> damaged()
{
    return fail(ErrorCode::Internal, QStringLiteral("The rows were damaged on their way; nothing was stored."), QStringLiteral("Try again."));
}

QString sqlType(const QString &type)
{
    static const std::pair<const char *, const char *> known[] = {
        {"int8", "bigint"}, {"float8", "double precision"}, {"numeric", "numeric"}, {"bool", "boolean"}, {"date", "date"},
        {"timestamp", "timestamp without time zone"}, {"timestamptz", "timestamp with time zone"}, {"text", "text"},
        {"jsonb", "jsonb"}, {"bytea", "bytea"}};
    for (const auto &[word, name] : known) {
        if (type == QLatin1String(word))
            return QLatin1String(name);
    }
    return {};
}

QStringList notesOf(const QJsonObject &json)
{
    QStringList notes;
    for (const QJsonValue &note : json.value(QStringLiteral("notes")).toArray()) {
        if (notes.size() < 20)
            notes << note.toString().left(1000);
    }
    return notes;
}
} // namespace

Result<QByteArray> RowPipe::read(qsizetype bytes)
{
    QByteArray got(bytes, Qt::Uninitialized);
    qsizetype have = 0;
    while (have < bytes) {
        if (m_closed)
            return fail(ErrorCode::Cancelled, QStringLiteral("The rows are not wanted any more."));
        pollfd readable{m_pipe.get(), POLLIN, 0};
        if (::poll(&readable, 1, kLookAgain) == 0)
            continue;
        const ssize_t part = ::read(m_pipe.get(), got.data() + have, size_t(bytes - have));
        if (part < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (part <= 0)
            return fail(ErrorCode::Upstream, QStringLiteral("The file could not be read to its end; nothing was stored."));
        have += part;
    }
    m_bytes += bytes;
    return got;
}

Result<RowPipe::Head> RowPipe::head()
{
    const Result<QByteArray> bytes = read(12);
    if (!bytes)
        return Unexpected<Error>{bytes.error()};
    const char *at = bytes->constData();
    return Head{qFromLittleEndian<quint32>(at), qFromLittleEndian<quint32>(at + 4), qFromLittleEndian<quint32>(at + 8)};
}

Result<Found> RowPipe::schema()
{
    const Result<Head> first = head();
    if (!first)
        return Unexpected<Error>{first.error()};
    if (first->kind != kSchema || first->bytes > kMostJson)
        return damaged();
    const Result<QByteArray> text = read(first->bytes);
    if (!text)
        return Unexpected<Error>{text.error()};
    const QJsonObject json = QJsonDocument::fromJson(*text).object();
    Found found;
    found.format = json.value(QStringLiteral("format")).toString().left(20);
    found.notes = notesOf(json);
    const QJsonArray columns = json.value(QStringLiteral("columns")).toArray();
    if (columns.isEmpty())
        return fail(ErrorCode::InvalidArgument, QStringLiteral("The file has no columns; nothing was stored."),
                    QStringLiteral("The first line (or row) must name the columns."));
    if (columns.size() > kWidestTable)
        return fail(ErrorCode::InvalidArgument,
                    QStringLiteral("The file has %1 columns; a table has at most %2. Nothing was stored.").arg(columns.size()).arg(kWidestTable),
                    QStringLiteral("Write the columns you need to a Parquet file in execute_code and store that, or reshape it into rows "
                                   "(DataFrame.melt)."));
    for (const QJsonValue &each : columns) {
        const Column column{each[QLatin1String("name")].toString(), sqlType(each[QLatin1String("type")].toString()),
                            each[QLatin1String("nullable")].toBool(true)};
        if (column.name.isEmpty() || column.name.contains(QChar(0)) || column.name.toUtf8().size() > 63 || column.type.isEmpty())
            return damaged();
        found.columns.append(column);
    }
    return found;
}

Result<QByteArray> RowPipe::next()
{
    while (m_left == 0) {
        const Result<Head> now = head();
        if (!now)
            return Unexpected<Error>{now.error()};
        if (now->kind == kEnd) {
            if (now->bytes > kMostJson)
                return damaged();
            const Result<QByteArray> text = read(now->bytes);
            if (!text)
                return text;
            const QJsonObject json = QJsonDocument::fromJson(*text).object();
            m_lateNotes = notesOf(json);
            if (json.value(QStringLiteral("rows")).toInteger(-1) != m_rows)
                return damaged();
            return QByteArray();
        }
        if (now->kind != kRows)
            return damaged();
        m_left = now->bytes;
        m_leftRows = now->rows;
        if (m_left == 0)
            m_rows += std::exchange(m_leftRows, 0);
    }
    const qsizetype size = std::min<qsizetype>(kPiece, m_left);
    Result<QByteArray> piece = read(size);
    if (!piece)
        return piece;
    m_left -= quint32(size);
    if (m_left == 0)
        m_rows += std::exchange(m_leftRows, 0);
    return piece;
}

} // namespace power::datasets
