#include "mcp/ToolSelection.h"

namespace power::mcp {

namespace {
constexpr qsizetype kMostWords = 100;

QStringList standardToolsets()
{
    QStringList names;
    for (const operations::Toolset &set : operations::toolsets()) {
        if (set.standard)
            names << QLatin1String(set.name);
    }
    return names;
}

QStringList allToolsets()
{
    QStringList names;
    for (const operations::Toolset &set : operations::toolsets())
        names << QLatin1String(set.name);
    return names;
}

void tidy(QStringList &names)
{
    names.removeDuplicates();
    names.sort();
}

// A switch that is present without a value is on.
bool isOn(const QString &value)
{
    const QString word = value.trimmed().toLower();
    return word != u"0" && word != u"false" && word != u"no" && word != u"off";
}
} // namespace

ToolSelection::ToolSelection()
    : m_toolsets(standardToolsets())
{
    tidy(m_toolsets);
}

Result<ToolSelection> ToolSelection::parse(const QString &text, const operations::Registry &registry)
{
    const QStringList words = text.toLower().split(u',', Qt::SkipEmptyParts);
    ToolSelection selection;
    if (text.trimmed().isEmpty())
        return selection;
    if (words.size() > kMostWords)
        return fail(ErrorCode::InvalidArgument, QStringLiteral("At most %1 toolsets and tools can be selected.").arg(kMostWords));
    selection.m_toolsets.clear();
    const QStringList known = allToolsets();
    for (const QString &given : words) {
        const QString word = given.trimmed();
        const operations::Operation *operation = registry.find(word);
        if (word == u"all") {
            for (const QString &set : known) {
                if (set != u"chatgpt")
                    selection.m_toolsets << set;
            }
        } else if (word == u"default") {
            selection.m_toolsets += standardToolsets();
        } else if (known.contains(word)) {
            selection.m_toolsets << word;
        } else if (operation && operation->isTool) {
            selection.m_tools << word;
        } else if (!word.isEmpty()) {
            return fail(ErrorCode::InvalidArgument, QStringLiteral("There is no toolset or tool named \"%1\".").arg(word.left(60)),
                        QStringLiteral("Toolsets: %1, default, all. Names of tools are accepted as well.")
                            .arg(known.join(QStringLiteral(", "))));
        }
    }
    tidy(selection.m_toolsets);
    tidy(selection.m_tools);
    return selection;
}

Result<ToolSelection> ToolSelection::of(const http::Request &request, const ToolSelection &standard,
                                        const operations::Registry &registry)
{
    QStringList asked;
    for (const char *item : {"tools", "toolsets"})
        asked += request.query.allQueryItemValues(QLatin1String(item), QUrl::FullyDecoded);
    if (asked.join(QString()).trimmed().isEmpty()) {
        asked.clear();
        for (const char *header : {"X-MCP-Tools", "X-MCP-Toolsets"})
            asked << QString::fromUtf8(request.headers.value(header));
    }
    ToolSelection selection = standard;
    if (const QString text = asked.join(u','); !text.split(u',', Qt::SkipEmptyParts).isEmpty()) {
        Result<ToolSelection> parsed = parse(text, registry);
        if (!parsed)
            return parsed;
        selection = std::move(*parsed);
    }
    bool readOnly = standard.m_readOnly;
    for (const char *item : {"readonly", "read_only"}) {
        const QString name = QLatin1String(item);
        readOnly = readOnly || (request.query.hasQueryItem(name) && isOn(request.query.queryItemValue(name)));
    }
    if (request.headers.contains("X-MCP-Readonly"))
        readOnly = readOnly || isOn(QString::fromLatin1(request.headers.value("X-MCP-Readonly")));
    selection.m_readOnly = readOnly;
    return selection;
}

bool ToolSelection::shows(const operations::Operation &operation) const
{
    if (!operation.isTool || (m_readOnly && !operation.hints.readOnly))
        return false;
    return m_toolsets.contains(operation.toolset) || m_tools.contains(operation.name);
}

QByteArray ToolSelection::key() const
{
    return (m_toolsets.join(u',') + u';' + m_tools.join(u',') + (m_readOnly ? QStringLiteral(";r") : QString())
            + (m_views ? QStringLiteral(";v") : QString())).toUtf8();
}

} // namespace power::mcp
