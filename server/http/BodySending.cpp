#include "http/Streams.h"
#include <QSocketNotifier>
#include <QTcpSocket>
#include <cerrno>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

namespace power::http {

namespace {
// Pulls pieces while less than half the window is unsent, so never more than the window waits.
QCoro::Task<> pumpPieces(std::shared_ptr<ExchangeImpl> exchange, std::shared_ptr<BodySource> source)
{
    qint64 left = source->size();
    while (left > 0) {
        ConnectionGuard *guard = exchange->guard();
        if (!guard)
            break;
        const Result<Done> room = co_await guard->room();
        if (!room)
            break;
        const qint64 most = qMin(left, ConnectionGuard::window / 2);
        Result<QByteArray> piece = co_await source->read(most);
        guard = exchange->guard();
        if (!piece || piece->isEmpty() || piece->size() > left || !guard || !guard->isOpen())
            break;
        left -= piece->size();
        exchange->countSent(piece->size());
        guard->write(*piece);
    }
    exchange->finishStream(left == 0, true);
}

// FileSender: sendfile(2) on a plain socket, after the head has left. Its notifier is on a duplicate descriptor, as
// QTcpSocket has one of its own on the original. Deletes itself; a child of the guard, so a disconnect ends it.
class FileSender : public QObject
{
public:
    FileSender(std::shared_ptr<ExchangeImpl> exchange, std::unique_ptr<BodySource> source)
        : QObject(exchange->guard()), m_exchange(std::move(exchange)), m_source(std::move(source)),
          m_offset(m_source->fileOffset()), m_left(m_source->size())
    {
        m_exchange->guard()->setFileLeaving(true);
        m_cancel = m_exchange->disconnected().onCancel([this] { finish(false); });
        QTcpSocket *socket = m_exchange->guard()->socket();
        m_socket = fcntl(int(socket->socketDescriptor()), F_DUPFD_CLOEXEC, 3);
        if (m_socket < 0) {
            finish(false);
            return;
        }
        m_notifier = new QSocketNotifier(m_socket, QSocketNotifier::Write, this);
        connect(m_notifier, &QSocketNotifier::activated, this, &FileSender::sendSome);
    }
    ~FileSender() override
    {
        delete m_notifier;
        if (m_socket >= 0)
            ::close(m_socket);
    }

private:
    void sendSome()
    {
        if (!m_exchange || !m_exchange->guard())
            return;
        if (m_exchange->guard()->unsent() > 0)
            return; // the head; the socket is writable again right after it has left
        constexpr qint64 oneTurn = 1024 * 1024; // other connections get their turn
        off_t offset = off_t(m_offset);
        const ssize_t sent = ::sendfile(m_socket, m_source->fileDescriptor(), &offset, size_t(qMin(m_left, oneTurn)));
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (sent <= 0)
            return finish(false); // an error, or the file became shorter
        m_offset += sent;
        m_left -= sent;
        m_exchange->countSent(sent);
        m_exchange->guard()->noteProgress();
        if (m_left == 0)
            finish(true);
    }

    void finish(bool whole)
    {
        const auto exchange = std::exchange(m_exchange, nullptr);
        if (!exchange)
            return;
        if (m_notifier)
            m_notifier->setEnabled(false);
        m_cancel.reset();
        if (exchange->guard())
            exchange->guard()->setFileLeaving(false);
        exchange->finishStream(whole, true);
        deleteLater();
    }

    std::shared_ptr<ExchangeImpl> m_exchange;
    std::unique_ptr<BodySource> m_source;
    CancelToken::Registration m_cancel;
    QSocketNotifier *m_notifier = nullptr;
    qint64 m_offset;
    qint64 m_left;
    int m_socket = -1;
};
} // namespace

void sendBody(std::shared_ptr<ExchangeImpl> exchange, std::unique_ptr<BodySource> source)
{
    if (source->fileDescriptor() >= 0 && !exchange->guard()->isSecure()) {
        new FileSender(std::move(exchange), std::move(source));
        return;
    }
    std::shared_ptr<BodySource> shared(std::move(source));
    pumpPieces(std::move(exchange), shared);
}

} // namespace power::http
