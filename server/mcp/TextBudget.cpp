#include "mcp/TextBudget.h"
#include <QLocale>
#include <algorithm>
#include <numeric>

namespace power::mcp {

namespace {
constexpr qsizetype kMarkRoom = 64;      // "\n[... 1,234,567,890 characters cut ...]\n"
constexpr qsizetype kLongestLink = 2048; // characters looked back for the start of a link

bool isLinkLine(QStringView line)
{
    return line.contains(QLatin1String("://")) && (line.contains(QLatin1String("/dl/")) || line.contains(QLatin1String("/charts/")));
}

bool hasDownloadLink(const QString &text)
{
    return text.contains(QLatin1String("/dl/")) || text.contains(QLatin1String("/charts/"));
}

// Whether a cut at `at` would split a link; then [start, end) is the link.
bool insideLink(const QString &text, qsizetype at, qsizetype &start, qsizetype &end)
{
    constexpr qsizetype longestScheme = 16;
    const qsizetype low = std::max<qsizetype>(0, at - kLongestLink);
    qsizetype mark = text.lastIndexOf(QLatin1String("://"), std::min(at, text.size() - 1));
    if (mark >= low) {
        for (qsizetype i = mark; i < at && mark >= 0; ++i) {
            if (text.at(i).isSpace())
                mark = -1;
        }
    }
    if (mark < low) { // not after the mark: perhaps within the scheme before it
        qsizetype i = at;
        while (i < text.size() && i - at < longestScheme && text.at(i).isLetter())
            ++i;
        if (QStringView(text).mid(i, 3) != QLatin1String("://"))
            return false;
        mark = i;
    }
    start = mark;
    while (start > 0 && mark - start < longestScheme && text.at(start - 1).isLetter())
        --start;
    end = at;
    while (end < text.size() && end - at < kLongestLink && !text.at(end).isSpace())
        ++end;
    return start < at && end > at;
}

// The last good place to stop at or before `at`.
qsizetype stopBefore(const QString &text, qsizetype at)
{
    const qsizetype newline = at > 0 ? text.lastIndexOf(u'\n', at - 1) : -1;
    if (newline >= 0 && newline + 1 >= at - at / 4)
        return newline + 1;
    qsizetype start = at, end = at;
    if (insideLink(text, at, start, end) && start > 0)
        return start;
    if (at > 0 && at < text.size() && text.at(at - 1).isHighSurrogate() && text.at(at).isLowSurrogate())
        --at;
    return at;
}

// The first good place to go on at or after `at`.
qsizetype startAfter(const QString &text, qsizetype at)
{
    const qsizetype rest = text.size() - at;
    const qsizetype newline = at > 0 ? text.indexOf(u'\n', at - 1) : -1;
    if (newline >= 0 && newline + 1 - at <= rest / 4)
        return newline + 1;
    qsizetype start = at, end = at;
    if (insideLink(text, at, start, end))
        return end;
    if (at > 0 && at < text.size() && text.at(at).isLowSurrogate() && text.at(at - 1).isHighSurrogate())
        ++at;
    return at;
}

QString linksBetween(const QString &text, qsizetype from, qsizetype to, qsizetype most)
{
    QString links;
    if (!hasDownloadLink(text))
        return links;
    const QStringView middle = QStringView(text).mid(from, to - from);
    for (const QStringView line : middle.split(u'\n')) {
        if (isLinkLine(line) && links.size() + line.size() + 1 <= most)
            links += line.toString() + u'\n';
    }
    return links;
}

double headShare(const QString &text)
{
    const bool failed = text.contains(QLatin1String("Traceback")) || text.contains(QLatin1String("Execution Error:"));
    return failed ? 0.3 : 0.6;
}
} // namespace

QString cutText(const QString &text, qsizetype budget)
{
    if (text.size() <= budget)
        return text;
    if (budget < 4 * kMarkRoom)
        return text.left(stopBefore(text, std::max<qsizetype>(budget, 0)));
    qsizetype linkRoom = 0;
    for (;;) {
        const qsizetype room = budget - kMarkRoom - linkRoom;
        const qsizetype headEnd = stopBefore(text, qsizetype(double(room) * headShare(text)));
        const qsizetype tailStart = startAfter(text, text.size() - (room - qsizetype(double(room) * headShare(text))));
        const QString links = linksBetween(text, headEnd, tailStart, linkRoom == 0 ? budget / 4 : linkRoom);
        if (linkRoom == 0 && !links.isEmpty()) {
            linkRoom = budget / 4;
            continue;
        }
        const QLocale plain(QLocale::English, QLocale::UnitedStates);
        QString cut = text.left(headEnd);
        if (!cut.isEmpty() && !cut.endsWith(u'\n'))
            cut += u'\n';
        cut += QStringLiteral("[... %1 characters cut ...]\n").arg(plain.toString(tailStart - headEnd - links.size()));
        return cut + links + text.mid(tailStart);
    }
}

QStringList fitTexts(const QStringList &texts, qsizetype budget)
{
    const qsizetype total = std::accumulate(texts.begin(), texts.end(), qsizetype(0),
                                            [](qsizetype sum, const QString &text) { return sum + text.size(); });
    if (total <= budget)
        return texts;
    std::vector<qsizetype> order(size_t(texts.size()));
    std::iota(order.begin(), order.end(), 0);
    const auto linked = [&](qsizetype i) { return hasDownloadLink(texts.at(i)) && texts.at(i).size() <= budget * 6 / 10; };
    // Links first, then from short to long: what a short text leaves over goes to the longer ones.
    std::sort(order.begin(), order.end(), [&](qsizetype a, qsizetype b) {
        return std::tuple(!linked(a), texts.at(a).size(), a) < std::tuple(!linked(b), texts.at(b).size(), b);
    });
    QStringList fitted(texts.size(), QString());
    qsizetype left = budget;
    for (size_t n = 0; n < order.size(); ++n) {
        const qsizetype i = order[n];
        const qsizetype others = qsizetype(order.size() - n);
        const qsizetype share = linked(i) ? left : left / others;
        fitted[i] = cutText(texts.at(i), share);
        left -= fitted.at(i).size();
    }
    return fitted;
}

} // namespace power::mcp
