// What a persistent dataset is: a named table of one principal in PostgreSQL.
#pragma once
#include <QDateTime>
#include <QJsonArray>
#include <QJsonObject>
#include <QList>
#include <QString>

namespace power::datasets {

struct Column {
    QString name;
    QString type;          // as PostgreSQL calls it: bigint, double precision, numeric, boolean, date, text, jsonb,
                           // timestamp without time zone, timestamp with time zone ...
    bool nullable = true;  // false: no value is missing
};

// The word pandas has for a type: int64, float64, bool, datetime64[ns], datetime64[ns, UTC], object.
QString dtypeOf(const Column &column);

struct Dataset {
    QString id;            // uuid
    QString name;          // unique for its principal; the table's name in SQL
    QString schema, table; // where the rows are; `table` is a name in SQL too
    QString description, format, source, origin; // origin "original": made by the Python server of old
    qint64 rows = 0, sizeBytes = 0; // size: table and indexes on disk
    QList<Column> columns;
    QDateTime created, updated;
};

// name, dtype, type, nullable of each (contract 8.2).
QJsonArray columnsJson(const QList<Column> &columns);
QList<Column> columnsFrom(const QJsonArray &json);
// dataset_id, name, table_name, format, row_count, column_count, columns, size_mb, created_at, source_filename.
QJsonObject datasetJson(const Dataset &dataset);

} // namespace power::datasets
