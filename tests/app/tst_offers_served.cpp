// Resources, subscriptions, prompts, completion and views of the running server, as a client of the initialize era sees them.
#include "app/ServerProcess.h"
#include <QEventLoop>
#include <QJsonArray>
#include <QJsonDocument>
#include <QNetworkReply>
#include <QTest>

using namespace power::test;

class TestOffersServed : public QObject
{
    Q_OBJECT
private:
    std::unique_ptr<ServerProcess> m_server;
    QNetworkAccessManager m_network;

    // One request; the session's id is sent when there is one.
    QJsonObject call(const QString &method, const QJsonObject &params = {}, const QByteArray &session = {})
    {
        const QJsonObject message{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
                                  {QStringLiteral("id"), 1},
                                  {QStringLiteral("method"), method},
                                  {QStringLiteral("params"), params}};
        QList<QPair<QByteArray, QByteArray>> headers;
        if (!session.isEmpty())
            headers.append({"Mcp-Session-Id", session});
        const QByteArray body = m_server->http("POST", QStringLiteral("/mcp"), QJsonDocument(message).toJson(), nullptr, headers);
        return QJsonDocument::fromJson(body).object();
    }
    QJsonObject result(const QString &method, const QJsonObject &params = {}, const QByteArray &session = {})
    {
        return call(method, params, session).value(QStringLiteral("result")).toObject();
    }
    // Initializes with these capabilities; the session's id.
    QByteArray session(const QJsonObject &capabilities = {})
    {
        const QJsonObject message{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")},
                                  {QStringLiteral("id"), 1},
                                  {QStringLiteral("method"), QStringLiteral("initialize")},
                                  {QStringLiteral("params"), QJsonObject{{QStringLiteral("protocolVersion"), QStringLiteral("2025-11-25")},
                                                                         {QStringLiteral("capabilities"), capabilities}}}};
        QNetworkRequest request(QUrl(m_server->url().toString() + QStringLiteral("/mcp")));
        request.setHeader(QNetworkRequest::ContentTypeHeader, QStringLiteral("application/json"));
        std::unique_ptr<QNetworkReply> reply(m_network.post(request, QJsonDocument(message).toJson()));
        QEventLoop loop;
        connect(reply.get(), &QNetworkReply::finished, &loop, &QEventLoop::quit);
        loop.exec();
        return reply->rawHeader("Mcp-Session-Id");
    }

private Q_SLOTS:
    void initTestCase()
    {
        m_server = std::make_unique<ServerProcess>();
        QVERIFY2(m_server->start({QStringLiteral("--max-memory-mb"), QStringLiteral("1024")}), m_server->output().constData());
        QVERIFY(!m_server->run(QStringLiteral("import os\nos.makedirs('out', exist_ok=True)\n"
                                              "open('sales data.csv', 'w').write('a,b\\n1,2\\n')\n"
                                              "open('out/raw.bin', 'wb').write(bytes([0, 255, 1]))"),
                               QStringLiteral("shop")).isError);
    }
    void cleanupTestCase() { QVERIFY2(m_server->stop(), m_server->output().right(4000).constData()); }

    void filesAreResources()
    {
        QHash<QString, QJsonObject> listed;
        for (const QJsonValue &entry : result(QStringLiteral("resources/list")).value(QStringLiteral("resources")).toArray())
            listed.insert(entry[QLatin1String("uri")].toString(), entry.toObject());
        const QString csv = QStringLiteral("power://sessions/shop/files/sales%20data.csv");
        QVERIFY2(listed.contains(csv), qPrintable(listed.keys().join(u' ')));
        QCOMPARE(listed.value(csv).value(QStringLiteral("mimeType")).toString(), QStringLiteral("text/csv"));
        QCOMPARE(listed.value(csv).value(QStringLiteral("size")).toInt(), 8);
        const QJsonObject text = result(QStringLiteral("resources/read"), {{QStringLiteral("uri"), csv}});
        QCOMPARE(text[QLatin1String("contents")][0][QLatin1String("text")].toString(), QStringLiteral("a,b\n1,2\n"));
        const QJsonObject blob = result(QStringLiteral("resources/read"),
                                        {{QStringLiteral("uri"), QStringLiteral("power://sessions/shop/files/out/raw.bin")}});
        QCOMPARE(blob[QLatin1String("contents")][0][QLatin1String("blob")].toString(), QStringLiteral("AP8B"));
        const QJsonArray templates = result(QStringLiteral("resources/templates/list")).value(QStringLiteral("resourceTemplates")).toArray();
        QCOMPARE(templates[0][QLatin1String("uriTemplate")].toString(), QStringLiteral("power://sessions/{session_id}/files/{+path}"));
        for (const char *absent : {"power://sessions/shop/files/none.csv", "power://sessions/nobody/files/x", "power://sessions/shop/files/..%2F..%2Fetc%2Fpasswd"}) {
            const QJsonObject reply = call(QStringLiteral("resources/read"), {{QStringLiteral("uri"), QLatin1String(absent)}});
            QCOMPARE(reply[QLatin1String("error")][QLatin1String("code")].toInt(), -32002);
        }
        // Looking makes no session.
        QVERIFY(!m_server->tool("list_sessions", {}).text.contains(u"nobody"));
    }

