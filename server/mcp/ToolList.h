// tools/list, serialised once per world: a handshake then costs a copy.
#pragma once
#include "mcp/MethodTable.h"
#include "operations/Operation.h"
#include <map>

namespace power::mcp {

// ToolList: the operations agents see. The registry must be complete before the first call and outlive this.
// Thread: the event loop's.
class ToolList
{
public:
    explicit ToolList(const operations::Registry &registry) : m_registry(registry) {}

    // The finalized result of tools/list, always the same bytes.
    QByteArray bytes(World world, const ServerFacts &facts) const;
    // Null for names that are no tool (REST-only operations included).
    const operations::Operation *find(const QString &name) const;

    static QJsonObject describe(const operations::Operation &operation);

private:
    const operations::Registry &m_registry;
    mutable std::map<World, QByteArray> m_bytes;
};

} // namespace power::mcp
