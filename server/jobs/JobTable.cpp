#include "jobs/JobTable.h"
#include "storage/Sql.h"
#include <QCryptographicHash>
#include <QJsonDocument>

namespace power::jobs::table {

using storage::query;
using storage::Rows;

namespace {
const char *const kFacts =
    "j.id, j.principal, j.slug, j.session_id, j.kind, j.state, j.code, j.context, j.metadata, j.inherited, j.door, j.timeout_s, "
    "j.priority, j.max_attempts, j.attempts, j.requeue_if_lost, j.inherit, j.cancel_requested, j.home, j.node, j.fence, "
    "j.submitted_at, j.not_before, j.started_at, j.completed_at, clock_timestamp(), j.tail, j.output_bytes, j.progress, j.cause, "
    "j.error_message, j.error_traceback, j.execution_ms, j.peak_memory, j.result IS NOT NULL, j.options";

// What text of PostgreSQL does not hold.
QString storable(QString text)
{
    return text.replace(QChar(u'\0'), QChar(QChar::ReplacementCharacter));
}

QString jsonText(const QJsonObject &object)
{
    return QString::fromUtf8(QJsonDocument(object).toJson(QJsonDocument::Compact));
}

QJsonObject jsonOf(const QString &text)
{
    return QJsonDocument::fromJson(text.toUtf8()).object();
}

QVariant orNull(const QString &text)
{
    return text.isEmpty() ? QVariant() : QVariant(text);
}

Job jobOf(const Rows &rows, int row)
{
    int at = 0;
    const auto text = [&] { return rows.text(row, at++); };
    const auto number = [&] { return rows.number(row, at++); };
    const auto time = [&] { return rows.time(row, at++); };
    Job job;
    job.id = text();
    job.key.principal = text();
    job.key.slug = text();
    job.key.id = text();
    job.kind = text();
    job.state = text();
    job.code = text().toUtf8();
    job.context = jsonOf(text());
    job.metadata = jsonOf(text());
    job.inherited = jsonOf(text());
    job.door = text();
    job.timeoutSeconds = int(number());
    job.priority = int(number());
    job.maxAttempts = int(number());
    job.attempts = int(number());
    job.requeueIfLost = rows.flag(row, at++);
    job.inherit = rows.flag(row, at++);
    job.cancelRequested = rows.flag(row, at++);
    job.home = text();
    job.node = text();
    job.fence = number();
    job.submitted = time();
    job.notBefore = time();
    job.started = time();
    job.completed = time();
    job.now = time();
    job.tail = text();
    job.outputBytes = number();
    job.progress = jsonOf(text());
    job.cause = text();
    job.errorMessage = text();
    job.errorTraceback = text();
    job.executionMs = rows.isNull(row, at) ? -1 : rows.number(row, at);
    ++at;
    job.peakMemory = rows.isNull(row, at) ? -1 : rows.number(row, at);
    ++at;
    job.hasResult = rows.flag(row, at++);
    job.options = jsonOf(text());
    return job;
}

QByteArray select(const char *more = "")
{
    return QByteArray("SELECT ") + kFacts + more + " FROM power.jobs j ";
}

// What makes two submissions the same.
QString digestOf(const Order &order)
{
    const QByteArray text = order.key.id.toUtf8() + '\n' + order.code + '\n' + jsonText(order.context).toUtf8() + '\n'
                            + QByteArray::number(order.timeoutSeconds) + (order.inherit ? "i" : "");
    return QString::fromLatin1(QCryptographicHash::hash(text, QCryptographicHash::Sha256).toHex());
}

Result<Done> notify(QSqlDatabase &connection, const QString &news)
{
    const auto told = query(connection, "SELECT pg_notify($1, $2)", {QString(QLatin1String(kChannel)), news});
    if (!told)
        return Unexpected<Error>{told.error()};
    return Done{};
}

Result<Inserted> knownByKey(QSqlDatabase &connection, const Order &order)
{
    const auto known = query(connection, "SELECT id, request_sha256, state FROM power.jobs WHERE principal = $1 AND idempotency_key = $2",
                             {order.key.principal, order.idempotencyKey});
    if (!known)
        return Unexpected<Error>{known.error()};
    if (known->isEmpty()) // pruned in this very moment
        return fail(ErrorCode::Busy, QStringLiteral("The job of that idempotency_key is just being removed."), QStringLiteral("Try again."));
    if (known->text(0, 1) != digestOf(order))
        return fail(ErrorCode::Conflict, QStringLiteral("This idempotency_key belongs to another job with other code or arguments (%1).").arg(known->text(0, 0)),
                    QStringLiteral("Use a new key for a new job."), {{QStringLiteral("job_id"), known->text(0, 0)}});
    return Inserted{known->text(0, 0), false, known->text(0, 2), 0};
}
} // namespace

Result<Inserted> insert(QSqlDatabase &connection, const Insertion &insertion)
{
    const Order &order = insertion.order;
    const auto waiting = query(connection, "SELECT count(*) FROM power.jobs WHERE principal = $1 AND state = 'queued'", {order.key.principal});
    if (!waiting)
        return Unexpected<Error>{waiting.error()};
    if (waiting->number(0, 0) >= kMostWaiting)
        return fail(ErrorCode::Busy, QStringLiteral("%1 jobs are waiting already.").arg(kMostWaiting), QStringLiteral("Wait for some of them, or cancel them."));
    const bool runs = !insertion.runningOn.isEmpty();
    const auto made = query(
        connection,
        "INSERT INTO power.jobs (id, principal, slug, session_id, kind, code, context, metadata, door, timeout_s, priority, max_attempts, "
        "requeue_if_lost, inherit, inherited, home, idempotency_key, request_sha256, schedule_id, scheduled_for, not_before, "
        "state, node, fence, lease_until, started_at, attempts, options) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, COALESCE($21::timestamptz, now()), "
        "CASE WHEN $22::text IS NULL THEN 'queued' ELSE 'running' END, $22, CASE WHEN $22::text IS NULL THEN 0 ELSE nextval('power.job_fences') END, "
        "CASE WHEN $22::text IS NULL THEN NULL ELSE now() + $23 * interval '1 second' END, CASE WHEN $22::text IS NULL THEN NULL ELSE now() END, "
        "CASE WHEN $22::text IS NULL THEN 0 ELSE 1 END, $24) "
        "ON CONFLICT DO NOTHING RETURNING id, fence, state",
        {insertion.id, order.key.principal, order.key.slug, order.key.id, order.kind, storable(QString::fromUtf8(order.code)),
         order.context.isEmpty() ? QStringLiteral("") : jsonText(order.context), jsonText(order.metadata), order.door, order.timeoutSeconds,
         order.priority, order.maxAttempts, order.requeueIfLost, order.inherit, insertion.inherited, orNull(insertion.home),
         orNull(order.idempotencyKey), digestOf(order), orNull(order.scheduleId),
         order.scheduledFor.isValid() ? QVariant(order.scheduledFor) : QVariant(),
         order.notBefore.isValid() ? QVariant(order.notBefore) : QVariant(), orNull(insertion.runningOn), insertion.leaseSeconds, order.options});
    if (!made)
        return Unexpected<Error>{made.error()};
    if (made->isEmpty()) {
        if (!order.idempotencyKey.isEmpty())
            return knownByKey(connection, order);
        return fail(ErrorCode::Conflict, QStringLiteral("That run of the schedule was made already."));
    }
    if (!order.webhook.url.isEmpty()) {
        const auto hook = query(connection, "INSERT INTO power.job_webhooks (job_id, url, secret) VALUES ($1, $2, $3)",
                                {insertion.id, order.webhook.url, order.webhook.secret});
        if (!hook)
            return Unexpected<Error>{hook.error()};
    }
    if (runs) {
        const auto attempt = query(connection, "INSERT INTO power.job_attempts (job_id, attempt, fence, node) VALUES ($1, 1, $2, $3)",
                                   {insertion.id, made->number(0, 1), insertion.runningOn});
        if (!attempt)
            return Unexpected<Error>{attempt.error()};
    } else if (const auto told = notify(connection, QStringLiteral("queued")); !told) {
        return Unexpected<Error>{told.error()};
    }
    return Inserted{insertion.id, true, made->text(0, 2), made->number(0, 1)};
}

Result<std::optional<Job>> find(QSqlDatabase &connection, const QString &id, const QString &principal, Part part)
{
    const bool whole = part == Part::Answer;
    const QByteArray sql = select(whole ? ", j.result, j.blocks" : "") + "WHERE j.id = $1 AND ($2::text IS NULL OR j.principal = $2)";
    const auto rows = query(connection, sql.constData(), {id, orNull(principal)});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    if (rows->isEmpty())
        return std::optional<Job>();
    Job job = jobOf(*rows, 0);
    if (whole) {
        job.result = jsonOf(rows->text(0, 36));
        job.blocks = QJsonDocument::fromJson(rows->text(0, 37).toUtf8()).array();
    }
    return std::optional<Job>(std::move(job));
}

Result<QList<Job>> list(QSqlDatabase &connection, const Filter &filter)
{
    QByteArray columns = select();
    columns.replace("j.code,", "left(j.code, 400),").replace("j.tail,", "'',");
    const QByteArray sql = columns + "WHERE j.principal = $1 AND ($2::text IS NULL OR j.session_id = $2) AND ($3::text[] = '{}' OR j.state = ANY($3)) "
                                      "AND (j.kind = 'job' OR $5) ORDER BY j.submitted_at DESC, j.id LIMIT $4";
    const auto rows = query(connection, sql.constData(), {filter.principal, orNull(filter.sessionId), filter.states, filter.limit, filter.runsToo});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QList<Job> jobs;
    for (int row = 0; row < rows->size(); ++row)
        jobs << jobOf(*rows, row);
    return jobs;
}

Result<QJsonArray> attempts(QSqlDatabase &connection, const QString &id)
{
    const auto rows = query(connection, "SELECT attempt, fence, node, started_at, ended_at, ending FROM power.job_attempts WHERE job_id = $1 ORDER BY attempt", {id});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QJsonArray list;
    for (int row = 0; row < rows->size(); ++row)
        list.append(QJsonObject{{QStringLiteral("attempt"), rows->number(row, 0)},
                                {QStringLiteral("fence"), rows->number(row, 1)},
                                {QStringLiteral("server"), rows->text(row, 2)},
                                {QStringLiteral("started_at"), rows->time(row, 3).toString(Qt::ISODateWithMs)},
                                {QStringLiteral("ended_at"), rows->isNull(row, 4) ? QJsonValue() : QJsonValue(rows->time(row, 4).toString(Qt::ISODateWithMs))},
                                {QStringLiteral("ending"), rows->text(row, 5)}});
    return list;
}

Result<QList<Job>> claim(QSqlDatabase &connection, const QString &node, int most, int leaseSeconds)
{
    const QByteArray sql = QByteArray("WITH next AS (SELECT q.id FROM power.jobs q WHERE q.state = 'queued' AND q.not_before <= clock_timestamp() "
                                      "AND (q.home IS NULL OR q.home = $1 OR NOT EXISTS (SELECT 1 FROM power.nodes n WHERE n.id = q.home "
                                      "AND n.seen_at > clock_timestamp() - $4 * interval '1 second')) "
                                      "ORDER BY q.priority DESC, q.submitted_at, q.id LIMIT $2 FOR UPDATE SKIP LOCKED), "
                                      "taken AS (UPDATE power.jobs j SET state = 'running', node = $1, fence = nextval('power.job_fences'), "
                                      "lease_until = clock_timestamp() + $3 * interval '1 second', attempts = j.attempts + 1, "
                                      "started_at = clock_timestamp(), tail = '', output_bytes = 0, progress = '' FROM next WHERE j.id = next.id RETURNING ")
                           + kFacts
                           + "), noted AS (INSERT INTO power.job_attempts (job_id, attempt, fence, node) SELECT id, attempts, fence, $1 FROM taken) "
                             "SELECT * FROM taken ORDER BY priority DESC, submitted_at, id";
    const auto rows = query(connection, sql.constData(), {node, most, leaseSeconds, kHomeLeases * leaseSeconds});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QList<Job> jobs;
    for (int row = 0; row < rows->size(); ++row)
        jobs << jobOf(*rows, row);
    return jobs;
}

Result<Pulse> beat(QSqlDatabase &connection, const QString &node, const QString &instance, const QList<Beat> &beats, int leaseSeconds)
{
    const auto alive = query(connection, "INSERT INTO power.nodes (id, instance) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), "
                                         "started_at = CASE WHEN power.nodes.instance = $2 THEN power.nodes.started_at ELSE clock_timestamp() END, instance = $2",
                             {node, instance});
    if (!alive)
        return Unexpected<Error>{alive.error()};
    Pulse pulse;
    if (!beats.isEmpty()) {
        QJsonArray told;
        for (const Beat &each : beats) {
            QJsonObject one{{QStringLiteral("id"), each.id}, {QStringLiteral("fence"), each.fence}};
            if (each.told) {
                one.insert(QStringLiteral("tail"), storable(each.tail));
                one.insert(QStringLiteral("bytes"), each.outputBytes);
                one.insert(QStringLiteral("progress"), each.progress.isEmpty() ? QStringLiteral("") : storable(jsonText(each.progress)));
            }
            told.append(one);
        }
        const auto held = query(connection,
                                "UPDATE power.jobs j SET lease_until = clock_timestamp() + $2 * interval '1 second', tail = COALESCE(u.tail, j.tail), "
                                "output_bytes = COALESCE(u.bytes, j.output_bytes), progress = COALESCE(u.progress, j.progress) "
                                "FROM json_to_recordset($1::json) AS u(id uuid, fence bigint, tail text, bytes bigint, progress text) "
                                "WHERE j.id = u.id AND j.fence = u.fence AND j.state = 'running' RETURNING j.id, j.cancel_requested",
                                {QVariant(told), leaseSeconds});
        if (!held)
            return Unexpected<Error>{held.error()};
        for (int row = 0; row < held->size(); ++row)
            pulse.held.insert(held->text(row, 0), held->flag(row, 1));
    }
    const auto lost = query(connection,
                            "WITH gone AS (SELECT id, fence AS old FROM power.jobs WHERE state = 'running' AND lease_until < clock_timestamp() "
                            "LIMIT 100 FOR UPDATE SKIP LOCKED), "
                            "taken AS (UPDATE power.jobs j SET fence = nextval('power.job_fences'), lease_until = NULL, "
                            "state = CASE WHEN j.cancel_requested THEN 'cancelled' WHEN j.requeue_if_lost AND j.kind = 'job' AND j.attempts < GREATEST(j.max_attempts, $1) "
                            "THEN 'queued' ELSE 'interrupted' END, "
                            "completed_at = CASE WHEN j.cancel_requested OR j.kind <> 'job' OR NOT (j.requeue_if_lost AND j.attempts < GREATEST(j.max_attempts, $1)) "
                            "THEN clock_timestamp() END, "
                            "cause = CASE WHEN j.cancel_requested THEN 'cancelled' ELSE 'server_lost' END, "
                            "error_message = CASE WHEN j.cancel_requested THEN NULL ELSE 'The server that ran this job ended without a word (attempt ' || j.attempts || ').' END, "
                            "execution_ms = (extract(epoch FROM clock_timestamp() - j.started_at) * 1000)::bigint "
                            "FROM gone WHERE j.id = gone.id RETURNING j.id, j.state, gone.old), "
                            "noted AS (UPDATE power.job_attempts a SET ended_at = clock_timestamp(), "
                            "ending = CASE WHEN t.state = 'queued' THEN 'requeued' ELSE t.state END FROM taken t WHERE a.job_id = t.id AND a.fence = t.old), "
                            "hooks AS (UPDATE power.job_webhooks w SET next_at = clock_timestamp() FROM taken t WHERE w.job_id = t.id AND t.state <> 'queued') "
                            "SELECT id, state FROM taken",
                            {kMostLost});
    if (!lost)
        return Unexpected<Error>{lost.error()};
    for (int row = 0; row < lost->size(); ++row) {
        if (lost->text(row, 1) == state::queued)
            pulse.requeued = true;
        else
            pulse.ended << lost->text(row, 0);
        if (const auto told = notify(connection, lost->text(row, 1) == state::queued ? state::queued : QStringLiteral("ended ") + lost->text(row, 0)); !told)
            return Unexpected<Error>{told.error()};
    }
    return pulse;
}

Result<std::optional<QString>> finish(QSqlDatabase &connection, const QString &id, qint64 fence, const Ending &ending)
{
    // Failed with attempts left, or not even begun: it waits again, a little longer each time.
    const bool mayRepeat = ending.state == state::failed;
    const bool lost = ending.state == state::interrupted;
    const auto rows = query(
        connection,
        "WITH done AS (UPDATE power.jobs j SET lease_until = NULL, "
        "state = CASE WHEN x.again THEN 'queued' WHEN x.dropped THEN 'cancelled' ELSE $3 END, completed_at = CASE WHEN x.again THEN NULL ELSE clock_timestamp() END, "
        "attempts = j.attempts - CASE WHEN $12 THEN 1 ELSE 0 END, "
        "not_before = CASE WHEN x.again THEN clock_timestamp() + LEAST(60, CASE WHEN $14 THEN 0 WHEN $12 THEN 2 ELSE power(2, j.attempts) END) * interval '1 second' ELSE j.not_before END, "
        "cause = $4, error_message = $5, error_traceback = $6, execution_ms = $7, peak_memory = $8, result = $9, blocks = $10, tail = $11, output_bytes = $15 "
        "FROM (SELECT k.cancel_requested AND $12 AS dropped, NOT k.cancel_requested AND k.kind = 'job' AND ($12 OR ($13 AND k.attempts < k.max_attempts) OR ($14 AND k.requeue_if_lost AND k.attempts < GREATEST(k.max_attempts, $16))) AS again "
        "FROM power.jobs k WHERE k.id = $1) x WHERE j.id = $1 AND j.fence = $2 AND j.state = 'running' RETURNING j.state), "
        "noted AS (UPDATE power.job_attempts a SET ended_at = clock_timestamp(), ending = CASE WHEN d.state = 'queued' THEN 'requeued: ' ELSE '' END || $3 "
        "FROM done d WHERE a.job_id = $1 AND a.fence = $2 AND NOT $12), "
        "forgotten AS (DELETE FROM power.job_attempts a USING done d WHERE a.job_id = $1 AND a.fence = $2 AND $12), "
        "hooks AS (UPDATE power.job_webhooks w SET next_at = clock_timestamp() FROM done d WHERE w.job_id = $1 AND d.state <> 'queued') "
        "SELECT state FROM done",
        {id, fence, ending.state, storable(ending.cause.left(200)), orNull(storable(ending.message.left(8'000))), orNull(storable(ending.traceback.right(64 << 10))),
         ending.executionMs, ending.peakMemory,
         ending.result.isEmpty() ? QVariant() : QVariant(jsonText(ending.result)),
         ending.blocks.isEmpty() ? QVariant() : QVariant(QString::fromUtf8(QJsonDocument(ending.blocks).toJson(QJsonDocument::Compact))),
         storable(ending.tail), ending.notStarted, mayRepeat, lost, ending.outputBytes, kMostLost});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    if (rows->isEmpty())
        return std::optional<QString>();
    const QString now = rows->text(0, 0);
    if (const auto told = notify(connection, now == state::queued ? state::queued : QStringLiteral("ended ") + id); !told)
        return Unexpected<Error>{told.error()};
    return std::optional<QString>(now);
}

Result<Cancelling> cancel(QSqlDatabase &connection, const QString &id, const QString &principal)
{
    const auto rows = query(connection,
                            "WITH old AS (SELECT id, state FROM power.jobs WHERE id = $1 AND principal = $2 FOR UPDATE), "
                            "gone AS (UPDATE power.jobs j SET state = 'cancelled', cause = 'cancelled', fence = nextval('power.job_fences'), "
                            "completed_at = clock_timestamp(), cancel_requested = true FROM old WHERE j.id = old.id AND old.state = 'queued' RETURNING j.id), "
                            "asked AS (UPDATE power.jobs j SET cancel_requested = true FROM old WHERE j.id = old.id AND old.state = 'running'), "
                            "hooks AS (UPDATE power.job_webhooks w SET next_at = clock_timestamp() FROM gone WHERE w.job_id = gone.id) "
                            "SELECT state FROM old",
                            {id, principal});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    if (rows->isEmpty())
        return Cancelling::NoSuchJob;
    const QString was = rows->text(0, 0);
    if (isFinal(was))
        return Cancelling::WasOver;
    const bool waited = was == state::queued;
    if (const auto told = notify(connection, (waited ? QStringLiteral("ended ") : QStringLiteral("cancel ")) + id); !told)
        return Unexpected<Error>{told.error()};
    return waited ? Cancelling::Done : Cancelling::Asked;
}

Result<QStringList> cancelSession(QSqlDatabase &connection, const sessions::SessionKey &key)
{
    const auto rows = query(connection, "SELECT id FROM power.jobs WHERE principal = $1 AND session_id = $2 AND state IN ('queued', 'running')", {key.principal, key.id});
    if (!rows)
        return Unexpected<Error>{rows.error()};
    QStringList ids;
    for (int row = 0; row < rows->size(); ++row) {
        const auto asked = cancel(connection, rows->text(row, 0), key.principal);
        if (!asked)
            return Unexpected<Error>{asked.error()};
        ids << rows->text(row, 0);
    }
    return ids;
}

Result<int> prune(QSqlDatabase &connection, int hours)
{
    const auto gone = query(connection, "DELETE FROM power.jobs j WHERE j.completed_at < now() - $1 * interval '1 hour' AND j.state NOT IN ('queued', 'running') "
                                        "AND NOT EXISTS (SELECT 1 FROM power.job_webhooks w WHERE w.job_id = j.id AND w.next_at IS NOT NULL)",
                            {hours});
    if (!gone)
        return Unexpected<Error>{gone.error()};
    const auto nodes = query(connection, "DELETE FROM power.nodes WHERE seen_at < now() - interval '7 days'");
    if (!nodes)
        return Unexpected<Error>{nodes.error()};
    return int(gone->affected());
}

} // namespace power::jobs::table
