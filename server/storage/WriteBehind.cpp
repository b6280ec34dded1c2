#include "storage/WriteBehind.h"
#include "base/Durable.h"
#include "base/Log.h"
#include "storage/InThread.h"
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QJsonDocument>
#include <QPointer>
#include <deque>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace power::storage {

namespace {
using namespace std::chrono_literals;
constexpr std::chrono::milliseconds delay = 100ms, applyLimit = 10s, retryPause = 1s;
constexpr int batchSize = 500, spoolAbove = 5'000, dropAbove = 50'000;
constexpr qint64 batchBytes = 8 << 20, spoolAboveBytes = 32 << 20, dropAboveBytes = 128 << 20;

// A new name is durable when its directory is; one that is not does not stay.
int createSpool(const QString &path)
{
    const QFileInfo facts(path);
    if (!facts.dir().exists()) {
        const QByteArray name = QFile::encodeName(facts.path());
        if (!QDir().mkpath(facts.path()) || ::chmod(name.constData(), 0700) != 0 || !syncDirectory(QFileInfo(facts.path()).path())) {
            ::rmdir(name.constData()); // its name is not confirmed: the next attempt makes it anew
            return -1;
        }
    }
    const int descriptor = ::open(QFile::encodeName(path).constData(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor >= 0 && syncDirectory(facts.path()))
        return descriptor;
    if (descriptor >= 0) {
        ::unlink(QFile::encodeName(path).constData());
        ::close(descriptor);
    }
    return -1;
}

// Appends the lines and syncs; a failed append leaves the file as it was, and its lines are written anew by the next one
// (a sync that is repeated proves nothing). Gives the file's end; -1: they are not there.
qint64 appendLines(const QString &path, QByteArray lines)
{
    int descriptor = ::open(QFile::encodeName(path).constData(), O_RDWR | O_APPEND | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT)
        descriptor = createSpool(path);
    if (descriptor < 0)
        return -1;
    const off_t before = ::lseek(descriptor, 0, SEEK_END);
    char last = '\n';
    if (before > 0 && ::pread(descriptor, &last, 1, before - 1) == 1 && last != '\n')
        lines.prepend('\n'); // a failed append that could not be cut off
    const bool done = ::write(descriptor, lines.constData(), size_t(lines.size())) == lines.size() && ::fsync(descriptor) == 0;
    if (!done)
        [[maybe_unused]] const int cut = ::ftruncate(descriptor, before);
    ::close(descriptor);
    return done ? before + lines.size() : -1;
}

struct SpoolPiece {
    QList<QJsonObject> records;
    qint64 next = 0;  // offset behind them
    bool isEnd = false;
    bool isUnread = false; // the disk did not give it; it is still there
};

SpoolPiece readPiece(const QString &path, qint64 offset)
{
    SpoolPiece piece{{}, offset, true, true};
    QFile file(path);
    if (!file.open(QIODevice::ReadOnly) || !file.seek(offset))
        return piece;
    piece.isUnread = false;
    while (piece.records.size() < batchSize && piece.next - offset < batchBytes) {
        const QByteArray line = file.readLine();
        if (!line.endsWith('\n')) { // the end, or a line cut by a power failure
            piece.isUnread = file.error() != QFileDevice::NoError;
            return piece;
        }
        piece.next += line.size();
        if (const QJsonDocument parsed = QJsonDocument::fromJson(line); parsed.isObject())
            piece.records += parsed.object();
    }
    piece.isEnd = false;
    return piece;
}
} // namespace

class WriteBehind::Private
{
public:
    struct Item {
        QJsonObject record;
        qint64 bytes = 0;
    };
    WriteBehind *q = nullptr;
    QPointer<Database> database;
    QString path;
    Apply apply;
    std::deque<Item> memory; // newest last; the spool holds only older ones
    QList<Item> inFlight;    // taken from memory, not yet known to be stored
    qint64 memoryBytes = 0;  // of `memory`
    qint64 spoolOffset = 0, spoolEnd = 0, spoolRecords = 0, dropped = 0;
    bool pumping = false;
    QTimer timer;
    QList<OneShot<Done>> waiting;

