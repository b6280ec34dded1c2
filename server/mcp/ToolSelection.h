// Which tools one request sees: toolsets and single tools by name, and the read-only switch.
#pragma once
#include "http/Message.h"
#include "operations/Operation.h"

namespace power::mcp {

// ToolSelection: a value. It saves a client's tokens; only the read-only switch restricts anything.
class ToolSelection
{
public:
    // The default list.
    ToolSelection();
    // A comma list of toolsets, tool names, "default" and "all" (everything but chatgpt); empty = the default list.
    // Error: InvalidArgument that names the unknown word and all known ones.
    static Result<ToolSelection> parse(const QString &text, const operations::Registry &registry);
    // What one request selects, in this order: the query (tools, toolsets), the headers X-MCP-Tools and X-MCP-Toolsets,
    // `standard`. readonly in the query or X-MCP-Readonly switches writing tools off; nothing switches them on again
    // when `standard` is read-only.
    static Result<ToolSelection> of(const http::Request &request, const ToolSelection &standard,
                                    const operations::Registry &registry);

    bool shows(const operations::Operation &operation) const;
    bool isReadOnly() const { return m_readOnly; }
    void setReadOnly(bool on) { m_readOnly = on; }
    // Whether the list names the tools' views (Views.h).
    bool hasViews() const { return m_views; }
    void setViews(bool on) { m_views = on; }
    // The same for equal selections; what a cache of lists is keyed by.
    QByteArray key() const;

private:
    QStringList m_toolsets; // sorted
    QStringList m_tools;    // sorted
    bool m_readOnly = false;
    bool m_views = false;
};

} // namespace power::mcp
