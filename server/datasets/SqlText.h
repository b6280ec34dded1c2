// The little that must be known of an agent's SQL text before PostgreSQL reads it: where it ends, its first word, and the
// places of named parameters. No wall: that is the reading role's. Only for this folder.
#pragma once
#include <QByteArray>
#include <QByteArrayList>
#include <QSet>

namespace power::datasets {

struct SqlText {
    QByteArray sql;          // without a semicolon at its end and what follows it; :name is $1, $2 ... (in order of `named`)
    QByteArray firstWord;    // upper case, behind comments and parentheses
    QByteArrayList named;    // parameters found, each once
};

// names: those that are parameters; other :words stay as they are.
SqlText readSql(const QByteArray &sql, const QSet<QByteArray> &names);

} // namespace power::datasets
