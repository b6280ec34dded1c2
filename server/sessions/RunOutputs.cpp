// The outputs of a run in the form of a notebook, within a bound.
#include "sessions/RunRow.h"
#include <QJsonDocument>

namespace power::sessions {

using supervisor::DisplayPart;
using supervisor::OutputEvent;

namespace {
constexpr qint64 kMostBytes = 512 << 10;       // of all outputs of one run
constexpr qsizetype kMostStream = 64 << 10;    // of one piece of stdout or stderr
constexpr int kMostOutputs = 200;
constexpr qint64 kOwnSize = 100;               // of an output besides its data

bool isBinary(const QByteArray &mime)
{
    return mime == "image/png" || mime == "image/jpeg" || mime == "image/gif" || mime == "image/webp" || mime == "application/pdf";
}

bool isJson(const QByteArray &mime)
{
    return mime == "application/json" || mime.endsWith("+json");
}

QString cutMiddle(const QByteArray &text, qsizetype most)
{
    if (text.size() <= most)
        return QString::fromUtf8(text);
    const QByteArray left = QByteArray::number(text.size() - most);
    return QString::fromUtf8(text.left(most / 2)) + QStringLiteral("\n... %1 bytes left out of the history ...\n").arg(QString::fromLatin1(left))
         + QString::fromUtf8(text.right(most / 2));
}

// Null: not usable in a notebook.
QJsonValue notebookData(const DisplayPart &part)
{
    if (isBinary(part.mime))
        return QString::fromLatin1(part.data.toBase64());
    if (!isJson(part.mime))
        return QString::fromUtf8(part.data);
    const QJsonDocument document = QJsonDocument::fromJson(part.data);
    if (document.isObject())
        return document.object();
    return document.isArray() ? QJsonValue(document.array()) : QJsonValue();
}

class Outputs
{
public:
    void add(const OutputEvent &event, int executionCount)
    {
        if (m_list.size() >= kMostOutputs) {
            m_isCut = true;
            return;
        }
        if (event.kind == OutputEvent::Kind::Stdout || event.kind == OutputEvent::Kind::Stderr)
            addStream(event);
        else
            addDisplay(event, executionCount);
    }
    void addError(const supervisor::RunOutcome &outcome)
    {
        const bool named = !outcome.errorName.isEmpty();
        const QString name = named ? outcome.errorName : outcome.cause.isEmpty() ? QStringLiteral("KeyboardInterrupt") : outcome.cause;
        QStringList lines = outcome.traceback.right(32 << 10).split(u'\n');
        if (outcome.traceback.isEmpty())
            lines = {name + QStringLiteral(": ") + outcome.errorValue.left(4000)};
        m_list.append(QJsonObject{{QStringLiteral("output_type"), QStringLiteral("error")},
                                  {QStringLiteral("ename"), name},
                                  {QStringLiteral("evalue"), outcome.errorValue.left(4000)},
                                  {QStringLiteral("traceback"), QJsonArray::fromStringList(lines)}});
    }
    QJsonArray take()
    {
        if (m_isCut)
            m_list.append(QJsonObject{{QStringLiteral("output_type"), QStringLiteral("stream")},
                                      {QStringLiteral("name"), QStringLiteral("stderr")},
                                      {QStringLiteral("text"), QStringLiteral("... further outputs are not in the history ...\n")}});
        return m_list;
    }

private:
    void addStream(const OutputEvent &event)
    {
        const qsizetype most = qMin<qint64>(kMostStream, kMostBytes - m_bytes - kOwnSize);
        if (most <= 0) {
            m_isCut = true;
            return;
        }
        const QString text = cutMiddle(event.text, most);
        m_bytes += qMin<qint64>(event.text.size(), most) + kOwnSize;
        m_list.append(QJsonObject{{QStringLiteral("output_type"), QStringLiteral("stream")},
                                  {QStringLiteral("name"), event.kind == OutputEvent::Kind::Stdout ? QStringLiteral("stdout")
                                                                                                    : QStringLiteral("stderr")},
                                  {QStringLiteral("text"), text}});
    }
    void addDisplay(const OutputEvent &event, int executionCount)
    {
        QJsonObject data;
        QStringList leftOut;
        m_bytes += kOwnSize;
        for (const DisplayPart &part : event.parts) {
            const qint64 size = isBinary(part.mime) ? part.data.size() / 3 * 4 : part.data.size();
            const QJsonValue value = m_bytes + size <= kMostBytes ? notebookData(part) : QJsonValue();
            if (value.isNull()) {
                leftOut << QStringLiteral("%1, %2 bytes").arg(QString::fromLatin1(part.mime)).arg(part.data.size());
                continue;
            }
            m_bytes += size;
            data.insert(QString::fromLatin1(part.mime), value);
        }
        if (!event.alt.isEmpty() && !data.contains(QStringLiteral("text/plain")))
            data.insert(QStringLiteral("text/plain"), event.alt);
        if (data.isEmpty())
            data.insert(QStringLiteral("text/plain"), QStringLiteral("[%1%2: not in the history]")
                                                          .arg(event.fileName.isEmpty() ? QString() : event.fileName + QStringLiteral(", "),
                                                               leftOut.join(QStringLiteral("; "))));
        QJsonObject metadata;
        if (!event.fileName.isEmpty())
            metadata.insert(QStringLiteral("file"), event.fileName);
        QJsonObject output{{QStringLiteral("output_type"), QStringLiteral("display_data")},
                           {QStringLiteral("data"), data},
                           {QStringLiteral("metadata"), metadata}};
        if (event.kind == OutputEvent::Kind::Result) {
            output.insert(QStringLiteral("output_type"), QStringLiteral("execute_result"));
            output.insert(QStringLiteral("execution_count"), executionCount);
        }
        m_list.append(output);
    }

    QJsonArray m_list;
    qint64 m_bytes = 0;
    bool m_isCut = false;
};
} // namespace

QJsonArray notebookOutputs(const supervisor::RunOutcome &outcome)
{
    Outputs outputs;
    for (const OutputEvent &event : outcome.outputs)
        outputs.add(event, outcome.executionCount);
    if (outcome.status != supervisor::RunStatus::Ok)
        outputs.addError(outcome);
    return outputs.take();
}

} // namespace power::sessions
