// The memory of a process: exact where it changed, carried on where it did not.
#include "supervisor/MemoryMeter.h"
#include "supervisor/ProcMemory.h"
#include <QTest>
#include <cstring>
#include <memory>
#include <unistd.h>

using namespace power::supervisor;

class TestMemoryMeter : public QObject
{
    Q_OBJECT
    static constexpr qint64 kMiB = 1 << 20;

    static MemoryHints hints(quint64 born = 1) { return {::getpid(), born, procMemory(::getpid()).resident, 0}; }

private Q_SLOTS:
    void growthIsCounted()
    {
        MemoryMeter meter;
        const MemoryShare before = meter.shareOf(hints());
        QVERIFY(before.exact && before.bytes > 0 && before.own > 0 && before.own <= before.bytes);
        const auto grown = std::make_unique<char[]>(64 * kMiB);
        std::memset(grown.get(), 1, 64 * kMiB);
        const MemoryShare after = meter.shareOf(hints());
        QVERIFY2(after.bytes > before.bytes + 60 * kMiB && after.bytes < before.bytes + 70 * kMiB, qPrintable(QString::number(after.bytes)));
        QVERIFY(after.own > before.own + 60 * kMiB);
    }

    void smallChangesAreCarriedOn()
    {
        MemoryMeter meter;
        const MemoryHints at = hints();
        const MemoryShare first = meter.shareOf(at);
        const auto unseen = std::make_unique<char[]>(16 * kMiB); // as if nothing said that it grew
        std::memset(unseen.get(), 1, 16 * kMiB);
        MemoryHints little = at;
        little.resident += kMiB;
        QCOMPARE(meter.shareOf(little).bytes, first.bytes + kMiB);
        little.resident -= 2 * kMiB;
        QCOMPARE(meter.shareOf(little).bytes, first.bytes - kMiB);
    }

    // A page of the zygote's that is written to becomes the kernel's own without becoming resident.
    void pagesMadeItsOwnAreCounted()
    {
        MemoryMeter meter;
        MemoryHints at = hints();
        const MemoryShare first = meter.shareOf(at);
        const auto unseen = std::make_unique<char[]>(32 * kMiB);
        std::memset(unseen.get(), 1, 32 * kMiB);
        at.faults += 32 * kMiB / ::sysconf(_SC_PAGESIZE);
        // Counted anew when what counting took is a twentieth of the time since.
        QTRY_VERIFY(meter.shareOf(at).bytes > first.bytes + 30 * kMiB);
    }

    void anotherProcessOfThatNumber()
    {
        MemoryMeter meter;
        const MemoryShare first = meter.shareOf(hints());
        const auto unseen = std::make_unique<char[]>(16 * kMiB);
        std::memset(unseen.get(), 1, 16 * kMiB);
        QVERIFY(meter.shareOf(hints(2)).bytes > first.bytes + 14 * kMiB);
    }

    void whoIsGoneHasNone()
    {
        MemoryMeter meter;
        QVERIFY(!meter.shareOf({0x3fffffff, 1, 0, 0}).exact);
    }
};

QTEST_GUILESS_MAIN(TestMemoryMeter)
#include "tst_memory_meter.moc"
