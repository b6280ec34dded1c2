// Every difference between the Qt HttpServer versions this project builds with (6.4.2 to 6.12); nothing else in the
// tree looks at QT_VERSION for HTTP. What the versions share and this folder rests on: QHttpServer takes connections from a
// bound, listening QTcpServer, parses what it reads from them, and calls the missing handler with the request.
#pragma once
#include <QHttpServer>
#include <QHttpServerRequest>
#include <QHttpServerResponder>
#include <QTcpServer>
#if QT_VERSION >= QT_VERSION_CHECK(6, 9, 0)
#include <QHttpServerConfiguration>
#endif

namespace power::http::compat {

// Calls `handler(request)` for every request. The responder is dropped unused: answers leave through the guard.
template <typename Functor>
void handleAll(QHttpServer &server, QObject *context, Functor handler)
{
#if QT_VERSION >= QT_VERSION_CHECK(6, 8, 0)
    server.setMissingHandler(context, [handler](const QHttpServerRequest &request, QHttpServerResponder &) {
        handler(request);
    });
#else
    Q_UNUSED(context)
    server.setMissingHandler([handler](const QHttpServerRequest &request, QHttpServerResponder &&) { handler(request); });
#endif
}

// `listening` must listen already (6.8 refuses others). QHttpServer becomes its parent.
inline bool bindTo(QHttpServer &server, QTcpServer *listening)
{
#if QT_VERSION >= QT_VERSION_CHECK(6, 8, 0)
    return server.bind(listening);
#else
    server.bind(listening);
    return true;
#endif
}

// Newer versions have limits of their own; the guard enforced ours before, so theirs must not cut in.
inline void liftOwnLimits(QHttpServer &server)
{
#if QT_VERSION >= QT_VERSION_CHECK(6, 10, 0)
    QHttpServerConfiguration configuration = server.configuration();
    // An idle timer of QHttpServer's would run while an answer is still being made: it never sees answers.
    configuration.setKeepAliveTimeout(std::chrono::hours(24));
#if QT_VERSION >= QT_VERSION_CHECK(6, 11, 0)
    configuration.setMaximumUrlSize(-1);
    configuration.setMaximumTotalHeaderSize(-1);
    configuration.setMaximumHeaderFieldSize(-1);
    configuration.setMaximumHeaderFieldCount(-1);
    configuration.setMaximumBodySize(-1);
#endif
    server.setConfiguration(configuration);
#else
    Q_UNUSED(server)
#endif
}

} // namespace power::http::compat
