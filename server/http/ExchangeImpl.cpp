#include "http/ExchangeImpl.h"
#include "base/Log.h"
#include "http/Front.h"
#include "http/ResponseHead.h"
#include "http/Streams.h"

namespace power::http {

Response errorResponse(const Error &error, const Request &request)
{
    QJsonObject body{{QStringLiteral("detail"), error.message},
                     {QStringLiteral("error"), QLatin1String(errorWord(error.code))}};
    if (!error.nextStep.isEmpty())
        body.insert(QStringLiteral("next_step"), error.nextStep);
    if (!error.details.isEmpty())
        body.insert(QStringLiteral("details"), error.details);
    if (!request.id.isEmpty())
        body.insert(QStringLiteral("request_id"), QString::fromLatin1(request.id));
    Response response = Response::json(httpStatus(error.code), body);
    if (error.code == ErrorCode::Busy)
        response.headers.add(QByteArrayLiteral("Retry-After"), QByteArrayLiteral("1"));
    return response;
}

ExchangeImpl::ExchangeImpl(ConnectionGuard *guard, Request request, const RouteOptions *options, bool oldVersion,
                           qint64 announced)
    : m_guard(guard), m_request(std::move(request)), m_options(options), m_oldVersion(oldVersion), m_announced(announced)
{
}

ExchangeImpl::~ExchangeImpl()
{
    if (!m_answered && m_guard)
        reply(refusalResponse({500, "The server did not answer this request; this is a fault of the server."}, m_request.id));
    if (!m_logged)
        writeLog();
}

bool ExchangeImpl::takeAnswer(const char *what)
{
    if (m_answered) {
        log::warning("answered_twice", {{QStringLiteral("path"), m_request.path}, {QStringLiteral("by"), QLatin1String(what)}});
        return false;
    }
    m_answered = true;
    return true;
}

QByteArray ExchangeImpl::headFor(const Response &response, bool keepAlive, qint64 bodySize) const
{
    WireFacts facts;
    facts.options = m_options;
    facts.requestId = m_request.id;
    facts.keepAlive = keepAlive;
    facts.oldVersion = m_oldVersion;
    facts.bodySize = bodySize;
    return responseHead(response, facts);
}

void ExchangeImpl::reply(Response response)
{
    if (!takeAnswer("reply"))
        return;
    if (m_guard && m_guard->isOpen()) {
        m_status = response.status;
        const bool withBody = statusHasBody(response.status) && m_request.method != "HEAD";
        m_bytes = withBody ? response.body.size() : 0;
        m_guard->write(headFor(response, m_guard->keepsAlive(), response.body.size()), withBody ? response.body : QByteArray());
    }
    writeLog();
    if (m_guard)
        m_guard->answerComplete(true);
}

std::shared_ptr<SseStream> ExchangeImpl::startSse(Headers headers)
{
    if (takeAnswer("startSse") && m_guard && m_guard->isOpen()) {
        Response response;
        response.headers = std::move(headers);
        response.headers.set(QByteArrayLiteral("Content-Type"), QByteArrayLiteral("text/event-stream"));
        response.headers.set(QByteArrayLiteral("Cache-Control"), QByteArrayLiteral("no-cache, no-transform"));
        response.headers.set(QByteArrayLiteral("X-Accel-Buffering"), QByteArrayLiteral("no"));
        m_status = response.status;
        m_guard->write(headFor(response, false, -1));
    }
    return makeSseStream(shared_from_this());
}

void ExchangeImpl::stream(Response response, std::unique_ptr<BodySource> source)
{
    if (!takeAnswer("stream"))
        return;
    if (!m_guard || !m_guard->isOpen())
        return writeLog();
    m_status = response.status;
    const qint64 size = source->size();
    m_guard->write(headFor(response, m_guard->keepsAlive(), size));
    if (m_request.method == "HEAD" || size == 0 || !statusHasBody(response.status))
        return finishStream(true, true);
    sendBody(shared_from_this(), std::move(source));
}

BodyReader &ExchangeImpl::bodyReader()
{
    if (!m_reader) {
        const auto limit = m_guard ? m_guard->limits().bodyTimeout : std::chrono::milliseconds(0);
        m_reader = makeBodyReader(m_guard, m_announced, limit, m_gone.token());
        if (m_guard)
            m_guard->sendContinue();
    }
    return *m_reader;
}

void ExchangeImpl::finishStream(bool whole, bool keep)
{
    if (!whole)
        m_notes.insert(QStringLiteral("cut"), true);
    writeLog();
    if (!m_guard)
        return;
    if (whole)
        m_guard->answerComplete(keep);
    else
        m_guard->abort();
}

void ExchangeImpl::clientGone()
{
    const auto alive = weak_from_this().lock(); // callbacks may drop the last reference
    m_notes.insert(QStringLiteral("client_gone"), true);
    m_gone.cancel();
}

void ExchangeImpl::writeLog()
{
    if (std::exchange(m_logged, true) || !log::enabled(log::Level::Info))
        return;
    const auto spent = std::chrono::steady_clock::now() - m_request.arrived;
    QJsonObject line = m_notes;
    line.insert(QStringLiteral("method"), QString::fromLatin1(m_request.method));
    line.insert(QStringLiteral("path"), m_request.path);
    line.insert(QStringLiteral("status"), m_status != 0 ? m_status : 499);
    line.insert(QStringLiteral("ms"), double(std::chrono::duration_cast<std::chrono::microseconds>(spent).count()) / 1000.0);
    line.insert(QStringLiteral("bytes"), m_bytes);
    line.insert(QStringLiteral("peer"), m_request.peer.toString());
    line.insert(QStringLiteral("request_id"), QString::fromLatin1(m_request.id));
    log::info("http_request", line);
}

} // namespace power::http
