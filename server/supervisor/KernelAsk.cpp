// What a cell asks of the server while it runs.
#include "supervisor/KernelRun.h"
#include "supervisor/Words.h"
#include <QJsonDocument>
#include <algorithm>
#include <QPointer>

namespace power::supervisor {

namespace {
constexpr int kMostPictures = 100;
constexpr int kMostInputs = 100;
constexpr int kMostCalls = 1000;
constexpr int kMostCallsASecond = 200;
constexpr int kMostRefused = 10'000;        // a program that only asks is not one that wants an answer
constexpr int kMostProgressASecond = 20;    // more are dropped
constexpr int kMostProgress = 1'000'000;
constexpr qsizetype kMostFigure = 32 << 20;
constexpr qsizetype kMostArguments = 256 << 10;
constexpr qsizetype kMostAnswer = 16 << 20;
constexpr qsizetype kMostUnread = 64 << 20;

QCoro::Task<> answerCall(QPointer<KernelProcess> kernel, CellCall call, AskFrame ask, QJsonObject arguments, CancelToken cancel)
{
    const QString tool = ask.fields.value(QStringLiteral("tool")).toString();
    QCoro::Task<Result<QByteArray>> running = call(tool, std::move(arguments), std::move(cancel));
    Result<QByteArray> answer = co_await running;
    if (answer && answer->size() > kMostAnswer)
        answer = fail(ErrorCode::TooLarge, QStringLiteral("The answer has %1, at most %2 can be given to code.")
                                               .arg(wordsOfBytes(answer->size()), wordsOfBytes(kMostAnswer)),
                      QStringLiteral("Ask for less."));
    if (kernel)
        kernel->answer(ask.runId, ask.number, std::move(answer));
}
} // namespace

// False when reading must stop (the kernel is being killed).
bool KernelProcess::onAsk(AskFrame ask)
{
    if (!m_run || ask.runId != m_run->id)
        return true;
    if (ask.what == AskFrame::What::Progress)
        return onProgress(ask);
    if (ask.number == 0)
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
    if (ask.what == AskFrame::What::Input) {
        askForInput(ask);
    } else if (ask.what == AskFrame::What::Call) {
        onCall(ask);
    } else if (++m_run->pictures > kMostPictures) {
        answer(ask.runId, ask.number, fail(ErrorCode::Busy, QStringLiteral("One run may have %1 charts drawn; this would be one more.").arg(kMostPictures),
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
    if (!m_run->onInput || ++m_run->inputs > kMostInputs) {
        answer(ask.runId, ask.number,
               fail(ErrorCode::Unavailable, m_run->onInput ? QStringLiteral("One run may ask %1 times.").arg(kMostInputs)
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

void KernelProcess::countSecond()
{
    const qint64 second = m_run->clock.elapsed() / 1000;
    if (std::exchange(m_run->second, second) != second)
        m_run->callsInSecond = m_run->progressInSecond = 0;
}

bool KernelProcess::onProgress(const AskFrame &ask)
{
    if (++m_run->progress > kMostProgress) {
        violation(QStringLiteral("it reports progress on and on"));
        return false;
    }
    countSecond();
    const double done = ask.fields.value(QStringLiteral("done")).toDouble();
    const double total = ask.fields.value(QStringLiteral("total")).toDouble();
    if (m_run->onProgress && ++m_run->progressInSecond <= kMostProgressASecond)
        m_run->onProgress(done, total, ask.fields.value(QStringLiteral("text")).toString());
    return true;
}

void KernelProcess::onCall(const AskFrame &ask)
{
    const auto refuse = [&](ErrorCode code, const QString &text, const QString &next) {
        answer(ask.runId, ask.number, fail(code, text, next));
    };
    countSecond();
    if (!m_run->onCall)
        return refuse(ErrorCode::Unavailable, QStringLiteral("Calls to the server are not possible in this run."), {});
    if (++m_run->calls > kMostCalls)
        return refuse(ErrorCode::Busy, QStringLiteral("One run may call the server %1 times; this would be one more.").arg(kMostCalls),
                      QStringLiteral("Do the rest in another cell."));
    if (++m_run->callsInSecond > kMostCallsASecond)
        return refuse(ErrorCode::Busy, QStringLiteral("More than %1 calls to the server in one second.").arg(kMostCallsASecond),
                      QStringLiteral("Ask for more at a time, or wait between the calls."));
    if (ask.figure.size() > kMostArguments)
        return refuse(ErrorCode::TooLarge,
                      QStringLiteral("The arguments have %1, at most %2 can be sent.").arg(wordsOfBytes(ask.figure.size()), wordsOfBytes(kMostArguments)),
                      QStringLiteral("Write large values to a file."));
    const QJsonDocument arguments = QJsonDocument::fromJson(ask.figure);
    if (!arguments.isObject())
        return refuse(ErrorCode::InvalidArgument, QStringLiteral("The arguments are not a JSON object."), {});
    answerCall(this, m_run->onCall, ask, arguments.object(), m_run->askCancel.token());
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
    dropSent();
    m_outgoing += QByteArray::fromStdString(wire::encode(wire::FrameType::Answer, {json.constData(), std::size_t(json.size())},
                                                         {blob.constData(), std::size_t(blob.size())}));
    write();
}

} // namespace power::supervisor
