#include "uploads/TusUploads.h"
#include "base/Durable.h"
#include "base/Ids.h"
#include "base/Log.h"
#include "base/Offload.h"
#include <QDir>
#include <QJsonDocument>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace power::uploads {

using namespace std::chrono_literals;

namespace {
constexpr auto kHandOver = 60s; // until who was interrupted has let go: a delivery is not broken off

const char *kindWord(TusUpload::Kind kind)
{
    return kind == TusUpload::Kind::Part ? "part" : kind == TusUpload::Kind::Joined ? "joined" : "whole";
}

Result<Done> writeRecord(const QString &path, const TusUpload &upload)
{
    return writeDurably(path, QJsonDocument(upload.toJson()).toJson(QJsonDocument::Compact));
}

// Open: neither delivered nor lost.
bool isOpen(const TusTurn::Entry &entry)
{
    return !entry.upload.delivered && !entry.lost;
}

qint64 freeBytes(const QString &directory)
{
    struct statvfs facts;
    if (::statvfs(QFile::encodeName(directory).constData(), &facts) != 0)
        return -1;
    return qint64(facts.f_bavail) * qint64(facts.f_frsize);
}

Result<Done> roomIn(const QString &directory, qint64 reserve, qint64 bytes)
{
    const qint64 free = freeBytes(directory);
    if (free < 0 || free - reserve >= bytes)
        return Done{};
    return fail(ErrorCode::Unavailable, QStringLiteral("The server's disk has no room for an upload of %1 bytes.").arg(bytes),
                QStringLiteral("Tell the administrator."));
}
} // namespace

QJsonObject TusUpload::toJson() const
{
    return {{QStringLiteral("id"), id},
            {QStringLiteral("principal"), principal},
            {QStringLiteral("session_id"), sessionId},
            {QStringLiteral("name"), name},
            {QStringLiteral("metadata"), QString::fromLatin1(metadata)},
            {QStringLiteral("kind"), QLatin1String(kindWord(kind))},
            {QStringLiteral("joined_of"), QString::fromLatin1(joinedOf)},
            {QStringLiteral("length"), length},
            {QStringLiteral("created"), created.toString(Qt::ISODateWithMs)},
            {QStringLiteral("delivered"), delivered},
            {QStringLiteral("file"), file}};
}

TusUpload TusUpload::fromJson(const QJsonObject &object)
{
    const auto text = [&object](const char *key) { return object.value(QLatin1String(key)).toString(); };
    TusUpload upload;
    upload.id = text("id");
    upload.principal = text("principal");
    upload.sessionId = text("session_id");
    upload.name = text("name");
    upload.metadata = text("metadata").toLatin1();
    const QString kind = text("kind");
    upload.kind = kind == u"part" ? Kind::Part : kind == u"joined" ? Kind::Joined : Kind::Whole;
    upload.joinedOf = text("joined_of").toLatin1();
    upload.length = object.value(QLatin1String("length")).toInteger(-1);
    upload.created = QDateTime::fromString(text("created"), Qt::ISODateWithMs);
    upload.delivered = object.value(QLatin1String("delivered")).toBool();
    upload.file = object.value(QLatin1String("file")).toObject();
    return upload;
}

TusTurn::TusTurn(std::shared_ptr<Entry> entry) : m_entry(std::move(entry))
{
    m_entry->taken = true;
    m_entry->interrupt = CancelSource();
    if (!m_entry->waiting.empty())
        m_entry->interrupt.cancel();
}

TusTurn::~TusTurn()
{
    m_entry->taken = false;
    while (!m_entry->waiting.empty()) {
        const OneShot<Done> next = m_entry->waiting.front();
        m_entry->waiting.pop_front();
        if (next.isResolved())
            continue; // gave up
        m_entry->taken = true; // handed over
        QMetaObject::invokeMethod(qApp, [next, entry = m_entry] {
            if (next.isResolved())
                const TusTurn nobodys(entry); // gave up meanwhile: to the next one
            else
                next.resolve(Done{});
        }, Qt::QueuedConnection);
        return;
    }
}

