// Bounded text: head and tail, cut between lines and never inside a character, a surrogate pair or a link.
// Lengths are UTF-16 units, which is what clients count.
#pragma once
#include <QString>
#include <QStringList>

namespace power::mcp {

// Texts whose sum exceeds `budget` are cut; short ones and those with download links stay whole, the long ones share
// what is left. The sum of the results is never above `budget`.
QStringList fitTexts(const QStringList &texts, qsizetype budget);

// One text. The cut is marked with the number of characters left out; lines with download links inside it are kept
// after the mark. A text with a traceback keeps more of its tail than of its head.
QString cutText(const QString &text, qsizetype budget);

} // namespace power::mcp
