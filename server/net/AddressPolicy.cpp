#include "net/Fetch.h"

namespace power::net
{

namespace
{
struct Block {
    quint32 network;
    int bits;
};

constexpr quint32 v4(quint32 a, quint32 b, quint32 c)
{
    return a << 24 | b << 16 | c << 8;
}

// IANA special-purpose address registry, IPv4.
constexpr Block refusedV4[] = {
    {v4(0, 0, 0), 8},      {v4(10, 0, 0), 8},     {v4(100, 64, 0), 10}, {v4(127, 0, 0), 8},
    {v4(169, 254, 0), 16}, {v4(172, 16, 0), 12},  {v4(192, 0, 0), 24},  {v4(192, 0, 2), 24},
    {v4(192, 88, 99), 24}, {v4(192, 168, 0), 16}, {v4(198, 18, 0), 15}, {v4(198, 51, 100), 24},
    {v4(203, 0, 113), 24}, {v4(224, 0, 0), 4},    {v4(240, 0, 0), 4},
};

bool isPublic(quint32 address)
{
    for (const Block &block : refusedV4) {
        if ((address >> (32 - block.bits)) == (block.network >> (32 - block.bits))) return false;
    }
    return true;
}

bool startsWith(const Q_IPV6ADDR &address, std::initializer_list<quint8> bytes)
{
    int i = 0;
    for (const quint8 byte : bytes) {
        if (address[i++] != byte) return false;
    }
    return true;
}

quint32 lastFour(const Q_IPV6ADDR &address)
{
    return quint32(address[12]) << 24 | quint32(address[13]) << 16 | quint32(address[14]) << 8 | address[15];
}

// Only global unicast (2000::/3) and forms that carry a public IPv4 address. Teredo, ORCHID and benchmarking
// (2001::/23), documentation (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16) are refused whatever they carry.
bool isPublic(const Q_IPV6ADDR &address)
{
    if (startsWith(address, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})) // IPv4-mapped
        return isPublic(lastFour(address));
    if (startsWith(address,
                   {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) // NAT64, what DNS64 makes of IPv4 hosts
        return isPublic(lastFour(address));
    if ((address[0] & 0xe0) != 0x20) return false;
    const bool special = (address[0] == 0x20 && address[1] == 0x01 && (address[2] & 0xfe) == 0) ||
                         startsWith(address, {0x20, 0x01, 0x0d, 0xb8}) || startsWith(address, {0x20, 0x02}) ||
                         (startsWith(address, {0x3f, 0xff}) && (address[2] & 0xf0) == 0);
    return !special;
}

int portOf(const QUrl &url)
{
    return url.port(url.scheme() == u"https" ? 443 : 80);
}
} // namespace

AddressPolicy::AddressPolicy(QStringList allowedOrigins) : m_allowed(std::move(allowedOrigins)) {}

bool AddressPolicy::allows(const QHostAddress &address, const QUrl &url) const
{
    for (const QString &text : m_allowed) {
        const QUrl origin(text);
        if (origin.isValid() && !origin.host().isEmpty() && origin.scheme() == url.scheme() &&
            origin.host() == url.host() && portOf(origin) == portOf(url))
            return true;
    }
    if (address.protocol() == QAbstractSocket::IPv4Protocol) return isPublic(address.toIPv4Address());
    if (address.protocol() != QAbstractSocket::IPv6Protocol || !address.scopeId().isEmpty()) return false;
    return isPublic(address.toIPv6Address());
}

} // namespace power::net
