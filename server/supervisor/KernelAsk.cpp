// What a cell asks of the server while it runs.
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <QJsonDocument>
#include <algorithm>

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
    if (const int left = std::exchange(m_run->timeLeft, -1); left >= 0)
        m_deadline.start(left);
    m_run->asking = ask.number;
    if (ask.isInput) {
        askForInput(ask);
    } else if (m_run->asks > kMostAsks) {
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

void KernelProcess::askForInput(const AskFrame &ask)
{
    if (!m_run->onInput || m_run->asks > kMostAsks) {
        answer(ask.runId, ask.number,
               fail(ErrorCode::Unavailable, m_run->onInput ? QStringLiteral("One run may ask %1 times.").arg(kMostAsks)
                                                           : QStringLiteral("Nobody can be asked in this call."),
                    QStringLiteral("Put the value into the code.")));
        return;
    }
    // A person takes longer than code may.
    if (m_deadline.isActive()) {
        m_run->timeLeft = std::max(1, m_deadline.remainingTime());
        m_deadline.stop();
    }
    const InputQuestion question{ask.prompt, {}};
    const auto tell = m_run->onInput;
    passOn(this, ask.runId, ask.number, question.answer, m_run->askCancel.token());
    tell(question);
}

QCoro::Task<> KernelProcess::passOn(QPointer<KernelProcess> kernel, QString runId, quint64 number, OneShot<QString> given,
                                    CancelToken cancel)
{
    const std::chrono::milliseconds untilGiven{0};
    const Result<QString> line = co_await given.wait(untilGiven, cancel);
    if (!kernel)
        co_return;
    Result<QByteArray> bytes = line ? Result<QByteArray>(line->toUtf8()) : Result<QByteArray>(Unexpected<Error>{line.error()});
    kernel->answer(runId, number, std::move(bytes));
}

void KernelProcess::answer(const QString &runId, quint64 number, Result<QByteArray> result)
{
    if (m_state != State::Living || !m_run || m_run->id != runId || m_run->asking != number)
        return;
    m_run->asking = 0;
    if (const int left = std::exchange(m_run->timeLeft, -1); left >= 0)
        m_deadline.start(left);
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
