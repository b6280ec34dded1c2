#include "operations/Services.h"
#include "base/Ids.h"

namespace power::operations {

Parameter sessionParameter()
{
    Parameter parameter;
    parameter.name = QStringLiteral("session_id");
    parameter.description = QStringLiteral("Session to use; made on first use. Keep one id per task so that variables persist.");
    parameter.defaultValue = QStringLiteral("default");
    parameter.check = [](const QString &id) {
        return validSessionId(id) ? QString()
                                  : QStringLiteral("must be 1 to 64 letters, digits, dots, underscores or hyphens and begin with a "
                                                   "letter or digit, for example \"%1\"").arg(sessionIdFromText(id));
    };
    return parameter;
}

Result<sessions::SessionKey> sessionKey(const Caller &caller, const QJsonObject &arguments)
{
    const QString given = arguments.value(QStringLiteral("session_id")).toString();
    auto id = validSessionId(given.isEmpty() ? QStringLiteral("default") : given);
    if (!id)
        return Unexpected<Error>{id.error()};
    return sessions::SessionKey{caller.principal, caller.slug, *id};
}

Answer textAnswer(const QString &text, QJsonObject data)
{
    Answer answer;
    Block block;
    block.text = text;
    answer.blocks << block;
    answer.data = std::move(data);
    return answer;
}

} // namespace power::operations
