// Contents in the database: what FILE_STORE=postgres keeps files in.
#pragma once
#include "files/Contents.h"
#include "files/FileStore.h"
#include "storage/FromThread.h"

namespace power::files
{

// DatabaseContents: keep() and copyTo() from threads that may wait; the rest on the event loop's. At most 8 MiB in memory
// per call, however large the content.
class DatabaseContents : public Contents
{
public:
    DatabaseContents(storage::Database &database, qint64 maxBytes) : Contents(maxBytes), m_database(database), m_door(database) {}
    ~DatabaseContents() override { m_door.close(); }
    // Calls from threads fail from now on.
    void close() { m_door.close(); }
    const storage::FromThread &door() const { return m_door; }

    Result<KeptContent> keep(const Reopen &reopen, const QString &shown, qint64 limit) override;
    QString locationOf(const QByteArray &sha256) const override;
    // A row has ceased to refer to it: goes now, in bounded steps, rather than with the next sweep.
    void release(const QByteArray &sha256);
    // Writes the content, `size` bytes, to `write`. Errors: NotFound, Unavailable, those of write.
    Result<Done> copyTo(const QByteArray &sha256, qint64 size, const std::function<Result<Done>(QByteArrayView)> &write);

    // Errors: NotFound, Unavailable.
    QCoro::Task<Result<std::shared_ptr<ContentReader>>> reader(QByteArray sha256, qint64 size);
    // In bounded steps, at most for half a minute. Gives the rows deleted.
    QCoro::Task<Result<int>> sweep(std::chrono::seconds age);
    // Counts anew.
    QCoro::Task<Result<Done>> count();

private:
    // Empty: the file is no longer what `content` says.
    Result<bool> put(int fd, const KeptContent &content);

    storage::Database &m_database;
    storage::FromThread m_door;
};

} // namespace power::files
