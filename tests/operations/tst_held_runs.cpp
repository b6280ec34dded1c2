// Runs that wait for their user: who may answer, and that nothing waits for ever.
#include "operations/HeldRuns.h"
#include <QJsonArray>
#include <QTest>

using namespace power;
using namespace power::operations;

// A stand-in for a cell: ends when told to, or when it is cancelled. Coroutine frames hold it.
struct Cell {
    sessions::RunCall call;
    OneShot<int> end;
};
using CellPtr = std::shared_ptr<Cell>;

namespace {
QCoro::Task<Result<sessions::RunReport>> runCell(CellPtr cell)
{
    const OneShot<int> end = cell->end;
    const std::chrono::milliseconds untilEnd{0};
    const CancelToken cancel = cell->call.cancel;
    const Result<int> ended = co_await end.wait(untilEnd, cancel);
    sessions::RunReport report;
    report.runId = ended ? QString::number(*ended) : QStringLiteral("cancelled");
    co_return report;
}

QCoro::Task<> attendInto(HeldRuns *runs, HeldRunPtr run, Caller caller, bool *done)
{
    QCoro::Task<> attending = runs->attend(run, std::move(caller));
    co_await attending;
    *done = true;
}

// What the cell is told of its question.
QCoro::Task<> hear(OneShot<QString> answer, QString *into)
{
    const std::chrono::milliseconds untilAnswer{0};
    const Result<QString> line = co_await answer.wait(untilAnswer);
    *into = line ? QStringLiteral("line ") + *line : QStringLiteral("no: ") + line.error().message;
}

QJsonObject response(const char *action, const QJsonValue &value = {})
{
    return {{QStringLiteral("action"), QLatin1String(action)}, {QStringLiteral("content"), QJsonObject{{QStringLiteral("value"), value}}}};
}
} // namespace

class TestHeldRuns : public QObject
{
    Q_OBJECT
    CellPtr m_cell;
    bool m_attended = false;
    QString m_heard;

    HeldRunPtr begin(HeldRuns &runs, const CancelToken &cancel = {})
    {
        m_cell = std::make_shared<Cell>();
        m_attended = false;
        m_heard.clear();
        sessions::RunCall call;
        call.key = {QStringLiteral("owner"), {}, QStringLiteral("s")};
        const HeldRunPtr run = runs.begin([this](sessions::RunCall given) {
            m_cell->call = std::move(given);
            return runCell(m_cell);
        }, std::move(call));
        Caller caller;
        caller.cancel = cancel;
        attendInto(&runs, run, caller, &m_attended);
        return run;
    }
    void ask(const char *prompt)
    {
        const supervisor::InputQuestion question{QLatin1String(prompt), {}};
        hear(question.answer, &m_heard);
        m_cell->call.onInput(question);
    }

private Q_SLOTS:
    void answered_data()
    {
        QTest::addColumn<QJsonObject>("given");
        QTest::addColumn<QString>("heard");
        QTest::newRow("text") << response("accept", QStringLiteral("Bonn")) << QStringLiteral("line Bonn");
        QTest::newRow("empty") << response("accept", QString()) << QStringLiteral("line ");
        QTest::newRow("number") << response("accept", 5) << QStringLiteral("line 5");
        QTest::newRow("declined") << response("decline") << QStringLiteral("no: The user declined to answer.");
        QTest::newRow("closed") << response("cancel") << QStringLiteral("no: The user closed the question.");
    }
    void answered()
    {
        QFETCH(QJsonObject, given);
        QFETCH(QString, heard);
        HeldRuns runs;
        const HeldRunPtr run = begin(runs);
        QVERIFY(!m_attended);
        ask("City?");
        QVERIFY(m_attended && run->question);
        const InputNeed need = runs.need(run);
        const QJsonObject form = need.requests[QLatin1String("input")][QLatin1String("params")].toObject();
        QVERIFY(form.value(QStringLiteral("message")).toString().contains(u"City?"));
        QCOMPARE(form[QLatin1String("requestedSchema")][QLatin1String("required")].toArray(), QJsonArray{QStringLiteral("value")});
        QCOMPARE(runs.find(need.state.value(QStringLiteral("run")).toString(), QStringLiteral("owner")), run);
        QVERIFY(!runs.find(run->id, QStringLiteral("guest")));
        const int number = need.state.value(QStringLiteral("number")).toInt();
        QVERIFY(!HeldRuns::answer(run, number, {}));         // no answer in it
        QVERIFY(!HeldRuns::answer(run, number + 1, given));  // another question
        QVERIFY(HeldRuns::answer(run, number, given));
        QCOMPARE(m_heard, heard);
        QVERIFY(!HeldRuns::answer(run, number, given));      // once
        attendInto(&runs, run, {}, &(m_attended = false));
        m_cell->end.resolve(7);
        QVERIFY(m_attended && run->report);
        QCOMPARE((*run->report)->runId, QStringLiteral("7"));
        runs.forget(run);
        QCOMPARE(runs.count(), 0);
    }

