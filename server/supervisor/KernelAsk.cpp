// What a cell asks of the server while it runs.
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <QJsonDocument>

namespace power::supervisor {

namespace {
constexpr int kMostAsks = 100;
constexpr int kMostRefused = 1000; // a program that only asks is not one that wants an answer
constexpr qsizetype kMostFigure = 32 << 20;
constexpr qsizetype kMostUnread = 64 << 20;
} // namespace

// False when reading must stop (the kernel is being killed).
bool KernelProcess::onAsk(AskFrame ask)
{
    if (!m_run || ask.runId != m_run->id || ask.number == 0)
        return true;
    if (++m_run->asks > kMostRefused || m_outgoing.size() - m_sent > kMostUnread) {
        violation(QStringLiteral("it asks on and on"));
        return false;
    }
    // The cell was interrupted in its wait, and asks for something else.
    std::exchange(m_run->askCancel, CancelSource()).cancel();
    m_run->asking = ask.number;
    if (m_run->asks > kMostAsks) {
        answer(ask.runId, ask.number, fail(ErrorCode::Busy, QStringLiteral("One run may have %1 charts drawn; this would be one more.").arg(kMostAsks),
                                           QStringLiteral("Draw the rest in another call.")));
    } else if (ask.figure.size() > kMostFigure) {
        answer(ask.runId, ask.number,
               fail(ErrorCode::InvalidArgument,
                    QStringLiteral("The figure has %1 as JSON, at most %2 can be drawn.").arg(wordsOfBytes(ask.figure.size()), wordsOfBytes(kMostFigure)),
                    QStringLiteral("Draw fewer points: aggregate or sample the data first.")));
    } else {
        m_house->asked(*this, std::move(ask), m_run->askCancel.token());
    }
    return m_state == State::Living;
}

void KernelProcess::answer(const QString &runId, quint64 number, Result<QByteArray> result)
{
    if (m_state != State::Living || !m_run || m_run->id != runId || m_run->asking != number)
        return;
    m_run->asking = 0;
    sendAnswer(number, result);
}

void KernelProcess::sendAnswer(quint64 number, const Result<QByteArray> &result)
{
    QJsonObject meta{{QStringLiteral("ask"), qint64(number)}, {QStringLiteral("ok"), bool(result)}};
    QByteArray blob;
    if (result)
        blob = result.value();
    else
        meta.insert(QStringLiteral("error"), result.error().text().left(8000));
    const QByteArray json = QJsonDocument(meta).toJson(QJsonDocument::Compact);
    m_outgoing.remove(0, std::exchange(m_sent, 0));
    m_outgoing += QByteArray::fromStdString(wire::encode(wire::FrameType::Answer, {json.constData(), std::size_t(json.size())},
                                                         {blob.constData(), std::size_t(blob.size())}));
    write();
}

} // namespace power::supervisor
