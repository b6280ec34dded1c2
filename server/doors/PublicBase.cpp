#include "doors/PublicBase.h"
#include <cctype>

namespace power::doors {

namespace {
QByteArray firstOfList(const QByteArray &value)
{
    return value.left(value.indexOf(',') < 0 ? value.size() : value.indexOf(',')).trimmed();
}

bool isNearby(const QHostAddress &peer)
{
    if (peer.isLoopback() || peer.isLinkLocal() || peer.isUniqueLocalUnicast())
        return true;
    bool isIpv4 = false;
    const QHostAddress v4(peer.toIPv4Address(&isIpv4));
    if (!isIpv4)
        return false;
    static const QList<std::pair<QHostAddress, int>> nets{
        {QHostAddress(0x7f000000U), 8}, {QHostAddress(0x0a000000U), 8}, {QHostAddress(0xac100000U), 12},
        {QHostAddress(0xc0a80000U), 16}, {QHostAddress(0x64400000U), 10}};
    for (const auto &net : nets) {
        if (v4.isInSubnet(net.first, net.second))
            return true;
    }
    return false;
}

// host, host:port, [v6] or [v6]:port
bool isHost(const QByteArray &host)
{
    if (host.isEmpty() || host.size() > 255)
        return false;
    qsizetype end = 0;
    if (host.startsWith('[')) {
        end = host.indexOf(']') + 1;
        for (qsizetype i = 1; i + 1 < end; ++i) {
            const char c = host.at(i);
            if (!std::isxdigit(static_cast<unsigned char>(c)) && c != ':' && c != '.')
                return false;
        }
    } else {
        while (end < host.size()) {
            const unsigned char c = static_cast<unsigned char>(host.at(end));
            if (!std::isalnum(c) && c != '.' && c != '-' && c != '_')
                break;
            ++end;
        }
    }
    if (end < 1)
        return false;
    if (end == host.size())
        return true;
    bool ok = false;
    const int port = host.mid(end + 1).toInt(&ok);
    return host.at(end) == ':' && ok && port > 0 && port < 65536;
}
} // namespace

QString publicBase(const QString &configured, const http::Request &request)
{
    if (!configured.isEmpty()) {
        QString base = configured.contains(QStringLiteral("://")) ? configured : QStringLiteral("https://") + configured;
        while (base.endsWith(u'/'))
            base.chop(1);
        return base;
    }
    QByteArray host = request.headers.value("Host");
    bool secure = request.secure;
    if (isNearby(request.peer)) {
        if (const QByteArray forwarded = firstOfList(request.headers.value("X-Forwarded-Host")); isHost(forwarded))
            host = forwarded;
        const QByteArray proto = firstOfList(request.headers.value("X-Forwarded-Proto")).toLower();
        if (proto == "https" || proto == "http")
            secure = proto == "https";
    }
    if (!isHost(host))
        return {};
    return (secure ? QStringLiteral("https://") : QStringLiteral("http://")) + QString::fromLatin1(host);
}

} // namespace power::doors
