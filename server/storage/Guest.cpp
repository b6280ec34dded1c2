#include "storage/Guest.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

namespace power::storage {

namespace {
using std::chrono::steady_clock;

// The words of libpq for the same database as another user.
std::vector<std::pair<QByteArray, QByteArray>> guestWords(const Guest::Config &config)
{
    QString plain = config.url.trimmed();
    if (const qsizetype plus = plain.indexOf(u'+'), colon = plain.indexOf(u':'); plus >= 0 && plus < colon)
        plain.remove(plus, colon - plus);
    std::vector<std::pair<QByteArray, QByteArray>> words;
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption *)> parsed(PQconninfoParse(plain.toUtf8().constData(), nullptr),
                                                                                 &PQconninfoFree);
    for (const PQconninfoOption *option = parsed.get(); option && option->keyword; ++option) {
        const QByteArray key(option->keyword);
        if (option->val && *option->val && key != "user" && key != "password" && key != "options" && key != "application_name" && key != "passfile")
            words.emplace_back(key, option->val);
    }
    words.emplace_back("user", config.user.toUtf8());
    words.emplace_back("password", config.password.toUtf8());
    words.emplace_back("options", config.options);
    words.emplace_back("application_name", "power-interpreter query");
    words.emplace_back("client_encoding", "UTF8");
    return words;
}

QString firstLine(const PGconn *connection)
{
    return QString::fromUtf8(PQerrorMessage(connection)).trimmed().section(u'\n', 0, 0).section(QStringLiteral("FATAL:"), -1).trimmed();
}
} // namespace

GuestStop::GuestStop() : m_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

GuestStop::~GuestStop()
{
    ::close(m_event);
}

void GuestStop::stop()
{
    const quint64 one = 1;
    [[maybe_unused]] const auto written = ::write(m_event, &one, sizeof one);
}

Guest::Guest(PGconn *connection, const Config &config, std::shared_ptr<GuestStop> stop)
    : m_connection(connection), m_until(config.until), m_stop(std::move(stop))
{
}

Guest::~Guest()
{
    PQfinish(m_connection);
}

Result<std::unique_ptr<Guest>> Guest::open(const Config &config, std::shared_ptr<GuestStop> stop)
{
    const auto words = guestWords(config);
    std::vector<const char *> keys, values;
    for (const auto &[key, value] : words) {
        keys.push_back(key.constData());
        values.push_back(value.constData());
    }
    keys.push_back(nullptr);
    values.push_back(nullptr);
    std::unique_ptr<Guest> guest(new Guest(PQconnectStartParams(keys.data(), values.data(), 0), config, std::move(stop)));
    PGconn *connection = guest->m_connection;
    const auto refused = [connection] {
        return fail(ErrorCode::Unavailable, QStringLiteral("The reading role cannot reach the database: %1.").arg(firstLine(connection)));
    };
    if (PQstatus(connection) == CONNECTION_BAD)
        return refused();
    PQsetNoticeProcessor(connection, [](void *, const char *) {}, nullptr);
    short events = POLLOUT;
    for (;;) {
        const Result<Done> ready = guest->wait(events);
        if (!ready)
            return Unexpected<Error>{ready.error()};
        switch (PQconnectPoll(connection)) {
        case PGRES_POLLING_OK:
            PQsetnonblocking(connection, 1);
            return guest;
        case PGRES_POLLING_READING:
            events = POLLIN;
            break;
        case PGRES_POLLING_WRITING:
            events = POLLOUT;
            break;
        default:
            return refused();
        }
    }
}

qint64 Guest::backendPid() const
{
    return PQbackendPID(m_connection);
}

