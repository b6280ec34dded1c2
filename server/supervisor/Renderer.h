// Pictures of charts and views of files, made by one-shot workers that no session shares.
#pragma once
#include "base/CancelToken.h"
#include "base/OneShot.h"
#include "supervisor/Fd.h"
#include "supervisor/KernelFrames.h"
#include "supervisor/KernelHost.h"
#include <QCoroTask>
#include <QObject>
#include <QTimer>
#include <deque>
#include <memory>

namespace power::supervisor {

// Renderer: each picture is drawn by a process tree of its own, behind the sandbox of the tier, with its own uid and a
// directory that is made for it and removed with it. Two draw at a time, others wait their turn. After a picture the
// next worker is started in advance (it has seen nothing yet) and ended when nobody wants one for a minute.
// Thread: the event loop's.
class Renderer : public QObject
{
    Q_OBJECT
public:
    // directory: made with mode 0711; what is in it is removed. Empty: every picture is refused. uid: the first of
    // kUids that belong to the workers alone; 0 = the server's own.
    static constexpr int kUids = 8, kLoadUids = 4; // the last kLoadUids are for load()
    Renderer(KernelHost &host, QString directory, quint32 uid);
    ~Renderer() override;

    // Errors: InvalidArgument (the figure or its size), Busy (too many wait), Timeout, Cancelled, Unavailable (no browser,
    // no sandbox for it, ended for its memory). The picture has at most 32 MiB.
    QCoro::Task<Result<QByteArray>> draw(AskFrame ask, CancelToken cancel);
    // Looks into the file `file` (arguments.what: "table" with ending and rows, "pages" with ending, first, last and width,
    // "picture" with side): a worker of its own that gets the descriptor and nothing else. Errors: as of draw().
    QCoro::Task<Result<FileLook>> look(QJsonObject arguments, int file, CancelToken cancel);
    // Reads the table in `file` (arguments: name, and sheet_name, delimiter, encoding, pdf_pages where they are given) and
    // writes it to `rows` in the form of resources/render/loader.py: a worker of its own that gets the two descriptors and
    // nothing else. It writes as fast as the pipe is read. Resolves when it has ended, with `rows` closed here; at most
    // kLoadUids at once. Errors:
    // InvalidArgument (the file, with what to do), Busy, Timeout, Cancelled, Unavailable.
    QCoro::Task<Result<Done>> load(QJsonObject arguments, int file, std::shared_ptr<Fd> rows, std::chrono::milliseconds timeout,
                                   CancelToken cancel);
    // No more workers in advance; ends the one that waits.
    void stop();

private:
    struct Worker {
        std::unique_ptr<Kernel> kernel;
        QString directory;
        // Its tree was ended before, in end(); otherwise the host does it now and the rest goes at the next start.
        ~Worker();
    };
    using Made = std::shared_ptr<Worker>;

    // Waits until this one may run; next() passes the turn on.
    QCoro::Task<Result<Done>> turn(CancelToken cancel);
    QCoro::Task<Result<Made>> makeWorker(QString role, CancelToken cancel);
    QCoro::Task<Result<Made>> makeWorker(KernelSpec spec, CancelToken cancel);
    QCoro::Task<> endLoad(Made worker, int place);
    QCoro::Task<Result<FileLook>> lookNow(QJsonObject arguments, int file, CancelToken cancel);
    QCoro::Task<> makeSpare();
    QCoro::Task<Result<QByteArray>> drawNow(AskFrame ask, CancelToken cancel);
    QCoro::Task<> end(Made worker);
    void next();

    KernelHost &m_host;
    QString m_directory;
    quint32 m_uid;
    int m_count = 0;
    int m_drawing = 0;
    quint32 m_loads = 0; // bits: uids in use
    bool m_stopping = false;
    bool m_making = false; // a spare one
    std::deque<OneShot<Done>> m_waiting;
    Made m_spare;
    QTimer m_spareEnd;
    CancelSource m_stop;
};

} // namespace power::supervisor
