#include "supervisor/Renderer.h"
#include "base/Log.h"
#include "supervisor/Words.h"
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QPointer>
#include <QtEndian>
#include <algorithm>
#include <sys/stat.h>
#include <unistd.h>

namespace power::supervisor {

using namespace std::chrono_literals;

namespace {
constexpr std::size_t kMostWaiting = 64;
constexpr int kAtOnce = 2; // some hundred MB each
constexpr auto kTurnWait = 120s;
constexpr auto kDrawTime = 130s; // the worker's own limits are 60 s for the start of the browser and 60 s for the picture
constexpr auto kSpareLife = 60s;
constexpr qint64 kWorkerMemory = 1536ll << 20;
constexpr qint64 kUsualMemory = 512ll << 20; // a worker in advance is made only when this is free
constexpr qsizetype kMostPicture = 32 << 20;
constexpr qsizetype kMostPictures = 50;
constexpr auto kLookTime = 180s; // the worker's own limits are 100 s for an office document and 40 s for a page

Unexpected<Error> stopped()
{
    return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
}

// What viewer.py sends; hostile. Pictures are handed on as what they begin with, never as what they claim to be.
Result<FileLook> readLook(const QByteArray &payload)
{
    const auto damaged = [] { return fail(ErrorCode::Unavailable, QStringLiteral("The view was damaged on its way.")); };
    if (payload.size() < 4 || payload.size() > kMostPicture)
        return damaged();
    const quint32 length = qFromLittleEndian<quint32>(payload.constData());
    if (length > quint32(payload.size() - 4))
        return damaged();
    FileLook look;
    look.facts = QJsonDocument::fromJson(payload.mid(4, length)).object();
    qsizetype at = 4 + qsizetype(length);
    for (const QJsonValue &each : look.facts.value(QStringLiteral("pictures")).toArray()) {
        const qint64 size = each.toObject().value(QStringLiteral("size")).toInteger(-1);
        if (size < 0 || size > payload.size() - at || look.pictures.size() >= kMostPictures)
            return damaged();
        const QByteArray picture = payload.mid(at, size);
        at += size;
        if (picture.startsWith("\x89PNG\r\n\x1a\n"))
            look.pictures.append({picture, QByteArrayLiteral("image/png")});
        else if (picture.startsWith("\xff\xd8\xff"))
            look.pictures.append({picture, QByteArrayLiteral("image/jpeg")});
        else
            return damaged();
    }
    look.facts.remove(QStringLiteral("pictures"));
    return look;
}

bool makeOwned(const QString &path, quint32 uid)
{
    const QByteArray name = QFile::encodeName(path);
    return ::mkdir(name.constData(), 0700) == 0 && (uid == 0 || ::chown(name.constData(), uid, uid) == 0);
}
} // namespace

Renderer::Worker::~Worker()
{
    kernel.reset();
    QDir(directory).removeRecursively();
}

Renderer::Renderer(KernelHost &host, QString directory, quint32 uid)
    : m_host(host), m_directory(std::move(directory)), m_uid(uid)
{
    m_spareEnd.setSingleShot(true);
    connect(&m_spareEnd, &QTimer::timeout, this, [this] {
        if (m_spare)
            end(std::exchange(m_spare, {}));
    });
    if (m_directory.isEmpty())
        return;
    QDir(m_directory).removeRecursively();
    QDir().mkpath(m_directory);
    ::chmod(QFile::encodeName(m_directory).constData(), 0711);
}

Renderer::~Renderer() = default;

void Renderer::stop()
{
    m_stopping = true;
    m_spareEnd.stop();
    m_spare.reset();
    m_stop.cancel();
}

QCoro::Task<Result<Renderer::Made>> Renderer::makeWorker(QString role, CancelToken cancel)
{
    KernelSpec spec;
    spec.runAs = role;
    // Not the uid of the one that is just ending: a start waits for the end of its uid's tree.
    spec.uid = m_uid ? m_uid + quint32(m_count % (kUids - kLoadUids)) : 0;
    spec.limits.memoryBytes = kWorkerMemory;
    QCoro::Task<Result<Made>> making = makeWorker(std::move(spec), std::move(cancel));
    Result<Made> made = co_await making;
    co_return made;
}

QCoro::Task<Result<Renderer::Made>> Renderer::makeWorker(KernelSpec spec, CancelToken cancel)
{
    const auto worker = std::make_shared<Worker>();
    const int number = ++m_count;
    spec.sessionId = spec.runAs;
    spec.gid = spec.uid;
    worker->directory = m_directory + QStringLiteral("/%1").arg(number);
    spec.workspace = worker->directory + QStringLiteral("/home");
    spec.scratch = worker->directory + QStringLiteral("/tmp");
    const bool passable = ::mkdir(QFile::encodeName(worker->directory).constData(), 0711) == 0;
    if (!passable || !makeOwned(spec.workspace, spec.uid) || !makeOwned(spec.scratch, spec.uid)) {
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The directory of a worker cannot be made: %1.")
                                                   .arg(QString::fromLocal8Bit(std::strerror(errno))));
    }
    spec.limits.processes = 256;
    spec.limits.diskBytes = 512ll << 20;
    spec.limits.outputBytes = 1 << 20;
    Result<std::unique_ptr<Kernel>> made = co_await m_host.spawn(std::move(spec), std::move(cancel));
    if (!made)
        co_return Unexpected<Error>{made.error()};
    worker->kernel = std::move(made.value());
    co_return worker;
}

