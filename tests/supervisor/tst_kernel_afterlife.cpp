// What a dead kernel still holds does not count against the one that went on from its checkpoint: a KernelProcess whose process is
// played by this test, so that every measurement comes when the test wants it.
#include "supervisor/KernelProcess.h"
#include <QDir>
#include <QTest>
#include <csignal>
#include <cstring>
#include <sys/wait.h>

using namespace power;
using namespace power::supervisor;
using namespace std::chrono_literals;

namespace {
constexpr qint64 kLimit = 100 << 20;
const QByteArray kToken = "0123456789abcdef";

// --- in the children: the kernel, and the copy that it makes of itself ---

void say(int socket, wire::FrameType type, const std::string &meta)
{
    const std::string bytes = wire::encode(type, meta);
    if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) != ssize_t(bytes.size()))
        ::_exit(1);
}

// The next frame; `passed` becomes a descriptor that came along.
wire::Frame hear(int socket, wire::Decoder &decoder, int &passed)
{
    wire::Frame frame;
    while (decoder.next(frame) != wire::Decoder::Status::Frame) {
        char bytes[4096];
        alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))];
        iovec part{bytes, sizeof bytes};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = space;
        message.msg_controllen = sizeof space;
        const ssize_t size = ::recvmsg(socket, &message, 0);
        if (size <= 0)
            ::_exit(0);
        for (cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
            if (each->cmsg_type == SCM_RIGHTS)
                std::memcpy(&passed, CMSG_DATA(each), sizeof passed);
        }
        decoder.feed({bytes, std::size_t(size)});
    }
    return frame;
}

[[noreturn]] void playKernel(int control, int out, int err)
{
    ::setsid();
    wire::Decoder decoder(64 * 1024);
    int epoch = 0;
    say(control, wire::FrameType::Ready, "{\"pid\":1,\"python\":\"3\"}");
    for (;;) {
        int passed = -1;
        const wire::Frame frame = hear(control, decoder, passed);
        if (frame.type == wire::FrameType::Checkpoint) {
            if (::fork() == 0) {
                control = passed;
                decoder = wire::Decoder(64 * 1024);
                say(control, wire::FrameType::Parked, "{}");
                hear(control, decoder, passed);
                say(control, wire::FrameType::Resumed, "{\"variables\":1,\"gone\":[],\"older\":[]}");
                continue;
            }
            ::close(passed);
            say(control, wire::FrameType::Checkpointed, "{\"ok\":true,\"us\":100}");
        } else if (frame.type == wire::FrameType::Run) {
            const std::string mark = "\033]PI;" + kToken.toStdString() + ";" + std::to_string(++epoch) + ";f\a";
            for (const int pipe : {out, err})
                (void)!::write(pipe, mark.data(), mark.size());
            say(control, wire::FrameType::Done,
                "{\"run\":\"r\",\"epoch\":" + std::to_string(epoch) + ",\"status\":\"ok\",\"count\":1,\"variables\":1,\"notes\":[]}");
        }
    }
}

// --- in the test ---

class House final : public KernelHouse
{
public:
    Poller &poller() override { return m_poller; }
    QString spoolDirectory() const override { return QDir::tempPath(); }
    void killTree(const KernelProcess &kernel) override
    {
        ++killed;
        ::kill(kernel.pid(), SIGKILL);
    }
    void lookForTree(const KernelProcess &kernel) override { const_cast<KernelProcess &>(kernel).treeSeen(false); }
    bool zygoteServes() const override { return false; }
    void runStarted(KernelProcess &) override {}
    void runEnded(KernelProcess &) override {}
    void adopt(const KernelProcess &, pid_t pid) override { copy = pid; }
    void carriesOn(const KernelProcess &) override {}
    std::optional<MemoryEnd> memoryEnd(const KernelProcess &) const override { return {}; }
    bool takesCheckpoints() const override { return copies; }
    qint64 sharedMemory() const override { return 0; }
    void countCheckpoint(const QString &what, const QString &) override { counted << what; }
    void noteCheckpointPrice(std::chrono::microseconds) override {}
    void noteRestoration(std::chrono::microseconds) override {}
    void asked(KernelProcess &, AskFrame, CancelToken) override {}
    void treeGone(KernelProcess &) override {}

    int killed = 0;
    pid_t copy = 0;
    bool copies = true;
    QStringList counted;

private:
    Poller m_poller;
};
} // namespace

class TestKernelAfterlife : public QObject
{
    Q_OBJECT

    House m_house;

    static TreeSample measured(const KernelProcess &kernel, qint64 bytes)
    {
        TreeSample sample;
        sample.kernel = kernel.number();
        sample.pid = kernel.pid();
        sample.memoryBytes = bytes;
        return sample;
    }

private Q_SLOTS:
    void whatTheDeadHoldDoesNotCount()
    {
        FdPair control = makeSocketPair(), out = makeReadPipe(), err = makeReadPipe(), lifeline = makeLifeline();
        const pid_t child = ::fork();
        if (child == 0)
            playKernel(control.theirs.get(), out.theirs.get(), err.theirs.get());
        KernelSpec spec;
        spec.sessionId = QStringLiteral("s");
        spec.uid = ::geteuid();
        spec.limits.memoryBytes = kLimit;
        KernelProcess kernel(m_house, 1, spec, QStringLiteral("none"), kToken,
                             KernelProcess::Channels{std::move(control.ours), std::move(out.ours), std::move(err.ours), std::move(lifeline.ours)});
        SpawnedKernel spawned;
        spawned.pid = child;
        kernel.born(spawned);
        RunRequest request;
        request.runId = QStringLiteral("r");
        request.code = "x = 1";
        const OneShot<RunOutcome> run = kernel.run(std::move(request));
        QTRY_VERIFY_WITH_TIMEOUT(!kernel.isRunning(), 5000);
        QTRY_VERIFY_WITH_TIMEOUT(kernel.checkpointNeed().possible, 5000);
        kernel.takeCheckpoint();
        QTRY_VERIFY_WITH_TIMEOUT(kernel.hasCheckpoint(), 5000);
        const pid_t copy = m_house.copy;
        m_house.copies = false; // one is enough

        // It grows through its limit, is ended, and its copy goes on.
        kernel.sampled(measured(kernel, 10 << 20));
        kernel.sampled(measured(kernel, 2 * kLimit));
        QTRY_COMPARE_WITH_TIMEOUT(kernel.pid(), copy, 5000);
        QTRY_VERIFY_WITH_TIMEOUT(m_house.counted.contains(QStringLiteral("restored")), 5000);
        QCOMPARE(m_house.killed, 0);
        QVERIFY(kernel.restoredWithin(KernelProcess::kAfterlife));

        // What is measured now is mostly what the dead have not given back yet: by it the session would lose its state.
        kernel.sampled(measured(kernel, 2 * kLimit));
        QCOMPARE(m_house.killed, 0);
        QVERIFY(kernel.isAlive() && kernel.deathReason().isEmpty());
        QCOMPARE(kernel.memoryBytes(), 2 * kLimit); // it is told, though

        // Later it is its own.
        QTRY_VERIFY_WITH_TIMEOUT(!kernel.restoredWithin(KernelProcess::kAfterlife), 5000);
        kernel.sampled(measured(kernel, 2 * kLimit));
        QCOMPARE(m_house.killed, 1);
        QVERIFY2(kernel.deathReason().contains(u"its limit is"), qPrintable(kernel.deathReason()));
        kernel.abandon();
        ::kill(copy, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
};

QTEST_GUILESS_MAIN(TestKernelAfterlife)
#include "tst_kernel_afterlife.moc"
