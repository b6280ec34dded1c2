#include "mcp/Asks.h"
#include "base/Ids.h"
#include "mcp/Rpc.h"

namespace power::mcp {

Asks::Ask Asks::send(Outlet &outlet, const QString &principal, const QString &method, const QJsonObject &params)
{
    Ask ask{newUuid(), {}}; // not to be guessed: it is all that ties the response to the question
    m_waiting.insert(ask.id, {principal, ask.answer});
    outlet.carry(requestMessage(ask.id, method, params));
    return ask;
}

bool Asks::answer(const QString &principal, const QJsonObject &response)
{
    const auto found = m_waiting.find(response.value(QLatin1String("id")).toString());
    if (found == m_waiting.end() || found->principal != principal)
        return false;
    const OneShot<QJsonObject> shot = found->shot;
    m_waiting.erase(found);
    shot.resolve(response);
    return true;
}

void Asks::cancelAll()
{
    const QHash<QString, Waiting> all = std::exchange(m_waiting, {});
    for (const Waiting &waiting : all)
        waiting.shot.resolve(fail(ErrorCode::Cancelled, QStringLiteral("The server is stopping.")));
}

} // namespace power::mcp
