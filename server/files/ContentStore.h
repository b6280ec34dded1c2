// The bytes of stored files: <directory>/ab/cd/<sha256>, one copy per content.
#pragma once
#include "base/Error.h"
#include "workspace/Workspace.h"
#include <QSet>
#include <functional>
#include <mutex>

namespace power::files
{

struct KeptContent {
    QByteArray sha256; // hex
    qint64 size = 0;
    QByteArray head; // the first 4 KiB
};

// ContentStore: thread: any. Everything blocks on the disk.
class ContentStore
{
public:
    explicit ContentStore(QString directory) : m_directory(std::move(directory)) {}
    // Makes the directories (0700) and clears what a crash left half-copied. Errors: Unavailable.
    Result<Done> start();

    using Reopen = std::function<Result<workspace::Descriptor>()>;
    // Copies the file `reopen` gives (by reflink where the file system can) and makes the copy durable: the
    // data, its name and its directories are on disk when this returns. A file that changes meanwhile is
    // copied again, up to 5 times. Errors: those of reopen; TooLarge (`limit` bytes); Conflict (went on
    // changing); Unavailable (disk).
    Result<KeptContent> keep(const Reopen &reopen, const QString &shown, qint64 limit);
    // Errors: NotFound, Unavailable.
    Result<workspace::Descriptor> open(const QByteArray &sha256) const;

    // Names of contents last kept more than `age` ago.
    QList<QByteArray> olderThan(std::chrono::seconds age) const;
    // Deletes those that are still that old.
    void drop(const QList<QByteArray> &contents, std::chrono::seconds age);

private:
    QByteArray pathOf(const QByteArray &sha256) const;
    Result<Done> place(const QByteArray &temporary, int fd, const KeptContent &content);

    QString m_directory;
    std::mutex m_placing; // between finding a content present and renewing its age, against drop()
};

} // namespace power::files