QCoro::Task<> Renderer::makeSpare()
{
    if (m_spare || m_making || m_stopping || m_host.usedMemoryBytes() + kUsualMemory > m_host.totalMemoryBytes())
        co_return;
    m_making = true;
    const QPointer<Renderer> self(this);
    CancelToken cancel = m_stop.token();
    const QString role = QStringLiteral("render");
    Result<Made> made = co_await makeWorker(role, std::move(cancel));
    if (!self)
        co_return;
    m_making = false;
    if (!made || m_stopping)
        co_return;
    m_spare = std::move(made.value());
    m_spareEnd.start(kSpareLife);
}

QCoro::Task<> Renderer::end(Made worker)
{
    co_await worker->kernel->stop();
    worker.reset();
}

void Renderer::next()
{
    if (m_waiting.empty()) {
        --m_drawing;
        return;
    }
    const OneShot<Done> turn = m_waiting.front();
    m_waiting.pop_front();
    turn.resolve(Done{});
}

QCoro::Task<Result<Done>> Renderer::turn(CancelToken cancel)
{
    if (m_drawing < kAtOnce) {
        ++m_drawing;
        co_return Done{};
    }
    if (m_waiting.size() >= kMostWaiting)
        co_return fail(ErrorCode::Busy, QStringLiteral("%1 charts and views wait to be drawn already.").arg(kMostWaiting),
                       QStringLiteral("Try again later."));
    const QPointer<Renderer> self(this);
    const OneShot<Done> mine;
    m_waiting.push_back(mine);
    const std::chrono::milliseconds most = kTurnWait;
    const Result<Done> waited = co_await mine.wait(most, cancel);
    if (!self)
        co_return stopped();
    if (waited)
        co_return waited;
    // Resolved ones that still stand in the queue would be given a turn that nobody takes.
    std::erase_if(m_waiting, [](const OneShot<Done> &each) { return each.isResolved(); });
    if (waited.error().code == ErrorCode::Timeout)
        co_return fail(ErrorCode::Timeout, QStringLiteral("It was not drawn: others were before it for %1.").arg(wordsOfTime(kTurnWait)),
                       QStringLiteral("Try again later."));
    co_return waited;
}

QCoro::Task<Result<QByteArray>> Renderer::draw(AskFrame ask, CancelToken cancel)
{
    if (m_directory.isEmpty() || m_stopping)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("This server draws no charts."));
    const QPointer<Renderer> self(this);
    const CancelToken token = cancel;
    const Result<Done> mine = co_await turn(token);
    if (!mine)
        co_return Unexpected<Error>{mine.error()};
    Result<QByteArray> picture = co_await drawNow(std::move(ask), std::move(cancel));
    if (!self)
        co_return stopped();
    next();
    co_return picture;
}

QCoro::Task<Result<FileLook>> Renderer::look(QJsonObject arguments, int file, CancelToken cancel)
{
    if (m_directory.isEmpty() || m_stopping)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("This server makes no views of files."));
    const QPointer<Renderer> self(this);
    const CancelToken token = cancel;
    const Result<Done> mine = co_await turn(token);
    if (!mine)
        co_return Unexpected<Error>{mine.error()};
    Result<FileLook> seen = co_await lookNow(std::move(arguments), file, std::move(cancel));
    if (!self)
        co_return stopped();
    next();
    co_return seen;
}

