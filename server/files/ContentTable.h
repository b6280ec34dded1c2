// The SQL of contents in the database: power.contents and power.content_pieces.
#pragma once
#include "base/Error.h"
#include <QSqlDatabase>
#include <chrono>

namespace power::files::contents
{

constexpr qint64 pieceBytes = 1 << 20;

// All functions are bodies of jobs.

// Found and renewed: it is not swept for a while. False: not there.
Result<bool> renew(QSqlDatabase &connection, const QByteArray &sha256);
// Begins a content that nobody finds yet.
Result<Done> begin(QSqlDatabase &connection, const QString &id, const QByteArray &sha256, qint64 size);
Result<Done> addPieces(QSqlDatabase &connection, const QString &id, int first, const QList<QByteArray> &pieces);
// It is found from now on. Errors: Conflict: the same content is there already; NotFound: it was swept meanwhile.
Result<Done> finish(QSqlDatabase &connection, const QString &id);

// Its id, renewed when that was long ago, so that a running download is not swept; empty: not there.
Result<QString> find(QSqlDatabase &connection, const QByteArray &sha256);
// Empty: there is none.
Result<QByteArray> piece(QSqlDatabase &connection, const QString &id, int n);

// What a row has just ceased to refer to: swept next, unless something else refers to it or somebody just stored it again.
Result<Done> release(QSqlDatabase &connection, const QByteArray &sha256);
Result<qint64> allBytes(QSqlDatabase &connection);
// One bounded step of sweeping what nothing refers to, and what was begun and not finished, `age` ago: gives how many
// rows it deleted; 0 = there is nothing left to do.
Result<int> sweepStep(QSqlDatabase &connection, std::chrono::seconds age);

} // namespace power::files::contents
