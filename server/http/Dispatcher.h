// The route table: a trie by path segment, then by method; no regular expressions.
#pragma once
#include "http/Exchange.h"
#include "http/RouteAbout.h"

namespace power::http {

struct RouteOptions {
    qint64 maxBody = 16 * 1024 * 1024; // bytes; above it 413
    bool streamBody = false;           // the handler reads the body itself (Exchange::bodyReader)
    QByteArray streamType;             // the same for bodies whose Content-Type begins so (lower case); others arrive whole
    bool cors = false;                 // any origin, without credentials; OPTIONS preflight answered
    QByteArray corsExpose;             // Access-Control-Expose-Headers
    bool anyOrigin = false;            // skip the Origin/Host check (public downloads)
    Headers optionsFields;             // further fields of the answer to OPTIONS
    RouteAbout about;                  // for the API description; routes that run an operation leave it empty
};

// Dispatcher: filled at start, then read only. Thread: the event loop's.
class Dispatcher
{
public:
    Dispatcher();
    ~Dispatcher();
    // pattern: "/api/files/{session_id}/{path*}"; {name} is one segment, {name*} the rest (last, or
    // followed by one literal: "/files/{path*}/content").
    // "/mcp" also matches "/mcp/". A route for GET serves HEAD too unless HEAD has its own.
    void add(QByteArray method, const QString &pattern, Handler handler, RouteOptions options = {});

    struct Match {
        const Handler *handler = nullptr; // null: no such path (404), or path known but not the method (405)
        const RouteOptions *options = nullptr;
        QHash<QString, QString> parameters;
        QByteArray allow;                 // methods of a known path, for 405 and OPTIONS
    };
    Match find(QByteArrayView method, const QString &path) const;

    struct Listed {
        QByteArray method;
        QString pattern;
        RouteAbout about;
    };
    // Every route, in the order they were added.
    const QList<Listed> &all() const { return m_all; }

private:
    struct Node;
    std::unique_ptr<Node> m_root;
    QList<Listed> m_all;
};

} // namespace power::http
