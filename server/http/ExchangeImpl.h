// The exchange the guard makes for each request.
#pragma once
#include "http/ConnectionGuard.h"
#include "http/Exchange.h"

namespace power::http {

// ExchangeImpl: see Exchange. Keeps working, silently, after the connection is gone.
class ExchangeImpl : public Exchange, public std::enable_shared_from_this<ExchangeImpl>
{
public:
    ExchangeImpl(ConnectionGuard *guard, Request request, const RouteOptions *options, bool oldVersion, qint64 announced);
    ~ExchangeImpl() override;

    const Request &request() const override { return m_request; }
    CancelToken disconnected() const override { return m_gone.token(); }
    bool isAnswered() const override { return m_answered; }
    void reply(Response response) override;
    std::shared_ptr<SseStream> startSse(Headers headers) override;
    void stream(Response response, std::unique_ptr<BodySource> source) override;
    BodyReader &bodyReader() override;
    void note(const QString &key, const QJsonValue &value) override { m_notes.insert(key, value); }

    // --- for the guard
    void clientGone();

    // --- for streams
    ConnectionGuard *guard() const { return m_guard; }
    void countSent(qint64 bytes) { m_bytes += bytes; }
    // Ends a stream: whole (the connection may be kept), or not (it is cut so that the client notices).
    void finishStream(bool whole, bool keep);

private:
    bool takeAnswer(const char *what);
    QByteArray headFor(const Response &response, bool keepAlive, qint64 bodySize) const;
    void writeLog();

    QPointer<ConnectionGuard> m_guard;
    Request m_request;
    const RouteOptions *m_options;
    const bool m_oldVersion;
    const qint64 m_announced;
    std::unique_ptr<BodyReader> m_reader;
    CancelSource m_gone;
    QJsonObject m_notes;
    bool m_answered = false;
    bool m_logged = false;
    int m_status = 0;
    qint64 m_bytes = 0;
};

} // namespace power::http
