#include "storage/Worker.h"
#include "storage/Connection.h"
#include "storage/Sql.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace power::storage {

namespace {
constexpr int firstPauseMs = 100, longestPauseMs = 2'000;

bool isAlive(const QSqlDatabase &connection)
{
    PGconn *handle = nativeHandle(connection);
    return handle && PQstatus(handle) == CONNECTION_OK;
}
} // namespace

Worker::Worker(QString name, QString url, std::chrono::milliseconds connectTimeout, Reports reports)
    : m_name(std::move(name)), m_url(std::move(url)), m_connectTimeout(connectTimeout), m_reports(std::move(reports)),
      m_wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
}

Worker::~Worker()
{
    ::close(m_wake);
}

void Worker::start()
{
    std::thread([self = shared_from_this()] {
        prctl(PR_SET_NAME, "db-worker", 0, 0, 0);
        self->loop();
        self->m_reports.ended();
    }).detach();
}

void Worker::give(std::shared_ptr<Work> work)
{
    {
        const std::lock_guard lock(m_mutex);
        m_inbox = std::move(work);
    }
    wake();
}

void Worker::listen(const QString &channel)
{
    {
        const std::lock_guard lock(m_mutex);
        m_channels += channel;
        m_listenAgain = true;
    }
    wake();
}

void Worker::quit()
{
    {
        const std::lock_guard lock(m_mutex);
        m_quit = true;
    }
    wake();
}

void Worker::cancelStatement()
{
    std::shared_ptr<PGcancel> cancel;
    {
        const std::lock_guard lock(m_mutex);
        cancel = m_cancel;
    }
    if (!cancel)
        return;
    std::thread([cancel] {
        char ignored[256];
        PQcancel(cancel.get(), ignored, sizeof ignored);
    }).detach();
}

void Worker::shutSocket()
{
    const std::lock_guard lock(m_mutex);
    if (m_socket >= 0)
        ::shutdown(m_socket, SHUT_RDWR);
}

void Worker::wake()
{
    const quint64 one = 1;
    [[maybe_unused]] const auto written = ::write(m_wake, &one, sizeof one);
}

void Worker::waitForWake(int socket, int milliseconds)
{
    pollfd watched[2] = {{m_wake, POLLIN, 0}, {socket, POLLIN, 0}};
    ::poll(watched, socket < 0 ? 1 : 2, milliseconds);
    quint64 count = 0;
    [[maybe_unused]] const auto got = ::read(m_wake, &count, sizeof count);
}

bool Worker::open(QSqlDatabase &connection)
{
    if (const auto opened = openConnection(connection); !opened) {
        m_reports.away(shared_from_this(), opened.error().message);
        return false;
    }
    adopt(connection);
    return true;
}

// A connection just made: what other threads need to cancel and to shut it, and it has no subscriptions yet.
void Worker::adopt(const QSqlDatabase &connection)
{
    PGconn *handle = nativeHandle(connection);
    const std::lock_guard lock(m_mutex);
    m_socket = PQsocket(handle);
    m_cancel = std::shared_ptr<PGcancel>(PQgetCancel(handle), &PQfreeCancel);
    m_listenAgain = true;
}

// On a dead connection nothing happens; the next one starts with all channels.
void Worker::subscribe(QSqlDatabase &connection)
{
    QStringList channels;
    {
        const std::lock_guard lock(m_mutex);
        if (std::exchange(m_listenAgain, false))
            channels = m_channels;
    }
    for (const QString &channel : std::as_const(channels)) {
        const QString quoted = QString(channel).replace(u'"', QStringLiteral("\"\""));
        if (script(connection, "LISTEN \"" + quoted.toUtf8() + '"'))
            m_reports.notified(channel, {});
    }
}

void Worker::close(QSqlDatabase &connection)
{
    {
        // First forget the descriptor: after close() its number may belong to somebody else.
        const std::lock_guard lock(m_mutex);
        m_socket = -1;
        m_cancel.reset();
    }
    connection.close();
}

