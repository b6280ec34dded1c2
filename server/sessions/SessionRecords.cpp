#include "sessions/SessionRecords.h"
#include "base/Log.h"
#include <QJsonDocument>
#include <QSqlError>
#include <QSqlQuery>

namespace power::sessions {

using namespace std::chrono_literals;

namespace {
constexpr std::chrono::milliseconds kDeadline = 5s;
constexpr std::chrono::milliseconds kLongDeadline = 30s;
constexpr std::chrono::milliseconds kBehind = 5ms; // the answer is on its way by then
// Of records on disk while the database is away: above the first, runs go without their outputs, above the second not at all.
constexpr qint64 kSpooledWhole = 256ll << 20;
constexpr qint64 kMostSpooled = 512ll << 20;

QString jsonText(const QJsonObject &object)
{
    return QString::fromUtf8(QJsonDocument(object).toJson(QJsonDocument::Compact));
}

Result<Done> execute(QSqlQuery &query, const char *what)
{
    if (query.exec())
        return Done{};
    // No SQL text and no row data in the message: it may reach a client.
    return fail(ErrorCode::Unavailable, QStringLiteral("The database could not %1 (%2).")
                                            .arg(QLatin1String(what), query.lastError().nativeErrorCode()));
}

Result<Done> upsert(QSqlDatabase &connection, const QJsonObject &record)
{
    QSqlQuery query(connection);
    query.prepare(QStringLiteral(
        "INSERT INTO power.sessions (principal, session_id, name, description, metadata, created_at, last_used) "
        "VALUES (?, ?, ?, ?, ?::jsonb, ?::timestamptz, ?::timestamptz) "
        "ON CONFLICT (principal, session_id) DO UPDATE SET "
        "name = COALESCE(NULLIF(EXCLUDED.name, ''), power.sessions.name), "
        "description = COALESCE(NULLIF(EXCLUDED.description, ''), power.sessions.description), "
        "metadata = CASE WHEN EXCLUDED.metadata = '{}'::jsonb THEN power.sessions.metadata ELSE EXCLUDED.metadata END, "
        "updated_at = now(), last_used = GREATEST(power.sessions.last_used, EXCLUDED.last_used), is_active = true"));
    for (const char *key : {"principal", "session_id", "name", "description"})
        query.addBindValue(record.value(QLatin1String(key)).toString());
    query.addBindValue(jsonText(record.value(QStringLiteral("metadata")).toObject()));
    query.addBindValue(record.value(QStringLiteral("time")).toString());
    query.addBindValue(record.value(QStringLiteral("time")).toString());
    return execute(query, "save the session");
}

Result<Done> deleteRow(QSqlDatabase &connection, const QJsonObject &record)
{
    QSqlQuery query(connection);
    query.prepare(QStringLiteral("DELETE FROM power.sessions WHERE principal = ? AND session_id = ?"));
    query.addBindValue(record.value(QStringLiteral("principal")).toString());
    query.addBindValue(record.value(QStringLiteral("session_id")).toString());
    const Result<Done> deleted = execute(query, "delete the session");
    if (!deleted)
        return deleted;
    return rows::removeRuns(connection, record.value(QStringLiteral("principal")).toString(),
                            record.value(QStringLiteral("session_id")).toString());
}

Result<Done> applyRecords(QSqlDatabase &connection, const QList<QJsonObject> &records, const HistoryLimits &limits)
{
    for (const QJsonObject &record : records) {
        const QString kind = record.value(QStringLiteral("kind")).toString();
        const Result<Done> done = kind == u"run"      ? rows::insertRun(connection, record, limits)
                                  : kind == u"inputs" ? rows::setInputs(connection, record)
                                  : kind == u"delete" ? deleteRow(connection, record)
                                                      : upsert(connection, record);
        if (!done)
            return done;
    }
    return Done{};
}

QJsonObject sessionRecord(const SessionKey &key, const QDateTime &time)
{
    return {{QStringLiteral("kind"), QStringLiteral("session")},
            {QStringLiteral("principal"), key.principal},
            {QStringLiteral("session_id"), key.id},
            {QStringLiteral("time"), time.toUTC().toString(Qt::ISODateWithMs)}};
}

SessionInfo fromRow(const QSqlQuery &row)
{
    SessionInfo info;
    info.key.principal = row.value(0).toString();
    info.key.id = row.value(1).toString();
    info.key.slug = row.value(7).toString();
    info.name = row.value(2).toString().isEmpty() ? info.key.id : row.value(2).toString();
    info.description = row.value(3).toString();
    info.metadata = QJsonDocument::fromJson(row.value(4).toString().toUtf8()).object();
    info.created = row.value(5).toDateTime().toUTC();
    info.lastUsed = row.value(6).toDateTime().toUTC();
    return info;
}

const char *const kColumns = "SELECT s.principal, s.session_id, s.name, s.description, s.metadata::text, s.created_at, "
                             "s.last_used, CASE WHEN s.principal = 'owner' THEN '' ELSE p.slug END FROM power.sessions s "
                             "LEFT JOIN power.principals p ON p.id = s.principal ";
} // namespace

SessionRecords::SessionRecords(storage::Database &database, QString spoolFile, HistoryLimits limits, QObject *parent)
    : QObject(parent)
    , m_database(database)
    , m_limits(limits)
    , m_writer(database, std::move(spoolFile),
               [limits](QSqlDatabase &connection, const QList<QJsonObject> &records) {
                   return applyRecords(connection, records, limits);
               })
{
    m_noteTimer.setSingleShot(true);
    connect(&m_noteTimer, &QTimer::timeout, this, &SessionRecords::writeNoted);
}

SessionRecords::~SessionRecords()
{
    writeNoted();
}

QCoro::Task<Result<Done>> SessionRecords::save(SessionInfo info)
{
    QJsonObject record = sessionRecord(info.key, info.lastUsed);
    record.insert(QStringLiteral("name"), info.name);
    record.insert(QStringLiteral("description"), info.description);
    record.insert(QStringLiteral("metadata"), info.metadata);
    m_writer.append(record);
    const Result<Done> durable = co_await m_writer.flush();
    co_return durable;
}

QCoro::Task<Result<Done>> SessionRecords::remove(SessionKey key)
{
    QJsonObject record = sessionRecord(key, QDateTime::currentDateTimeUtc());
    record.insert(QStringLiteral("kind"), QStringLiteral("delete"));
    m_writer.append(record);
    m_lastNote.remove(key.text());
    const Result<Done> durable = co_await m_writer.flush();
    co_return durable;
}

QCoro::Task<Result<QList<SessionInfo>>> SessionRecords::list(QString principal)
{
    storage::Job<QList<SessionInfo>> job = [principal](QSqlDatabase &connection) -> Result<QList<SessionInfo>> {
        QSqlQuery query(connection);
        query.prepare(QLatin1String(kColumns) + QStringLiteral("WHERE s.principal = ? ORDER BY s.last_used DESC LIMIT 1000"));
        query.addBindValue(principal);
        const Result<Done> done = execute(query, "list the sessions");
        if (!done)
            return Unexpected<Error>{done.error()};
        QList<SessionInfo> rows;
        while (query.next())
            rows << fromRow(query);
        return rows;
    };
    const storage::Lane lane = storage::Lane::Short;
    auto rows = co_await m_database.run<QList<SessionInfo>>(lane, kDeadline, std::move(job));
    co_return rows;
}

QCoro::Task<Result<QList<SessionInfo>>> SessionRecords::unusedSince(QDateTime time)
{
    storage::Job<QList<SessionInfo>> job = [time](QSqlDatabase &connection) -> Result<QList<SessionInfo>> {
        QSqlQuery query(connection);
        query.prepare(QLatin1String(kColumns) + QStringLiteral("WHERE s.last_used < ?::timestamptz ORDER BY s.last_used LIMIT 500"));
        query.addBindValue(time.toUTC().toString(Qt::ISODateWithMs));
        const Result<Done> done = execute(query, "list unused sessions");
        if (!done)
            return Unexpected<Error>{done.error()};
        QList<SessionInfo> rows;
        while (query.next())
            rows << fromRow(query);
        return rows;
    };
    return read<QList<SessionInfo>>(storage::Lane::Short, kDeadline, std::move(job));
}

QCoro::Task<Result<std::optional<SessionInfo>>> SessionRecords::get(SessionKey key)
{
    using Found = std::optional<SessionInfo>;
    storage::Job<Found> job = [key](QSqlDatabase &connection) -> Result<Found> {
        QSqlQuery query(connection);
        query.prepare(QLatin1String(kColumns) + QStringLiteral("WHERE s.principal = ? AND s.session_id = ?"));
        query.addBindValue(key.principal);
        query.addBindValue(key.id);
        const Result<Done> done = execute(query, "read the session");
        if (!done)
            return Unexpected<Error>{done.error()};
        return query.next() ? Found(fromRow(query)) : Found();
    };
    const storage::Lane lane = storage::Lane::Short;
    auto found = co_await m_database.run<Found>(lane, kDeadline, std::move(job));
    co_return found;
}

QCoro::Task<Result<int>> SessionRecords::lastCell(SessionKey key, QDateTime since)
{
    storage::Job<int> job = [key, since](QSqlDatabase &connection) -> Result<int> {
        QSqlQuery query(connection);
        query.prepare(QStringLiteral("SELECT COALESCE(max(execution_count), 0) FROM power.runs WHERE principal = ? AND session_id = ? "
                                     "AND started_at > ?::timestamptz"));
        query.addBindValue(key.principal);
        query.addBindValue(key.id);
        query.addBindValue(since.toUTC().toString(Qt::ISODateWithMs));
        const Result<Done> done = execute(query, "read the runs");
        if (!done)
            return Unexpected<Error>{done.error()};
        return query.next() ? query.value(0).toInt() : 0;
    };
    const storage::Lane lane = storage::Lane::Short;
    auto found = co_await m_database.run<int>(lane, kDeadline, std::move(job));
    co_return found;
}

void SessionRecords::noteUse(const SessionKey &key)
{
    // last_used need not be exact: one record a minute and session.
    const QDateTime now = QDateTime::currentDateTimeUtc();
    qint64 &last = m_lastNote[key.text()];
    if (now.toSecsSinceEpoch() - last < 60)
        return;
    last = now.toSecsSinceEpoch();
    m_writer.append(sessionRecord(key, now));
}

void SessionRecords::noteRun(const RunCall &call, const RunReport &report)
{
    noteUse(call.key);
    if (m_limits.runs == 0)
        return;
    m_noted.append({call, report, QDateTime::currentDateTimeUtc()});
    m_noted.last().call.progress = {};
    m_noted.last().call.cancel = {};
    m_noted.last().call.report = {};
    m_noted.last().call.tools = {};
    if (!m_noteTimer.isActive())
        m_noteTimer.start(kBehind);
}

void SessionRecords::writeNoted()
{
    m_noteTimer.stop();
    for (const Noted &noted : std::exchange(m_noted, {})) {
        const qint64 waiting = m_writer.spoolBytes();
        if (waiting > kMostSpooled)
            continue; // the database is away for long; sessions are still recorded
        QJsonObject record = runRecord(noted.call.key, noted.report, noted.call.code, noted.call.context, noted.call.door, noted.ended);
        if (waiting > kSpooledWhole)
            record.remove(QStringLiteral("outputs"));
        const qint64 bytes = record.value(QStringLiteral("outputs")).toString().size() + noted.call.code.size() + 4'096;
        m_writer.append(std::move(record), bytes);
    }
}

void SessionRecords::noteInputs(const QString &runId, const QList<ReadFile> &files)
{
    if (m_limits.runs == 0)
        return;
    writeNoted(); // the run itself comes first
    m_writer.append({{QStringLiteral("kind"), QStringLiteral("inputs")},
                     {QStringLiteral("id"), runId},
                     {QStringLiteral("inputs"), inputFacts(files)}});
}

QCoro::Task<> SessionRecords::flush()
{
    writeNoted();
    const Result<Done> durable = co_await m_writer.flush();
    if (!durable)
        log::warning("records_not_durable", {{QStringLiteral("reason"), durable.error().message}});
}

template <typename T>
QCoro::Task<Result<T>> SessionRecords::read(storage::Lane lane, std::chrono::milliseconds limit, storage::Job<T> job)
{
    co_await flush();
    Result<T> got = co_await m_database.run<T>(lane, limit, std::move(job));
    co_return got;
}

QCoro::Task<Result<rows::Page>> SessionRecords::runs(SessionKey key, int limit, qint64 offset)
{
    return read<rows::Page>(storage::Lane::Short, kDeadline, [key, limit, offset](QSqlDatabase &connection) {
        return rows::listRuns(connection, key, limit, offset);
    });
}

QCoro::Task<Result<std::optional<RunRow>>> SessionRecords::run(SessionKey key, QString run)
{
    return read<std::optional<RunRow>>(storage::Lane::Short, kDeadline, [key, run](QSqlDatabase &connection) {
        return rows::findRun(connection, key, run);
    });
}

QCoro::Task<Result<QList<RunRow>>> SessionRecords::history(SessionKey key, qint64 mostBytes)
{
    return read<QList<RunRow>>(storage::Lane::Bulk, kLongDeadline, [key, mostBytes](QSqlDatabase &connection) {
        return rows::wholeHistory(connection, key, mostBytes);
    });
}

QCoro::Task<> SessionRecords::prune()
{
    const int days = m_limits.days;
    if (days == 0 || !m_database.isConnected())
        co_return;
    storage::Job<Done> job = [days](QSqlDatabase &connection) { return rows::pruneRuns(connection, days); };
    const storage::Lane lane = storage::Lane::Bulk;
    const Result<Done> pruned = co_await m_database.run<Done>(lane, kLongDeadline, std::move(job));
    if (!pruned)
        log::warning("history_not_pruned", {{QStringLiteral("reason"), pruned.error().message}});
}

} // namespace power::sessions
