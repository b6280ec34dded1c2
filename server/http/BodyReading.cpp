#include "http/Streams.h"

namespace power::http {

namespace {
QCoro::Task<Result<QByteArray>> nextPiece(QPointer<ConnectionGuard> guard, std::chrono::milliseconds timeout, CancelToken gone)
{
    for (;;) {
        if (!guard || !guard->isOpen() || gone.isCancelled())
            co_return fail(ErrorCode::Cancelled, QStringLiteral("The client went away before its upload was complete."));
        QByteArray piece;
        const BodyFramer::Status status = guard->takeBody(piece);
        if (status == BodyFramer::Status::Bad)
            co_return fail(ErrorCode::InvalidArgument, QStringLiteral("The upload's chunked framing is malformed."),
                           QStringLiteral("Send it again with Content-Length or correct chunks."));
        if (status == BodyFramer::Status::TooLarge)
            co_return fail(ErrorCode::TooLarge, QStringLiteral("The upload is larger than this route takes."));
        if (!piece.isEmpty() || status == BodyFramer::Status::Complete)
            co_return piece;
        const OneShot<Done> arrival = guard->bodyArrival();
        Result<Done> arrived = co_await arrival.wait(timeout, gone);
        if (!arrived && arrived.error().code == ErrorCode::Timeout)
            co_return fail(ErrorCode::Timeout, QStringLiteral("No byte of the upload arrived for %1 s.")
                                                   .arg(double(timeout.count()) / 1000.0),
                           QStringLiteral("Send it again over a faster connection or in parts."));
    }
}

class GuardBodyReader final : public BodyReader
{
public:
    GuardBodyReader(ConnectionGuard *guard, qint64 announced, std::chrono::milliseconds timeout, CancelToken gone)
        : m_guard(guard), m_announced(announced), m_timeout(timeout), m_gone(std::move(gone))
    {
    }
    QCoro::Task<Result<QByteArray>> read() override { return nextPiece(m_guard, m_timeout, m_gone); }
    qint64 announcedSize() const override { return m_announced; }

private:
    const QPointer<ConnectionGuard> m_guard;
    const qint64 m_announced;
    const std::chrono::milliseconds m_timeout;
    const CancelToken m_gone;
};
} // namespace

std::unique_ptr<BodyReader> makeBodyReader(ConnectionGuard *guard, qint64 announced, std::chrono::milliseconds timeout,
                                           CancelToken gone)
{
    return std::make_unique<GuardBodyReader>(guard, announced, timeout, std::move(gone));
}

} // namespace power::http
