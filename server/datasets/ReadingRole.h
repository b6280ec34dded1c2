// Who runs agents' SQL: a login role for each principal that owns nothing and sees one schema, in which the principal's
// datasets are views. The wall is the database's: there is no list of forbidden words. Only for this folder.
#pragma once
#include "base/Error.h"
#include <QSqlDatabase>
#include <QString>
#include <QStringList>

namespace power::datasets {

// Role and schema have the same name, the same at every server of this database.
struct Reader {
    QString role;
    QString password; // the same at every server too; made from a secret of the store
};

// Error: Unavailable.
Result<Reader> readerOf(QSqlDatabase &connection, const QString &principal);

// Makes role and schema where they are missing, sets password, limits and rights. Inside the caller's transaction, which
// goes on after a refusal. Error: Forbidden when the server's own role may not make roles.
Result<Done> makeReader(QSqlDatabase &connection, const Reader &reader);

// For a database that is ours alone: takes from everybody what no query of data needs: the catalog's tables, locks by
// number, large objects, notifications, settings, signals to other backends. Our own role is its superuser.
Result<Done> closeCatalog(QSqlDatabase &connection);

// Makes the views of every dataset of `principal` that is called `name` but for its case: by its own name, by its name in
// lower case when no other has that (SQL folds names without quotes), by its table name. Views of datasets that are gone
// go. Role and schema are made when they are missing. `gone`: table names that no longer exist; their views go too.
Result<Done> publish(QSqlDatabase &connection, const Reader &reader, const QString &principal, const QString &name,
                     const QStringList &gone = {});

} // namespace power::datasets
