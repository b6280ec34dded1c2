#include "sessions/RunRow.h"
#include <QCryptographicHash>
#include <QJsonDocument>

namespace power::sessions {

namespace {
constexpr qsizetype kMostCode = 256 << 10;
constexpr qsizetype kMostContext = 16 << 10;
constexpr qsizetype kMostFilesTold = 500;

// What neither text nor jsonb of PostgreSQL holds.
QString storable(QString text)
{
    return text.replace(QChar(u'\0'), QChar(QChar::ReplacementCharacter));
}

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

QJsonArray writtenFacts(const RunReport &report)
{
    QJsonArray list;
    for (const auto &file : report.files.mid(0, kMostFilesTold))
        list.append(QJsonObject{{QStringLiteral("path"), storable(file.name)},
                                {QStringLiteral("size"), file.size},
                                {QStringLiteral("sha256"), QString::fromLatin1(file.sha256)},
                                {QStringLiteral("file_id"), file.id}});
    for (const UnlinkedFile &file : report.unlinked.mid(0, kMostFilesTold))
        list.append(QJsonObject{{QStringLiteral("path"), storable(file.path)},
                                {QStringLiteral("size"), file.size},
                                {QStringLiteral("sha256"), QJsonValue()},
                                {QStringLiteral("file_id"), QJsonValue()}});
    return list;
}

QJsonArray callFacts(const RunReport &report)
{
    QJsonArray list;
    for (const InsideCall &call : report.calls)
        list.append(QJsonObject{{QStringLiteral("tool"), storable(call.tool)},
                                {QStringLiteral("arguments"), storable(call.arguments)},
                                {QStringLiteral("ok"), call.ok},
                                {QStringLiteral("error"), call.ok ? QJsonValue() : QJsonValue(call.error)},
                                {QStringLiteral("duration_ms"), call.milliseconds}});
    return list;
}
} // namespace

QJsonArray inputFacts(const QList<ReadFile> &files)
{
    QJsonArray list;
    for (const ReadFile &file : files)
        list.append(QJsonObject{{QStringLiteral("path"), storable(file.path)},
                                {QStringLiteral("size"), file.size},
                                {QStringLiteral("sha256"), file.sha256.isEmpty() ? QJsonValue() : QJsonValue(file.sha256)}});
    return list;
}

QJsonObject runRecord(const SessionKey &key, const RunReport &report, const QByteArray &code, const QJsonObject &context,
                      const QString &door, const QDateTime &ended)
{
    const supervisor::RunOutcome &outcome = report.outcome;
    QJsonObject facts{{QStringLiteral("stdout_bytes"), outcome.stdoutBytes},
                      {QStringLiteral("stderr_bytes"), outcome.stderrBytes},
                      {QStringLiteral("peak_memory"), outcome.peakMemoryBytes},
                      {QStringLiteral("queued_ms"), qint64(report.queuedFor.count())},
                      {QStringLiteral("variables_survived"), outcome.variablesSurvived},
                      {QStringLiteral("kernel_new"), report.kernelIsNew}};
    if (!outcome.limit.isEmpty())
        facts.insert(QStringLiteral("limit"), outcome.limit);
    if (!outcome.peak.isEmpty())
        facts.insert(QStringLiteral("peak"), outcome.peak);
    if (outcome.restored)
        facts.insert(QStringLiteral("restored_to_cell"), outcome.restored->cell);
    if (!report.removed.isEmpty())
        facts.insert(QStringLiteral("files_removed"), storable(report.removed.mid(0, 100).join(u'\n')));
    if (code.size() > kMostCode)
        facts.insert(QStringLiteral("code_cut"), true);
    QByteArray variables;
    if (!context.isEmpty())
        variables = QJsonDocument(context).toJson(QJsonDocument::Compact);
    if (variables.size() > kMostContext) {
        facts.insert(QStringLiteral("context_left_out"), true);
        variables.clear();
    }
    const QDateTime started = ended.addMSecs(-outcome.duration.count() / 1000);
    return {{QStringLiteral("kind"), QStringLiteral("run")},
            {QStringLiteral("id"), report.runId},
            {QStringLiteral("principal"), key.principal},
            {QStringLiteral("session_id"), key.id},
            {QStringLiteral("time"), started.toUTC().toString(Qt::ISODateWithMs)},
            {QStringLiteral("door"), door},
            {QStringLiteral("code"), storable(QString::fromUtf8(code.left(kMostCode)))},
            {QStringLiteral("code_sha256"),
             QString::fromLatin1(QCryptographicHash::hash(code, QCryptographicHash::Sha256).toHex())},
            {QStringLiteral("code_length"), code.size()},
            {QStringLiteral("context"), QString::fromUtf8(variables)},
            {QStringLiteral("status"), QLatin1String(statusWord(outcome.status))},
            {QStringLiteral("cause"), outcome.cause},
            {QStringLiteral("error_name"), storable(outcome.errorName)},
            {QStringLiteral("error_value"), storable(outcome.errorValue.left(4000))},
            {QStringLiteral("duration_ms"), qint64(outcome.duration.count() / 1000)},
            {QStringLiteral("count"), outcome.executionCount},
            {QStringLiteral("facts"), facts},
            {QStringLiteral("inputs"), inputFacts(report.read)},
            {QStringLiteral("files"), writtenFacts(report)},
            {QStringLiteral("calls"), callFacts(report)},
            {QStringLiteral("outputs"),
             QString::fromUtf8(QJsonDocument(notebookOutputs(outcome)).toJson(QJsonDocument::Compact))}};
}

} // namespace power::sessions
