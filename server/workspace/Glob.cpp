#include "workspace/Glob.h"
#include <QBitArray>
#include <QStringList>
#include <algorithm>

namespace power::workspace {

namespace {
constexpr qsizetype kLongest = 200;
constexpr qsizetype kMostAlternatives = 32;

// "a{b,c}d" -> "abd", "acd"; braces do not nest, one without its end is a character.
QStringList spreadBraces(const QString &pattern)
{
    const qsizetype open = pattern.indexOf(u'{');
    const qsizetype close = open < 0 ? -1 : pattern.indexOf(u'}', open);
    if (close < 0)
        return {pattern};
    QStringList all;
    for (const QString &middle : pattern.mid(open + 1, close - open - 1).split(u',')) {
        for (const QString &rest : spreadBraces(pattern.mid(close + 1))) {
            all << pattern.left(open) + middle + rest;
            if (all.size() > kMostAlternatives)
                return all;
        }
    }
    return all;
}
} // namespace

Result<Glob> Glob::parse(const QString &pattern)
{
    Glob glob;
    QString given = pattern.trimmed().toLower();
    while (given.startsWith(u"./"))
        given.remove(0, 2);
    if (given.startsWith(u'/'))
        given.remove(0, 1);
    const QStringList alternatives = given.size() > kLongest ? QStringList() : spreadBraces(given);
    const qsizetype open = given.lastIndexOf(u'[');
    const bool unclosed = open >= 0 && given.indexOf(u']', open + 2) < 0;
    if (alternatives.isEmpty() || alternatives.size() > kMostAlternatives || unclosed || given.split(u'/').contains(QStringLiteral("..")))
        return fail(ErrorCode::InvalidArgument, QStringLiteral("\"%1\" is no pattern for paths.").arg(pattern.left(100)),
                    QStringLiteral("Write for example \"*.csv\", \"out/*.png\", \"**/data/*\" or \"{a,b}*.xlsx\"."));
    glob.m_all = given.isEmpty();
    glob.m_whole = given.contains(u'/');
    for (const QString &alternative : alternatives)
        glob.m_alternatives << tokensOf(alternative);
    return glob;
}

Glob::Tokens Glob::tokensOf(const QString &text)
{
    Tokens tokens;
    for (qsizetype i = 0; i < text.size(); ++i) {
        Token token{Token::Character, text.mid(i, 1), false};
        const qsizetype close = text[i] == u'[' ? text.indexOf(u']', i + 2) : -1;
        if (text[i] == u'?') {
            token.kind = Token::Any;
        } else if (text[i] == u'*') {
            const bool twice = text.mid(i, 2) == u"**";
            token.kind = twice ? Token::Everything : Token::Some;
            i += twice ? 1 : 0;
            if (twice && text.mid(i + 1, 1) == u"/") { // "**/x" is also "x" itself
                token.kind = Token::Directories;
                ++i;
            }
        } else if (close > 0) {
            token.kind = Token::Set;
            token.outside = text[i + 1] == u'!' || text[i + 1] == u'^';
            token.text.clear();
            const QString inside = text.mid(i + 1 + (token.outside ? 1 : 0), close - i - 1 - (token.outside ? 1 : 0));
            for (qsizetype at = 0; at < inside.size(); ++at) {
                const bool range = at + 2 < inside.size() && inside[at + 1] == u'-';
                token.text += inside[at];
                token.text += range ? inside[at + 2] : inside[at];
                at += range ? 2 : 0;
            }
            i = close;
        }
        tokens << token;
    }
    return tokens;
}

// Which lengths of `text` the tokens so far can cover, token by token: no backtracking, so no pattern is slow.
bool Glob::fits(const Tokens &tokens, const QString &text)
{
    QBitArray reached(text.size() + 1);
    reached.setBit(0);
    for (const Token &token : tokens) {
        QBitArray next(text.size() + 1);
        const bool spans = token.kind == Token::Some || token.kind == Token::Everything;
        bool running = false;
        for (qsizetype at = 0; at <= text.size(); ++at) {
            if (token.kind == Token::Directories) {
                running = running || reached.testBit(at);
                if (reached.testBit(at) || (running && at > 0 && text[at - 1] == u'/'))
                    next.setBit(at);
                continue;
            }
            if (spans) {
                running = running || reached.testBit(at);
                if (running)
                    next.setBit(at);
                if (at < text.size() && text[at] == u'/' && token.kind == Token::Some)
                    running = false;
                continue;
            }
            if (at == text.size() || !reached.testBit(at))
                continue;
            const QChar c = text[at];
            bool takes = token.kind == Token::Any ? c != u'/' : token.kind == Token::Character && c == token.text[0];
            if (token.kind == Token::Set) {
                for (qsizetype pair = 0; pair + 1 < token.text.size(); pair += 2)
                    takes = takes || (c >= token.text[pair] && c <= token.text[pair + 1]);
                takes = takes != token.outside && c != u'/';
            }
            if (takes)
                next.setBit(at + 1);
        }
        reached = next;
    }
    return reached.testBit(text.size());
}

bool Glob::matches(const QString &path) const
{
    if (m_all)
        return true;
    const QString text = (m_whole ? path : path.section(u'/', -1)).toLower();
    return std::any_of(m_alternatives.cbegin(), m_alternatives.cend(), [&text](const Tokens &tokens) { return fits(tokens, text); });
}

} // namespace power::workspace
