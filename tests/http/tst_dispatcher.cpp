// The route table: precedence, parameters, 405 and HEAD.
#include "http/Dispatcher.h"
#include <QTest>

using namespace power::http;

class TestDispatcher : public QObject
{
    Q_OBJECT
    Dispatcher m_routes;
    QString m_called;

    void route(const char *method, const char *pattern)
    {
        const QString text = QString::fromLatin1(method) + u' ' + QString::fromLatin1(pattern);
        m_routes.add(method, QString::fromLatin1(pattern), [this, text](ExchangePtr) { m_called = text; });
    }

private Q_SLOTS:
    void initTestCase()
    {
        for (const char *pattern : {"/", "/mcp", "/api/files", "/api/files/{session_id}", "/api/files/{session_id}/{path*}",
                                    "/api/files/recent", "/dl/{file_id}", "/dl/{file_id}/{filename}", "/a/{x}/c", "/a/b/{y}"})
            route("GET", pattern);
        route("POST", "/mcp");
        route("DELETE", "/api/files/{session_id}/{path*}");
        route("HEAD", "/dl/{file_id}");
        route("GET", "/api/files/{session_id}/{path*}/content");
        route("GET", "/zip/{path*}/archive");
    }

    void finds_data()
    {
        QTest::addColumn<QString>("method");
        QTest::addColumn<QString>("path");
        QTest::addColumn<QString>("expected"); // empty: 404; starting with '!': Allow
        QTest::addColumn<QString>("parameter");
        const auto row = [](const char *method, const char *path, const char *expected, const char *parameter = "") {
            QTest::addRow("%s %s", method, path) << QString::fromLatin1(method) << QString::fromLatin1(path)
                                                 << QString::fromLatin1(expected) << QString::fromLatin1(parameter);
        };
        row("GET", "/", "GET /");
        row("GET", "/mcp", "GET /mcp");
        row("POST", "/mcp/", "POST /mcp");
        row("PUT", "/mcp", "!GET, HEAD, POST, OPTIONS");
        row("GET", "/mcp2", "");
        row("GET", "/mcp//", "");
        row("GET", "//mcp", "");
        row("GET", "/api/files/recent", "GET /api/files/recent");
        row("GET", "/api/files/default", "GET /api/files/{session_id}", "session_id=default");
        row("GET", "/api/files/default/", "GET /api/files/{session_id}", "session_id=default");
        row("GET", "/api/files/s/a/b.txt", "GET /api/files/{session_id}/{path*}", "path=a/b.txt");
        row("DELETE", "/api/files/s/a", "DELETE /api/files/{session_id}/{path*}", "path=a");
        row("PATCH", "/api/files/s/a", "!GET, HEAD, DELETE, OPTIONS");
        row("HEAD", "/dl/1", "HEAD /dl/{file_id}", "file_id=1");
        row("HEAD", "/dl/1/n", "GET /dl/{file_id}/{filename}", "filename=n");
        row("PUT", "/dl/1", "!GET, HEAD, OPTIONS");
        row("GET", "/a/b/c", "GET /a/b/{y}", "y=c");
        row("GET", "/a/z/c", "GET /a/{x}/c", "x=z");
        row("GET", "/a/z/d", "");
        row("GET", "/api/files/s/a/b.txt/content", "GET /api/files/{session_id}/{path*}/content", "path=a/b.txt");
        row("HEAD", "/api/files/s/content/content", "GET /api/files/{session_id}/{path*}/content", "path=content");
        row("GET", "/api/files/s/content", "GET /api/files/{session_id}/{path*}", "path=content");
        row("DELETE", "/api/files/s/a/content", "DELETE /api/files/{session_id}/{path*}", "path=a/content");
        row("PUT", "/zip/a/archive", "!GET, HEAD, OPTIONS");
        row("GET", "/zip/a/b", "");
    }
    void finds()
    {
        QFETCH(QString, method);
        QFETCH(QString, path);
        QFETCH(QString, expected);
        QFETCH(QString, parameter);
        const Dispatcher::Match match = m_routes.find(method.toLatin1(), path);
        if (expected.isEmpty()) {
            QVERIFY(!match.handler && match.allow.isEmpty());
            return;
        }
        if (expected.startsWith(u'!')) {
            QVERIFY(!match.handler && match.options);
            QCOMPARE(QString::fromLatin1(match.allow), expected.mid(1));
            return;
        }
        QVERIFY(match.handler && match.options);
        (*match.handler)(nullptr);
        QCOMPARE(m_called, expected);
        if (!parameter.isEmpty())
            QCOMPARE(match.parameters.value(parameter.section(u'=', 0, 0)), parameter.section(u'=', 1));
    }
};

QTEST_APPLESS_MAIN(TestDispatcher)
#include "tst_dispatcher.moc"
