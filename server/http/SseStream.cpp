#include "http/Streams.h"
#include <QTimer>

namespace power::http {

namespace {
constexpr qint64 sseMostUnsent = 8 << 20; // an answer with images may be on its way when the next event comes
constexpr std::chrono::seconds sseKeepAlive{15};

// One field line per line of `text`; CR, LF and CRLF all end a line in this format, so none may pass.
void appendLines(QByteArray &out, const char *field, QByteArrayView text)
{
    for (qsizetype start = 0;;) {
        qsizetype end = start;
        while (end < text.size() && text[end] != '\n' && text[end] != '\r')
            ++end;
        out += field;
        out += text.sliced(start, end - start);
        out += '\n';
        if (end == text.size())
            return;
        start = end + 1;
        if (text[end] == '\r' && start < text.size() && text[start] == '\n')
            ++start;
    }
}

class SseWriter final : public SseStream
{
public:
    explicit SseWriter(std::shared_ptr<ExchangeImpl> exchange) : m_exchange(std::move(exchange))
    {
        QObject::connect(&m_timer, &QTimer::timeout, &m_timer, [this] {
            if (isOpen() && m_exchange->guard()->unsent() == 0)
                put(QByteArrayLiteral(": keep-alive\n\n"));
        });
        m_timer.start(sseKeepAlive);
        m_left = m_exchange->disconnected().onCancel([this] { close(false); });
        if (m_exchange->request().method == "HEAD")
            finish();
    }
    ~SseWriter() override { finish(); }

    bool isOpen() const override
    {
        const ConnectionGuard *guard = m_exchange ? m_exchange->guard() : nullptr;
        return guard && guard->isOpen();
    }

    void send(QByteArrayView event, QByteArrayView data, QByteArrayView id) override
    {
        QByteArray text;
        text.reserve(data.size() + event.size() + id.size() + 32);
        if (!id.isEmpty() && !id.contains('\0'))
            appendLines(text, "id: ", id.first(lineEnd(id)));
        if (!event.isEmpty())
            appendLines(text, "event: ", event.first(lineEnd(event)));
        appendLines(text, "data: ", data);
        text += '\n';
        put(text);
    }

    void setRetry(std::chrono::milliseconds delay) override { put("retry: " + QByteArray::number(qint64(delay.count())) + '\n'); }

    void finish() override { close(true); }

private:
    static qsizetype lineEnd(QByteArrayView text)
    {
        return std::find_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }) - text.begin();
    }

    void put(const QByteArray &text)
    {
        if (!isOpen())
            return;
        if (m_exchange->guard()->unsent() > sseMostUnsent)
            return m_exchange->guard()->abort(); // a reader this slow would only pile up memory
        m_exchange->countSent(text.size()); // one event may be larger than that: an answer with images
        m_exchange->guard()->write(text);
    }

    void close(bool whole)
    {
        m_timer.stop();
        m_left.reset();
        if (const auto exchange = std::exchange(m_exchange, nullptr))
            exchange->finishStream(whole, false);
    }

    std::shared_ptr<ExchangeImpl> m_exchange;
    CancelToken::Registration m_left;
    QTimer m_timer;
};
} // namespace

std::shared_ptr<SseStream> makeSseStream(std::shared_ptr<ExchangeImpl> exchange)
{
    return std::make_shared<SseWriter>(std::move(exchange));
}

} // namespace power::http
