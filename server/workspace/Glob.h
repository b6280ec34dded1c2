// Patterns for paths of a session, as people write them; in bounded time whatever the pattern.
#pragma once
#include "base/Error.h"
#include <QList>
#include <QString>

namespace power::workspace {

// Glob: "*.csv" (no '/': the last part of a path, in any directory), "out/*.png", "**/data/*", "report-202?.[ch]",
// "{a,b}*.xlsx". '*' and '?' stay within a part, "**" goes through any number of directories. Empty matches everything.
// Upper and lower case are the same. Thread: any.
class Glob
{
public:
    // Error: InvalidArgument (longer than 200 characters, more than 32 alternatives, an open bracket, "..").
    static Result<Glob> parse(const QString &pattern);
    bool matches(const QString &path) const;

private:
    struct Token {
        enum Kind { Character, Any, Some, Everything, Directories, Set } kind = Character;
        QString text;        // Character: one; Set: pairs of bounds
        bool outside = false; // Set: not one of them
    };
    using Tokens = QList<Token>;
    static Tokens tokensOf(const QString &alternative);
    static bool fits(const Tokens &tokens, const QString &text);

    QList<Tokens> m_alternatives;
    bool m_whole = false, m_all = false;
};

} // namespace power::workspace
