#include "files/SnapshotStore.h"
#include "files/DatabaseSnapshots.h"

namespace power::files
{

QJsonObject snapshotJson(const SnapshotFacts &facts)
{
    return {{QStringLiteral("cell"), facts.cell},
            {QStringLiteral("python"), facts.python},
            {QStringLiteral("size"), facts.size},
            {QStringLiteral("created"), facts.created.toUTC().toString(Qt::ISODateWithMs)},
            {QStringLiteral("about"), facts.about}};
}

SnapshotFacts snapshotFacts(const QJsonObject &json)
{
    SnapshotFacts facts;
    facts.cell = json.value(QStringLiteral("cell")).toInt();
    facts.python = json.value(QStringLiteral("python")).toString();
    facts.size = json.value(QStringLiteral("size")).toInteger();
    facts.created = QDateTime::fromString(json.value(QStringLiteral("created")).toString(), Qt::ISODateWithMs);
    facts.about = json.value(QStringLiteral("about")).toObject();
    return facts;
}

Unexpected<Error> snapshotsFull(qint64 size, qint64 limit)
{
    return fail(ErrorCode::TooLarge,
                QStringLiteral("the kept states of all sessions may take %1 MB together (SNAPSHOTS_TOTAL_MB), and there is no room for "
                               "%2 MB more").arg(limit >> 20).arg(double(size) / (1 << 20), 0, 'f', 1),
                QStringLiteral("Delete sessions that are no longer needed (delete_session), or ask the administrator to raise the limit."));
}

Unexpected<Error> tooManyFiles()
{
    return fail(ErrorCode::TooLarge, QStringLiteral("The session has more than %1 files.").arg(SnapshotStore::mostFiles),
                QStringLiteral("Delete files that can be made again, or put them into an archive, then try again."));
}

Unexpected<Error> madeRoom(const QString &when)
{
    return fail(ErrorCode::Conflict, QStringLiteral("it was dropped%1 to make room for those of other sessions (SNAPSHOTS_TOTAL_MB)")
                                         .arg(when.isEmpty() ? QString() : QStringLiteral(" on ") + when));
}

std::unique_ptr<SnapshotStore> SnapshotStore::onDisk(QString directory, qint64 maxTotalBytes)
{
    return std::make_unique<DiskSnapshots>(std::move(directory), maxTotalBytes);
}

std::unique_ptr<SnapshotStore> SnapshotStore::inDatabase(QString directory, storage::Database &database, qint64 maxTotalBytes)
{
    return std::make_unique<DatabaseSnapshots>(std::move(directory), database, maxTotalBytes);
}

} // namespace power::files
