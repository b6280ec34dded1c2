#include "sessions/SessionRecords.h"
#include <QCryptographicHash>
#include <QJsonArray>
#include <QJsonDocument>
#include <QSqlError>
#include <QSqlQuery>

namespace power::sessions {

using namespace std::chrono_literals;

namespace {
constexpr std::chrono::milliseconds kDeadline = 5s;

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
    return execute(query, "delete the session");
}

Result<Done> insertRun(QSqlDatabase &connection, const QJsonObject &record)
{
    QSqlQuery query(connection);
    query.prepare(QStringLiteral(
        "INSERT INTO power.runs (id, principal, session_id, code_sha256, code_length, status, cause, started_at, duration_ms, "
        "outputs) VALUES (?::uuid, ?, ?, ?, ?, ?, NULLIF(?, ''), ?::timestamptz, ?, ?::jsonb) ON CONFLICT (id) DO NOTHING"));
    for (const char *key : {"id", "principal", "session_id", "code_sha256"})
        query.addBindValue(record.value(QLatin1String(key)).toString());
    query.addBindValue(record.value(QStringLiteral("code_length")).toInteger());
    for (const char *key : {"status", "cause", "time"})
        query.addBindValue(record.value(QLatin1String(key)).toString());
    query.addBindValue(record.value(QStringLiteral("duration_ms")).toInteger());
    query.addBindValue(jsonText(record.value(QStringLiteral("outputs")).toObject()));
    return execute(query, "record the run");
}

Result<Done> applyRecords(QSqlDatabase &connection, const QList<QJsonObject> &records)
{
    for (const QJsonObject &record : records) {
        const QString kind = record.value(QStringLiteral("kind")).toString();
        const Result<Done> done = kind == u"run"      ? insertRun(connection, record)
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

const char *statusWord(supervisor::RunStatus status)
{
    switch (status) {
    case supervisor::RunStatus::Ok: return "ok";
    case supervisor::RunStatus::Error: return "error";
    case supervisor::RunStatus::Interrupted: return "interrupted";
    case supervisor::RunStatus::Killed: return "killed";
    case supervisor::RunStatus::Died: break;
    }
    return "died";
}
} // namespace

SessionRecords::SessionRecords(storage::Database &database, QString spoolFile, QObject *parent)
    : QObject(parent)
    , m_database(database)
    , m_writer(database, std::move(spoolFile), applyRecords)
{
}

SessionRecords::~SessionRecords() = default;

QCoro::Task<Result<Done>> SessionRecords::save(SessionInfo info)
{
    QJsonObject record = sessionRecord(info.key, info.lastUsed);
    record.insert(QStringLiteral("name"), info.name);
    record.insert(QStringLiteral("description"), info.description);
    record.insert(QStringLiteral("metadata"), info.metadata);
    m_writer.append(record);
    co_await m_writer.flush();
    co_return Done{};
}

QCoro::Task<Result<Done>> SessionRecords::remove(SessionKey key)
{
    QJsonObject record = sessionRecord(key, QDateTime::currentDateTimeUtc());
    record.insert(QStringLiteral("kind"), QStringLiteral("delete"));
    m_writer.append(record);
    m_lastNote.remove(key.text());
    co_await m_writer.flush();
    co_return Done{};
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

void SessionRecords::noteRun(const SessionKey &key, const RunReport &report, const QByteArray &code)
{
    noteUse(key);
    const supervisor::RunOutcome &outcome = report.outcome;
    QJsonObject record = sessionRecord(key, QDateTime::currentDateTimeUtc().addMSecs(-outcome.duration.count() / 1000));
    record.insert(QStringLiteral("kind"), QStringLiteral("run"));
    record.insert(QStringLiteral("id"), report.runId);
    record.insert(QStringLiteral("code_sha256"),
                  QString::fromLatin1(QCryptographicHash::hash(code, QCryptographicHash::Sha256).toHex()));
    record.insert(QStringLiteral("code_length"), code.size());
    record.insert(QStringLiteral("status"), QLatin1String(statusWord(outcome.status)));
    record.insert(QStringLiteral("cause"), outcome.cause);
    record.insert(QStringLiteral("duration_ms"), qint64(outcome.duration.count() / 1000));
    QJsonArray files;
    for (const auto &file : report.files)
        files.append(file.id);
    record.insert(QStringLiteral("outputs"), QJsonObject{{QStringLiteral("stdout_bytes"), outcome.stdoutBytes},
                                                         {QStringLiteral("stderr_bytes"), outcome.stderrBytes},
                                                         {QStringLiteral("error"), outcome.errorName},
                                                         {QStringLiteral("files"), files},
                                                         {QStringLiteral("peak_memory"), outcome.peakMemoryBytes}});
    m_writer.append(std::move(record));
}

QCoro::Task<> SessionRecords::flush()
{
    co_await m_writer.flush();
}

} // namespace power::sessions
