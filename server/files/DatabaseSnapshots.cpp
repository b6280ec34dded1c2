#include "files/DatabaseSnapshots.h"
#include "base/Log.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace power::files
{

namespace
{
constexpr std::chrono::milliseconds rowDeadline{10'000};

Result<workspace::Descriptor> duplicate(const workspace::Descriptor &file)
{
    workspace::Descriptor again(::fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
    if (again.get() < 0) return diskError(QStringLiteral("The snapshot cannot be read"));
    return again;
}

class SendingWriter final : public SnapshotStore::Writer
{
public:
    SendingWriter(DatabaseSnapshots &store, SnapshotKey key, std::unique_ptr<SnapshotStore::Writer> file)
        : m_store(store), m_key(std::move(key)), m_file(std::move(file))
    {
    }
    Result<Done> write(QByteArrayView bytes) override { return m_file->write(bytes); }
    Result<Done> commit(SnapshotFacts facts) override
    {
        const Result<Done> written = m_file->commit(facts);
        return written ? m_store.send(m_key, facts) : written;
    }

private:
    DatabaseSnapshots &m_store;
    SnapshotKey m_key;
    std::unique_ptr<SnapshotStore::Writer> m_file;
};
} // namespace

template <typename T>
Result<T> DatabaseSnapshots::ask(storage::Job<T> job) const
{
    return m_contents.door().run<T>(storage::Lane::Files, rowDeadline, std::move(job));
}

Result<SnapshotRow> DatabaseSnapshots::rowOf(const SnapshotKey &key) const
{
    return ask<SnapshotRow>([key](QSqlDatabase &connection) { return snapshottable::get(connection, key); });
}

bool DatabaseSnapshots::isFresh(const SnapshotKey &key, const SnapshotRow &row)
{
    const Result<SnapshotFacts> here = m_disk.facts(key);
    return here && here->created.toMSecsSinceEpoch() >= row.facts.created.toMSecsSinceEpoch();
}

Result<Done> DatabaseSnapshots::send(const SnapshotKey &key, const SnapshotFacts &facts)
{
    const Result<SnapshotFacts> written = m_disk.facts(key);
    return sendAs(key, key, written ? *written : facts, nullptr);
}

Result<Done> DatabaseSnapshots::sendAs(const SnapshotKey &from, const SnapshotKey &key, const SnapshotFacts &facts, const QList<SessionFile> *files)
{
    const Result<workspace::Descriptor> file = m_disk.whole(from);
    if (!file) return Unexpected<Error>{file.error()};
    const Result<KeptContent> kept = m_contents.keep([&] { return duplicate(*file); }, key.session, std::numeric_limits<qint64>::max());
    if (!kept) return Unexpected<Error>{kept.error()};
    SnapshotRow row;
    row.facts = facts;
    row.sha256 = kept->sha256;
    row.fileSize = kept->size;
    const qint64 limit = m_maxTotalBytes;
    const Result<SnapshotRow> before = rowOf(key);
    const std::optional<QList<SessionFile>> own = files ? std::optional(*files) : std::nullopt;
    const Result<Done> put = ask<Done>([key, row, limit, own](QSqlDatabase &connection) {
        const Result<Done> done = snapshottable::put(connection, key, row, limit);
        return done && own ? snapshottable::putFiles(connection, key, *own, limit) : done;
    });
    // They are large and replaced often.
    if (put && before && !before->sha256.isEmpty() && before->sha256 != row.sha256) m_contents.release(before->sha256);
    if (put && m_maxTotalBytes > 0)
        m_disk.dropCopies(m_maxTotalBytes, [this](const SnapshotKey &other, const SnapshotFacts &here) {
            const Result<SnapshotRow> there = rowOf(other);
            return there && there->found && there->facts.created >= here.created; // else the only one
        });
    return put;
}

Result<std::unique_ptr<SnapshotStore::Writer>> DatabaseSnapshots::create(const SnapshotKey &key)
{
    auto file = m_disk.create(key);
    if (!file) return file;
    std::unique_ptr<Writer> writer = std::make_unique<SendingWriter>(*this, key, std::move(*file));
    return writer;
}

Result<SnapshotStore::Opened> DatabaseSnapshots::open(const SnapshotKey &key)
{
    const Result<SnapshotRow> row = rowOf(key);
    if (!row || !row->found || isFresh(key, *row)) {
        auto here = m_disk.open(key);
        if (!row && !here && here.error().code == ErrorCode::NotFound) return Unexpected<Error>{row.error()};
        // A damaged one here, a good one there.
        if (here || !row || !row->found || here.error().code != ErrorCode::Conflict) return here;
    }
    if (row->sha256.isEmpty()) return madeRoom({});
    const Result<Done> fetched = m_disk.take(key, [&](int fd) {
        return m_contents.copyTo(row->sha256, row->fileSize, [fd](QByteArrayView bytes) -> Result<Done> {
            for (qsizetype done = 0; done < bytes.size();) {
                const ssize_t wrote = ::write(fd, bytes.data() + done, size_t(bytes.size() - done));
                if (wrote < 0 && errno != EINTR) return diskError(QStringLiteral("The snapshot cannot be brought back"));
                done += qMax<ssize_t>(wrote, 0);
            }
            return Done{};
        });
    });
    if (!fetched && fetched.error().code == ErrorCode::NotFound)
        return fail(ErrorCode::Conflict, QStringLiteral("the snapshot is damaged: its content is not in the database"));
    if (!fetched) return Unexpected<Error>{fetched.error()};
    return m_disk.open(key);
}

Result<SnapshotFacts> DatabaseSnapshots::facts(const SnapshotKey &key)
{
    const Result<SnapshotRow> row = rowOf(key);
    if (row && row->found && !isFresh(key, *row)) {
        SnapshotFacts there = row->facts;
        if (row->sha256.isEmpty()) there.size = 0;
        return there;
    }
    auto here = m_disk.facts(key);
    if (!row && !here && here.error().code == ErrorCode::NotFound) return Unexpected<Error>{row.error()};
    return here;
}

QList<QPair<QString, SnapshotFacts>> DatabaseSnapshots::named(const QString &owner, const QString &session)
{
    using List = QList<SnapshotRow>;
    const Result<List> rows =
        ask<List>([owner, session](QSqlDatabase &connection) { return snapshottable::named(connection, owner, session); });
    if (!rows) return m_disk.named(owner, session);
    QList<QPair<QString, SnapshotFacts>> all;
    for (const SnapshotRow &row : *rows)
        all << qMakePair(row.name, row.facts);
    return all;
}

void DatabaseSnapshots::setAside(const SnapshotKey &key)
{
    m_disk.setAside(key);
    const Result<Done> told = ask<Done>([key](QSqlDatabase &connection) { return snapshottable::setAside(connection, key); });
    if (!told) log::warning("snapshot_not_set_aside", {{QStringLiteral("session"), key.session}, {QStringLiteral("reason"), told.error().message}});
}

Result<Done> DatabaseSnapshots::copy(const SnapshotKey &from, const SnapshotKey &to, const QJsonObject &about)
{
    const auto source = open(from); // it is on disk then
    if (!source) return Unexpected<Error>{source.error()};
    const Result<Done> copied = m_disk.copy(from, to, about);
    return copied ? send(to, source->facts) : copied;
}

void DatabaseSnapshots::remove(const SnapshotKey &key)
{
    m_disk.remove(key);
    const Result<Done> gone = ask<Done>([key](QSqlDatabase &connection) { return snapshottable::remove(connection, key, false); });
    if (!gone) log::warning("snapshot_not_removed", {{QStringLiteral("session"), key.session}, {QStringLiteral("reason"), gone.error().message}});
}

void DatabaseSnapshots::removeSession(const QString &owner, const QString &session)
{
    m_disk.removeSession(owner, session);
    const SnapshotKey key{owner, session, {}};
    const Result<Done> gone = ask<Done>([key](QSqlDatabase &connection) { return snapshottable::remove(connection, key, true); });
    if (!gone) log::warning("snapshots_not_removed", {{QStringLiteral("session"), session}, {QStringLiteral("reason"), gone.error().message}});
}

Result<int> DatabaseSnapshots::keep(const SnapshotKey &from, const SnapshotKey &to, const workspace::Workspace &workspace, qint64 limit)
{
    QList<SessionFile> files;
    qint64 total = 0;
    const auto all = workspace.list(mostFiles + 1);
    if (all.size() > mostFiles) return tooManyFiles();
    for (const workspace::FileFacts &file : all) {
        total += file.size;
        if (total > limit)
            return fail(ErrorCode::TooLarge, QStringLiteral("The session's files are above %1 MB.").arg(limit >> 20),
                        QStringLiteral("Delete files that can be made again (delete_file), then try again."));
        const auto kept = m_contents.keep([&] { return workspace.openRead(file.path); }, file.path, std::numeric_limits<qint64>::max());
        if (!kept && kept.error().code == ErrorCode::NotFound) continue; // gone meanwhile
        if (!kept) return Unexpected<Error>{kept.error()};
        files << SessionFile{file.path, kept->size, kept->sha256, kept->source, {}};
    }
    const auto source = open(from); // it is on disk then
    if (!source) return Unexpected<Error>{source.error()};
    SnapshotFacts facts = source->facts;
    facts.about.insert(QStringLiteral("files"), int(files.size()));
    const Result<Done> sent = sendAs(from, to, facts, &files);
    if (!sent) return Unexpected<Error>{sent.error()};
    return int(files.size());
}

Result<QStringList> DatabaseSnapshots::putFilesBack(const SnapshotKey &key, workspace::Workspace &to)
{
    using List = QList<SessionFile>;
    const Result<List> files = ask<List>([key](QSqlDatabase &connection) { return snapshottable::files(connection, key); });
    if (!files) return Unexpected<Error>{files.error()};
    QStringList written;
    for (const SessionFile &file : *files) {
        auto writer = to.create(file.path);
        if (!writer) return Unexpected<Error>{writer.error()};
        workspace::Workspace::Writer &target = **writer;
        const Result<Done> copied =
            m_contents.copyTo(file.sha256, file.size, [&target](QByteArrayView bytes) { return target.write(bytes); });
        if (!copied) return Unexpected<Error>{copied.error()};
        const auto committed = target.commit();
        if (!committed) return Unexpected<Error>{committed.error()};
        ::fchmod(target.descriptor(), mode_t(file.source.mode));
        written << file.path;
    }
    return written;
}

} // namespace power::files
