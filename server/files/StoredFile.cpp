#include "files/FileStore.h"
#include <QUrl>

namespace power::files
{

namespace
{
QString quotedPart(const QString &part)
{
    return QString::fromLatin1(QUrl::toPercentEncoding(part));
}
} // namespace

bool StoredFile::isImage() const
{
    return mime == u"image/png" || mime == u"image/jpeg" || mime == u"image/gif" || mime == u"image/webp";
}

QString StoredFile::downloadPath() const
{
    return QStringLiteral("/dl/") + id + u'/' + quotedPart(name.section(u'/', -1)) + (signature.isEmpty() ? QString() : u'?' + signature);
}

QString StoredFile::chartPath() const
{
    QStringList parts;
    for (const QString &part : name.split(u'/'))
        parts << quotedPart(part);
    return QStringLiteral("/charts/") + quotedPart(chartSlug) + u'/' + parts.join(u'/');
}

} // namespace power::files
