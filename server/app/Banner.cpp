#include "app/Banner.h"

namespace power::app {

QString bannerText(const Application &application, const Result<FirstCell> &cell)
{
    const config::Settings &settings = application.settings();
    const QString url = application.url().toString();
    const bool keyed = settings.mcpAuth == u"api-key";
    const QString header = keyed ? QStringLiteral(" --header \"Authorization: Bearer $API_KEY\"") : QString();
    const QString curlHeader = keyed ? QStringLiteral(" -H \"Authorization: Bearer $API_KEY\"") : QString();
    const QString jsonHeader = keyed ? QStringLiteral(",\"headers\":{\"Authorization\":\"Bearer YOUR_API_KEY\"}") : QString();
    QStringList lines;
    auto row = [&lines](const char *label, const QString &value) {
        lines << QStringLiteral("  %1 %2").arg(QLatin1String(label), -12).arg(value);
    };
    lines << QString() << QStringLiteral("Power Interpreter %1 is ready.").arg(QStringLiteral(POWER_VERSION));
    row("URL", url);
    row("Data", settings.dataDir);
    row("Database", application.databaseDescription());
    row("Sandbox", application.tier());
    row("Tools", QString::number(application.toolCount()));
    if (cell)
        row("First cell", QStringLiteral("%1, %2 chart, %3 ms").arg(cell->text.section(u'\n', 0, 0)).arg(cell->images).arg(cell->milliseconds));
    else
        row("First cell", QStringLiteral("FAILED: ") + cell.error().text());
    if (!application.packages().isEmpty())
        row("Packages", application.packages());
    for (const QString &warning : settings.warnings)
        row("Warning", warning);
    lines << QString() << QStringLiteral("Connect a client:");
    row("Claude Code", QStringLiteral("claude mcp add --transport http power %1/mcp%2").arg(url, header));
    row("VS Code", QStringLiteral("code --add-mcp '{\"name\":\"power\",\"type\":\"http\",\"url\":\"%1/mcp\"%2}'").arg(url, jsonHeader));
    row("Cursor", QStringLiteral("~/.cursor/mcp.json: {\"mcpServers\":{\"power\":{\"url\":\"%1/mcp\"%2}}}").arg(url, jsonHeader));
    lines << QString() << QStringLiteral("Run Python from a shell:");
    lines << QStringLiteral("  curl -s %1/mcp -H 'Content-Type: application/json'%2 -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
                            "\"tools/call\",\"params\":{\"name\":\"execute_code\",\"arguments\":{\"code\":\"print(6*7)\"}}}'")
                 .arg(url, curlHeader);
    lines << QString();
    return lines.join(u'\n');
}

} // namespace power::app
