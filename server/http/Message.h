// Plain HTTP messages (RFC 9110, 9112) as the rest of the server sees them; no Qt HttpServer type leaves this folder.
#pragma once
#include <QByteArray>
#include <QHash>
#include <QHostAddress>
#include <QJsonObject>
#include <QList>
#include <QString>
#include <QUrlQuery>
#include <chrono>

namespace power::http {

// Headers: ordered, names compared without case.
class Headers
{
public:
    struct Field {
        QByteArray name;
        QByteArray value;
    };
    // First value, or an empty array.
    QByteArray value(QByteArrayView name) const;
    bool contains(QByteArrayView name) const;
    void add(QByteArray name, QByteArray value);
    // Replaces every field of that name.
    void set(QByteArray name, QByteArray value);
    const QList<Field> &fields() const { return m_fields; }

private:
    QList<Field> m_fields;
};

struct Request {
    QByteArray method;                  // upper case
    QByteArray target;                  // as received
    QString path;                       // percent-decoded, always starts with '/', no dot segments
    QUrlQuery query;
    QHash<QString, QString> parameters; // of the route's pattern: {session_id} -> value, decoded
    Headers headers;
    QByteArray body;                    // empty for a route that streams its body
    QHostAddress peer;
    quint16 peerPort = 0;
    bool secure = false;                // arrived over TLS
    QByteArray id;                      // request id: the client's X-Request-Id when sane, else our own
    std::chrono::steady_clock::time_point arrived;
};

struct Response {
    int status = 200;
    Headers headers;
    QByteArray body;

    static Response json(int status, const QJsonObject &object);
    static Response bytes(int status, QByteArray contentType, QByteArray body);
    static Response empty(int status);
};

} // namespace power::http