    void aWholeOutputIsAResource()
    {
        const ToolAnswer answer = m_server->run(QStringLiteral("print('\\n'.join(f'line {i}' for i in range(200000)))"), QStringLiteral("loud"));
        const qsizetype at = answer.text.indexOf(u"output_");
        QVERIFY2(at > 0, qPrintable(answer.text.right(500)));
        const QString name = answer.text.mid(at, 19);
        const QJsonObject read = result(QStringLiteral("resources/read"),
                                        {{QStringLiteral("uri"), QStringLiteral("power://sessions/loud/files/") + name}});
        QVERIFY2(read[QLatin1String("contents")][0][QLatin1String("text")].toString().endsWith(u"line 199999\n"), qPrintable(name));
    }

    void changesAreTold()
    {
        const QByteArray id = session();
        const QString uri = QStringLiteral("power://sessions/shop/files/live.txt");
        QVERIFY(call(QStringLiteral("resources/subscribe"), {{QStringLiteral("uri"), uri}}, id).contains(QStringLiteral("result")));
        QNetworkRequest request(QUrl(m_server->url().toString() + QStringLiteral("/mcp")));
        request.setRawHeader("Accept", "text/event-stream");
        request.setRawHeader("Mcp-Session-Id", id);
        std::unique_ptr<QNetworkReply> stream(m_network.get(request));
        QByteArray heard;
        connect(stream.get(), &QNetworkReply::readyRead, this, [&] { heard += stream->readAll(); });
        QTRY_VERIFY_WITH_TIMEOUT(stream->attribute(QNetworkRequest::HttpStatusCodeAttribute).toInt() == 200, 10'000);
        QVERIFY(!m_server->run(QStringLiteral("open('live.txt', 'w').write('1')"), QStringLiteral("shop")).isError);
        QTRY_VERIFY_WITH_TIMEOUT(heard.contains("notifications/resources/updated") && heard.contains("live.txt"), 10'000);
        QTRY_VERIFY_WITH_TIMEOUT(heard.contains("notifications/resources/list_changed"), 10'000);
        heard.clear();
        QVERIFY(!m_server->tool("upload_file", {{QStringLiteral("filename"), QStringLiteral("live.txt")},
                                                {QStringLiteral("content_base64"), QStringLiteral("Mg==")},
                                                {QStringLiteral("session_id"), QStringLiteral("shop")}}).isError);
        QTRY_VERIFY_WITH_TIMEOUT(heard.contains("notifications/resources/updated"), 10'000);
        // Files of others are no news to who watches this one.
        QVERIFY(!m_server->run(QStringLiteral("open('other.txt', 'w').write('1')"), QStringLiteral("shop")).isError);
        QTRY_VERIFY_WITH_TIMEOUT(heard.contains("list_changed"), 10'000);
        QVERIFY(!heard.contains("other.txt"));
        stream->abort();
    }

    void promptsAndCompletion()
    {
        QStringList names;
        for (const QJsonValue &prompt : result(QStringLiteral("prompts/list")).value(QStringLiteral("prompts")).toArray())
            names << prompt[QLatin1String("name")].toString();
        QVERIFY2(names.contains(QStringLiteral("analyse_file")) && names.contains(QStringLiteral("build_report"))
                     && names.contains(QStringLiteral("query_data")), qPrintable(names.join(u' ')));
        const QJsonObject prompt = result(QStringLiteral("prompts/get"),
                                          {{QStringLiteral("name"), QStringLiteral("analyse_file")},
                                           {QStringLiteral("arguments"), QJsonObject{{QStringLiteral("filename"), QStringLiteral("sales data.csv")},
                                                                                     {QStringLiteral("session_id"), QStringLiteral("shop")}}}});
        const QString text = prompt[QLatin1String("messages")][0][QLatin1String("content")][QLatin1String("text")].toString();
        QVERIFY2(text.contains(u"sales data.csv in the session shop"), qPrintable(text));
        const auto complete = [this](const QJsonObject &ref, const char *argument, const char *typed, const QJsonObject &known) {
            const QJsonObject answer = result(QStringLiteral("completion/complete"),
                                              {{QStringLiteral("ref"), ref},
                                               {QStringLiteral("argument"), QJsonObject{{QStringLiteral("name"), QLatin1String(argument)},
                                                                                        {QStringLiteral("value"), QLatin1String(typed)}}},
                                               {QStringLiteral("context"), QJsonObject{{QStringLiteral("arguments"), known}}}});
            return answer[QLatin1String("completion")][QLatin1String("values")].toArray();
        };
        const QJsonObject analyse{{QStringLiteral("type"), QStringLiteral("ref/prompt")}, {QStringLiteral("name"), QStringLiteral("analyse_file")}};
        const QJsonObject file{{QStringLiteral("type"), QStringLiteral("ref/resource")},
                               {QStringLiteral("uri"), QStringLiteral("power://sessions/{session_id}/files/{+path}")}};
        QVERIFY(complete(analyse, "session_id", "sh", {}).contains(QStringLiteral("shop")));
        QCOMPARE(complete(analyse, "filename", "sal", {{QStringLiteral("session_id"), QStringLiteral("shop")}}), QJsonArray{QStringLiteral("sales data.csv")});
        QCOMPARE(complete(file, "path", "out/", {{QStringLiteral("session_id"), QStringLiteral("shop")}}), QJsonArray{QStringLiteral("out/raw.bin")});
        QVERIFY(complete(file, "path", "", {{QStringLiteral("session_id"), QStringLiteral("nobody")}}).isEmpty());
    }

    void datasetsAreOffered()
    {
        const auto upload = [this](const char *csv) {
            return m_server->tool("upload_dataset", {{QStringLiteral("dataset_name"), QStringLiteral("turnover")}, {QStringLiteral("text"), QLatin1String(csv)}});
        };
        // Everything that is wrong at once, with an example that is a call.
        const ToolAnswer wrong = m_server->tool("upload_dataset", {{QStringLiteral("delimiter"), QStringLiteral(";")}});
        QVERIFY(wrong.isError);
        QVERIFY2(wrong.text.contains(u"2 problems") && wrong.text.contains(u"dataset_name: required") && wrong.text.contains(u"filename, url, text or content_base64: one of them")
                     && wrong.text.contains(u"Example: {\"dataset_name\":\"sales\",\"filename\":\"data.csv\"}"), qPrintable(wrong.text));
        QVERIFY2(!upload("vendor,amount\nAcme,2\n").isError, "upload");
        const QString uri = QStringLiteral("power://datasets/turnover");
        QStringList listed, templates;
        for (const QJsonValue &entry : result(QStringLiteral("resources/list")).value(QStringLiteral("resources")).toArray())
            listed << entry[QLatin1String("uri")].toString();
        QVERIFY2(listed.contains(uri), qPrintable(listed.join(u' ')));
        for (const QJsonValue &entry : result(QStringLiteral("resources/templates/list")).value(QStringLiteral("resourceTemplates")).toArray())
            templates << entry[QLatin1String("uriTemplate")].toString();
        const QString pattern = QStringLiteral("power://datasets/{dataset}");
        QVERIFY(templates.contains(pattern));
        const QJsonObject read = result(QStringLiteral("resources/read"), {{QStringLiteral("uri"), uri}});
        const QJsonObject dataset = QJsonDocument::fromJson(read[QLatin1String("contents")][0][QLatin1String("text")].toString().toUtf8()).object();
        QCOMPARE(dataset.value(QStringLiteral("row_count")).toInt(), 1);
        QCOMPARE(dataset[QLatin1String("first_rows")][0][QLatin1String("vendor")].toString(), QStringLiteral("Acme"));
        QCOMPARE(call(QStringLiteral("resources/read"), {{QStringLiteral("uri"), uri + u'x'}})[QLatin1String("error")][QLatin1String("code")].toInt(), -32002);
        for (const QJsonObject &ref : {QJsonObject{{QStringLiteral("type"), QStringLiteral("ref/prompt")}, {QStringLiteral("name"), QStringLiteral("query_data")}},
                                       QJsonObject{{QStringLiteral("type"), QStringLiteral("ref/resource")}, {QStringLiteral("uri"), pattern}}}) {
            const QJsonObject completed = result(QStringLiteral("completion/complete"), {{QStringLiteral("ref"), ref},
                {QStringLiteral("argument"), QJsonObject{{QStringLiteral("name"), QStringLiteral("dataset")}, {QStringLiteral("value"), QStringLiteral("turn")}}}});
            QCOMPARE(completed[QLatin1String("completion")][QLatin1String("values")].toArray(), QJsonArray{QStringLiteral("turnover")});
        }
        const QByteArray id = session();
        QVERIFY(call(QStringLiteral("resources/subscribe"), {{QStringLiteral("uri"), uri}}, id).contains(QStringLiteral("result")));
        QNetworkRequest request(QUrl(m_server->url().toString() + QStringLiteral("/mcp")));
        request.setRawHeader("Accept", "text/event-stream");
        request.setRawHeader("Mcp-Session-Id", id);
        std::unique_ptr<QNetworkReply> stream(m_network.get(request));
        QByteArray heard;
        connect(stream.get(), &QNetworkReply::readyRead, this, [&] { heard += stream->readAll(); });
        QTRY_VERIFY_WITH_TIMEOUT(stream->attribute(QNetworkRequest::HttpStatusCodeAttribute).toInt() == 200, 10'000);
        QVERIFY(!upload("vendor,amount\nAcme,2\nBolt,3\n").isError);
        QTRY_VERIFY_WITH_TIMEOUT(heard.contains("notifications/resources/updated") && heard.contains("datasets/turnover"), 10'000);
        stream->abort();
    }

    // Selections and the read-only switch over the tools of data and jobs; what is not shown cannot be called either.
    void dataAndJobsAreSelected_data()
    {
        QTest::addColumn<QString>("door");
        QTest::addColumn<QByteArray>("selection"); // X-MCP-Tools
        QTest::addColumn<QStringList>("there");
        QTest::addColumn<QStringList>("absent");
        const QString query = QStringLiteral("query_dataset"), upload = QStringLiteral("upload_dataset"), list = QStringLiteral("list_datasets"),
                      submit = QStringLiteral("submit_job"), status = QStringLiteral("get_job_status"), run = QStringLiteral("execute_code");
        QTest::newRow("default") << QStringLiteral("/mcp") << QByteArray() << QStringList{query, upload, list, submit, status, run} << QStringList{};
        QTest::newRow("data") << QStringLiteral("/mcp?tools=data") << QByteArray() << QStringList{query, upload, list} << QStringList{submit, run};
        QTest::newRow("jobs by header") << QStringLiteral("/mcp") << QByteArray("jobs,query_dataset") << QStringList{submit, status, query} << QStringList{upload, run};
        QTest::newRow("read-only") << QStringLiteral("/mcp?readonly=1") << QByteArray() << QStringList{query, list, status} << QStringList{upload, submit, run};
        QTest::newRow("data, read-only, plain door") << QStringLiteral("/mcp/sse?tools=data&readonly") << QByteArray() << QStringList{query, list}
                                                     << QStringList{upload, submit, status, run};
    }
    void dataAndJobsAreSelected()
    {
        QFETCH(QString, door);
        QFETCH(QByteArray, selection);
        QFETCH(QStringList, there);
        QFETCH(QStringList, absent);
        QList<QPair<QByteArray, QByteArray>> headers;
        if (!selection.isEmpty())
            headers.append({"X-MCP-Tools", selection});
        const auto ask = [&](const QString &method, const QJsonObject &params) {
            const QJsonObject message{{QStringLiteral("jsonrpc"), QStringLiteral("2.0")}, {QStringLiteral("id"), 1},
                                      {QStringLiteral("method"), method}, {QStringLiteral("params"), params}};
            return QJsonDocument::fromJson(m_server->http("POST", door, QJsonDocument(message).toJson(), nullptr, headers)).object();
        };
        QStringList names;
        for (const QJsonValue &tool : ask(QStringLiteral("tools/list"), {})[QLatin1String("result")][QLatin1String("tools")].toArray())
            names << tool[QLatin1String("name")].toString();
        for (const QString &name : std::as_const(there))
            QVERIFY2(names.contains(name), qPrintable(name));
        for (const QString &name : std::as_const(absent)) {
            QVERIFY2(!names.contains(name), qPrintable(name));
            const QJsonObject refused = ask(QStringLiteral("tools/call"), {{QStringLiteral("name"), name}, {QStringLiteral("arguments"), QJsonObject()}});
            QCOMPARE(refused[QLatin1String("error")][QLatin1String("code")].toInt(), door.startsWith(u"/mcp/sse") ? -32601 : -32602); // contract D12
        }
    }

    // The client's log: at the level it asked for, on the stream of the call.
    void theLogIsTold()
    {
        const QByteArray id = session();
        QVERIFY(call(QStringLiteral("logging/setLevel"), {{QStringLiteral("level"), QStringLiteral("debug")}}, id).contains(QStringLiteral("result")));
        const QByteArray body = "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{\"name\":\"execute_code\","
                                "\"arguments\":{\"code\":\"1/0\",\"session_id\":\"shop\"}}}";
        const QByteArray told = m_server->http("POST", QStringLiteral("/mcp"), body, nullptr,
                                               {{"Mcp-Session-Id", id}, {"Accept", "application/json, text/event-stream"}});
        QVERIFY2(told.contains("notifications/message") && told.contains("ZeroDivisionError") && told.contains("\"debug\""), told.constData());
        call(QStringLiteral("logging/setLevel"), {{QStringLiteral("level"), QStringLiteral("error")}}, id);
        const QByteArray quiet = m_server->http("POST", QStringLiteral("/mcp"), body, nullptr,
                                                {{"Mcp-Session-Id", id}, {"Accept", "application/json, text/event-stream"}});
        QVERIFY2(!quiet.contains("notifications/message"), quiet.constData());
    }

    void viewsAreForWhoShowsThem()
    {
        const QJsonObject ui{{QStringLiteral("extensions"),
                              QJsonObject{{QStringLiteral("io.modelcontextprotocol/ui"),
                                           QJsonObject{{QStringLiteral("mimeTypes"), QJsonArray{QStringLiteral("text/html;profile=mcp-app")}}}}}}};
        const QByteArray with = session(ui), without = session();
        const auto views = [this](const QByteArray &id) {
            QStringList found;
            for (const QJsonValue &tool : result(QStringLiteral("tools/list"), {}, id).value(QStringLiteral("tools")).toArray()) {
                const QString uri = tool[QLatin1String("_meta")][QLatin1String("ui")][QLatin1String("resourceUri")].toString();
                if (!uri.isEmpty())
                    found << uri;
            }
            return found;
        };
        QVERIFY(views(without).isEmpty());
        QVERIFY2(views(with).contains(QStringLiteral("ui://power/run")) && views(with).contains(QStringLiteral("ui://power/table")),
                 qPrintable(views(with).join(u' ')));
        for (const QString &uri : views(with)) {
            const QJsonObject read = result(QStringLiteral("resources/read"), {{QStringLiteral("uri"), uri}}, with);
            const QJsonObject content = read[QLatin1String("contents")][0].toObject();
            QCOMPARE(content.value(QStringLiteral("mimeType")).toString(), QStringLiteral("text/html;profile=mcp-app"));
            const QString page = content.value(QStringLiteral("text")).toString();
            QVERIFY(page.startsWith(u"<!DOCTYPE html>") && page.contains(u"ui/initialize") && !page.contains(u"/*script*/"));
            QVERIFY(!page.contains(u"<link") && !page.contains(u" src=\"http"));
        }
        const QJsonObject run{{QStringLiteral("name"), QStringLiteral("execute_code")},
                              {QStringLiteral("arguments"), QJsonObject{{QStringLiteral("code"), QStringLiteral("print('seen')")}}}};
        const QJsonObject shown = result(QStringLiteral("tools/call"), run, with);
        QCOMPARE(shown[QLatin1String("_meta")][QLatin1String("power-interpreter/run")][QLatin1String("stdout")].toString().trimmed(),
                 QStringLiteral("seen"));
        QVERIFY(!result(QStringLiteral("tools/call"), run, without).contains(QStringLiteral("_meta")));
    }
};

QTEST_GUILESS_MAIN(TestOffersServed)
#include "tst_offers_served.moc"
