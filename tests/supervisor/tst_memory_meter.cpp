// The memory of a process: exact where it changed, carried on where it did not.
#include "supervisor/MemoryMeter.h"
#include "supervisor/ProcMemory.h"
#include <QTest>
#include <csignal>
#include <cstring>
#include <limits>
#include <memory>
#include <sys/wait.h>
#include <unistd.h>

using namespace power::supervisor;

class TestMemoryMeter : public QObject
{
    Q_OBJECT
    static constexpr qint64 kMiB = 1 << 20;

    static MemoryHints hints(quint64 born = 1) { return {::getpid(), born, procMemory(::getpid()).resident, 0}; }
    static MemoryShare shareOf(MemoryMeter &meter, const MemoryHints &now) { return meter.sharesOf(1, {now}).first(); }

private Q_SLOTS:
    void growthIsCounted()
    {
        MemoryMeter meter;
        const MemoryShare before = shareOf(meter, hints());
        QVERIFY(before.exact && before.bytes > 0 && before.own > 0 && before.own <= before.bytes);
        const auto grown = std::make_unique<char[]>(64 * kMiB);
        std::memset(grown.get(), 1, 64 * kMiB);
        const MemoryShare after = shareOf(meter, hints());
        QVERIFY2(after.bytes > before.bytes + 60 * kMiB && after.bytes < before.bytes + 70 * kMiB, qPrintable(QString::number(after.bytes)));
        QVERIFY(after.own > before.own + 60 * kMiB);
    }

    void smallChangesAreCarriedOn()
    {
        MemoryMeter meter;
        const MemoryHints at = hints();
        const MemoryShare first = shareOf(meter, at);
        const auto unseen = std::make_unique<char[]>(16 * kMiB); // as if nothing said that it grew
        std::memset(unseen.get(), 1, 16 * kMiB);
        MemoryHints little = at;
        little.resident += kMiB;
        QCOMPARE(shareOf(meter, little).bytes, first.bytes + kMiB);
        little.resident -= 2 * kMiB;
        QCOMPARE(shareOf(meter, little).bytes, first.bytes - kMiB);
    }

    // A page of the zygote's that is written to becomes the kernel's own without becoming resident.
    void pagesMadeItsOwnAreCounted()
    {
        MemoryMeter meter;
        MemoryHints at = hints();
        const MemoryShare first = shareOf(meter, at);
        const auto unseen = std::make_unique<char[]>(32 * kMiB);
        std::memset(unseen.get(), 1, 32 * kMiB);
        at.faults += 32 * kMiB / ::sysconf(_SC_PAGESIZE);
        // Counted anew when what counting took is a twentieth of the time since.
        QTRY_VERIFY(shareOf(meter, at).bytes > first.bytes + 30 * kMiB);
    }

    void anotherProcessOfThatNumber()
    {
        MemoryMeter meter;
        const MemoryShare first = shareOf(meter, hints());
        const auto unseen = std::make_unique<char[]>(16 * kMiB);
        std::memset(unseen.get(), 1, 16 * kMiB);
        QVERIFY(shareOf(meter, hints(2)).bytes > first.bytes + 14 * kMiB);
    }

    // Half of what a process and its fork have is each one's, although nothing of the first one changed.
    void aForkSharesWhatThereIs()
    {
        MemoryMeter meter;
        const auto shared = std::make_unique<char[]>(64 * kMiB);
        std::memset(shared.get(), 1, 64 * kMiB);
        const MemoryHints self = hints();
        const MemoryShare alone = shareOf(meter, self);
        const pid_t child = ::fork();
        if (child == 0) {
            ::pause();
            ::_exit(0);
        }
        const QList<MemoryShare> both = meter.sharesOf(1, {self, {child, 2, procMemory(child).resident, 0}});
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        QVERIFY2(both[0].bytes < alone.bytes - 25 * kMiB, qPrintable(QString::number(both[0].bytes)));
        QVERIFY2(both[0].bytes + both[1].bytes < alone.bytes + 10 * kMiB, qPrintable(QString::number(both[1].bytes)));
        QVERIFY(shareOf(meter, self).bytes > alone.bytes - 5 * kMiB); // again its own alone
    }

    // A pass has only so much time for those that run nothing; who was left out is the first of the next one.
    void quietOnesAreCountedWhenThereIsTime()
    {
        using namespace std::chrono_literals;
        MemoryMeter meter;
        const QList<MemoryHints> self{hints()};
        meter.beginPass(0ms);
        QVERIFY(!meter.sharesOf(1, self, true).first().exact);
        QCOMPARE(meter.ageOf(1), std::numeric_limits<qint64>::max());
        QVERIFY(meter.sharesOf(2, self).first().exact); // it runs
        meter.beginPass(1ms);
        const MemoryShare counted = meter.sharesOf(1, self, true).first();
        QVERIFY(counted.exact);
        QVERIFY(meter.ageOf(1) < 10'000);
        meter.beginPass(0ms);
        MemoryHints grown = self.first();
        grown.resident += 64 * kMiB; // due: carried on all the same
        QCOMPARE(meter.sharesOf(1, {grown}, true).first().bytes, counted.bytes + 64 * kMiB);
        // A process that is new in it is told from those that are known.
        const QList<MemoryShare> two = meter.sharesOf(1, {self.first(), {1, 1, 0, 0}}, true);
        QVERIFY(two[0].exact && !two[1].exact);
    }

    void whoIsGoneHasNone()
    {
        MemoryMeter meter;
        QVERIFY(!shareOf(meter, {0x3fffffff, 1, 0, 0}).exact);
        QVERIFY(meter.sharesOf(2, {}).isEmpty());
    }
};

QTEST_GUILESS_MAIN(TestMemoryMeter)
#include "tst_memory_meter.moc"
