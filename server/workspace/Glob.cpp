#include "workspace/Glob.h"

namespace power::workspace
{

Result<Glob> Glob::parse(const QString &pattern)
{
    Glob glob;
    QString given = pattern.trimmed();
    while (given.startsWith(u"./"))
        given.remove(0, 2);
    glob.m_all = given.isEmpty() || given == u"**" || given == u"*";
    glob.m_lastPart = !given.contains(u'/');
    QString rule;
    const auto refused = [&pattern] {
        return fail(ErrorCode::InvalidArgument, QStringLiteral("\"%1\" is no pattern for paths.").arg(pattern.left(100)),
                    QStringLiteral("Write for example \"*.csv\", \"out/*.png\" or \"**/data/*\"."));
    };
    if (given.size() > 500 || given.split(u'/').contains(QStringLiteral(".."))) return refused();
    for (qsizetype i = 0; i < given.size(); ++i) {
        const QChar c = given.at(i);
        if (QStringView(given).mid(i).startsWith(u"**/")) {
            rule += QStringLiteral("(?:[^/]+/)*");
            i += 2;
        } else if (QStringView(given).mid(i).startsWith(u"**")) {
            rule += QStringLiteral(".*");
            i += 1;
        } else if (c == u'*') {
            rule += QStringLiteral("[^/]*");
        } else if (c == u'?') {
            rule += QStringLiteral("[^/]");
        } else if (c == u'[') {
            const qsizetype end = given.indexOf(u']', i + 2);
            if (end < 0) return refused();
            QString inside = given.mid(i + 1, end - i - 1);
            const bool not_ = inside.startsWith(u'!') || inside.startsWith(u'^');
            if (not_) inside.remove(0, 1);
            inside.replace(u'\\', QStringLiteral("\\\\")).replace(u'[', QStringLiteral("\\[")).replace(u'^', QStringLiteral("\\^"));
            rule += QStringLiteral("(?!/)[") + (not_ ? QStringLiteral("^") : QString()) + inside + u']';
            i = end;
        } else {
            rule += QRegularExpression::escape(QString(c));
        }
    }
    glob.m_rule = QRegularExpression(QRegularExpression::anchoredPattern(rule), QRegularExpression::DotMatchesEverythingOption);
    if (!glob.m_rule.isValid()) return refused();
    return glob;
}

bool Glob::matches(const QString &path) const
{
    return m_all || m_rule.match(m_lastPart ? path.section(u'/', -1) : path).hasMatch();
}

} // namespace power::workspace
