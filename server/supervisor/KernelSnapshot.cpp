// Asking a kernel for a snapshot, and reading what its forked child sends.
#include "base/Log.h"
#include "supervisor/KernelCheckpoint.h"
#include "supervisor/KernelFrames.h"
#include "supervisor/KernelProcess.h"
#include <QCoreApplication>
#include <QJsonArray>
#include <QJsonDocument>
#include <QThreadPool>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr std::size_t kMostPiece = 2u << 20;
constexpr qsizetype kMostSkipped = 200;
constexpr auto kStall = 90s; // without a byte: it hangs
constexpr qint64 kSlack = 16 << 20; // heads, padding and the table of names
// Each waits for a process most of the time; that may be as slow as it likes, and others must not wait for it. They are there
// while they are needed: more than 26 only for those that somebody waits for, and at the end of the server.
constexpr int kReaders = 128;

QThreadPool &snapshotReaders()
{
    static QThreadPool pool;
    pool.setMaxThreadCount(kReaders);
    return pool;
}

Result<SnapshotSummary> summaryOf(const wire::Frame &frame)
{
    const Result<QJsonObject> meta = readMeta(frame);
    if (!meta)
        return Unexpected<Error>{meta.error()};
    if (!meta->value(QStringLiteral("ok")).toBool())
        return fail(ErrorCode::Unavailable, meta->value(QStringLiteral("reason")).toString().left(500));
    SnapshotSummary summary;
    summary.cell = meta->value(QStringLiteral("count")).toInt();
    summary.saved = meta->value(QStringLiteral("saved")).toInt();
    const QJsonArray skipped = meta->value(QStringLiteral("skipped")).toArray();
    for (qsizetype i = 0; i < std::min(skipped.size(), kMostSkipped); ++i) {
        const QJsonObject one = skipped.at(i).toObject();
        summary.skipped << SkippedName{one.value(QStringLiteral("name")).toString().left(200),
                                       one.value(QStringLiteral("type")).toString().left(100),
                                       one.value(QStringLiteral("reason")).toString().left(500)};
    }
    summary.skippedCount = std::max(meta->value(QStringLiteral("skipped_count")).toInt(), int(summary.skipped.size()));
    return summary;
}

// In a reader's thread. The sender is a process of the session: every size is checked, nothing of it is looked into.
Result<SnapshotSummary> readSnapshot(const Fd &socket, const SnapshotOrder &order)
{
    const auto end = std::chrono::steady_clock::now() + order.timeout;
    auto heard = std::chrono::steady_clock::now();
    wire::Decoder decoder(kMostPiece);
    std::vector<char> bytes(256 * 1024);
    QString at;
    qint64 total = 0;
    for (;;) {
        pollfd readable{socket.get(), POLLIN, 0};
        const int ready = ::poll(&readable, 1, 500);
        const auto now = std::chrono::steady_clock::now();
        if (now > end || now - heard > kStall)
            return fail(ErrorCode::Timeout, QStringLiteral("it was not written in time%1")
                                                .arg(at.isEmpty() ? QString() : QStringLiteral(" (at the name '%1')").arg(at)),
                        {}, {{QStringLiteral("at"), at}});
        if (order.stop && *order.stop)
            return fail(ErrorCode::Cancelled, QStringLiteral("it was stopped"));
        if (ready <= 0)
            continue;
        const ssize_t size = ::recv(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (size <= 0)
            return fail(ErrorCode::Unavailable, QStringLiteral("the process that wrote it ended early%1")
                                                    .arg(at.isEmpty() ? QString() : QStringLiteral(" (at the name '%1')").arg(at)),
                        {}, {{QStringLiteral("at"), at}});
        heard = now;
        decoder.feed({bytes.data(), std::size_t(size)});
        wire::Frame frame;
        for (;;) {
            const auto status = decoder.next(frame);
            if (status == wire::Decoder::Status::NeedMore)
                break;
            if (status == wire::Decoder::Status::Bad)
                return fail(ErrorCode::Internal, QStringLiteral("what it sent was malformed: ") + QString::fromStdString(decoder.reason()));
            if (frame.type == wire::FrameType::SnapshotEnd) {
                Result<SnapshotSummary> summary = summaryOf(frame);
                if (summary)
                    summary->bytes = total;
                return summary;
            }
            if (frame.type != wire::FrameType::SnapshotData)
                return fail(ErrorCode::Internal, QStringLiteral("what it sent was malformed: a frame of another kind"));
            total += qint64(frame.blob.size());
            if (total > order.limitBytes + kSlack)
                return fail(ErrorCode::TooLarge, QStringLiteral("it is above the limit of %1 MB (SNAPSHOT_MAX_MB)").arg(order.limitBytes >> 20));
            if (const Result<QJsonObject> meta = readMeta(frame))
                at = meta->value(QStringLiteral("at")).toString().left(100);
            const Result<Done> taken = order.take(QByteArrayView(frame.blob.data(), qsizetype(frame.blob.size())));
            if (!taken)
                return Unexpected<Error>{taken.error()};
        }
    }
}
} // namespace

OneShot<SnapshotSummary> KernelProcess::snapshot(SnapshotOrder order)
{
    OneShot<SnapshotSummary> shot;
    if (m_state != State::Living || m_run || !m_outgoing.isEmpty()) {
        shot.resolve(fail(ErrorCode::Busy, QStringLiteral("the kernel is running something")));
        return shot;
    }
    FdPair pair = makeSocketPair();
    const QJsonObject meta{{QStringLiteral("limit"), order.limitBytes},
                           {QStringLiteral("allowance"), order.allowanceBytes},
                           {QStringLiteral("skip"), QJsonArray::fromStringList(order.skip)}};
    const QByteArray json = QJsonDocument(meta).toJson(QJsonDocument::Compact);
    QByteArray frame;
    if (json.size() < qsizetype(wire::kMaxMeta))
        frame = QByteArray::fromStdString(wire::encode(wire::FrameType::Snapshot, {json.constData(), std::size_t(json.size())}));
    if (!pair.ok() || frame.isEmpty() || !sendDescriptor(m_channels.control, frame, pair.theirs)) {
        shot.resolve(fail(ErrorCode::Unavailable, QStringLiteral("the kernel could not be asked")));
        return shot;
    }
    auto socket = std::make_shared<Fd>(std::move(pair.ours));
    snapshotReaders().start([shot, socket, order = std::move(order)] {
        auto result = std::make_shared<Result<SnapshotSummary>>(readSnapshot(*socket, order));
        socket->reset();
        QMetaObject::invokeMethod(qApp, [shot, result] { shot.resolve(std::move(*result)); }, Qt::QueuedConnection);
    });
    return shot;
}

} // namespace power::supervisor
