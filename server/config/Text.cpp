// What people read about the settings: --help, the README's table, the redacted print.
#include "config/Reader.h"
#include <QJsonObject>
#include <QRegularExpression>

namespace power::config {

namespace {
QString acceptedValues(const Declaration &d)
{
    if (d.form == Form::Choice)
        return d.choices.join(QStringLiteral(", "));
    return {};
}

// Words of `text` in lines of at most 78 characters behind `indent` blanks.
QString wrapped(const QString &text, int indent)
{
    const QString margin(indent, u' ');
    QString out, line;
    for (const QString &part : text.split(u' ')) {
        if (!line.isEmpty() && indent + line.size() + 1 + part.size() > 78) {
            out += margin + line + u'\n';
            line.clear();
        }
        line += (line.isEmpty() ? QString() : QStringLiteral(" ")) + part;
    }
    return out + margin + line + u'\n';
}

QString markdownCell(QString text)
{
    return text.replace(u'|', QStringLiteral("\\|")).replace(u'{', QStringLiteral("\\{"));
}
} // namespace

QString Settings::helpText()
{
    QString out = QStringLiteral(
        "Usage: power-interpreter [--SETTING VALUE]...\n\n"
        "Every setting is an environment variable and a flag of the same name (PORT or --port 8000).\n"
        "A flag wins over the environment.\n");
    QString group;
    for (const Declaration &d : declarations()) {
        if (d.group != group) {
            group = d.group;
            out += u'\n' + group + QStringLiteral(":\n");
        }
        out += QStringLiteral("  %1, %2\n").arg(d.name, d.flag());
        QString text = d.help;
        if (const QString values = acceptedValues(d); !values.isEmpty())
            text += QStringLiteral(" One of: %1.").arg(values);
        text += QStringLiteral(" Default: %1.").arg(d.shownStandard());
        if (!d.aliases.isEmpty())
            text += QStringLiteral(" Also: %1.").arg(d.aliases.join(QStringLiteral(", ")));
        out += wrapped(text, 6);
    }
    return out + QStringLiteral("\nOther:\n  --help      this text\n  --version   the version\n");
}

QString Settings::markdownTable()
{
    QString out = QStringLiteral("| name | default | meaning |\n| --- | --- | --- |\n");
    for (const Declaration &d : declarations()) {
        QStringList names{QStringLiteral("`%1`").arg(d.name)};
        for (const QString &alias : d.aliases)
            names += QStringLiteral("`%1`").arg(alias);
        QString help = d.help;
        if (const QString values = acceptedValues(d); !values.isEmpty())
            help += QStringLiteral(" One of: %1.").arg(values);
        out += QStringLiteral("| %1 | %2 | %3 |\n")
                   .arg(names.join(QStringLiteral(", ")), markdownCell(d.shownStandard()), markdownCell(help));
    }
    return out;
}

QString redactedUrl(const QString &url)
{
    // By text, not by QUrl: a password that breaks the parser must not appear either.
    static const QRegularExpression user(QStringLiteral("^([^:]*://[^:@/?]*:).*(@[^@]*)$"),
                                         QRegularExpression::DotMatchesEverythingOption);
    static const QRegularExpression query(QStringLiteral("([?&](?:ssl)?password=)[^&]*"),
                                          QRegularExpression::CaseInsensitiveOption);
    QString out = url;
    out.replace(user, QStringLiteral("\\1***\\2"));
    out.replace(query, QStringLiteral("\\1***"));
    return out;
}

QJsonObject Settings::redacted() const
{
    QJsonObject all;
    for (const Declaration &d : declarations()) {
        QString text = writtenValue(*this, d);
        if (d.secrecy == Secrecy::UrlPassword)
            text = redactedUrl(text);
        else if (d.secrecy == Secrecy::Secret && !text.isEmpty())
            text = QStringLiteral("***");
        all.insert(d.name, text);
    }
    return all;
}

} // namespace power::config
