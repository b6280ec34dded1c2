#include "net/ShareLinks.h"
#include <QRegularExpression>
#include <QUrlQuery>

namespace power::net
{

namespace
{
bool isHost(const QUrl &link, QLatin1String domain)
{
    const QString host = link.host().toLower();
    return host == domain || host.endsWith(u'.' + QString(domain));
}

QString firstMatch(const QString &text, const char *pattern)
{
    const QRegularExpressionMatch match = QRegularExpression(QLatin1String(pattern)).match(text);
    return match.hasMatch() ? match.captured(1) : QString();
}

QUrl withQuery(QUrl link, const char *key, const char *value)
{
    QUrlQuery query(link);
    query.removeAllQueryItems(QLatin1String(key));
    query.addQueryItem(QLatin1String(key), QLatin1String(value));
    link.setQuery(query);
    return link;
}

QUrl withPath(QUrl link, const QString &path)
{
    link.setPath(path, QUrl::DecodedMode);
    link.setFragment({});
    return link;
}

DirectLink googleDrive(const QUrl &link)
{
    QString id = firstMatch(link.path(), "^/file/(?:u/\\d+/)?d/([\\w-]+)");
    const bool byQuery = link.path() == u"/open" || link.path() == u"/uc";
    if (id.isEmpty() && byQuery) id = QUrlQuery(link).queryItemValue(QStringLiteral("id"));
    if (id.isEmpty()) return {link, {}, {}};
    QUrl direct(QStringLiteral("https://drive.usercontent.google.com/download"));
    QUrlQuery query{{QStringLiteral("id"), id}, {QStringLiteral("export"), QStringLiteral("download")},
                    {QStringLiteral("confirm"), QStringLiteral("t")}}; // no question about large files
    if (const QString key = QUrlQuery(link).queryItemValue(QStringLiteral("resourcekey")); !key.isEmpty())
        query.addQueryItem(QStringLiteral("resourcekey"), key);
    direct.setQuery(query);
    return {direct, QStringLiteral("Google Drive"), {}};
}

DirectLink googleDocs(const QUrl &link)
{
    static const struct {
        const char *kind, *format, *path, *name;
    } kinds[] = {{"spreadsheets", "xlsx", "/export", "Google Sheets"},
                 {"document", "docx", "/export", "Google Docs"},
                 {"presentation", "pptx", "/export/pptx", "Google Slides"}};
    // "/a/example.org" and "/u/1" say which of the reader's accounts opened it.
    static const QRegularExpression account(QStringLiteral("^(?:/a/[^/]+)?(/[a-z]+)(?:/u/\\d+)?(/.*)$"));
    const QRegularExpressionMatch match = account.match(link.path());
    const QString path = match.captured(1) + match.captured(2);
    for (const auto &kind : kinds) {
        const QString root = u'/' + QLatin1String(kind.kind) + QStringLiteral("/d/");
        const QLatin1String format(kind.format), name(kind.name);
        if (!path.startsWith(root) || path.contains(QLatin1String("/export"))) continue;
        const QString rest = path.mid(root.size());
        if (rest.startsWith(QLatin1String("e/"))) { // published to the web
            if (QLatin1String(kind.kind) != QLatin1String("spreadsheets")) return {link, {}, {}};
            const QUrl direct = withPath(link, root + QStringLiteral("e/") + rest.section(u'/', 1, 1) + QStringLiteral("/pub"));
            const QString wanted = QUrlQuery(link).queryItemValue(QStringLiteral("output"));
            return wanted.isEmpty() || wanted == u"html" ? DirectLink{withQuery(direct, "output", kind.format), name, format}
                                                         : DirectLink{link, name, wanted};
        }
        QUrl direct(QStringLiteral("https://docs.google.com"));
        direct.setPath(root + rest.section(u'/', 0, 0) + QLatin1String(kind.path));
        if (QLatin1String(kind.path) == QLatin1String("/export")) direct = withQuery(direct, "format", kind.format);
        return {direct, name, format};
    }
    return {link, {}, {}};
}

// "/-/blob/", "/blob/", "/src/" ... is the page about a file; `raw` the file. The query and the line numbers go.
DirectLink rawFile(const QUrl &link, const char *pattern, const char *raw, const char *name)
{
    const QRegularExpression page{QLatin1String(pattern)};
    const QString path = link.path(QUrl::FullyDecoded);
    const QRegularExpressionMatch match = page.match(path);
    if (!match.hasMatch()) return {link, {}, {}};
    QUrl direct = withPath(link, match.captured(1) + QLatin1String(raw) + match.captured(2));
    direct.setQuery(QString());
    return {direct, QLatin1String(name), {}};
}

DirectLink oneDrive(const QUrl &link)
{
    const QByteArray id = link.toEncoded().toBase64(QByteArray::Base64UrlEncoding | QByteArray::OmitTrailingEquals);
    return {QUrl(QStringLiteral("https://api.onedrive.com/v1.0/shares/u!%1/root/content").arg(QString::fromLatin1(id))),
            QStringLiteral("OneDrive"), {}};
}
} // namespace

DirectLink directLink(const QUrl &link)
{
    const QString host = link.host().toLower();
    const QString path = link.path();
    if (link.scheme() != u"https" && link.scheme() != u"http") return {link, {}, {}};
    if (host == u"drive.google.com") return googleDrive(link);
    if (host == u"docs.google.com" && path == u"/uc") return googleDrive(link);
    if (host == u"docs.google.com") return googleDocs(link);
    const bool dropboxFile = path.startsWith(u"/s/") || path.startsWith(u"/scl/fi/") || path.startsWith(u"/sh/") || path.startsWith(u"/scl/fo/");
    if (isHost(link, QLatin1String("dropbox.com")) && dropboxFile) return {withQuery(link, "dl", "1"), QStringLiteral("Dropbox"), {}};
    if (host == u"1drv.ms" || (host == u"onedrive.live.com" && !path.startsWith(u"/download"))) return oneDrive(link);
    static const QRegularExpression shared(QStringLiteral("^/:[a-z]:/"));
    if (isHost(link, QLatin1String("sharepoint.com")) && shared.match(path).hasMatch())
        return {withQuery(link, "download", "1"), QStringLiteral("SharePoint"), {}};
    if (host == u"github.com" || host == u"www.github.com") return rawFile(link, "^(/[^/]+/[^/]+)/blob/(.+)$", "/raw/", "GitHub");
    if (host == u"gist.github.com") return rawFile(link, "^(/[^/]+/[0-9a-f]{20,})/?()$", "/raw", "GitHub Gist");
    if (host == u"gitlab.com") return rawFile(link, "^(/.+)/-/blob/(.+)$", "/-/raw/", "GitLab");
    if (host == u"bitbucket.org") return rawFile(link, "^(/[^/]+/[^/]+)/src/(.+/.+)$", "/raw/", "Bitbucket");
    if (host == u"huggingface.co") return rawFile(link, "^(/.+)/blob/(.+)$", "/resolve/", "Hugging Face");
    return {link, {}, {}};
}

} // namespace power::net
