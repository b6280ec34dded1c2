// The state of resumable uploads (tus 1.0): on disk before it is acknowledged, whole after any crash.
#pragma once
#include "base/CancelToken.h"
#include "base/OneShot.h"
#include "uploads/SpoolFile.h"
#include <QDateTime>
#include <QHash>
#include <QJsonObject>
#include <deque>

namespace power::uploads {

struct TusUpload {
    enum class Kind { Whole, Part, Joined }; // Joined: made of finished parts

    QString id;
    QString principal;
    QString sessionId, name; // where it goes when it is whole
    QByteArray metadata;     // Upload-Metadata as sent
    Kind kind = Kind::Whole;
    QByteArray joinedOf;     // Upload-Concat as sent
    qint64 length = 0;
    QDateTime created;
    bool delivered = false;  // its session has the file
    QJsonObject file;        // then: FileInfo

    QJsonObject toJson() const;
    static TusUpload fromJson(const QJsonObject &object);
};

// TusTurn: one request's exclusive use of an upload. Ends with the object; the next in line goes on.
class TusTurn
{
public:
    struct Entry {
        TusUpload upload;
        QDateTime touched;
        CancelSource interrupt;
        bool taken = false;
        bool removed = false;
        bool lost = false; // the disk did not take it: only its name is left, to say so
        std::deque<OneShot<Done>> waiting;
    };

    // The entry is nobody's, or was handed over.
    explicit TusTurn(std::shared_ptr<Entry> entry);
    ~TusTurn();
    TusTurn(const TusTurn &) = delete;
    TusTurn &operator=(const TusTurn &) = delete;

    TusUpload &upload() { return m_entry->upload; }
    // Null once delivered or lost.
    const std::shared_ptr<SpoolFile> &file() const { return m_file; }
    void setFile(std::shared_ptr<SpoolFile> file) { m_file = std::move(file); }
    qint64 offset() const { return m_file ? m_file->size() : m_entry->upload.length; }
    // Somebody else wants it: a client that came back although this request still seems to be going on.
    CancelToken interrupted() const { return m_entry->interrupt.token(); }
    const std::shared_ptr<Entry> &entry() const { return m_entry; }

private:
    std::shared_ptr<Entry> m_entry;
    std::shared_ptr<SpoolFile> m_file;
};
using TusTurnPtr = std::shared_ptr<TusTurn>;

// TusUploads: <directory>/<id>.json says what an upload is, <id>.part holds what came; the size of that file is the
// offset, so there is nothing that could disagree with it. Forgotten after `life` without a request. Disk work is beside
// the event loop. Thread: the event loop's.
class TusUploads
{
public:
    struct Config {
        QString directory;
        std::chrono::seconds life{24 * 3600};
        int mostOpen = 1000;       // unfinished ones
        int mostOfOne = 250;       // of them of one principal: nobody takes the places of all
        int mostKept = 20'000;     // those and the records of delivered ones
        qint64 freeReserve = 256 << 20; // bytes of the disk that are left alone
    };
    explicit TusUploads(Config config) : m_config(std::move(config)) {}

    // Reads what is there; blocks. Error: Unavailable.
    Result<Done> start();
    const QString &directory() const { return m_config.directory; }
    // What is received beside the resumable uploads leaves the same reserve. Error: Unavailable. Thread: any.
    Result<Done> roomFor(qint64 bytes) const;

    // Durable when it resolves; the id is new. Errors: Unavailable (disk; no room for its length), Busy (too many).
    QCoro::Task<Result<TusTurnPtr>> create(TusUpload upload);
    // Interrupts who has it. Errors: NotFound (no such upload of this principal), Gone (expired, lost), Busy (the other went on).
    QCoro::Task<Result<TusTurnPtr>> turn(QString id, QString principal);
    // What was appended is durable when it resolves. Error: Unavailable (details.cause notDurable): then the upload is
    // lost, and every later turn says so until it expires.
    QCoro::Task<Result<Done>> settle(TusTurnPtr turn);
    // The same for one of whose content the disk has confirmed less than it seemed.
    QCoro::Task<> lose(TusTurnPtr turn);
    // A joined upload gets the content of its parts. Error: Unavailable (disk).
    QCoro::Task<Result<Done>> join(TusTurnPtr turn, QList<TusTurnPtr> parts);
    // The session has the file: only the record stays, so that a client which missed the answer hears of it.
    QCoro::Task<Result<Done>> delivered(TusTurnPtr turn, QJsonObject file);
    // Nothing of it is left.
    QCoro::Task<Result<Done>> remove(TusTurnPtr turn);
    // Removes what expired.
    void sweep();

    // It is forgotten that much after now instead of after `life`.
    void shorten(TusTurn &turn, std::chrono::seconds rest) const
    {
        turn.entry()->touched = QDateTime::currentDateTimeUtc().addSecs((rest - m_config.life).count());
    }
    QDateTime expiry(const TusTurn &turn) const;
    void touch(TusTurn &turn) const { turn.entry()->touched = QDateTime::currentDateTimeUtc(); }

private:
    using Entry = TusTurn::Entry;
    QString pathOf(const QString &id, const char *ending) const;
    bool isExpired(const Entry &entry) const;
    // Removes its files; to be called beside the event loop, because gigabytes take a second.
    std::function<void()> filesOf(const std::shared_ptr<Entry> &entry, std::shared_ptr<SpoolFile> open) const;
    // Forgets it; gives what removes its files.
    std::function<void()> drop(const std::shared_ptr<Entry> &entry, std::shared_ptr<SpoolFile> open = {});
    void dropAside(const std::shared_ptr<Entry> &entry);
    void forgetOldestDelivered();

    Config m_config;
    QHash<QString, std::shared_ptr<Entry>> m_entries;
};

} // namespace power::uploads