QString TusUploads::pathOf(const QString &id, const char *ending) const
{
    return m_config.directory + u'/' + id + QLatin1String(ending);
}

QDateTime TusUploads::expiry(const TusTurn &turn) const
{
    return turn.entry()->touched.addSecs(m_config.life.count());
}

bool TusUploads::isExpired(const Entry &entry) const
{
    return entry.touched.addSecs(m_config.life.count()) <= QDateTime::currentDateTimeUtc();
}

Result<Done> TusUploads::start()
{
    QDir directory(m_config.directory);
    if (!directory.mkpath(QStringLiteral(".")) || ::chmod(QFile::encodeName(m_config.directory).constData(), 0700) != 0)
        return fail(ErrorCode::Unavailable, QStringLiteral("The directory for uploads %1 cannot be made.").arg(m_config.directory),
                    QStringLiteral("Set DATA_DIR to a directory this user may write."));
    for (const QFileInfo &info : directory.entryInfoList(QDir::Files | QDir::Hidden)) {
        const QString id = info.completeBaseName();
        if (info.suffix() != u"json" || info.isHidden()) {
            // Forms and checked pieces that were being received, halves of records.
            if (info.suffix() != u"part" || !directory.exists(id + QStringLiteral(".json")))
                directory.remove(info.fileName());
            continue;
        }
        QFile record(info.filePath());
        const auto entry = std::make_shared<Entry>();
        if (record.open(QIODevice::ReadOnly))
            entry->upload = TusUpload::fromJson(QJsonDocument::fromJson(record.readAll()).object());
        entry->touched = info.lastModified().toUTC();
        const QFileInfo content(pathOf(id, ".part"));
        bool good = entry->upload.id == id && entry->upload.length >= 0;
        if (good && !entry->upload.delivered) {
            good = content.exists() && content.size() <= entry->upload.length;
            entry->touched = qMax(entry->touched, content.lastModified().toUTC());
        } else {
            directory.remove(content.fileName());
        }
        if (good) {
            m_entries.insert(id, entry);
        } else {
            log::warning("upload_dropped", {{QStringLiteral("id"), id}});
            directory.remove(content.fileName());
            directory.remove(info.fileName());
        }
    }
    sweep();
    return Done{};
}

Result<Done> TusUploads::roomFor(qint64 bytes) const
{
    return roomIn(m_config.directory, m_config.freeReserve, bytes);
}

QCoro::Task<Result<TusTurnPtr>> TusUploads::create(TusUpload upload)
{
    sweep();
    const auto open = std::count_if(m_entries.cbegin(), m_entries.cend(), [](const auto &entry) { return isOpen(*entry); });
    const auto own = std::count_if(m_entries.cbegin(), m_entries.cend(), [&upload](const auto &entry) {
        return isOpen(*entry) && entry->upload.principal == upload.principal;
    });
    if (own >= m_config.mostOfOne)
        co_return fail(ErrorCode::Busy, QStringLiteral("%1 of your uploads are unfinished already; that is the most for one caller.").arg(own),
                       QStringLiteral("Finish or delete some of them, or try again when they have expired."));
    if (m_entries.size() >= m_config.mostKept)
        forgetOldestDelivered();
    if (open >= m_config.mostOpen || m_entries.size() >= m_config.mostKept)
        co_return fail(ErrorCode::Busy, QStringLiteral("%1 uploads are unfinished already.").arg(open),
                       QStringLiteral("Finish or delete some of them, or try again when they have expired."));
    const auto entry = std::make_shared<Entry>();
    upload.id = newUuid();
    upload.created = QDateTime::currentDateTimeUtc();
    entry->upload = upload;
    entry->touched = upload.created;
    const TusTurnPtr turn = std::make_shared<TusTurn>(entry);
    m_entries.insert(upload.id, entry);
    using File = std::shared_ptr<SpoolFile>;
    std::function<Result<File>()> work = [entry, part = pathOf(upload.id, ".part"), record = pathOf(upload.id, ".json"),
                                          reserve = m_config.freeReserve, directory = m_config.directory]() -> Result<File> {
        const Result<Done> room = roomIn(directory, reserve, entry->upload.length);
        if (!room)
            return Unexpected<Error>{room.error()};
        auto file = SpoolFile::create(part);
        if (!file)
            return Unexpected<Error>{file.error()};
        const Result<Done> written = writeRecord(record, entry->upload);
        if (!written)
            return Unexpected<Error>{written.error()};
        (*file)->keep();
        return file;
    };
    const Result<File> made = co_await offload<File>(std::move(work));
    if (!made) {
        dropAside(entry);
        co_return Unexpected<Error>{made.error()};
    }
    turn->setFile(*made);
    co_return turn;
}

