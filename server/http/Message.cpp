#include "http/Message.h"
#include <QJsonDocument>

namespace power::http {

QByteArray Headers::value(QByteArrayView name) const
{
    for (const Field &field : m_fields) {
        if (QByteArrayView(field.name).compare(name, Qt::CaseInsensitive) == 0)
            return field.value;
    }
    return {};
}

bool Headers::contains(QByteArrayView name) const
{
    for (const Field &field : m_fields) {
        if (QByteArrayView(field.name).compare(name, Qt::CaseInsensitive) == 0)
            return true;
    }
    return false;
}

void Headers::add(QByteArray name, QByteArray value)
{
    m_fields.append({std::move(name), std::move(value)});
}

void Headers::set(QByteArray name, QByteArray value)
{
    m_fields.removeIf([&name](const Field &field) {
        return QByteArrayView(field.name).compare(QByteArrayView(name), Qt::CaseInsensitive) == 0;
    });
    add(std::move(name), std::move(value));
}

Response Response::json(int status, const QJsonObject &object)
{
    return bytes(status, QByteArrayLiteral("application/json"), QJsonDocument(object).toJson(QJsonDocument::Compact));
}

Response Response::bytes(int status, QByteArray contentType, QByteArray body)
{
    Response response;
    response.status = status;
    response.headers.add(QByteArrayLiteral("Content-Type"), std::move(contentType));
    response.body = std::move(body);
    return response;
}

Response Response::empty(int status)
{
    Response response;
    response.status = status;
    return response;
}

} // namespace power::http
