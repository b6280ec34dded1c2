// The doors of the server: who may come in where, and which routes exist.
#pragma once
#include "config/Settings.h"
#include "http/Dispatcher.h"
#include "mcp/Endpoint.h"
#include "mcp/StdioTransport.h"
#include "operations/Services.h"
#include "uploads/TusUploads.h"

namespace power::app {

// Doors: adds every route to the dispatcher. Registry, services and uploads must outlive it. Thread: main.
class Doors
{
public:
    Doors(const config::Settings &settings, const mcp::ToolSelection &tools, const operations::Registry &registry,
          operations::Services &services, uploads::TusUploads &resumable, const mcp::Sealer &sealer,
          std::function<QJsonObject()> health, http::Dispatcher &dispatcher);
    ~Doors();

    // MCP on these descriptors as well; `ended` when the client closes them. baseUrl: for links in answers.
    void serveLines(int in, int out, const QString &baseUrl, std::function<void()> ended);
    // Ends the streams that wait for news; before the server stops.
    void close();

private:
    QString m_publicUrl;
    std::unique_ptr<mcp::Endpoint> m_mcp;
    std::unique_ptr<mcp::StdioTransport> m_lines;
};

} // namespace power::app