QCoro::Task<Result<FileLook>> Renderer::lookNow(QJsonObject arguments, int file, CancelToken cancel)
{
    const QPointer<Renderer> self(this);
    QElapsedTimer clock;
    clock.start();
    const QString role = QStringLiteral("view");
    const CancelToken token = cancel;
    Result<Made> made = co_await makeWorker(role, token);
    if (!self)
        co_return stopped();
    if (!made)
        co_return Unexpected<Error>{made.error()};
    Made worker = std::move(made.value());
    TaskRequest request;
    request.runId = role;
    request.task = QStringLiteral("look");
    request.arguments = arguments;
    request.descriptor = file;
    request.timeout = kLookTime;
    request.cancel = cancel;
    RunOutcome outcome = co_await worker->kernel->task(std::move(request));
    if (!self)
        co_return stopped();
    log::info("file_looked_at", {{QStringLiteral("ok"), outcome.status == RunStatus::Ok}, {QStringLiteral("ms"), clock.elapsed()},
                                 {QStringLiteral("what"), arguments.value(QStringLiteral("what"))},
                                 {QStringLiteral("peak"), wordsOfBytes(outcome.peakMemoryBytes)},
                                 {QStringLiteral("bytes"), outcome.payload.size()}});
    end(std::exchange(worker, {}));
    if (cancel.isCancelled())
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The view is not wanted any more."));
    if (outcome.status == RunStatus::Ok)
        co_return readLook(outcome.payload);
    if (outcome.status == RunStatus::Error)
        co_return fail(ErrorCode::InvalidArgument, outcome.errorValue);
    if (outcome.cause == u"memory_limit")
        co_return fail(ErrorCode::Unavailable,
                       QStringLiteral("The view was not made: it used %1 of memory, the limit is %2.").arg(outcome.peak, outcome.limit),
                       QStringLiteral("Read the file in execute_code."));
    co_return fail(ErrorCode::Unavailable,
                   QStringLiteral("The view was not made: its worker was ended after %1 (%2).")
                       .arg(wordsOfTime(std::chrono::milliseconds(clock.elapsed())), outcome.cause),
                   QStringLiteral("Read the file in execute_code."));
}

QCoro::Task<Result<QByteArray>> Renderer::drawNow(AskFrame ask, CancelToken cancel)
{
    const QPointer<Renderer> self(this);
    QElapsedTimer clock;
    clock.start();
    Made worker = std::exchange(m_spare, {});
    m_spareEnd.stop();
    const bool spare = worker && worker->kernel->isAlive();
    if (!spare) {
        CancelToken token = cancel;
        const QString role = QStringLiteral("render");
        Result<Made> made = co_await makeWorker(role, std::move(token));
        if (!self)
            co_return stopped();
        if (!made)
            co_return Unexpected<Error>{made.error()};
        worker = std::move(made.value());
    }
    TaskRequest request;
    request.runId = QStringLiteral("render");
    request.task = QStringLiteral("render");
    request.arguments = ask.fields;
    request.blob = std::move(ask.figure);
    request.timeout = kDrawTime;
    request.cancel = cancel;
    RunOutcome outcome = co_await worker->kernel->task(std::move(request));
    if (!self)
        co_return stopped();
    log::info("chart_drawn", {{QStringLiteral("ok"), outcome.status == RunStatus::Ok}, {QStringLiteral("ms"), clock.elapsed()},
                              {QStringLiteral("in_advance"), spare},
                              {QStringLiteral("peak"), wordsOfBytes(outcome.peakMemoryBytes)},
                              {QStringLiteral("bytes"), outcome.payload.size()}});
    end(std::exchange(worker, {}));
    makeSpare();
    if (cancel.isCancelled())
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The chart is not wanted any more."));
    if (outcome.status == RunStatus::Ok && outcome.payload.size() <= kMostPicture)
        co_return std::move(outcome.payload);
    if (outcome.status == RunStatus::Error)
        co_return fail(ErrorCode::InvalidArgument, outcome.errorValue);
    if (outcome.cause == u"memory_limit")
        co_return fail(ErrorCode::Unavailable,
                       QStringLiteral("The chart was not drawn: its browser used %1 of memory, the limit is %2.").arg(outcome.peak, outcome.limit),
                       QStringLiteral("Draw fewer points, or a smaller picture."));
    co_return fail(ErrorCode::Unavailable,
                   QStringLiteral("The chart was not drawn: its browser was ended after %1 (%2).")
                       .arg(wordsOfTime(std::chrono::milliseconds(clock.elapsed())), outcome.cause),
                   QStringLiteral("Draw fewer points."));
}

} // namespace power::supervisor