    void nobodyAnswers()
    {
        HeldRuns runs;
        runs.patience = std::chrono::milliseconds(50);
        const HeldRunPtr run = begin(runs);
        ask("?");
        const InputNeed need = runs.need(run);
        QTRY_COMPARE(m_heard, QStringLiteral("no: Nobody answered in time."));
        QCOMPARE(runs.count(), 0);
        // The cell goes on and asks again: at once refused.
        ask("??");
        QCOMPARE(m_heard, QStringLiteral("no: Nobody waits for this run any more."));
        m_cell->end.resolve(1);
        QVERIFY(run->report);
    }

    // Its time limit ends the cell while the question waits, and nobody ever comes back.
    void endsBeforeTheAnswer()
    {
        HeldRuns runs;
        runs.patience = std::chrono::milliseconds(50);
        const HeldRunPtr run = begin(runs);
        ask("?");
        const InputNeed need = runs.need(run);
        m_cell->end.resolve(3);
        QVERIFY(run->report);
        QCOMPARE(runs.find(run->id, QStringLiteral("owner")), run); // who does come gets the report
        QTRY_COMPARE(runs.count(), 0);
    }

    void theDoorGivesUp()
    {
        HeldRuns runs;
        const HeldRunPtr run = begin(runs);
        ask("?");
        const InputNeed need = runs.need(run);
        need.abandoned();
        QCOMPARE(m_heard, QStringLiteral("no: The client could not ask its user."));
        QCOMPARE(runs.count(), 0);
        m_cell->end.resolve(1);
    }

    void cancelledByItsCall()
    {
        HeldRuns runs;
        CancelSource client;
        const HeldRunPtr run = begin(runs, client.token());
        client.cancel();
        QVERIFY(m_attended && run->report);
        QCOMPARE((*run->report)->runId, QStringLiteral("cancelled"));
        runs.forget(run);
    }

    // The connection that brought the question closes: that is the end of its call, not of the run.
    void theEndOfACallIsNotTheEndOfTheRun()
    {
        HeldRuns runs;
        CancelSource client;
        const HeldRunPtr run = begin(runs, client.token());
        ask("?");
        const InputNeed need = runs.need(run);
        client.cancel();
        QVERIFY(!run->report);
        QVERIFY(HeldRuns::answer(run, 1, response("accept", QStringLiteral("x"))));
        m_cell->end.resolve(1);
        QVERIFY(run->report);
        runs.forget(run);
    }

    void whoCanBeAsked()
    {
        Caller caller;
        caller.client = {{QStringLiteral("elicitation"), QJsonObject()}};
        QVERIFY(!canElicit(caller));
        caller.canBeAsked = true;
        QVERIFY(canElicit(caller));
        caller.client = {{QStringLiteral("elicitation"), QJsonObject{{QStringLiteral("url"), QJsonObject()}}}};
        QVERIFY(!canElicit(caller));
        caller.client = {};
        QVERIFY(!canElicit(caller));
    }
};

QTEST_GUILESS_MAIN(TestHeldRuns)
#include "tst_held_runs.moc"
