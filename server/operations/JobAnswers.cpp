#include "operations/JobAnswers.h"
#include "operations/RunText.h"

namespace power::operations {

using jobs::Job;

namespace {
constexpr qint64 kMostImageBytes = 8ll << 20; // of one job, as stored
constexpr qsizetype kShownTail = 4'000;

QString isoOrEmpty(const QDateTime &time)
{
    return time.toUTC().toString(Qt::ISODateWithMs);
}

QJsonValue isoOrNull(const QDateTime &time)
{
    return time.isValid() ? QJsonValue(isoOrEmpty(time)) : QJsonValue();
}

QJsonValue textOrNull(const QString &text)
{
    return text.isEmpty() ? QJsonValue() : QJsonValue(text);
}

QString based(QString text, const QString &baseUrl)
{
    return text.replace(QLatin1String(jobs::kLinkBase), baseUrl);
}

// The links of an execute object.
void giveBase(QJsonObject &data, const QString &baseUrl)
{
    for (const char *key : {"download_urls", "inline_images"}) {
        QJsonArray list = data.value(QLatin1String(key)).toArray();
        for (QJsonValueRef entry : list) {
            QJsonObject link = entry.toObject();
            link.insert(QStringLiteral("url"), based(link.value(QStringLiteral("url")).toString(), baseUrl));
            entry = link;
        }
        if (data.contains(QLatin1String(key)))
            data.insert(QLatin1String(key), list);
    }
}

QString whyNoAnswer(const Job &job)
{
    QString text = QStringLiteral("The job ended without a result: %1").arg(job.state);
    if (!job.cause.isEmpty() && job.cause != job.state)
        text += QStringLiteral(" (%1)").arg(job.cause);
    if (!job.errorMessage.isEmpty())
        text += QStringLiteral(". ") + job.errorMessage;
    if (!job.tail.isEmpty())
        text += QStringLiteral("\nOutput until then:\n") + job.tail.right(kShownTail);
    return text;
}
} // namespace

jobs::Shaped shapedRun(const sessions::RunReport &report)
{
    const QString base = QLatin1String(jobs::kLinkBase);
    return {runData(report, base), storedBlocks(runBlocks(report, base))};
}

QJsonArray storedBlocks(const QList<Block> &blocks)
{
    QJsonArray stored;
    qint64 room = kMostImageBytes;
    for (const Block &block : blocks) {
        QJsonObject one{{QStringLiteral("text"), block.text}};
        if (block.kind == Block::Kind::Image) {
            one.insert(QStringLiteral("mime"), QString::fromLatin1(block.mime));
            if (block.data.size() <= room) {
                room -= block.data.size();
                one.insert(QStringLiteral("data"), QString::fromLatin1(block.data.toBase64()));
            }
        }
        stored.append(one);
    }
    return stored;
}

QString shownSeconds(qint64 milliseconds)
{
    return QStringLiteral("%1s").arg(double(milliseconds) / 1000, 0, 'f', 1);
}

QJsonObject jobFacts(const Job &job)
{
    const bool over = jobs::isFinal(job.state);
    QJsonObject facts{{QStringLiteral("job_id"), job.id},
                      {QStringLiteral("session_id"), job.key.id},
                      {QStringLiteral("status"), jobs::statusOf(job.state)},
                      {QStringLiteral("state"), job.state},
                      {QStringLiteral("submitted_at"), isoOrEmpty(job.submitted)},
                      {QStringLiteral("started_at"), isoOrNull(job.started)},
                      {QStringLiteral("completed_at"), isoOrNull(job.completed)},
                      {QStringLiteral("elapsed_ms"), job.elapsedMs()},
                      {QStringLiteral("elapsed"), shownSeconds(job.elapsedMs())},
                      {QStringLiteral("execution_time_ms"), over && job.executionMs >= 0 ? QJsonValue(job.executionMs) : QJsonValue()},
                      {QStringLiteral("has_result"), over && job.hasResult},
                      {QStringLiteral("has_error"), over && job.state != jobs::state::succeeded},
                      {QStringLiteral("attempts"), job.attempts},
                      {QStringLiteral("output_bytes"), job.outputBytes}};
    if (!job.cause.isEmpty())
        facts.insert(QStringLiteral("cause"), job.cause);
    if (job.state == jobs::state::running && job.cancelRequested)
        facts.insert(QStringLiteral("cancel_requested"), true);
    if (!job.progress.isEmpty())
        facts.insert(QStringLiteral("progress"), job.progress);
    if (!over && !job.tail.isEmpty())
        facts.insert(QStringLiteral("output_tail"), job.tail.right(1'000));
    if (!job.metadata.isEmpty())
        facts.insert(QStringLiteral("metadata"), job.metadata);
    return facts;
}

QJsonObject jobRecord(const Job &job, const QString &baseUrl)
{
    QJsonObject result = job.result;
    giveBase(result, baseUrl);
    QJsonObject record = jobFacts(job);
    record.insert(QStringLiteral("code"), QString::fromUtf8(job.code));
    record.insert(QStringLiteral("stdout"), job.hasResult ? result.value(QStringLiteral("stdout")) : QJsonValue(job.tail));
    record.insert(QStringLiteral("stderr"), result.value(QStringLiteral("stderr")).toString());
    record.insert(QStringLiteral("result"), job.hasResult ? QJsonValue(result) : QJsonValue());
    record.insert(QStringLiteral("error_message"), textOrNull(job.errorMessage));
    record.insert(QStringLiteral("error_traceback"), textOrNull(job.errorTraceback));
    record.insert(QStringLiteral("memory_used_mb"), job.peakMemory >= 0 ? QJsonValue(double(job.peakMemory) / (1 << 20)) : QJsonValue());
    record.insert(QStringLiteral("files_created"), result.value(QStringLiteral("files_created")).toArray());
    if (job.inherit)
        record.insert(QStringLiteral("inherited"), job.inherited);
    return record;
}

QList<Block> jobBlocks(const Job &job, const QString &baseUrl)
{
    QList<Block> blocks;
    bool output = true; // the first text is what the code printed
    for (const QJsonValue &value : job.blocks) {
        Block block;
        const QJsonObject one = value.toObject();
        block.text = one.value(QStringLiteral("text")).toString();
        if (one.contains(QStringLiteral("mime"))) {
            block.kind = Block::Kind::Image;
            block.mime = one.value(QStringLiteral("mime")).toString().toLatin1();
            block.data = QByteArray::fromBase64(one.value(QStringLiteral("data")).toString().toLatin1());
        } else if (!std::exchange(output, false)) {
            block.text = based(block.text, baseUrl);
        }
        blocks << block;
    }
    if (blocks.isEmpty()) {
        Block block;
        block.text = whyNoAnswer(job);
        blocks << block;
    }
    return blocks;
}

QString jobSoFar(const Job &job)
{
    QString text = QStringLiteral("Job %1 is %2 for %3").arg(job.id, job.state, shownSeconds(job.elapsedMs()));
    if (job.attempts > 1)
        text += QStringLiteral(" (attempt %1)").arg(job.attempts);
    text += u'.';
    const double total = job.progress.value(QStringLiteral("total")).toDouble(-1);
    if (!job.progress.isEmpty())
        text += QStringLiteral(" Progress: %1%2 %3").arg(job.progress.value(QStringLiteral("done")).toDouble())
                    .arg(total > 0 ? QStringLiteral("/%1").arg(total) : QString(), job.progress.value(QStringLiteral("text")).toString());
    if (!job.tail.isEmpty())
        text += QStringLiteral("\nOutput so far (%1%2):\n%3")
                    .arg(humanSize(job.outputBytes), job.outputBytes > kShownTail ? QStringLiteral(", the end") : QString(), job.tail.right(kShownTail));
    return text + QStringLiteral("\nCall get_job_result again; wait=30 waits up to 30 s for the end.");
}

Answer jobAnswer(const Job &job, const QString &baseUrl)
{
    Answer answer;
    answer.data = jobRecord(job, baseUrl);
    if (!jobs::isFinal(job.state)) {
        Block block;
        block.text = jobSoFar(job);
        answer.blocks << block;
        answer.data.insert(QStringLiteral("detail"), QStringLiteral("Job is still %1.").arg(jobs::statusOf(job.state)));
        answer.status = 202;
        return answer;
    }
    answer.blocks = jobBlocks(job, baseUrl);
    answer.userError = job.state != jobs::state::succeeded;
    return answer;
}

} // namespace power::operations
