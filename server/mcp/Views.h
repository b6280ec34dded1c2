// MCP Apps (extension io.modelcontextprotocol/ui, 2026-01-26): pages in which a host shows the results of some tools.
#pragma once
#include "mcp/Providers.h"

namespace power::mcp {

inline constexpr char kViewExtension[] = "io.modelcontextprotocol/ui";
inline constexpr char kViewType[] = "text/html;profile=mcp-app";

// Whether a client with these capabilities shows such pages.
bool declaresViews(const QJsonObject &clientCapabilities);
// "ui://power/table"; empty: the tool has no view.
QString viewOfTool(const QString &tool);
// What only the view reads (`_meta` of a result): the whole result of a run, in bounds; empty for other tools.
QJsonObject viewFacts(const QString &tool, const QJsonObject &data);

// Views: the run log, the table (grid and chart) and the file. They load nothing from anywhere, and are found by the tools
// that name them, so resources/list leaves them out. Thread: the event loop's.
class Views : public ResourceProvider
{
public:
    QCoro::Task<Result<QList<ResourceInfo>>> list(operations::Caller caller) override;
    bool owns(const QString &uri) const override;
    QCoro::Task<Result<ResourceRead>> read(operations::Caller caller, QString uri) override;

    // The whole page of a view; empty when there is none of that name.
    static QString page(const QString &uri);
};

} // namespace power::mcp
