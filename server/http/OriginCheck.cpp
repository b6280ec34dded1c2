#include "http/OriginCheck.h"
#include "http/HttpServer.h"

namespace power::http {

namespace {
QByteArrayList lowered(const QStringList &texts)
{
    QByteArrayList list;
    for (const QString &text : texts)
        list.append(text.trimmed().toLower().toUtf8());
    return list;
}

// "name:8080" -> "name"; "[::1]:8080" -> "[::1]".
QByteArrayView withoutPort(QByteArrayView authority)
{
    const qsizetype colon = authority.lastIndexOf(':');
    return colon >= 0 && colon > authority.lastIndexOf(']') ? authority.first(colon) : authority;
}

bool isLoopbackName(QByteArrayView name)
{
    return name == QByteArrayView("localhost") || name == QByteArrayView("127.0.0.1") || name == QByteArrayView("[::1]");
}
} // namespace

OriginCheck::OriginCheck(const ListenConfig &config)
    : m_anyHost(!config.address.isLoopback() && config.allowedHosts.isEmpty()),
      m_hosts(lowered(config.allowedHosts)),
      m_origins(lowered(config.allowedOrigins))
{
}

bool OriginCheck::hostAllowed(const QByteArray &host) const
{
    if (m_anyHost)
        return true;
    const QByteArrayView name = withoutPort(host);
    return isLoopbackName(name) || m_hosts.contains(host) || m_hosts.contains(name.toByteArray());
}

bool OriginCheck::originAllowed(const QByteArray &origin, const QByteArray &host, bool secure) const
{
    const QByteArrayView scheme(secure ? "https://" : "http://");
    if (!host.isEmpty() && origin.size() == scheme.size() + host.size() && origin.startsWith(scheme) && origin.endsWith(host))
        return true;
    const qsizetype start = origin.indexOf("://");
    if (start > 0 && isLoopbackName(withoutPort(QByteArrayView(origin).sliced(start + 3))))
        return true;
    return m_origins.contains(origin) || m_origins.contains("*");
}

const char *OriginCheck::refusal(const RequestHead &head, bool secure) const
{
    const QByteArray host = head.headers.value("Host").toLower();
    if (!host.isEmpty() && !hostAllowed(host))
        return "The Host field names a host this server does not serve.";
    const QByteArray origin = head.headers.value("Origin").toLower();
    if (!origin.isEmpty() && !originAllowed(origin, host, secure))
        return "Requests from this Origin are not allowed.";
    return nullptr;
}

} // namespace power::http