// False when the connection is gone. Reads what arrived while idle, which is how a loss is noticed at once.
bool Worker::readNotifications(QSqlDatabase &connection)
{
    PGconn *handle = nativeHandle(connection);
    if (!handle || !PQconsumeInput(handle) || PQstatus(handle) != CONNECTION_OK)
        return false;
    while (PGnotify *notify = PQnotifies(handle)) {
        m_reports.notified(QString::fromUtf8(notify->relname), QString::fromUtf8(notify->extra));
        PQfreemem(notify);
    }
    return PQstatus(handle) == CONNECTION_OK;
}

Result<std::any> Worker::execute(QSqlDatabase &connection, Work &work)
{
    const auto cancelled = fail(ErrorCode::Cancelled, QStringLiteral("The call was given up."));
    if (!work.advance(Work::Queued, Work::Running))
        return cancelled;
    auto begun = script(connection, "BEGIN");
    if (!begun && !isAlive(connection)) {
        // The connection had died unnoticed; nothing of the job has run, so a fresh one may serve it.
        close(connection);
        if (!openConnection(connection))
            return Unexpected<Error>{begun.error()};
        adopt(connection);
        subscribe(connection); // before the job: who is answered may count on being heard from then on
        begun = script(connection, "BEGIN");
    }
    if (!begun)
        return Unexpected<Error>{begun.error()};

    Result<std::any> answer = cancelled;
    try {
        answer = work.job(connection);
    } catch (const std::exception &) {
        answer = fail(ErrorCode::Internal, QStringLiteral("A database job failed unexpectedly."));
    }
    if (!answer) {
        if (isAlive(connection) && !script(connection, "ROLLBACK"))
            close(connection);
        return answer;
    }
    if (!work.advance(Work::Running, Work::Committing))
        return cancelled; // the connection is dropped by the caller, and the transaction with it
    // COMMIT of a transaction in which a statement failed answers ROLLBACK without an error.
    PGconn *handle = nativeHandle(connection);
    const bool isBroken = PQtransactionStatus(handle) == PQTRANS_INERROR;
    if (const auto committed = script(connection, "COMMIT"); !committed) {
        Error error = committed.error();
        if (error.code == ErrorCode::Unavailable)
            error.details.insert(QStringLiteral("outcome"), QStringLiteral("unknown"));
        return Unexpected<Error>{std::move(error)};
    }
    if (isBroken)
        return fail(ErrorCode::Internal, QStringLiteral("A statement of the database call failed; nothing was changed."));
    return answer;
}

void Worker::loop()
{
    if (const auto described = describeConnection(m_name, m_url, m_connectTimeout); !described) {
        m_reports.away(shared_from_this(), described.error().message);
        return;
    }
    {
        QSqlDatabase connection = QSqlDatabase::database(m_name, false);
        int pause = firstPauseMs;
        bool isOpen = false;
        for (;;) {
            std::shared_ptr<Work> work;
            bool quit = false;
            int socket = -1;
            {
                const std::lock_guard lock(m_mutex);
                work = std::exchange(m_inbox, {});
                quit = m_quit;
                socket = m_socket;
            }
            if (quit && !work)
                break;
            if (isOpen)
                subscribe(connection);
            if (work) {
                Result<std::any> answer = execute(connection, *work);
                // An abandoned job's cancel request may still be on its way; it must not hit the next job.
                // Notifications that came along with its answers are in memory: the socket will not tell of them.
                isOpen = work->phase != Work::Abandoned && readNotifications(connection);
                if (!isOpen)
                    close(connection);
                work.reset();
                m_reports.finished(shared_from_this(), std::move(answer), isOpen);
                continue;
            }
            if (!isOpen) {
                isOpen = open(connection);
                if (isOpen) {
                    pause = firstPauseMs;
                    const int version = PQserverVersion(nativeHandle(connection));
                    m_reports.opened(shared_from_this(), QStringLiteral("%1.%2").arg(version / 10'000).arg(version % 10'000));
                } else {
                    waitForWake(-1, pause);
                    pause = std::min(pause * 2, longestPauseMs);
                }
                continue;
            }
            waitForWake(socket, -1);
            bool hasWork = false;
            {
                const std::lock_guard lock(m_mutex);
                hasWork = m_inbox != nullptr;
            }
            if (!readNotifications(connection)) {
                isOpen = false;
                close(connection);
                if (!hasWork)
                    m_reports.lost(shared_from_this());
            }
        }
        close(connection);
    }
    QSqlDatabase::removeDatabase(m_name);
}

} // namespace power::storage