    void measureSpool();
    void kick(std::chrono::milliseconds after);
    void drop(qint64 count, const char *why);
    QList<Item> take();
    void putBack();
    QList<QJsonObject> recordsInFlight() const;
    bool isCrowded(qint64 records, qint64 bytes) const { return qint64(memory.size()) > records || memoryBytes > bytes; }
    QCoro::Task<> pump();
    QCoro::Task<bool> toDatabase(QList<QJsonObject> records);
    QCoro::Task<bool> toSpool();
    QCoro::Task<bool> replay();
};

// What an earlier run left; a line cut by a power failure is removed, so that later ones stay whole.
void WriteBehind::Private::measureSpool()
{
    QFile file(path);
    if (!file.open(QIODevice::ReadWrite | QIODevice::ExistingOnly))
        return;
    while (!file.atEnd()) {
        const QByteArray line = file.readLine();
        if (!line.endsWith('\n'))
            break;
        spoolEnd += line.size();
        ++spoolRecords;
    }
    file.resize(spoolEnd);
}

void WriteBehind::Private::kick(std::chrono::milliseconds after)
{
    if (!pumping && (!timer.isActive() || timer.remainingTimeAsDuration() > after))
        timer.start(after);
}

void WriteBehind::Private::drop(qint64 count, const char *why)
{
    const qint64 before = std::exchange(dropped, dropped + count);
    if (before == 0 || before / 1'000 != dropped / 1'000) // the first, then every thousandth
        log::error("records_dropped", {{QStringLiteral("total"), dropped}, {QStringLiteral("why"), QLatin1String(why)}});
}

QList<WriteBehind::Private::Item> WriteBehind::Private::take()
{
    QList<Item> batch;
    qint64 bytes = 0;
    while (!memory.empty() && batch.size() < batchSize && bytes < batchBytes) {
        bytes += memory.front().bytes;
        batch += std::move(memory.front());
        memory.pop_front();
    }
    memoryBytes -= bytes;
    return batch;
}

void WriteBehind::Private::putBack()
{
    for (const Item &item : std::as_const(inFlight))
        memoryBytes += item.bytes;
    memory.insert(memory.begin(), inFlight.cbegin(), inFlight.cend());
}

QList<QJsonObject> WriteBehind::Private::recordsInFlight() const
{
    QList<QJsonObject> records;
    for (const Item &item : inFlight)
        records += item.record;
    return records;
}

// True when they are stored or can never be; false when the database is not able to now.
QCoro::Task<bool> WriteBehind::Private::toDatabase(QList<QJsonObject> records)
{
    const QPointer<WriteBehind> alive(q);
    const Apply store = apply;
    const std::chrono::milliseconds limit = applyLimit;
    const auto isPassing = [](const Error &error) {
        return error.code == ErrorCode::Unavailable || error.code == ErrorCode::Timeout || error.code == ErrorCode::Busy
               || error.code == ErrorCode::Cancelled;
    };
    Job<Done> all = [store, records](QSqlDatabase &connection) { return store(connection, records); };
    const Result<Done> stored = co_await database->run<Done>(Lane::Short, limit, std::move(all));
    if (stored)
        co_return true;
    if (isPassing(stored.error()) || !alive || !database)
        co_return false;
    // One record that can never be stored must not hold up the others.
    for (const QJsonObject &record : records) {
        const QList<QJsonObject> one{record};
        Job<Done> single = [store, one](QSqlDatabase &connection) { return store(connection, one); };
        const Result<Done> got = co_await database->run<Done>(Lane::Short, limit, std::move(single));
        if (!alive || !database || (!got && isPassing(got.error())))
            co_return false;
        if (!got)
            drop(1, errorWord(got.error().code));
    }
    co_return true;
}

// Moves the oldest batch of memory to the end of the spool. False when the disk refuses it.
QCoro::Task<bool> WriteBehind::Private::toSpool()
{
    const QPointer<WriteBehind> alive(q);
    inFlight = take();
    QByteArray lines;
    for (const Item &item : std::as_const(inFlight))
        lines += QJsonDocument(item.record).toJson(QJsonDocument::Compact) + '\n';
    const std::function<qint64()> work = [file = path, lines] { return appendLines(file, lines); };
    const OneShot<qint64> shot = inThread<qint64>(work);
    const std::chrono::milliseconds forever{0};
    const Result<qint64> end = co_await shot.wait(forever);
    if (!alive)
        co_return false;
    const bool written = end && *end >= 0;
    if (written) {
        spoolEnd = *end;
        spoolRecords += inFlight.size();
    } else {
        putBack();
    }
    inFlight.clear();
    co_return written;
}

QCoro::Task<bool> WriteBehind::Private::replay()
{
    const QPointer<WriteBehind> alive(q);
    const std::chrono::milliseconds forever{0};
    const std::function<SpoolPiece()> work = [file = path, offset = spoolOffset] { return readPiece(file, offset); };
    const OneShot<SpoolPiece> shot = inThread<SpoolPiece>(work);
    const Result<SpoolPiece> piece = co_await shot.wait(forever);
    if (!alive || !piece || (piece->isUnread && piece->records.isEmpty()))
        co_return false;
    if (!piece->records.isEmpty()) {
        QList<QJsonObject> records = piece->records;
        const bool stored = co_await toDatabase(std::move(records));
        if (!alive || !stored)
            co_return false;
    }
    spoolOffset = piece->next;
    spoolRecords -= piece->records.size();
    if ((piece->isEnd && !piece->isUnread) || spoolOffset >= spoolEnd) {
        const std::function<bool()> empty = [file = path] { return QFile::resize(file, 0); };
        const OneShot<bool> emptied = inThread<bool>(empty);
        const Result<bool> done = co_await emptied.wait(forever);
        if (!alive || !done || !*done)
            co_return false;
        spoolOffset = spoolEnd = spoolRecords = 0;
    }
    co_return true;
}

QCoro::Task<> WriteBehind::Private::pump()
{
    const QPointer<WriteBehind> alive(q);
    if (pumping)
        co_return;
    pumping = true;
    timer.stop();
    bool databaseFailed = false, diskFailed = false;
    while (alive) {
        const bool usable = database && database->isConnected() && !databaseFailed;
        const bool hasSpool = spoolEnd > spoolOffset;
        if (isCrowded(spoolAbove, spoolAboveBytes) && !diskFailed) {
            const bool spooled = co_await toSpool();
            diskFailed = !spooled;
        } else if (hasSpool && usable) {
            const bool replayed = co_await replay();
            databaseFailed = !replayed;
        } else if (memory.empty()) {
            break;
        } else if (usable) {
            inFlight = take();
            QList<QJsonObject> batch = recordsInFlight();
            const bool stored = co_await toDatabase(std::move(batch));
            if (!alive)
                co_return;
            if (!stored)
                putBack();
            inFlight.clear();
            databaseFailed = !stored;
        } else if (!diskFailed) {
            const bool spooled = co_await toSpool();
            diskFailed = !spooled;
        } else {
            break;
        }
    }
    if (!alive)
        co_return;
    pumping = false;
    const bool isRest = !memory.empty() || (spoolEnd > spoolOffset && database && database->isConnected());
    if (isRest)
        kick(retryPause);
    const QList<OneShot<Done>> done = std::exchange(waiting, {});
    for (const auto &shot : done) {
        if (memory.empty())
            shot.resolve(Done{});
        else
            shot.resolve(fail(ErrorCode::Unavailable,
                              QStringLiteral("The database is away, and the server's disk does not take what waits for it either."),
                              QStringLiteral("Try again in a minute; tell the administrator if it stays so.")));
    }
}

WriteBehind::WriteBehind(Database &database, QString spoolFile, Apply apply, QObject *parent)
    : QObject(parent), d(std::make_unique<Private>())
{
    d->q = this;
    d->database = &database;
    d->path = std::move(spoolFile);
    d->apply = std::move(apply);
    d->timer.setSingleShot(true);
    d->measureSpool();
    connect(&d->timer, &QTimer::timeout, this, [this] { d->pump(); });
    connect(&database, &Database::connectedChanged, this, [this](bool connected) {
        if (connected)
            d->kick(0ms);
    });
    if (d->spoolEnd > 0 && database.isConnected())
        d->kick(0ms);
}

WriteBehind::~WriteBehind()
{
    QByteArray lines;
    for (const Private::Item &item : std::as_const(d->inFlight))
        lines += QJsonDocument(item.record).toJson(QJsonDocument::Compact) + '\n';
    for (const Private::Item &item : d->memory)
        lines += QJsonDocument(item.record).toJson(QJsonDocument::Compact) + '\n';
    if (!lines.isEmpty() && appendLines(d->path, lines) < 0)
        log::error("records_dropped", {{QStringLiteral("at_end"), qint64(d->memory.size())}, {QStringLiteral("why"), QStringLiteral("disk")}});
}

void WriteBehind::append(QJsonObject record, qint64 bytes)
{
    if (d->isCrowded(dropAbove - 1, dropAboveBytes)) {
        d->drop(1, "disk");
        return;
    }
    d->memory.push_back({std::move(record), bytes});
    d->memoryBytes += bytes;
    d->kick(delay);
}

int WriteBehind::pending() const
{
    return int(d->spoolRecords) + int(d->memory.size()) + int(d->inFlight.size());
}

qint64 WriteBehind::dropped() const { return d->dropped; }

qint64 WriteBehind::spoolBytes() const { return d->spoolEnd - d->spoolOffset; }

QCoro::Task<Result<Done>> WriteBehind::flush()
{
    if (pending() == 0)
        co_return Done{};
    OneShot<Done> shot;
    d->waiting += shot;
    d->pump();
    const std::chrono::milliseconds limit = 15s;
    const Result<Done> done = co_await shot.wait(limit);
    co_return done;
}

} // namespace power::storage
