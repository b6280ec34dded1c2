#include "operations/RunText.h"
#include "operations/FileFacts.h"
#include <QJsonArray>
#include <QJsonDocument>

namespace power::operations {

using supervisor::OutputEvent;
using supervisor::RunOutcome;
using supervisor::RunStatus;

namespace {
constexpr int kMostCellsNamed = 20;
constexpr qint64 kLargestImageBlock = 3'500'000; // bytes; base64 of it stays below the 5 MB of the API

bool isImageMime(const QByteArray &mime)
{
    return mime == "image/png" || mime == "image/jpeg" || mime == "image/gif" || mime == "image/webp";
}

const supervisor::DisplayPart *imageOf(const OutputEvent &event)
{
    for (const auto &part : event.parts) {
        if (isImageMime(part.mime) && part.data.size() <= kLargestImageBlock)
            return &part;
    }
    return nullptr;
}

QString plainTextOf(const OutputEvent &event)
{
    for (const char *mime : {"text/markdown", "text/plain", "text/latex", "application/json", "text/html"}) {
        for (const auto &part : event.parts) {
            if (part.mime == mime)
                return QString::fromUtf8(part.data);
        }
    }
    return event.alt;
}

void addLine(QString &text, const QString &line)
{
    if (line.isEmpty())
        return;
    if (!text.isEmpty() && !text.endsWith(u'\n'))
        text += u'\n';
    text += line;
}

QString orderedOutput(const RunOutcome &outcome)
{
    QString text;
    int pictures = 0;
    for (const OutputEvent &event : outcome.outputs) {
        switch (event.kind) {
        case OutputEvent::Kind::Stdout:
            text += QString::fromUtf8(event.text);
            break;
        case OutputEvent::Kind::Stderr:
            addLine(text, QStringLiteral("[stderr] ") + QString::fromUtf8(event.text));
            break;
        case OutputEvent::Kind::Display:
        case OutputEvent::Kind::Result:
        case OutputEvent::Kind::Figure:
            if (imageOf(event)) {
                ++pictures;
                addLine(text, QStringLiteral("[image %1%2]").arg(pictures).arg(
                                  event.fileName.isEmpty() ? QString() : QStringLiteral(": ") + event.fileName));
            } else {
                addLine(text, plainTextOf(event));
            }
            text += u'\n';
            break;
        }
    }
    while (text.endsWith(u'\n') || text.endsWith(u' '))
        text.chop(1);
    return text;
}

QString streamText(const RunOutcome &outcome, OutputEvent::Kind kind)
{
    QByteArray text;
    for (const OutputEvent &event : outcome.outputs) {
        if (event.kind == kind)
            text += event.text;
    }
    return QString::fromUtf8(text);
}

QString errorHeadline(const RunOutcome &outcome)
{
    if (outcome.errorName.isEmpty())
        return {};
    return outcome.errorValue.isEmpty() ? outcome.errorName : outcome.errorName + QStringLiteral(": ") + outcome.errorValue;
}

QString tracebackText(const RunOutcome &outcome)
{
    static const QString heading = QStringLiteral("Traceback (most recent call last):\n");
    QString traceback = outcome.traceback.trimmed();
    if (traceback.startsWith(heading))
        traceback.remove(0, heading.size());
    return traceback;
}

QString whatIsLeft(const sessions::RunReport &report)
{
    const RunOutcome &outcome = report.outcome;
    if (!outcome.restored && report.snapshotCell >= 0)
        return QStringLiteral("The next call restores the session from its snapshot to after cell %1; files are kept.").arg(report.snapshotCell);
    return outcome.restored ? outcome.restored->text() : QStringLiteral("Variables are lost, files are kept.");
}

QString whatHappened(const sessions::RunReport &report)
{
    const RunOutcome &outcome = report.outcome;
    const QString stage = outcome.hardInterrupt ? QStringLiteral("interrupted (hard: it ignored the first interrupt)")
                                                : QStringLiteral("interrupted");
    switch (outcome.status) {
    case RunStatus::Ok:
    case RunStatus::Error:
        return {};
    case RunStatus::Interrupted:
        return QStringLiteral("The run was %1: %2%3. Variables and files are kept.")
            .arg(stage, outcome.cause.isEmpty() ? QStringLiteral("it raised KeyboardInterrupt") : outcome.cause,
                 outcome.limit.isEmpty() ? QString() : QStringLiteral(" (limit %1)").arg(outcome.limit));
    case RunStatus::Killed:
        return QStringLiteral("The kernel was ended: %1%2%3. %4")
            .arg(outcome.cause, outcome.limit.isEmpty() ? QString() : QStringLiteral(", limit %1").arg(outcome.limit),
                 outcome.peak.isEmpty() ? QString() : QStringLiteral(", reached %1").arg(outcome.peak), whatIsLeft(report));
    case RunStatus::Died:
        return QStringLiteral("The kernel died: %1%2. %3")
            .arg(outcome.cause, outcome.peak.isEmpty() ? QString() : QStringLiteral(" (%1)").arg(outcome.peak), whatIsLeft(report));
    }
    return {};
}

QString nextStepOf(const RunOutcome &outcome)
{
    if (!outcome.hint.isEmpty())
        return outcome.hint;
    if (outcome.cause == u"timeout")
        return QStringLiteral("Do less per call, raise timeout (up to the maximum), or run it as a job.");
    if (outcome.cause == u"memory_limit")
        return QStringLiteral("Load fewer columns or rows, use smaller dtypes, chunks, or query_dataset; then run again.");
    if (outcome.cause == u"output_limit")
        return QStringLiteral("Print less (head(), a summary) or write to a file.");
    if (outcome.cause == u"disk_limit")
        return QStringLiteral("Delete files that are no longer needed (delete_file), then run again.");
    if (outcome.cause == u"process_limit")
        return QStringLiteral("Start fewer processes or threads at once.");
    if (outcome.restored)
        return QStringLiteral("Run the lost cells again without what ended the kernel.");
    if (!outcome.variablesSurvived)
        return QStringLiteral("Run the cells that define what you need again; files are still there.");
    return {};
}
} // namespace

QString shownName(const QString &name)
{
    QString shown;
    for (const QChar c : name) {
        const bool hidden = c.category() == QChar::Other_Control || c.category() == QChar::Other_Format
                         || c.category() == QChar::Separator_Line || c.category() == QChar::Separator_Paragraph;
        shown += hidden ? QStringLiteral("\\u%1").arg(uint(c.unicode()), 4, 16, QLatin1Char('0')) : QString(c);
    }
    return shown;
}

QString humanSize(qint64 bytes)
{
    if (bytes < 1024)
        return QStringLiteral("%1 B").arg(bytes);
    double value = double(bytes);
    const char *unit = "B";
    for (const char *next : {"KB", "MB", "GB", "TB"}) {
        if (value < 1024)
            break;
        value /= 1024;
        unit = next;
    }
    return QStringLiteral("%1 %2").arg(value, 0, 'f', 1).arg(QLatin1String(unit));
}

QJsonObject failureFacts(const sessions::RunReport &report)
{
    const RunOutcome &outcome = report.outcome;
    if (outcome.status == RunStatus::Ok)
        return {};
    QJsonArray survived{QStringLiteral("files")}, lost;
    (outcome.variablesSurvived ? survived : lost).append(QStringLiteral("variables"));
    const QString cause = outcome.cause.isEmpty() ? outcome.errorCause : outcome.cause;
    QJsonObject facts{{QStringLiteral("cause"), cause.isEmpty() ? QStringLiteral("exception") : cause},
            {QStringLiteral("limit"), outcome.limit.isEmpty() ? outcome.errorLimit : outcome.limit},
            {QStringLiteral("peak"), outcome.peak.isEmpty() ? outcome.errorPeak : outcome.peak},
            {QStringLiteral("survived"), survived},
            {QStringLiteral("lost"), lost},
            {QStringLiteral("next_step"), nextStepOf(outcome)}};
    if (const auto &restored = outcome.restored) {
        for (int cell = restored->cell + 1; cell <= restored->lastLost && lost.size() < kMostCellsNamed; ++cell)
            lost.append(QStringLiteral("cell %1").arg(cell));
        for (const QString &name : restored->gone)
            lost.append(name);
        facts.insert(QStringLiteral("lost"), lost);
        facts.insert(QStringLiteral("restored_to_cell"), restored->cell);
        facts.insert(QStringLiteral("older_values"), QJsonArray::fromStringList(restored->older));
    }
    return facts;
}

QList<Block> runBlocks(const sessions::RunReport &report, const QString &baseUrl)
{
    const RunOutcome &outcome = report.outcome;
    QString text = orderedOutput(outcome);
    if (!outcome.result.isNull() && !outcome.result.isUndefined())
        addLine(text, QStringLiteral("RESULT: ") + QString::fromUtf8(QJsonDocument(QJsonArray{outcome.result})
                                                                      .toJson(QJsonDocument::Compact).mid(1).chopped(1)));
    if (const QString happened = whatHappened(report); !happened.isEmpty())
        addLine(text, happened);
    if (outcome.status == RunStatus::Error) {
        addLine(text, QStringLiteral("Execution Error: ") + errorHeadline(outcome));
        const QString traceback = tracebackText(outcome);
        if (!traceback.isEmpty() && traceback != errorHeadline(outcome))
            addLine(text, QStringLiteral("Traceback:\n") + traceback);
        if (!outcome.errorLimit.isEmpty())
            addLine(text, QStringLiteral("Limit: ") + outcome.errorLimit
                              + (outcome.errorPeak.isEmpty() ? QString() : QStringLiteral(" (reached: %1)").arg(outcome.errorPeak)));
        if (!outcome.hint.isEmpty())
            addLine(text, QStringLiteral("Hint: ") + outcome.hint);
    } else if (outcome.status != RunStatus::Ok) {
        if (!outcome.traceback.isEmpty())
            addLine(text, QStringLiteral("Traceback:\n") + tracebackText(outcome));
        addLine(text, QString::fromUtf8(QJsonDocument(failureFacts(report)).toJson(QJsonDocument::Compact)));
    }
    if (text.isEmpty())
        text = QStringLiteral("(no output)");

    Block tail;
    for (const files::StoredFile &file : report.files) {
        addLine(tail.text, QStringLiteral("File: %1 (%2)\nDownload URL: %3")
                               .arg(shownName(file.name), humanSize(file.size), baseUrl + file.downloadPath()));
    }
    for (const sessions::UnlinkedFile &file : report.unlinked)
        addLine(tail.text, QStringLiteral("File: %1 (%2), no link: %3").arg(shownName(file.path), humanSize(file.size), file.reason.text()));
    for (const QString &note : outcome.notes)
        addLine(tail.text, note);
    if (!report.kernelNote.isEmpty() && !report.sessionIsNew)
        addLine(tail.text, report.kernelNote);
    if (!report.remaining.isEmpty())
        addLine(tail.text, QStringLiteral("Files: ") + shownName(report.remaining.join(QStringLiteral(", "))));
    if (report.queuePosition > 0)
        addLine(tail.text, QStringLiteral("Waited %1 ms at position %2 of the session's queue.")
                               .arg(report.queuedFor.count()).arg(report.queuePosition));
    addLine(tail.text, QStringLiteral("Execution: %1ms | Session: %2 variables persisted (call #%3)%4")
                           .arg(outcome.duration.count() / 1000)
                           .arg(outcome.variables)
                           .arg(outcome.executionCount)
                           .arg(report.sessionIsNew ? QStringLiteral(" | new session") : QString()));

    QList<Block> blocks;
    Block body;
    body.text = text;
    blocks << body << tail;
    for (const OutputEvent &event : outcome.outputs) {
        if (const auto *image = imageOf(event)) {
            Block block;
            block.kind = Block::Kind::Image;
            block.text = event.fileName.isEmpty() ? event.alt : event.fileName;
            block.data = image->data;
            block.mime = image->mime;
            blocks << block;
        }
    }
    return blocks;
}

QJsonObject runData(const sessions::RunReport &report, const QString &baseUrl)
{
    const RunOutcome &outcome = report.outcome;
    QJsonArray names, urls, images;
    for (const files::StoredFile &file : report.files) {
        names.append(file.name);
        urls.append(linkFacts(file, baseUrl));
        if (file.isImage())
            images.append(QJsonObject{{QStringLiteral("url"), baseUrl + file.chartPath()},
                                      {QStringLiteral("filename"), file.name},
                                      {QStringLiteral("alt_text"), file.name}});
    }
    for (const sessions::UnlinkedFile &file : report.unlinked)
        names.append(file.path);
    QString result;
    for (const OutputEvent &event : outcome.outputs) {
        if (event.kind == OutputEvent::Kind::Result)
            result = plainTextOf(event);
    }
    QJsonObject data{
        {QStringLiteral("success"), outcome.status == RunStatus::Ok},
        {QStringLiteral("stdout"), streamText(outcome, OutputEvent::Kind::Stdout)},
        {QStringLiteral("stderr"), streamText(outcome, OutputEvent::Kind::Stderr)},
        {QStringLiteral("result"), outcome.result.isNull() || outcome.result.isUndefined()
                                       ? (result.isEmpty() ? QJsonValue() : QJsonValue(result))
                                       : outcome.result},
        {QStringLiteral("error_message"), QJsonValue()},
        {QStringLiteral("error_traceback"), QJsonValue()},
        {QStringLiteral("execution_time_ms"), qint64(outcome.duration.count() / 1000)},
        {QStringLiteral("memory_used_mb"), double(outcome.peakMemoryBytes) / (1 << 20)},
        {QStringLiteral("files_created"), names},
        {QStringLiteral("variables"), outcome.variableTypes},
        {QStringLiteral("download_urls"), urls},
        {QStringLiteral("inline_images"), images},
        {QStringLiteral("kernel_info"),
         QJsonObject{{QStringLiteral("execution_count"), outcome.executionCount},
                     {QStringLiteral("variable_count"), outcome.variables},
                     {QStringLiteral("session_persisted"), outcome.variablesSurvived},
                     {QStringLiteral("session_new"), report.sessionIsNew},
                     {QStringLiteral("note"), report.kernelNote},
                     {QStringLiteral("restored"), report.restored.isEmpty() ? QJsonValue() : QJsonValue(report.restored)}}},
        {QStringLiteral("notes"), QJsonArray::fromStringList(outcome.notes)},
    };
    if (outcome.status != RunStatus::Ok) {
        const QString headline = outcome.status == RunStatus::Error ? errorHeadline(outcome) : whatHappened(report);
        data.insert(QStringLiteral("error_message"), headline);
        data.insert(QStringLiteral("error_traceback"), outcome.traceback);
        data.insert(QStringLiteral("failure"), failureFacts(report));
    }
    return data;
}

} // namespace power::operations
