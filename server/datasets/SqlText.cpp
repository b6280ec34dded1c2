#include "datasets/SqlText.h"

namespace power::datasets {

namespace {
bool isWordStart(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

bool isWord(char c)
{
    return isWordStart(c) || (c >= '0' && c <= '9');
}

qsizetype endOfWord(const QByteArray &sql, qsizetype at)
{
    while (at < sql.size() && isWord(sql[at]))
        ++at;
    return at;
}

qsizetype endOfQuoted(const QByteArray &sql, qsizetype at, char quote, bool backslash)
{
    for (++at; at < sql.size(); ++at) {
        if (backslash && sql[at] == '\\')
            ++at;
        else if (sql[at] == quote && at + 1 < sql.size() && sql[at + 1] == quote)
            ++at;
        else if (sql[at] == quote)
            return at + 1;
    }
    return sql.size();
}

qsizetype endOfComment(const QByteArray &sql, qsizetype at)
{
    int depth = 0;
    for (; at + 1 < sql.size(); ++at) {
        const bool opens = sql[at] == '/' && sql[at + 1] == '*', closes = sql[at] == '*' && sql[at + 1] == '/';
        depth += opens ? 1 : closes ? -1 : 0;
        at += opens || closes ? 1 : 0;
        if (depth == 0)
            return at + 1;
    }
    return sql.size();
}

// $tag$ ... $tag$, or `at` when there is none.
qsizetype endOfDollars(const QByteArray &sql, qsizetype at)
{
    const qsizetype tagEnd = endOfWord(sql, at + 1);
    if (tagEnd >= sql.size() || sql[tagEnd] != '$' || (tagEnd > at + 1 && !isWordStart(sql[at + 1])))
        return at;
    const QByteArray tag = sql.mid(at, tagEnd + 1 - at);
    const qsizetype end = sql.indexOf(tag, tagEnd + 1);
    return end < 0 ? sql.size() : end + tag.size();
}

// The end of the string, name or comment that begins here; `at` when none does.
qsizetype endOfOpaque(const QByteArray &sql, qsizetype at, bool *comment)
{
    const char c = sql[at], after = at + 1 < sql.size() ? sql[at + 1] : '\0';
    const bool begins = at == 0 || !isWord(sql[at - 1]);
    if (c == '\'')
        return endOfQuoted(sql, at, c, false);
    if ((c == 'e' || c == 'E') && after == '\'' && begins)
        return endOfQuoted(sql, at + 1, '\'', true);
    if (c == '"')
        return endOfQuoted(sql, at, c, false);
    if (c == '$' && begins)
        return endOfDollars(sql, at);
    *comment = (c == '-' && after == '-') || (c == '/' && after == '*');
    if (*comment && c == '/')
        return endOfComment(sql, at);
    if (*comment) {
        const qsizetype end = sql.indexOf('\n', at);
        return end < 0 ? sql.size() : end + 1;
    }
    return at;
}
} // namespace

SqlText readSql(const QByteArray &sql, const QSet<QByteArray> &names)
{
    SqlText text;
    qsizetype cut = -1; // behind which only blanks and comments came so far
    for (qsizetype at = 0; at < sql.size();) {
        bool comment = false;
        const qsizetype end = endOfOpaque(sql, at, &comment);
        const char c = sql[at];
        const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
        if (end > at) {
            cut = comment ? cut : -1;
            text.sql += sql.mid(at, end - at);
            at = end;
            continue;
        }
        if (c == ';' && cut < 0)
            cut = text.sql.size();
        else if (!blank && c != ';')
            cut = -1;
        if (c == ':' && at + 1 < sql.size() && sql[at + 1] == ':') {
            text.sql += "::";
            at += 2;
            continue;
        }
        const qsizetype wordEnd = c == ':' && at + 1 < sql.size() && isWordStart(sql[at + 1]) ? endOfWord(sql, at + 1) : at;
        const QByteArray name = sql.mid(at + 1, wordEnd - at - 1);
        if (wordEnd > at && names.contains(name)) {
            if (!text.named.contains(name))
                text.named << name;
            text.sql += '$' + QByteArray::number(text.named.indexOf(name) + 1);
            at = wordEnd;
            continue;
        }
        if (isWordStart(c)) {
            const qsizetype last = endOfWord(sql, at);
            if (text.firstWord.isEmpty())
                text.firstWord = sql.mid(at, last - at).toUpper();
            text.sql += sql.mid(at, last - at);
            at = last;
            continue;
        }
        text.sql += c;
        ++at;
    }
    if (cut >= 0)
        text.sql.truncate(cut);
    return text;
}

} // namespace power::datasets
