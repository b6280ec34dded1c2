#include "operations/HeldRuns.h"
#include "base/Ids.h"

namespace power::operations {

namespace {
const QString &answerKey()
{
    static const QString key = QStringLiteral("input");
    return key;
}

void tellNews(const HeldRunPtr &run)
{
    const OneShot<Done> told = std::exchange(run->news, OneShot<Done>());
    told.resolve(Done{});
}
} // namespace

bool canElicit(const Caller &caller)
{
    const QJsonValue declared = caller.client.value(QStringLiteral("elicitation"));
    const QJsonObject modes = declared.toObject();
    return caller.canBeAsked && declared.isObject() && (modes.isEmpty() || modes.contains(QStringLiteral("form")));
}

HeldRunPtr HeldRuns::begin(const Start &start, sessions::RunCall call)
{
    const auto run = std::make_shared<HeldRun>();
    run->id = newUuid();
    run->principal = call.key.principal;
    run->sessionId = call.key.id;
    run->patience.setSingleShot(true);
    const std::weak_ptr<HeldRun> weak = run;
    call.cancel = run->cancel.token();
    call.progress = [weak](const QString &text) {
        if (const auto held = weak.lock(); held && held->progress)
            held->progress(text);
    };
    call.onInput = [weak](const supervisor::InputQuestion &question) {
        if (const auto held = weak.lock(); held && held->attended) {
            held->question = question;
            ++held->asked;
            tellNews(held);
        } else {
            question.answer.resolve(fail(ErrorCode::Unavailable, QStringLiteral("Nobody waits for this run any more.")));
        }
    };
    m_runs.insert(run->id, run);
    follow(start(std::move(call)), run);
    return run;
}

QCoro::Task<> HeldRuns::follow(QCoro::Task<Result<sessions::RunReport>> running, HeldRunPtr run)
{
    Result<sessions::RunReport> report = co_await running;
    run->question.reset(); // its patience goes on: nobody may ever come for the report
    run->report.emplace(std::move(report));
    tellNews(run);
}

HeldRunPtr HeldRuns::find(const QString &id, const QString &principal) const
{
    const auto run = m_runs.value(id);
    return run && run->principal == principal ? run : nullptr;
}

QCoro::Task<> HeldRuns::attend(HeldRunPtr run, Caller caller)
{
    run->attended = true;
    run->patience.stop();
    if (caller.progress)
        run->progress = [progress = caller.progress](const QString &text) { progress(-1, -1, text); };
    const std::weak_ptr<HeldRun> weak = run;
    const auto stop = [weak] {
        if (const auto held = weak.lock())
            held->cancel.cancel();
    };
    CancelToken::Registration cancelled = caller.cancel.onCancel(stop);
    while (!run->report && !run->question) {
        const OneShot<Done> news = run->news;
        const std::chrono::milliseconds untilNews{0};
        const Result<Done> told = co_await news.wait(untilNews);
        Q_UNUSED(told);
    }
    cancelled.reset();
    run->progress = {};
    run->attended = false;
}

bool HeldRuns::answer(const HeldRunPtr &run, int number, const QJsonObject &response)
{
    if (!run->question || number != run->asked || response.isEmpty())
        return false;
    const QString action = response.value(QStringLiteral("action")).toString();
    const QJsonValue value = response.value(QStringLiteral("content")).toObject().value(QStringLiteral("value"));
    const OneShot<QString> line = run->question->answer;
    run->question.reset();
    if (action == u"accept")
        line.resolve(value.toVariant().toString());
    else
        line.resolve(fail(ErrorCode::Unavailable, action == u"decline" ? QStringLiteral("The user declined to answer.")
                                                                       : QStringLiteral("The user closed the question.")));
    return true;
}

InputNeed HeldRuns::need(const HeldRunPtr &run)
{
    const std::weak_ptr<HeldRun> weak = run;
    run->patience.disconnect();
    QObject::connect(&run->patience, &QTimer::timeout, &run->patience, [this, weak] {
        refuse(weak, QStringLiteral("Nobody answered in time."));
        if (const auto held = weak.lock())
            forget(held);
    });
    run->patience.start(patience);

    const QString prompt = run->question->prompt.simplified();
    const QString message = prompt.isEmpty() ? QStringLiteral("The code running in session \"%1\" waits for an input.").arg(run->sessionId)
                                             : QStringLiteral("The code running in session \"%1\" asks: %2").arg(run->sessionId, prompt);
    const QJsonObject field{{QStringLiteral("type"), QStringLiteral("string")},
                            {QStringLiteral("title"), QStringLiteral("Answer")},
                            {QStringLiteral("description"), prompt.isEmpty() ? QStringLiteral("What input() returns.") : prompt.left(300)}};
    const QJsonObject schema{{QStringLiteral("type"), QStringLiteral("object")},
                             {QStringLiteral("properties"), QJsonObject{{QStringLiteral("value"), field}}},
                             {QStringLiteral("required"), QJsonArray{QStringLiteral("value")}}};
    InputNeed need;
    need.requests.insert(answerKey(), QJsonObject{{QStringLiteral("method"), QStringLiteral("elicitation/create")},
                                                  {QStringLiteral("params"), QJsonObject{{QStringLiteral("mode"), QStringLiteral("form")},
                                                                                         {QStringLiteral("message"), message},
                                                                                         {QStringLiteral("requestedSchema"), schema}}}});
    need.state = {{QStringLiteral("run"), run->id}, {QStringLiteral("number"), run->asked}};
    need.abandoned = [this, weak] {
        refuse(weak, QStringLiteral("The client could not ask its user."));
        if (const auto held = weak.lock())
            forget(held);
    };
    return need;
}

void HeldRuns::refuse(const std::weak_ptr<HeldRun> &run, const QString &why)
{
    const auto held = run.lock();
    if (!held || !held->question)
        return;
    const OneShot<QString> line = held->question->answer;
    held->question.reset();
    line.resolve(fail(ErrorCode::Unavailable, why));
}

// The cell goes on unattended; a further question of it finds nobody.
void HeldRuns::forget(const HeldRunPtr &run)
{
    run->patience.stop();
    m_runs.remove(run->id);
}

} // namespace power::operations
