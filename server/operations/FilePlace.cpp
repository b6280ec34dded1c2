#include "operations/FilePlace.h"
#include <QUrl>

namespace power::operations {

namespace {
struct Named {
    QString session, path;
    QString id;          // of a /dl link
    bool chart = false;  // session is a slug of /charts links
};

QString decodedPart(const QString &text)
{
    return QUrl::fromPercentEncoding(text.toUtf8());
}

Named readName(const QString &sessionId, QString given)
{
    for (const char *prefix : {"sandbox:", "file://"}) {
        if (given.startsWith(QLatin1String(prefix)))
            given = decodedPart(given.mid(qsizetype(qstrlen(prefix))));
    }
    const QString resources = QStringLiteral("power://sessions/");
    if (given.startsWith(resources) && given.section(u'/', 4, 4) == u"files")
        return {decodedPart(given.section(u'/', 3, 3)), decodedPart(given.section(u'/', 5)), {}};
    QString path = given;
    if (given.startsWith(u"http://") || given.startsWith(u"https://"))
        path = u'/' + given.section(u'/', 3).section(u'?', 0, 0).section(u'#', 0, 0);
    if (path.startsWith(u"/dl/"))
        return {sessionId, decodedPart(path.section(u'/', 3)), path.section(u'/', 2, 2)};
    if (path.startsWith(u"/charts/"))
        return {decodedPart(path.section(u'/', 2, 2)), decodedPart(path.section(u'/', 3)), {}, true};
    return {sessionId, given, {}};
}
} // namespace

QCoro::Task<Result<FilePlace>> placeOf(Services *services, Caller caller, QString sessionId, QString given)
{
    Named named = readName(sessionId, given);
    if (!named.id.isEmpty() || named.chart) {
        const QString first = named.chart ? named.session : named.id;
        const QString name = named.path;
        Result<files::OpenedFile> opened = fail(ErrorCode::NotFound, QString());
        if (named.chart)
            opened = co_await services->files.openChart(first, name);
        else
            opened = co_await services->files.open(first);
        if (!opened)
            co_return Unexpected<Error>{opened.error()};
        if (opened->file.principal != caller.principal)
            co_return fail(ErrorCode::NotFound, QStringLiteral("No such file."), QStringLiteral("list_files shows what there is."));
        named.session = opened->file.sessionId;
        named.path = opened->file.name;
    }
    const auto key = sessionKey(caller, {{QStringLiteral("session_id"), named.session}});
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey its = *key;
    const Result<Done> ready = co_await services->sessions.prepare(its); // a link may name another one than the call
    if (!ready)
        co_return Unexpected<Error>{ready.error()};
    const auto space = services->sessions.workspace(its);
    if (!space)
        co_return Unexpected<Error>{space.error()};
    const Result<QString> path = (*space)->resolve(named.path);
    if (!path)
        co_return Unexpected<Error>{path.error()};
    co_return FilePlace{its, *space, *path};
}

} // namespace power::operations
