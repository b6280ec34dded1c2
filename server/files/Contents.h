// The bytes of stored files: one copy per content, found by its SHA-256. On disk or in the database.
#pragma once
#include "base/Error.h"
#include "workspace/Workspace.h"
#include <atomic>
#include <functional>
#include <sys/stat.h>

namespace power::files
{

// A file as it was while it was read.
struct SourceFacts {
    qint64 modifiedNs = 0, changedNs = 0;
    quint64 inode = 0;
    int mode = 0; // the permission bits
    bool operator==(const SourceFacts &) const = default;
};

struct KeptContent {
    QByteArray sha256; // hex
    qint64 size = 0;
    QByteArray head; // the first 4 KiB
    bool isNew = false; // it was not there before
    SourceFacts source;
    bool isReplaced = false; // the path names another file by now
};

// Contents: thread: any. Everything blocks.
class Contents
{
public:
    // maxBytes: of all contents together; 0 = no limit.
    explicit Contents(qint64 maxBytes) : m_maxBytes(maxBytes) {}
    virtual ~Contents() = default;
    using Reopen = std::function<Result<workspace::Descriptor>()>;
    // Stores what `reopen` gives. A file that changes meanwhile is read again, up to 5 times. What is kept is found at
    // once, and durable at the latest when a row that refers to it is. Errors: those of reopen; TooLarge (`limit`
    // bytes, or no room below maxBytes); Conflict (went on changing); Unavailable (disk, database). Half a content is never
    // found.
    virtual Result<KeptContent> keep(const Reopen &reopen, const QString &shown, qint64 limit) = 0;
    // Of FileRow::location.
    virtual QString locationOf(const QByteArray &sha256) const = 0;
    qint64 bytes() const { return m_bytes.load(); } // of all contents, as far as known

protected:
    Result<Done> mayAdd(qint64 size) const;
    const qint64 m_maxBytes;
    std::atomic<qint64> m_bytes{0};
};

// Pieces shared by both.
SourceFacts sourceFacts(const struct stat &facts);
// Hash, size and head of an open file. false: errno says why.
bool digest(int fd, KeptContent *content);
Unexpected<Error> aboveLimit(const QString &shown, qint64 size, qint64 limit);
Unexpected<Error> wentOnChanging(const QString &shown);
// Of errno.
Unexpected<Error> diskError(const QString &what);
constexpr int mostCopies = 5;

} // namespace power::files
