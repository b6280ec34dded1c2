#include "workspace/Names.h"
#include <QDateTime>
#include <QStringList>
#include <atomic>

namespace power::workspace
{

namespace
{
Unexpected<Error> refused(const QString &message, const QString &next)
{
    return fail(ErrorCode::InvalidArgument, message, next);
}

QString shortened(const QString &text)
{
    return text.size() <= 200 ? text : text.left(197) + QStringLiteral("...");
}

bool isDrivePath(const QString &text)
{
    return text.size() >= 3 && text[0].unicode() < 128 && text[0].isLetter() && text[1] == u':' &&
           (text[2] == u'\\' || text[2] == u'/');
}

// "/home/ubuntu/uploads/x.csv", "C:\x.csv": a place this server has no access to.
Unexpected<Error> foreignPath(const QString &given, const PathRule &rule)
{
    const QString name = uploadName(given);
    const QString here = QStringLiteral("/app/sandbox_data/%1/").arg(rule.sessionId);
    if (rule.exists(name)) {
        return refused(QStringLiteral("\"%1\" is not a path of this session; the session's files are in %2.")
                           .arg(shortened(given), here),
                       QStringLiteral("A file \"%1\" is in this session: use that name.").arg(name));
    }
    return refused(
        QStringLiteral("\"%1\" is a path on another machine or outside the session: this server cannot see "
                       "client-side files. The session's files are in %2.")
            .arg(shortened(given), here),
        QStringLiteral(
            "Bring \"%1\" in with fetch_from_url (a URL) or upload_file (its content), then use the "
            "bare name \"%1\".")
            .arg(name));
}

// Plain components joined again, without empty ones and ".".
Result<QString> normalised(const QString &path, const QString &given)
{
    QStringList parts;
    for (const QString &part : path.split(u'/', Qt::SkipEmptyParts)) {
        if (part == u".") continue;
        if (part == u"..") {
            return refused(
                QStringLiteral("\"%1\" contains \"..\"; paths may not climb out of the session's directory.")
                    .arg(shortened(given)),
                QStringLiteral("Use a name relative to the session's directory."));
        }
        if (part.toUtf8().size() > 255) {
            return refused(QStringLiteral("\"%1\" is too long: a file name has at most 255 bytes.")
                               .arg(shortened(given)),
                           QStringLiteral("Use a shorter name."));
        }
        parts << part;
    }
    if (parts.isEmpty()) {
        return refused(QStringLiteral("\"%1\" names a directory, not a file.").arg(shortened(given)),
                       QStringLiteral("Add the file's name."));
    }
    const QString joined = parts.join(u'/');
    if (joined.toUtf8().size() > 3500) {
        return refused(QStringLiteral("The path is too long (at most 3,500 bytes)."),
                       QStringLiteral("Use a shorter one."));
    }
    return joined;
}

// "<session>/name" when the workspace has no such directory: models repeat the prefix.
QString withoutDoubledPrefix(QString path, const PathRule &rule)
{
    for (const QString &prefix :
         {QStringLiteral("app/sandbox_data/"), QStringLiteral("sandbox_data/"), rule.sessionId + u'/'}) {
        while (path.startsWith(prefix) && path.size() > prefix.size() && !rule.exists(path) &&
               (rule.exists(path.mid(prefix.size())) || !rule.exists(prefix.chopped(1))))
            path = path.mid(prefix.size());
    }
    return path;
}

// What stands behind /app/sandbox_data/: "<session>/name", or "name" in the old root of `default` (R2).
Result<QString> insideRoot(const QString &rest, const QString &given, const PathRule &rule)
{
    Result<QString> path = normalised(rest, given);
    if (!path) return path;
    const QString own = rule.sessionId + u'/';
    if (path->startsWith(own)) return withoutDoubledPrefix(path->mid(own.size()), rule);
    const qsizetype slash = path->indexOf(u'/');
    if (rule.sessionId == u"default" && (slash < 0 || rule.exists(*path))) return path;
    if (slash < 0) {
        return refused(
            QStringLiteral(
                "\"%1\" lies beside the session directories; only session `default` keeps files there.")
                .arg(shortened(given)),
            QStringLiteral("Use \"%1\" or \"/app/sandbox_data/%2/%1\".").arg(*path, rule.sessionId));
    }
    return refused(
        QStringLiteral(
            "\"%1\" belongs to session \"%2\"; this call is about session \"%3\", and sessions do not see "
            "each other's files.")
            .arg(shortened(given), path->left(slash), rule.sessionId),
        QStringLiteral("Pass session_id=\"%1\", or use a file of this session.").arg(path->left(slash)));
}

// Two within one second (a form with .env and .gitignore) are two files.
QString namelessFile()
{
    static std::atomic<qint64> last{0};
    qint64 before = last.load(), stamp = 0;
    do
        stamp = qMax(QDateTime::currentSecsSinceEpoch(), before + 1);
    while (!last.compare_exchange_weak(before, stamp));
    return QStringLiteral("file_%1").arg(stamp);
}
} // namespace

QString uploadName(const QString &given)
{
    const qsizetype cut = qMax(given.lastIndexOf(u'/'), given.lastIndexOf(u'\\'));
    QString name;
    for (const char32_t c : given.mid(cut + 1).toUcs4()) {
        const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
        const bool lone = c >= 0xd800 && c < 0xe000;
        if (!control && !lone && c <= 0x10ffff) name += QString::fromUcs4(&c, 1);
    }
    name = name.trimmed();
    if (name.isEmpty() || name.startsWith(u'.'))
        return namelessFile();
    if (name.toUtf8().size() > 255) {
        const qsizetype dot = name.lastIndexOf(u'.');
        const QString extension = dot > 0 && name.size() - dot <= 16 ? name.mid(dot) : QString();
        QString stem = name.chopped(extension.size());
        while (!stem.isEmpty() && stem.toUtf8().size() + extension.toUtf8().size() > 255)
            stem.chop(stem.back().isLowSurrogate() ? 2 : 1);
        name = stem + extension;
    }
    return name;
}

Result<QString> resolvePath(const QString &given, const PathRule &rule)
{
    if (given.isEmpty())
        return refused(QStringLiteral("The file name is empty."),
                       QStringLiteral("list_files shows what there is."));
    if (!given.isValidUtf16() || given.contains(QChar(0)))
        return refused(QStringLiteral("The file name contains a NUL character or broken Unicode."),
                       QStringLiteral("Use a plain name."));
    if (given.endsWith(u'/'))
        return refused(QStringLiteral("\"%1\" names a directory, not a file.").arg(shortened(given)),
                       QStringLiteral("Add the file's name."));
    if (isDrivePath(given)) return foreignPath(given, rule);
    const QString root = QStringLiteral("/app/sandbox_data/");
    if (given.startsWith(root)) return insideRoot(given.mid(root.size()), given, rule);
    if (!rule.hostPath.isEmpty() && given.startsWith(rule.hostPath + u'/'))
        return normalised(given.mid(rule.hostPath.size()), given);
    for (const char *prefix : {"/tmp/", "/var/tmp/", "/temp/"}) {
        if (!given.startsWith(QLatin1String(prefix))) continue;
        Result<QString> path = normalised(given.mid(qsizetype(qstrlen(prefix))), given);
        if (!path) return path;
        const QString scratch = QStringLiteral("/tmp/") + *path;
        // Old clients say /tmp/x for a file that lies in the session's directory.
        return !rule.exists(scratch) && rule.exists(*path) ? path : Result<QString>(scratch);
    }
    if (given.startsWith(u'/')) return foreignPath(given, rule);
    Result<QString> path = normalised(given, given);
    if (!path) return path;
    return withoutDoubledPrefix(*path, rule);
}

} // namespace power::workspace
