// An Exchange without a socket: what the adapters answered, and a client that can hang up.
#pragma once
#include "http/Exchange.h"

namespace power::test {

class FakeStream : public http::SseStream
{
public:
    struct Event {
        QByteArray event, data, id;
    };
    void send(QByteArrayView event, QByteArrayView data, QByteArrayView id) override
    {
        if (open)
            events.append({event.toByteArray(), data.toByteArray(), id.toByteArray()});
    }
    void setRetry(std::chrono::milliseconds delay) override { retry = delay; }
    void finish() override { open = false; }
    bool isOpen() const override { return open; }

    QList<Event> events;
    bool open = true;
    std::chrono::milliseconds retry{0};
};

class FakeExchange : public http::Exchange
{
public:
    http::Request asked;
    http::Response answer;
    std::shared_ptr<FakeStream> stream_;
    CancelSource client;
    int answers = 0;
    QJsonObject notes;

    const http::Request &request() const override { return asked; }
    CancelToken disconnected() const override { return client.token(); }
    bool isAnswered() const override { return answers > 0; }
    void reply(http::Response response) override
    {
        ++answers;
        answer = std::move(response);
    }
    std::shared_ptr<http::SseStream> startSse(http::Headers headers) override
    {
        ++answers;
        answer.status = 200;
        answer.headers = std::move(headers);
        stream_ = std::make_shared<FakeStream>();
        return stream_;
    }
    void stream(http::Response response, std::unique_ptr<http::BodySource>) override { reply(std::move(response)); }
    http::BodyReader &bodyReader() override { qFatal("no adapter under test streams its body"); }
    void note(const QString &key, const QJsonValue &value) override { notes.insert(key, value); }

    QJsonObject json() const { return QJsonDocument::fromJson(answer.body).object(); }
};

inline std::shared_ptr<FakeExchange> fakePost(const QString &path, const QByteArray &body,
                                              const QList<http::Headers::Field> &headers = {})
{
    auto exchange = std::make_shared<FakeExchange>();
    exchange->asked.method = "POST";
    exchange->asked.path = path;
    exchange->asked.target = path.toUtf8();
    exchange->asked.body = body;
    exchange->asked.peer = QHostAddress(QHostAddress::LocalHost);
    exchange->asked.id = "test-request";
    exchange->asked.headers.add("Host", "power.example:8000");
    for (const auto &field : headers)
        exchange->asked.headers.add(field.name, field.value);
    return exchange;
}

} // namespace power::test
