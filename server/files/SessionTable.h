// The SQL of session files in the database: power.session_homes and power.session_files.
#pragma once
#include "files/Contents.h"
#include <QHash>
#include <QSqlDatabase>
#include <QStringList>

namespace power::files
{

struct SessionRef {
    QString principal, sessionId;
};

// A file, or (sha256 empty) an empty directory, as in the session's directory.
struct SessionFile {
    QString path;
    qint64 size = 0;
    QByteArray sha256; // hex
    SourceFacts source;
    QString home; // whose disk `source` is of
};

// A session as one of its homes finds it in the database.
struct SessionState {
    QString home;                        // the one that has the whole of it
    QList<SessionFile> files;            // the newest versions, wherever they were written
    QHash<QString, SessionFile> copies;  // by path: what this home had when another one wrote or deleted it
};

// All functions are bodies of jobs. `home` is who asks. A row that changes hands leaves a copy behind for the home that
// had it.
namespace sessiontable
{

inline constexpr char kHomesChannel[] = "power_homes";

// Of the own rows newer ones stay (changedNs decides); of another home's those that were modified later, unless they are
// what this home had before.
Result<Done> put(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QList<SessionFile> &files);
Result<SessionState> state(QSqlDatabase &connection, const SessionRef &session, const QString &home);
// Whether the row of that path is this home's and says the same of it, the checksum apart.
Result<bool> isKept(QSqlDatabase &connection, const SessionRef &session, const QString &home, const SessionFile &file);
// Those that are still as given; of another home's, those with the same content.
Result<Done> remove(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QList<SessionFile> &files);
// Files that are gone from this home's disk: those whose row is its, or has the content it had.
Result<Done> drop(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QStringList &paths);
// Of one path; an empty one: everything of the session, its home too.
Result<Done> forget(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QString &path);
// As they lie on this home's disk now; rows whose content is another one meanwhile stay.
Result<Done> moved(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QList<SessionFile> &files);
// This home has followed what happened to these elsewhere.
Result<Done> followed(QSqlDatabase &connection, const SessionRef &session, const QString &home, const QList<SessionFile> &copies);

// Makes `home` the session's home when it has none, or with `move`. Gives the home it has then. One that is new is told
// on kHomesChannel, as JSON: {home, principal, session}.
Result<QString> claim(QSqlDatabase &connection, const SessionRef &session, const QString &home, bool move);
// Tells on kHomesChannel that this home has changed files of a session that lives elsewhere; `deleted`: the session.
Result<Done> tell(QSqlDatabase &connection, const SessionRef &session, const QString &home, bool deleted = false);
// Whether this home has to follow others before it uses the session. `any`: whether the database knows it at all.
Result<bool> isElsewhere(QSqlDatabase &connection, const SessionRef &session, const QString &home, bool *any);
// Forgets copies of homes that have not come back for a month.
Result<Done> sweepCopies(QSqlDatabase &connection);

} // namespace sessiontable
} // namespace power::files
