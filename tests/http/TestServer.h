// A real server on a free loopback port with the routes the tests need.
#pragma once
#include "http/HttpServer.h"
#include <QList>
#include <QTemporaryDir>

// TestServer: routes
//   GET /json  POST /echo  POST /small (maxBody 100)  GET /slow (answers after 50 ms, ?tag=)
//   GET /hold (kept in `held` until the test answers)  GET /throw  GET /forget (never answered)
//   GET /items/{id}  GET /files/{path*}  GET /cors (CORS, any origin)  POST /upload (streamed, 64 MiB)
class TestServer
{
public:
    TestServer();
    power::Result<power::Done> start();
    // Certificate and key made with the openssl program.
    bool makeCertificate();

    power::http::Dispatcher routes;
    power::http::ListenConfig config;
    std::unique_ptr<power::http::HttpServer> server;
    QList<power::http::ExchangePtr> held;
    int cancelled = 0; // disconnects noticed by held exchanges
    qint64 uploaded = 0;
    QString uploadError;

private:
    QList<power::CancelToken::Registration> m_registrations;
    QTemporaryDir m_dir;
};

QByteArray get(const QByteArray &path, const QByteArray &fields = {});
QByteArray post(const QByteArray &path, const QByteArray &body, const QByteArray &fields = {});
