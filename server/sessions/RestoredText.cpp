#include "sessions/RestoredText.h"
#include <QJsonArray>
#include <algorithm>

namespace power::sessions {

namespace {
constexpr qsizetype kMostListed = 200;
constexpr qsizetype kMostSaid = 12;
constexpr int kMostLost = 100;

QString text(const QJsonValue &value, qsizetype most)
{
    QString said = value.toString().left(most);
    for (QChar &c : said) {
        if (c.unicode() < 32)
            c = u' ';
    }
    return said;
}

QString few(const QStringList &all, qsizetype count)
{
    QString said = all.mid(0, kMostSaid).join(QStringLiteral(", "));
    if (count > kMostSaid)
        said += QStringLiteral(" and %1 more").arg(count - kMostSaid);
    return said;
}
} // namespace

QJsonObject restoredFacts(const QJsonObject &report, const files::SnapshotFacts &facts, int lastCell, std::chrono::milliseconds took)
{
    QJsonArray names, missing, remarks, lost;
    const QJsonArray restored = report.value(QStringLiteral("restored")).toArray();
    for (qsizetype i = 0; i < std::min(restored.size(), kMostListed); ++i)
        names.append(text(restored.at(i), 200));
    const QJsonArray skipped = report.value(QStringLiteral("missing")).toArray();
    for (qsizetype i = 0; i < std::min(skipped.size(), kMostListed); ++i) {
        const QJsonObject one = skipped.at(i).toObject();
        missing.append(QJsonObject{{QStringLiteral("name"), text(one.value(QStringLiteral("name")), 200)},
                                   {QStringLiteral("type"), text(one.value(QStringLiteral("type")), 100)},
                                   {QStringLiteral("reason"), text(one.value(QStringLiteral("reason")), 400)}});
    }
    const QJsonObject said = report.value(QStringLiteral("remarks")).toObject();
    for (auto it = said.begin(); it != said.end() && remarks.size() < kMostListed; ++it) {
        QStringList texts;
        const QJsonArray all = it.value().toArray();
        for (qsizetype i = 0; i < std::min<qsizetype>(all.size(), 3); ++i)
            texts << text(all.at(i), 300);
        remarks.append(QJsonObject{{QStringLiteral("name"), it.key().left(200)}, {QStringLiteral("text"), texts.join(QStringLiteral("; "))}});
    }
    for (int cell = facts.cell + 1; cell <= lastCell && lost.size() < kMostLost; ++cell)
        lost.append(cell);
    return {{QStringLiteral("ok"), true},
            {QStringLiteral("source"), QStringLiteral("snapshot")},
            {QStringLiteral("cell"), facts.cell},
            {QStringLiteral("last_cell"), std::max(lastCell, facts.cell)},
            {QStringLiteral("snapshot_at"), facts.created.toUTC().toString(Qt::ISODate)},
            {QStringLiteral("ms"), qint64(took.count())},
            {QStringLiteral("restored"), names},
            {QStringLiteral("restored_count"), restored.size()},
            {QStringLiteral("not_restored"), missing},
            {QStringLiteral("not_restored_count"), skipped.size()},
            {QStringLiteral("remarks"), remarks},
            {QStringLiteral("lost_cells"), lost}};
}

QString restoredText(const QJsonObject &facts)
{
    const int cell = facts.value(QStringLiteral("cell")).toInt();
    const int last = facts.value(QStringLiteral("last_cell")).toInt();
    QStringList names;
    const QJsonArray restored = facts.value(QStringLiteral("restored")).toArray();
    for (const QJsonValue &name : restored)
        names << name.toString();
    const qsizetype count = facts.value(QStringLiteral("restored_count")).toInteger();
    QString said = QStringLiteral("Restored from its snapshot to after cell %1: ").arg(cell);
    said += count == 0 ? QStringLiteral("no variables") : few(names, count);
    said += u'.';
    const QJsonArray missing = facts.value(QStringLiteral("not_restored")).toArray();
    if (!missing.isEmpty()) {
        QStringList parts;
        for (const QJsonValue &value : missing) {
            const QJsonObject one = value.toObject();
            parts << QStringLiteral("%1 (%2: %3)").arg(one.value(QStringLiteral("name")).toString(), one.value(QStringLiteral("type")).toString(),
                                                       one.value(QStringLiteral("reason")).toString());
        }
        said += QStringLiteral(" Not restored: %1.").arg(few(parts, facts.value(QStringLiteral("not_restored_count")).toInteger()));
    }
    QStringList remarks;
    const QJsonArray noted = facts.value(QStringLiteral("remarks")).toArray();
    for (const QJsonValue &value : noted)
        remarks << QStringLiteral("%1 (%2)").arg(value.toObject().value(QStringLiteral("name")).toString(), value.toObject().value(QStringLiteral("text")).toString());
    if (!remarks.isEmpty())
        said += QStringLiteral(" With a remark: %1.").arg(few(remarks, remarks.size()));
    if (last > cell)
        said += last == cell + 1 ? QStringLiteral(" Cell %1 was lost: run it again.").arg(last)
                                 : QStringLiteral(" Cells %1 to %2 were lost: run them again.").arg(cell + 1).arg(last);
    return said + QStringLiteral(" Files keep what was written.");
}

} // namespace power::sessions
