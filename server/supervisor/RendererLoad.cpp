// Tables out of files: Renderer::load.
#include "base/Log.h"
#include "supervisor/Renderer.h"
#include "supervisor/Words.h"
#include <QElapsedTimer>
#include <QPointer>
#include <algorithm>

namespace power::supervisor {

namespace {
constexpr qint64 kLeastMemory = 1536ll << 20, kMostMemory = 8ll << 30; // workbooks are read whole

// However a call ends: who reads the pipe must see that nothing comes.
struct Closing {
    std::shared_ptr<Fd> pipe;
    ~Closing() { pipe->reset(); }
};
} // namespace

QCoro::Task<> Renderer::endLoad(Made worker, int place)
{
    const QPointer<Renderer> self(this);
    co_await worker->kernel->stop();
    worker.reset();
    if (self)
        m_loads &= ~(1u << place);
}

QCoro::Task<Result<Done>> Renderer::load(QJsonObject arguments, int file, std::shared_ptr<Fd> rows, std::chrono::milliseconds timeout,
                                         CancelToken cancel)
{
    const Closing closing{rows};
    if (m_directory.isEmpty() || m_stopping)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("This server reads no tables out of files."));
    int place = 0;
    while (place < kLoadUids && m_loads & (1u << place))
        ++place;
    if (place == kLoadUids)
        co_return fail(ErrorCode::Busy, QStringLiteral("%1 files are read already.").arg(kLoadUids), QStringLiteral("Try again later."));
    m_loads |= 1u << place;
    const QPointer<Renderer> self(this);
    QElapsedTimer clock;
    clock.start();
    KernelSpec spec;
    spec.runAs = QStringLiteral("load");
    spec.uid = m_uid ? m_uid + quint32(kUids - kLoadUids + place) : 0;
    spec.limits.memoryBytes = std::clamp(m_host.totalMemoryBytes() / 3, kLeastMemory, kMostMemory);
    const CancelToken token = cancel;
    QCoro::Task<Result<Made>> making = makeWorker(std::move(spec), token);
    Result<Made> made = co_await making;
    if (!self)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
    if (!made) {
        m_loads &= ~(1u << place);
        co_return Unexpected<Error>{made.error()};
    }
    Made worker = std::move(made.value());
    TaskRequest request;
    request.runId = QStringLiteral("load");
    request.task = QStringLiteral("load");
    request.arguments = arguments;
    request.descriptor = file;
    request.output = rows->get();
    request.timeout = timeout;
    request.cancel = cancel;
    QCoro::Task<RunOutcome> reading = worker->kernel->task(std::move(request));
    rows->reset(); // the worker has its own: the end of the rows is seen when it closes that
    const RunOutcome outcome = co_await reading;
    if (!self)
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The server stopped."));
    log::info("table_read", {{QStringLiteral("ok"), outcome.status == RunStatus::Ok}, {QStringLiteral("ms"), clock.elapsed()},
                             {QStringLiteral("peak"), wordsOfBytes(outcome.peakMemoryBytes)}});
    endLoad(std::exchange(worker, {}), place);
    if (cancel.isCancelled())
        co_return fail(ErrorCode::Cancelled, QStringLiteral("The call was cancelled; nothing was stored."));
    if (outcome.status == RunStatus::Ok)
        co_return Done{};
    if (outcome.status == RunStatus::Error)
        co_return fail(ErrorCode::InvalidArgument, outcome.errorValue, outcome.hint);
    if (outcome.cause == u"memory_limit")
        co_return fail(ErrorCode::TooLarge,
                       QStringLiteral("The file needs more memory to be read than there is: %1 of %2.").arg(outcome.peak, outcome.limit),
                       QStringLiteral("Save it as CSV or Parquet, which are read piece by piece, or split it."));
    if (outcome.cause == u"timeout")
        co_return fail(ErrorCode::Timeout, QStringLiteral("The file was not read within %1; nothing was stored.").arg(wordsOfTime(timeout)),
                       QStringLiteral("Split it, or save it as Parquet."));
    co_return fail(ErrorCode::Unavailable,
                   QStringLiteral("The file was not read: its worker ended after %1 (%2).")
                       .arg(wordsOfTime(std::chrono::milliseconds(clock.elapsed())), outcome.cause),
                   QStringLiteral("Try again; read it in execute_code if it happens again."));
}

} // namespace power::supervisor
