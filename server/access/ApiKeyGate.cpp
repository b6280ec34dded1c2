#include "access/ApiKeyGate.h"
#include <QCryptographicHash>

namespace power::access {

namespace {
QByteArray digestOf(const QByteArray &text)
{
    return QCryptographicHash::hash(text, QCryptographicHash::Sha256);
}

QByteArray bearerToken(const QByteArray &header)
{
    const QByteArray text = header.trimmed();
    const qsizetype space = text.indexOf(' ');
    if (space < 0 || text.first(space).compare("bearer", Qt::CaseInsensitive) != 0)
        return {};
    return text.mid(space + 1).trimmed();
}
} // namespace

ApiKeyGate::ApiKeyGate(QByteArray key)
    : m_digest(key.isEmpty() ? QByteArray() : digestOf(key))
{
}

bool ApiKeyGate::matches(const QByteArray &candidate) const
{
    // Digests are compared to the end, whatever the first difference is.
    const QByteArray digest = digestOf(candidate);
    unsigned difference = digest.size() == m_digest.size() ? 0U : 1U;
    for (qsizetype i = 0; i < digest.size() && i < m_digest.size(); ++i)
        difference |= static_cast<unsigned char>(digest.at(i)) ^ static_cast<unsigned char>(m_digest.at(i));
    return difference == 0;
}

Result<Done> ApiKeyGate::check(const QByteArray &apiKeyHeader, const QByteArray &authorizationHeader) const
{
    if (isOpen())
        return Done{};
    const QByteArray token = bearerToken(authorizationHeader);
    const bool byHeader = !apiKeyHeader.isEmpty() && matches(apiKeyHeader.trimmed());
    const bool byToken = !token.isEmpty() && matches(token);
    if (byHeader || byToken)
        return Done{};
    const bool missing = apiKeyHeader.isEmpty() && token.isEmpty();
    return fail(ErrorCode::Unauthenticated,
                missing ? QStringLiteral("An API key is required.") : QStringLiteral("The API key is wrong."),
                QStringLiteral("Send the server's API_KEY in the header \"X-API-Key\" or as \"Authorization: Bearer <key>\"."));
}

} // namespace power::access
