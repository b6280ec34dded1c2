// Values of PostgreSQL as JSON, exactly. Only for this folder.
#pragma once
#include <QByteArrayView>
#include <QJsonValue>
#include <QString>

namespace power::datasets {

// text: the value as PostgreSQL writes it; type: format_type of it without a modifier. Integers and numerics that a JSON
// number holds exactly, and floats, are numbers; else text. Timestamps in ISO 8601.
QJsonValue cellOf(QByteArrayView text, const QString &type);

} // namespace power::datasets
