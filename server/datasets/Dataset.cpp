#include "datasets/Dataset.h"
#include <QJsonObject>

namespace power::datasets {

QString dtypeOf(const Column &column)
{
    const QString &type = column.type;
    if (type == u"bigint" || type == u"integer" || type == u"smallint")
        return column.nullable ? QStringLiteral("Int64") : QStringLiteral("int64");
    if (type == u"double precision" || type == u"real")
        return QStringLiteral("float64");
    if (type == u"boolean")
        return column.nullable ? QStringLiteral("boolean") : QStringLiteral("bool");
    if (type == u"date" || type == u"timestamp without time zone")
        return QStringLiteral("datetime64[ns]");
    if (type == u"timestamp with time zone")
        return QStringLiteral("datetime64[ns, UTC]");
    return QStringLiteral("object");
}

QJsonArray columnsJson(const QList<Column> &columns)
{
    QJsonArray list;
    for (const Column &column : columns)
        list.append(QJsonObject{{QStringLiteral("name"), column.name},
                                {QStringLiteral("dtype"), dtypeOf(column)},
                                {QStringLiteral("type"), column.type},
                                {QStringLiteral("nullable"), column.nullable}});
    return list;
}

QList<Column> columnsFrom(const QJsonArray &json)
{
    QList<Column> columns;
    for (const QJsonValue &each : json)
        columns.append({each[QLatin1String("name")].toString(), each[QLatin1String("type")].toString(),
                        each[QLatin1String("nullable")].toBool(true)});
    return columns;
}

QJsonObject datasetJson(const Dataset &dataset)
{
    const double megabytes = double(dataset.sizeBytes) / (1 << 20);
    const QJsonValue none;
    return {{QStringLiteral("dataset_id"), dataset.id},
            {QStringLiteral("name"), dataset.name},
            {QStringLiteral("table_name"), dataset.table},
            {QStringLiteral("format"), dataset.format.isEmpty() ? none : QJsonValue(dataset.format)},
            {QStringLiteral("row_count"), dataset.rows},
            {QStringLiteral("column_count"), dataset.columns.size()},
            {QStringLiteral("columns"), columnsJson(dataset.columns)},
            {QStringLiteral("size_mb"), double(qRound64(megabytes * 100)) / 100},
            {QStringLiteral("created_at"), dataset.created.toUTC().toString(Qt::ISODateWithMs)},
            {QStringLiteral("source_filename"), dataset.source.isEmpty() ? none : QJsonValue(dataset.source)}};
}

} // namespace power::datasets
