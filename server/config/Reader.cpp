#include "config/Reader.h"
#include <QDir>
#include <QHostAddress>
#include <QUrl>

namespace power::config {

namespace {
bool isHttp(const QUrl &url)
{
    return url.isValid() && !url.host().isEmpty() && url.userInfo().isEmpty()
           && (url.scheme() == u"http" || url.scheme() == u"https");
}

// Splits a comma list; surrounding blanks and empty parts do not count.
QStringList parts(const QString &text)
{
    QStringList list;
    for (const QString &part : text.split(u',')) {
        if (const QString trimmed = part.trimmed(); !trimmed.isEmpty())
            list += trimmed;
    }
    return list;
}

// scheme://host[:port] in the form a browser sends; empty when it is none.
QString canonicalOrigin(const QString &text)
{
    const QUrl url(text, QUrl::StrictMode);
    if (!isHttp(url) || !(url.path().isEmpty() || url.path() == u"/") || url.hasQuery() || url.hasFragment())
        return {};
    return url.toString(QUrl::RemovePath | QUrl::RemoveUserInfo).toLower();
}

// What is wrong with `text`, as the end of a sentence; empty when it was taken.
QString takeText(QString &field, const Declaration &d, const QString &text)
{
    switch (d.form) {
    case Form::Path:
        field = QDir::cleanPath(QDir::current().absoluteFilePath(text));
        return {};
    case Form::Choice:
        for (const QString &choice : d.choices) {
            if (choice.compare(text.trimmed(), Qt::CaseInsensitive) == 0) {
                field = choice;
                return {};
            }
        }
        return QStringLiteral("must be one of ") + d.choices.join(QStringLiteral(", "));
    case Form::Host:
        field = text.trimmed();
        if (field == u"localhost" || !QHostAddress(field).isNull())
            return {};
        return QStringLiteral("must be an IP address or localhost");
    case Form::HttpUrl: {
        const QUrl url(text.trimmed(), QUrl::StrictMode);
        if (!isHttp(url) || url.hasQuery() || url.hasFragment())
            return QStringLiteral("must look like https://host or http://host:port/path");
        field = url.toString(QUrl::StripTrailingSlash);
        while (field.endsWith(u'/'))
            field.chop(1);
        return {};
    }
    case Form::PostgresUrl: {
        const QUrl url(text.trimmed(), QUrl::TolerantMode);
        const QString scheme = url.scheme().section(u'+', 0, 0);
        if (scheme != u"postgres" && scheme != u"postgresql")
            return QStringLiteral("must start with postgres:// or postgresql://");
        field = text.trimmed();
        return {};
    }
    default:
        field = text;
        return {};
    }
}

QString takeList(QStringList &field, const Declaration &d, const QString &text)
{
    field.clear();
    for (const QString &part : parts(text)) {
        const bool any = part == u"*";
        const QString value = d.form != Form::Origins || any ? part : canonicalOrigin(part);
        if (value.isEmpty())
            return QStringLiteral("must be a comma list of origins like https://host:port; \"%1\" is none").arg(part);
        field += value;
    }
    return {};
}

QString takeNumber(qint64 &field, const Declaration &d, const QString &text)
{
    bool isNumber = false;
    const qint64 value = text.trimmed().toLongLong(&isNumber);
    if (!isNumber || value < d.least || value > d.most)
        return QStringLiteral("must be a whole number from %1 to %2").arg(d.least).arg(d.most);
    field = value;
    return {};
}

QString takeSwitch(bool &field, const QString &text)
{
    const QString value = text.trimmed().toLower();
    static const QStringList yes{QStringLiteral("true"), QStringLiteral("yes"), QStringLiteral("on"), QStringLiteral("1")};
    static const QStringList no{QStringLiteral("false"), QStringLiteral("no"), QStringLiteral("off"), QStringLiteral("0")};
    if (!yes.contains(value) && !no.contains(value))
        return QStringLiteral("must be true or false");
    field = yes.contains(value);
    return {};
}
} // namespace

QString readValue(Settings &settings, const Declaration &declaration, const QString &shownName, const QString &text)
{
    QString problem;
    if (auto member = std::get_if<QString Settings::*>(&declaration.field))
        problem = takeText(settings.**member, declaration, text);
    else if (auto list = std::get_if<QStringList Settings::*>(&declaration.field))
        problem = takeList(settings.**list, declaration, text);
    else if (auto number = std::get_if<qint64 Settings::*>(&declaration.field))
        problem = takeNumber(settings.**number, declaration, text);
    else
        problem = takeSwitch(settings.*std::get<bool Settings::*>(declaration.field), text);
    if (problem.isEmpty())
        return {};
    if (declaration.secrecy != Secrecy::Open)
        return QStringLiteral("%1 %2.").arg(shownName, problem);
    return QStringLiteral("%1 is \"%2\"; it %3.").arg(shownName, text.left(100), problem);
}

QString writtenValue(const Settings &settings, const Declaration &declaration)
{
    if (auto member = std::get_if<QString Settings::*>(&declaration.field))
        return settings.**member;
    if (auto list = std::get_if<QStringList Settings::*>(&declaration.field))
        return (settings.**list).join(u',');
    if (auto number = std::get_if<qint64 Settings::*>(&declaration.field))
        return QString::number(settings.**number);
    return settings.*std::get<bool Settings::*>(declaration.field) ? QStringLiteral("true") : QStringLiteral("false");
}

} // namespace power::config
