// Sessions of the initialize era: ids that prove themselves, and what is remembered while a client is around.
#pragma once
#include "mcp/EventLog.h"
#include "mcp/Providers.h"
#include "mcp/Sealer.h"
#include "mcp/ToolSelection.h"

namespace power::mcp {

// What one client is known by. Lost with the process, except what its id carries.
struct Session {
    QByteArray id;
    QString principal;
    QString version;                  // negotiated; empty = unknown
    qsizetype triedKeys = -1;         // its id could not be read with the keys of that generation; -1: nothing to read
    QString clientName;
    QJsonObject capabilities;         // declared at initialize
    QString logLevel;                 // logging/setLevel; empty = none was set
    QHash<QString, std::shared_ptr<void>> watched; // resources/subscribe: URI and what keeps it watched
    std::shared_ptr<EventLog> stream; // its GET stream; null = none was opened
    std::function<void(const QByteArray &)> line; // another way to reach the client (HTTP+SSE, stdio)
    Result<ToolSelection> tools = ToolSelection(); // of a line: what was selected when it was opened
    QList<CancelToken::Registration> whileOpen;   // what ends it with its line

    bool isReachable() const { return line || (stream && !stream->isEnded()); }
    // A notification outside any call; kept for a client that comes back within five minutes, dropped when it has no stream.
    void tell(const QByteArray &message) const;
    // Dated text of the version: compare with "2025-11-25".
    bool isAtLeast(QLatin1String wanted) const { return !version.isEmpty() && version >= wanted; }
};
using SessionPtr = std::shared_ptr<Session>;

// Sessions: of both kinds, all transports. At most 4,096 are remembered; then those unused for longest are forgotten
// (their ids stay good). Thread: the event loop's.
class Sessions
{
public:
    Sessions(Sealer sealer, std::shared_ptr<Changes> changes);

    // The id of a new session: version, capabilities and client name travel in it, sealed.
    SessionPtr begin(const QString &principal, const QString &version, const QJsonObject &initializeParams);
    // A session of a transport that has its own way to the client; `id` is the transport's.
    SessionPtr beginWithLine(const QString &principal, std::function<void(const QByteArray &)> line);
    static void learn(Session &session, const QString &version, const QJsonObject &initializeParams);

    // By the id a client sent. Ids of ours from before a restart work as before; any other id is taken as a session
    // nothing is known of, because clients do not reliably begin anew. Null: the id was ended (HTTP 404).
    SessionPtr find(const QString &principal, const QByteArray &id);
    // DELETE. The id is refused from then on (the last 10,000 are remembered while this process lives).
    void end(const SessionPtr &session);

    // Every session that can be told something.
    QList<SessionPtr> reachable() const;
    void closeStreams();

private:
    SessionPtr keep(SessionPtr session);
    void readId(Session &session) const;
    void onChange(const Change &change);

    Sealer m_sealer;
    QHash<QByteArray, SessionPtr> m_sessions; // by principal and id
    std::list<QByteArray> m_order;            // least recently used first
    QHash<QByteArray, std::list<QByteArray>::iterator> m_places;
    QSet<QByteArray> m_ended;
    std::deque<QByteArray> m_endedOrder;
    std::vector<std::weak_ptr<Session>> m_lines;
    Changes::Registration m_registration;
};

// A change as a notification of the initialize era.
QByteArray changeMessage(const Change &change, const QJsonObject &meta = {});

} // namespace power::mcp
