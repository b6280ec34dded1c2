// Patterns for paths of a session, as people write them.
#pragma once
#include "base/Error.h"
#include <QRegularExpression>
#include <QString>

namespace power::workspace
{

// Glob: "*.csv" (no '/': the last part of a path, in any directory), "out/*.png", "**/data/*", "report-202?.[ch]".
// '*' and '?' stay within a part, "**" goes through any number of directories. Empty matches everything. Upper and lower
// case differ. Thread: any.
class Glob
{
public:
    // Error: InvalidArgument (longer than 500 characters, an open bracket, "..").
    static Result<Glob> parse(const QString &pattern);
    bool matches(const QString &path) const;

private:
    QRegularExpression m_rule;
    bool m_lastPart = false, m_all = false;
};

} // namespace power::workspace