QCoro::Task<Result<TusTurnPtr>> TusUploads::turn(QString id, QString principal)
{
    const std::shared_ptr<Entry> entry = m_entries.value(id);
    const auto unknown = [&id] {
        return fail(ErrorCode::NotFound, QStringLiteral("There is no upload \"%1\".").arg(id.left(80)),
                    QStringLiteral("Unfinished uploads are forgotten a day after their last request, and with the disk of the "
                                   "server they were begun at; begin a new one."));
    };
    if (!entry || entry->upload.principal != principal)
        co_return unknown();
    if (entry->taken) {
        const OneShot<Done> mine;
        entry->waiting.push_back(mine);
        entry->interrupt.cancel();
        const std::chrono::milliseconds most = kHandOver;
        const Result<Done> waited = co_await mine.wait(most);
        if (!waited)
            co_return fail(ErrorCode::Busy, QStringLiteral("Another request is still writing to this upload."),
                           QStringLiteral("Try again shortly."));
    }
    const TusTurnPtr turn = std::make_shared<TusTurn>(entry);
    if (entry->removed)
        co_return unknown();
    if (isExpired(*entry)) {
        dropAside(entry);
        co_return fail(ErrorCode::Gone, QStringLiteral("This upload expired."), QStringLiteral("Begin a new one."));
    }
    if (entry->lost)
        co_return fail(ErrorCode::Gone, QStringLiteral("The server's disk did not take what was uploaded; this upload was dropped."),
                       QStringLiteral("Begin a new one; if it fails too, tell the administrator."),
                       {{QStringLiteral("cause"), QLatin1String(notDurable)}});
    touch(*turn);
    if (entry->upload.delivered)
        co_return turn;
    using File = std::shared_ptr<SpoolFile>;
    std::function<Result<File>()> work = [part = pathOf(id, ".part")] { return SpoolFile::open(part); };
    const Result<File> file = co_await offload<File>(std::move(work));
    if (!file)
        co_return Unexpected<Error>{file.error()};
    turn->setFile(*file);
    co_return turn;
}

QCoro::Task<Result<Done>> TusUploads::settle(TusTurnPtr turn)
{
    if (turn->upload().delivered)
        co_return Done{};
    std::function<Result<Done>()> work = [file = turn->file()] { return file->sync(); };
    Result<Done> synced = co_await offload<Done>(std::move(work));
    if (!synced)
        co_await lose(turn);
    co_return synced;
}

QCoro::Task<> TusUploads::lose(TusTurnPtr turn)
{
    const std::shared_ptr<Entry> entry = turn->entry();
    entry->lost = true;
    log::error("upload_lost", {{QStringLiteral("id"), entry->upload.id}, {QStringLiteral("reason"), QStringLiteral("a sync of the disk failed")}});
    std::function<Result<Done>()> work = [files = filesOf(entry, turn->file()), directory = m_config.directory]() -> Result<Done> {
        files();
        syncDirectory(directory);
        return Done{};
    };
    turn->setFile({});
    const Result<Done> removed = co_await offload<Done>(std::move(work));
    Q_UNUSED(removed);
}

