#include "mcp/StdioTransport.h"
#include "mcp/Dispatch.h"
#include "mcp/LineOutlet.h"
#include <QJsonArray>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace power::mcp {

namespace {
constexpr qsizetype kMostUnread = 64 << 20;

void unblock(int descriptor)
{
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}
} // namespace

struct StdioTransport::State {
    State(int inDescriptor, int outDescriptor)
        : in(inDescriptor), out(outDescriptor), readable(in, QSocketNotifier::Read), writable(out, QSocketNotifier::Write)
    {
        writable.setEnabled(false);
    }

    CorePtr core;
    operations::Caller caller;
    const int in, out;
    QSocketNotifier readable, writable;
    SessionPtr session;
    QByteArray received, unsent;
    bool skipping = false; // inside a line that was too long
    CancelSource over;
    std::function<void()> ended;

    void end()
    {
        readable.setEnabled(false);
        writable.setEnabled(false);
        unsent.clear();
        over.cancel();
        if (const auto call = std::exchange(ended, nullptr))
            call();
    }

    void write(const QByteArray &message)
    {
        if (!ended)
            return;
        unsent += message + '\n';
        if (unsent.size() > kMostUnread)
            return end();
        flush();
    }

    void flush()
    {
        while (!unsent.isEmpty()) {
            const ssize_t count = ::write(out, unsent.constData(), size_t(unsent.size()));
            if (count < 0 && errno == EINTR)
                continue;
            if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
                return end();
            if (count < 0)
                break;
            unsent.remove(0, count);
        }
        writable.setEnabled(!unsent.isEmpty());
    }
};

namespace {
using StatePtr = std::shared_ptr<StdioTransport::State>;

Arrival arrivalOf(const StdioTransport::State &state)
{
    Arrival arrival;
    arrival.door = Door::Stdio;
    arrival.caller = state.caller;
    arrival.session = state.session;
    arrival.scope = "stdio " + state.session->id;
    arrival.tools = state.core->config.tools;
    arrival.gone = state.over.token();
    return arrival;
}

QCoro::Task<> answerLine(CorePtr core, CallPtr call)
{
    QCoro::Task<Reply> serving = serve(core, call);
    Reply reply = co_await serving;
    call->outlet->finish(std::move(reply));
}

QCoro::Task<> answerBatch(CorePtr core, Arrival arrival, QJsonArray batch)
{
    const SessionPtr session = arrival.session;
    QCoro::Task<Reply> serving = serveBatch(core, std::move(arrival), std::move(batch));
    const Reply reply = co_await serving;
    LineOutlet(session).finish(reply);
}

void takeLine(const StatePtr &state, const QByteArray &line)
{
    if (line.trimmed().isEmpty())
        return;
    QJsonValue message;
    LineOutlet outlet(state->session);
    if (!parseBody(line, message))
        return outlet.finish(badMessage(400, ParseError, QStringLiteral("The line is not valid JSON.")));
    Arrival arrival = arrivalOf(*state);
    if (message.isArray()) {
        if (const auto problem = batchProblem(arrival, message.toArray()))
            return outlet.finish(badMessage(400, InvalidRequest, *problem));
        answerBatch(state->core, std::move(arrival), message.toArray());
        return;
    }
    Begun begun = begin(*state->core, arrival, message);
    if (const auto *reply = std::get_if<Reply>(&begun))
        return outlet.finish(*reply);
    const CallPtr call = std::get<CallPtr>(begun);
    call->outlet = std::make_shared<LineOutlet>(state->session);
    answerLine(state->core, call);
}

void takeBytes(const StatePtr &state)
{
    char buffer[64 * 1024];
    const ssize_t count = ::read(state->in, buffer, sizeof buffer);
    if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (count <= 0)
        return state->end();
    state->received.append(buffer, count);
    qsizetype start = 0;
    for (qsizetype end = 0; (end = state->received.indexOf('\n', start)) >= 0; start = end + 1) {
        const QByteArray line = state->received.mid(start, end - start);
        if (!std::exchange(state->skipping, false))
            takeLine(state, line);
        if (!state->ended)
            return;
    }
    state->received.remove(0, start);
    if (state->received.size() <= state->core->config.maxBody)
        return;
    if (!std::exchange(state->skipping, true))
        LineOutlet(state->session).finish(badMessage(413, InvalidRequest, QStringLiteral("A message has at most %1 bytes.")
                                                                              .arg(state->core->config.maxBody)));
    state->received.clear();
}
} // namespace

StdioTransport::StdioTransport(const Endpoint &endpoint, operations::Caller caller, int in, int out, std::function<void()> ended)
    : m_state(std::make_shared<State>(in, out))
{
    unblock(in);
    unblock(out);
    m_state->core = endpoint.core();
    m_state->caller = std::move(caller);
    m_state->ended = std::move(ended);
    const std::weak_ptr<State> weak = m_state;
    m_state->session = m_state->core->sessions.beginWithLine(m_state->caller.principal, [weak](const QByteArray &message) {
        if (const StatePtr state = weak.lock())
            state->write(message);
    });
    QObject::connect(&m_state->readable, &QSocketNotifier::activated, &m_state->readable, [weak] {
        if (const StatePtr state = weak.lock())
            takeBytes(state);
    });
    QObject::connect(&m_state->writable, &QSocketNotifier::activated, &m_state->writable, [weak] {
        if (const StatePtr state = weak.lock())
            state->flush();
    });
}

StdioTransport::~StdioTransport()
{
    m_state->ended = nullptr;
    m_state->end();
}

} // namespace power::mcp
