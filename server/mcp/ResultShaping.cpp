#include "mcp/ResultShaping.h"
#include "mcp/Rpc.h"
#include "mcp/StructuredBudget.h"
#include "mcp/TextBudget.h"
#include <QJsonArray>

namespace power::mcp {

using operations::Answer;
using operations::Block;

namespace {
QJsonObject textBlock(const QString &text)
{
    return {{QStringLiteral("type"), QStringLiteral("text")}, {QStringLiteral("text"), text}};
}

QJsonObject mediaBlock(const Block &block, const QByteArray &base64)
{
    return {{QStringLiteral("type"), block.kind == Block::Kind::Image ? QStringLiteral("image") : QStringLiteral("audio")},
            {QStringLiteral("data"), QString::fromLatin1(base64)},
            {QStringLiteral("mimeType"), QString::fromLatin1(block.mime)}};
}

QJsonObject result(const QJsonArray &content, bool isError)
{
    return {{QStringLiteral("content"), content}, {QStringLiteral("isError"), isError}};
}

QJsonObject shapeError(const Error &error, const ShapeRules &rules)
{
    QJsonObject facts = withoutDownloadUrls(error.details);
    facts.insert(QStringLiteral("error"), QLatin1String(errorWord(error.code)));
    QString line = QString::fromUtf8(jsonBytes(facts));
    const qsizetype budget = std::min(rules.maxErrorChars, rules.maxChars * 9 / 10);
    if (line.size() > budget / 2)
        line = QString::fromUtf8(jsonBytes(QJsonObject{{QStringLiteral("error"), facts.value(QStringLiteral("error"))}}));
    const QString text = cutText(error.text(), std::max<qsizetype>(0, budget - line.size() - 1));
    return result({textBlock(text + u'\n' + line)}, true);
}

QJsonObject shapeJson(const Answer &answer, const ShapeRules &rules)
{
    const bool isError = answer.userError && rules.userErrorIsError;
    const qsizetype budget = std::min(rules.maxChars * 9 / 10, isError ? rules.maxErrorChars : rules.maxChars);
    QJsonObject data = withoutDownloadUrls(answer.data);
    if (!answer.notes.isEmpty())
        data.insert(QStringLiteral("notes"), QJsonArray::fromStringList(answer.notes));
    const bool whole = fitJson(data, budget);
    const QString text = QString::fromUtf8(jsonBytes(data));
    QJsonObject shaped = result({textBlock(whole ? text : cutText(text, budget))}, isError);
    if (whole && rules.structured && !isError)
        shaped.insert(QStringLiteral("structuredContent"), data);
    return shaped;
}

QJsonObject shapeBlocks(const Answer &answer, const ShapeRules &rules)
{
    const bool isError = answer.userError && rules.userErrorIsError;
    const qsizetype budget = std::min(rules.maxChars * 9 / 10, isError ? rules.maxErrorChars : rules.maxChars);
    QStringList texts;
    QJsonArray images;
    qsizetype imageRoom = rules.maxImageBase64;
    for (const Block &block : answer.blocks) {
        if (block.kind == Block::Kind::Text || block.kind == Block::Kind::Json) {
            if (!block.text.isEmpty())
                texts << block.text;
            continue;
        }
        const qsizetype encoded = (block.data.size() + 2) / 3 * 4;
        const bool isMedia = block.kind == Block::Kind::Image || block.kind == Block::Kind::Audio;
        if (isMedia ? rules.images && !block.data.isEmpty() && encoded <= imageRoom : encoded <= imageRoom) {
            imageRoom -= encoded;
            images.append(contentBlock(block));
        } else if (!block.text.isEmpty()) {
            texts << QStringLiteral("[image not shown here: %1]").arg(block.text);
        }
    }
    if (!answer.notes.isEmpty())
        texts << QStringLiteral("Note: ") + answer.notes.join(QStringLiteral("\nNote: "));
    if (texts.isEmpty() && images.isEmpty())
        texts << QStringLiteral("(no output)");
    QJsonArray content;
    for (const QString &text : fitTexts(texts, budget))
        content.append(textBlock(text));
    for (const QJsonValue &image : std::as_const(images))
        content.append(image);
    return result(content, isError);
}
} // namespace

QJsonObject contentBlock(const Block &block)
{
    const QString mime = QString::fromLatin1(block.mime);
    switch (block.kind) {
    case Block::Kind::Text:
    case Block::Kind::Json: break;
    case Block::Kind::Image:
    case Block::Kind::Audio: return mediaBlock(block, block.data.toBase64());
    case Block::Kind::Resource: {
        QJsonObject resource{{QStringLiteral("uri"), block.uri}, {QStringLiteral("mimeType"), mime}};
        if (block.data.isEmpty())
            resource.insert(QStringLiteral("text"), block.text);
        else
            resource.insert(QStringLiteral("blob"), QString::fromLatin1(block.data.toBase64()));
        return {{QStringLiteral("type"), QStringLiteral("resource")}, {QStringLiteral("resource"), resource}};
    }
    case Block::Kind::Link: {
        QJsonObject link{{QStringLiteral("type"), QStringLiteral("resource_link")},
                         {QStringLiteral("uri"), block.uri},
                         {QStringLiteral("name"), block.name}};
        if (!block.text.isEmpty())
            link.insert(QStringLiteral("description"), block.text);
        if (!mime.isEmpty())
            link.insert(QStringLiteral("mimeType"), mime);
        if (block.size >= 0)
            link.insert(QStringLiteral("size"), block.size);
        return link;
    }
    }
    return textBlock(block.text);
}

QJsonObject shapeResult(const Result<Answer> &answer, const ShapeRules &rules)
{
    if (!answer)
        return shapeError(answer.error(), rules);
    return answer->blocks.isEmpty() ? shapeJson(*answer, rules) : shapeBlocks(*answer, rules);
}

} // namespace power::mcp