QCoro::Task<Result<Done>> TusUploads::join(TusTurnPtr turn, QList<TusTurnPtr> parts)
{
    QList<std::shared_ptr<SpoolFile>> files;
    for (const TusTurnPtr &part : std::as_const(parts))
        files << part->file();
    std::function<Result<Done>()> work = [file = turn->file(), files]() -> Result<Done> {
        for (const auto &each : files) {
            const Result<Done> appended = file->appendFile(*each);
            if (!appended)
                return appended;
        }
        return file->sync();
    };
    Result<Done> joined = co_await offload<Done>(std::move(work));
    co_return joined;
}

QCoro::Task<Result<Done>> TusUploads::delivered(TusTurnPtr turn, QJsonObject facts)
{
    const std::shared_ptr<Entry> entry = turn->entry();
    TusUpload done = entry->upload;
    done.delivered = true;
    done.file = facts;
    auto content = std::make_shared<std::shared_ptr<SpoolFile>>(turn->file());
    turn->setFile({});
    std::function<Result<Done>()> work = [done, content, record = pathOf(done.id, ".json"), part = pathOf(done.id, ".part")] {
        const Result<Done> recorded = writeRecord(record, done);
        QFile::remove(part);
        content->reset(); // the last to have it open frees its blocks
        return recorded;
    };
    const Result<Done> written = co_await offload<Done>(std::move(work));
    // The session has the file in any case; without the record a restart would deliver it once more.
    if (!written)
        log::warning("upload_record_not_written", {{QStringLiteral("id"), done.id}, {QStringLiteral("reason"), written.error().text()}});
    entry->upload = done;
    co_return Done{};
}

QCoro::Task<Result<Done>> TusUploads::remove(TusTurnPtr turn)
{
    std::function<Result<Done>()> work = [files = drop(turn->entry(), turn->file()), directory = m_config.directory]() -> Result<Done> {
        files();
        syncDirectory(directory);
        return Done{};
    };
    turn->setFile({});
    Result<Done> synced = co_await offload<Done>(std::move(work));
    co_return synced;
}

std::function<void()> TusUploads::drop(const std::shared_ptr<Entry> &entry, std::shared_ptr<SpoolFile> open)
{
    entry->removed = true;
    m_entries.remove(entry->upload.id);
    return filesOf(entry, std::move(open));
}

// The record first: what has none is cleared at the next start.
std::function<void()> TusUploads::filesOf(const std::shared_ptr<Entry> &entry, std::shared_ptr<SpoolFile> open) const
{
    return [record = pathOf(entry->upload.id, ".json"), part = pathOf(entry->upload.id, ".part"),
            content = std::make_shared<std::shared_ptr<SpoolFile>>(std::move(open))] {
        QFile::remove(record);
        QFile::remove(part);
        content->reset(); // the last to have it open frees its blocks
    };
}

void TusUploads::dropAside(const std::shared_ptr<Entry> &entry)
{
    QThreadPool::globalInstance()->start(drop(entry));
}

void TusUploads::sweep()
{
    for (const std::shared_ptr<Entry> &entry : m_entries.values()) {
        if (!entry->taken && isExpired(*entry))
            dropAside(entry);
    }
}

void TusUploads::forgetOldestDelivered()
{
    std::shared_ptr<Entry> oldest;
    for (const std::shared_ptr<Entry> &entry : std::as_const(m_entries)) {
        if (!isOpen(*entry) && !entry->taken && (!oldest || entry->touched < oldest->touched))
            oldest = entry;
    }
    if (oldest)
        dropAside(oldest);
}

} // namespace power::uploads