Result<Done> Guest::wait(short events)
{
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(m_until - steady_clock::now());
        if (left.count() <= 0) {
            cancel();
            return fail(ErrorCode::Timeout, QStringLiteral("The query took too long and was stopped."),
                        QStringLiteral("Select less, filter by indexed columns, or aggregate in steps."));
        }
        pollfd watched[2] = {{PQsocket(m_connection), events, 0}, {m_stop->descriptor(), POLLIN, 0}};
        const int ready = ::poll(watched, 2, int(std::min<qint64>(left.count(), 60'000)));
        if (watched[1].revents != 0) {
            cancel();
            return fail(ErrorCode::Cancelled, QStringLiteral("The call was cancelled."));
        }
        if (ready > 0)
            return Done{};
    }
}

// So that the backend stops too; closing the connection alone would be noticed when it answers.
void Guest::cancel()
{
    const std::unique_ptr<PGcancel, void (*)(PGcancel *)> request(PQgetCancel(m_connection), &PQfreeCancel);
    char ignored[256];
    if (request)
        PQcancel(request.get(), ignored, sizeof ignored);
}

Result<Done> Guest::flush()
{
    for (;;) {
        const int more = PQflush(m_connection);
        if (more == 0)
            return Done{};
        if (more < 0)
            return refusal(nullptr);
        const Result<Done> ready = wait(POLLIN | POLLOUT);
        if (!ready)
            return ready;
        if (!PQconsumeInput(m_connection))
            return refusal(nullptr);
    }
}

Unexpected<Error> Guest::refusal(const PGresult *result)
{
    const auto field = [result](int code) { return result ? QString::fromUtf8(PQresultErrorField(result, code)) : QString(); };
    m_problem = {field(PG_DIAG_SQLSTATE).toLatin1(), field(PG_DIAG_MESSAGE_PRIMARY), field(PG_DIAG_MESSAGE_DETAIL), field(PG_DIAG_MESSAGE_HINT),
                 field(PG_DIAG_STATEMENT_POSITION).toInt()};
    if (PQstatus(m_connection) != CONNECTION_OK || m_problem.state.isEmpty())
        return fail(ErrorCode::Unavailable, QStringLiteral("The database went away during the query."),
                    QStringLiteral("Try again in a few seconds; the server reconnects by itself."));
    if (m_problem.state == "57014")
        return fail(ErrorCode::Timeout, QStringLiteral("The query took too long and was stopped."),
                    QStringLiteral("Select less, filter by indexed columns, or aggregate in steps."));
    return fail(ErrorCode::InvalidArgument, m_problem.message, m_problem.hint, {{QStringLiteral("sqlstate"), QString::fromLatin1(m_problem.state)}});
}

Result<GuestResult> Guest::next()
{
    while (PQisBusy(m_connection)) {
        const Result<Done> ready = wait(POLLIN);
        if (!ready)
            return Unexpected<Error>{ready.error()};
        if (!PQconsumeInput(m_connection))
            return refusal(nullptr);
    }
    PGresult *result = PQgetResult(m_connection);
    if (!result)
        return GuestResult();
    GuestResult held(result, &PQclear);
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("COPY is no query."));
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_SINGLE_TUPLE)
        return refusal(result);
    return held;
}

Result<GuestResult> Guest::whole()
{
    const Result<Done> sent = flush();
    if (!sent)
        return Unexpected<Error>{sent.error()};
    GuestResult last;
    std::optional<Error> refused;
    for (;;) {
        Result<GuestResult> one = next();
        if (!one) {
            if (PQstatus(m_connection) != CONNECTION_OK || one.error().code != ErrorCode::InvalidArgument)
                return one;
            refused = one.error(); // the statement's end still comes
            continue;
        }
        if (!*one)
            break;
        last = *one;
    }
    if (refused)
        return Unexpected<Error>{*refused};
    return last;
}

Result<Done> Guest::prepare(const QByteArray &sql)
{
    if (!PQsendPrepare(m_connection, "", sql.constData(), 0, nullptr))
        return refusal(nullptr);
    const Result<GuestResult> done = whole();
    if (!done)
        return Unexpected<Error>{done.error()};
    return Done{};
}

Result<GuestResult> Guest::describe()
{
    if (!PQsendDescribePrepared(m_connection, ""))
        return refusal(nullptr);
    return whole();
}

namespace {
std::vector<const char *> pointersOf(const Guest::Values &values)
{
    std::vector<const char *> pointers;
    for (const auto &value : values)
        pointers.push_back(value ? value->constData() : nullptr);
    return pointers;
}
} // namespace

Result<GuestResult> Guest::run(const QByteArray &sql, const Values &values)
{
    if (!PQsendQueryParams(m_connection, sql.constData(), int(values.size()), nullptr, pointersOf(values).data(), nullptr, nullptr, 0))
        return refusal(nullptr);
    return whole();
}

Result<Done> Guest::rows(const QByteArray &sql, const Values &values, const std::function<bool(PGresult *)> &take)
{
    if (!PQsendQueryParams(m_connection, sql.constData(), int(values.size()), nullptr, pointersOf(values).data(), nullptr, nullptr, 0))
        return refusal(nullptr);
    PQsetSingleRowMode(m_connection);
    const Result<Done> sent = flush();
    if (!sent)
        return sent;
    for (;;) {
        const Result<GuestResult> one = next();
        if (!one)
            return Unexpected<Error>{one.error()};
        if (!*one)
            return Done{};
        if (PQntuples(one->get()) > 0 && !take(one->get())) {
            cancel();
            return Done{};
        }
    }
}

} // namespace power::storage
