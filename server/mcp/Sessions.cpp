#include "mcp/Sessions.h"
#include "base/Ids.h"
#include "mcp/Rpc.h"
#include <QJsonDocument>

namespace power::mcp {

namespace {
constexpr qsizetype kMostSessions = 4'096;
constexpr size_t kMostEnded = 10'000;
constexpr std::chrono::minutes kKeptUnread{5};
constexpr char kPurpose[] = "session";

QByteArray keyOf(const QString &principal, const QByteArray &id)
{
    return principal.toUtf8() + '\n' + id;
}

// What operations may ask about a client; the rest does not travel in the id.
QJsonObject usefulCapabilities(const QJsonObject &all)
{
    QJsonObject useful;
    for (const char *name : {"elicitation", "sampling", "roots"}) {
        if (const QJsonValue value = all.value(QLatin1String(name)); value.isObject() && jsonBytes(value).size() < 200)
            useful.insert(QLatin1String(name), value);
    }
    const QString ui = QStringLiteral("io.modelcontextprotocol/ui");
    const QJsonValue view = all.value(QLatin1String("extensions")).toObject().value(ui);
    if (view.isObject() && jsonBytes(view).size() < 400)
        useful.insert(QStringLiteral("extensions"), QJsonObject{{ui, view}});
    return useful;
}
} // namespace

void Session::tell(const QByteArray &message) const
{
    if (line)
        return line(message);
    if (!stream)
        return;
    if (stream->unreadFor() > kKeptUnread)
        return stream->end();
    stream->append(message);
}

Sessions::Sessions(Sealer sealer, std::shared_ptr<Changes> changes) : m_sealer(std::move(sealer))
{
    m_registration = changes->listen([this](const Change &change) { onChange(change); });
}

void Sessions::learn(Session &session, const QString &version, const QJsonObject &initializeParams)
{
    session.version = version;
    session.capabilities = usefulCapabilities(initializeParams.value(QLatin1String("capabilities")).toObject());
    session.clientName = initializeParams.value(QLatin1String("clientInfo"))[QLatin1String("name")].toString().left(60);
}

SessionPtr Sessions::begin(const QString &principal, const QString &version, const QJsonObject &initializeParams)
{
    auto session = std::make_shared<Session>();
    session->principal = principal;
    learn(*session, version, initializeParams);
    const QJsonObject carried{{QStringLiteral("v"), version},
                              {QStringLiteral("c"), session->capabilities},
                              {QStringLiteral("n"), session->clientName},
                              {QStringLiteral("p"), principal},
                              {QStringLiteral("r"), newUuid()}};
    session->id = m_sealer.seal(kPurpose, jsonBytes(carried));
    return keep(session);
}

SessionPtr Sessions::beginWithLine(const QString &principal, std::function<void(const QByteArray &)> line)
{
    auto session = std::make_shared<Session>();
    session->principal = principal;
    session->id = newUuid().remove(u'-').toLatin1();
    session->line = std::move(line);
    m_lines.push_back(session);
    return session; // lives as long as its transport
}

SessionPtr Sessions::keep(SessionPtr session)
{
    const QByteArray key = keyOf(session->principal, session->id);
    m_sessions.insert(key, session);
    m_places.insert(key, m_order.insert(m_order.end(), key));
    while (m_sessions.size() > kMostSessions) {
        const QByteArray oldest = m_order.front();
        m_order.pop_front();
        m_places.remove(oldest);
        if (const SessionPtr forgotten = m_sessions.take(oldest); forgotten->stream)
            forgotten->stream->end();
    }
    return session;
}

// Until the database is there, a server on an empty disk does not know the key yet.
void Sessions::readId(Session &session) const
{
    const auto payload = m_sealer.open(kPurpose, session.id);
    session.triedKeys = payload ? -1 : m_sealer.generation();
    const QJsonObject carried = payload ? QJsonDocument::fromJson(*payload).object() : QJsonObject();
    if (!payload || carried.value(QLatin1String("p")).toString() != session.principal)
        return;
    session.version = carried.value(QLatin1String("v")).toString();
    session.capabilities = carried.value(QLatin1String("c")).toObject();
    session.clientName = carried.value(QLatin1String("n")).toString();
}

SessionPtr Sessions::find(const QString &principal, const QByteArray &id)
{
    const QByteArray key = keyOf(principal, id);
    if (const auto known = m_sessions.constFind(key); known != m_sessions.constEnd()) {
        m_order.splice(m_order.end(), m_order, m_places.value(key));
        if (known.value()->triedKeys >= 0 && known.value()->triedKeys != m_sealer.generation())
            readId(*known.value());
        return known.value();
    }
    if (m_ended.contains(key))
        return nullptr;
    auto session = std::make_shared<Session>();
    session->id = id;
    session->principal = principal;
    readId(*session);
    return keep(session);
}

void Sessions::end(const SessionPtr &session)
{
    const QByteArray key = keyOf(session->principal, session->id);
    if (session->stream)
        session->stream->end();
    session->stream.reset();
    m_sessions.remove(key);
    if (const auto place = m_places.constFind(key); place != m_places.constEnd()) {
        m_order.erase(place.value());
        m_places.erase(place);
    }
    if (m_ended.contains(key))
        return;
    m_ended.insert(key);
    m_endedOrder.push_back(key);
    if (m_endedOrder.size() > kMostEnded) {
        m_ended.remove(m_endedOrder.front());
        m_endedOrder.pop_front();
    }
}

QList<SessionPtr> Sessions::reachable() const
{
    QList<SessionPtr> found;
    for (const SessionPtr &session : m_sessions) {
        if (session->isReachable())
            found << session;
    }
    for (const auto &weak : m_lines) {
        if (const SessionPtr session = weak.lock())
            found << session;
    }
    return found;
}

void Sessions::closeStreams()
{
    for (const SessionPtr &session : std::as_const(m_sessions)) {
        if (session->stream)
            session->stream->end();
    }
}

void Sessions::onChange(const Change &change)
{
    if (change.kind == Change::Kind::Task)
        return; // told only to those who asked for it, with what it is
    std::erase_if(m_lines, [](const auto &line) { return line.expired(); });
    QByteArray message;
    const QList<SessionPtr> all = reachable();
    for (const SessionPtr &session : all) {
        if (!change.principal.isEmpty() && change.principal != session->principal)
            continue;
        if (change.kind == Change::Kind::Resource && !session->watched.contains(change.uri))
            continue;
        if (message.isEmpty())
            message = changeMessage(change);
        session->tell(message);
    }
}

QByteArray changeMessage(const Change &change, const QJsonObject &meta)
{
    QString method;
    QJsonObject params;
    switch (change.kind) {
    case Change::Kind::Tools: method = QStringLiteral("notifications/tools/list_changed"); break;
    case Change::Kind::Prompts: method = QStringLiteral("notifications/prompts/list_changed"); break;
    case Change::Kind::Resources: method = QStringLiteral("notifications/resources/list_changed"); break;
    case Change::Kind::Resource:
        method = QStringLiteral("notifications/resources/updated");
        params.insert(QStringLiteral("uri"), change.uri);
        break;
    case Change::Kind::Task: break; // has a message of its own
    }
    if (!meta.isEmpty())
        params.insert(QStringLiteral("_meta"), meta);
    return notificationMessage(method, params);
}

} // namespace power::mcp
