#include "mcp/ProgressStream.h"
#include "mcp/Rpc.h"

namespace power::mcp {

namespace {
constexpr int kBurst = 4;
}

ProgressStream::ProgressStream(http::ExchangePtr exchange, AnswerForms forms, QJsonValue progressToken,
                               StreamDelays delays)
    : m_exchange(std::move(exchange)), m_forms(forms), m_token(std::move(progressToken)), m_delays(delays),
      m_refilled(std::chrono::steady_clock::now())
{
    m_flushTimer.setSingleShot(true);
    QObject::connect(&m_flushTimer, &QTimer::timeout, &m_flushTimer, [this] { flush(); });
    m_startTimer.setSingleShot(true);
    QObject::connect(&m_startTimer, &QTimer::timeout, &m_startTimer, [this] { begin(); });
    const bool wantsProgress = !m_token.isNull();
    if (m_forms.streamOnly || (wantsProgress && m_forms.mayStream))
        m_startTimer.start(m_delays.withProgress);
    else if (m_forms.mayKeepAlive)
        m_startTimer.start(m_delays.keepAlive);
}

void ProgressStream::begin()
{
    if (m_stream || m_finished || m_exchange->isAnswered() || m_exchange->disconnected().isCancelled())
        return;
    m_stream = m_exchange->startSse();
    flush();
}

void ProgressStream::report(double done, double total, const QString &text)
{
    if (m_finished || m_token.isNull() || !m_forms.mayStream)
        return;
    const double before = m_waiting ? m_waiting->done : m_last;
    if (done >= 0 && done <= before && (text.isEmpty() || text == (m_waiting ? m_waiting->text : m_lastText)))
        return;
    m_waiting = Update{done < 0 ? before + 1 : std::max(done, before + 0.001), total, text};
    if (!m_stream && m_delays.withProgress.count() == 0)
        begin();
    else
        flush();
}

void ProgressStream::flush()
{
    if (!m_stream || !m_waiting || m_finished)
        return;
    const auto now = std::chrono::steady_clock::now();
    const auto gained = (now - m_refilled) / m_delays.refill;
    if (gained > 0) {
        m_allowance = int(std::min<qint64>(kBurst, m_allowance + gained));
        m_refilled += gained * m_delays.refill;
    }
    if (m_allowance == 0) {
        if (!m_flushTimer.isActive())
            m_flushTimer.start(m_delays.refill);
        return;
    }
    --m_allowance;
    const Update update = *std::exchange(m_waiting, std::nullopt);
    m_last = update.done;
    m_lastText = update.text;
    QJsonObject params{{QStringLiteral("progressToken"), m_token}, {QStringLiteral("progress"), update.done}};
    if (update.total > 0)
        params.insert(QStringLiteral("total"), update.total);
    if (!update.text.isEmpty())
        params.insert(QStringLiteral("message"), update.text);
    m_stream->send("message", jsonBytes(QJsonObject{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
                                                    {QStringLiteral("method"), QStringLiteral("notifications/progress")},
                                                    {QStringLiteral("params"), params}}));
    ++m_sent;
}

void ProgressStream::finish(int status, QByteArray message, http::Headers headers)
{
    if (std::exchange(m_finished, true))
        return;
    m_startTimer.stop();
    m_flushTimer.stop();
    if (!m_stream && m_forms.streamOnly && status == 200 && !m_exchange->disconnected().isCancelled())
        m_stream = m_exchange->startSse(headers);
    if (m_stream) {
        m_stream->send("message", message);
        m_stream->finish();
        return;
    }
    if (m_exchange->isAnswered())
        return;
    http::Response response = http::Response::bytes(status, "application/json", std::move(message));
    for (const auto &field : headers.fields())
        response.headers.add(field.name, field.value);
    m_exchange->reply(std::move(response));
}

} // namespace power::mcp
