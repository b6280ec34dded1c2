#include "base/Ids.h"
#include <QRandomGenerator>
#include <QRegularExpression>
#include <QUuid>

namespace power {

QString newUuid()
{
    // QUuid::createUuid() draws from the system generator.
    return QUuid::createUuid().toString(QUuid::WithoutBraces);
}

QString shortId()
{
    return QStringLiteral("%1").arg(QRandomGenerator::system()->generate(), 8, 16, QLatin1Char('0'));
}

Result<QString> validSessionId(const QString &text)
{
    static const QRegularExpression rule(
        QRegularExpression::anchoredPattern(QStringLiteral("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")));
    if (rule.match(text).hasMatch())
        return text;
    return fail(ErrorCode::InvalidArgument,
                QStringLiteral("\"%1\" is not a valid session_id: 1 to 64 characters, letters, digits, dot, "
                               "underscore and hyphen, starting with a letter or digit.")
                    .arg(text.left(80)),
                QStringLiteral("Use for example \"%1\".").arg(sessionIdFromText(text)));
}

QString sessionIdFromText(const QString &text)
{
    QString id;
    for (const QChar c : text.normalized(QString::NormalizationForm_KD)) {
        const bool plain = c.unicode() < 128 && c.isLetterOrNumber();
        if (plain || (!id.isEmpty() && (c == u'.' || c == u'_')))
            id += c;
        else if (!id.isEmpty() && !id.endsWith(u'-') && c.category() != QChar::Mark_NonSpacing)
            id += u'-';
        if (id.size() == 64)
            break;
    }
    while (id.endsWith(u'-'))
        id.chop(1);
    return id.isEmpty() ? QStringLiteral("session-") + shortId() : id;
}

} // namespace power
