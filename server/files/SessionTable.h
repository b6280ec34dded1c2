// The SQL of session files in the database: power.session_homes and power.session_files.
#pragma once
#include "files/Contents.h"
#include <QSqlDatabase>

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
};

// All functions are bodies of jobs.
namespace sessiontable
{

inline constexpr char kHomesChannel[] = "power_homes";

// Newer rows stay: changedNs decides.
Result<Done> put(QSqlDatabase &connection, const SessionRef &session, const QList<SessionFile> &files);
Result<QList<SessionFile>> all(QSqlDatabase &connection, const SessionRef &session);
// Whether the row of that path says the same of it, the checksum apart.
Result<bool> isKept(QSqlDatabase &connection, const SessionRef &session, const SessionFile &file);
// Those that are still as given.
Result<Done> remove(QSqlDatabase &connection, const SessionRef &session, const QList<SessionFile> &files);
// Of one path; an empty one: everything of the session, its home too.
Result<Done> forget(QSqlDatabase &connection, const SessionRef &session, const QString &path);
// As they lie on a new home's disk.
Result<Done> moved(QSqlDatabase &connection, const SessionRef &session, const QList<SessionFile> &files);

// Of a session that has a home already it changes only with `move`. A home that is new is told on kHomesChannel, as JSON:
// {home, principal, session}.
Result<Done> setHome(QSqlDatabase &connection, const SessionRef &session, const QString &home, bool move);
// Its home; empty when there is none. `any`: whether the database knows the session at all.
Result<QString> home(QSqlDatabase &connection, const SessionRef &session, bool *any);

// The secret of that name, `fresh` when there is none yet.
Result<QByteArray> secret(QSqlDatabase &connection, const QString &name, const QByteArray &fresh);

} // namespace sessiontable
} // namespace power::files
