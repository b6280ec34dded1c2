// One request of a fetch: to one address, with the name in Host and SNI, until its answer is read.
#pragma once
#include "base/OneShot.h"
#include "net/Fetch.h"
#include "net/Inflate.h"
#include "net/Transfer.h"
#include <QTimer>

namespace power::net
{

// A part of a body that is there already, and how the server recognises the rest.
struct HopStart {
    qint64 from = 0;
    QByteArray validator; // strong ETag or Last-Modified, for If-Range
    qint64 whole = -1;    // bytes of the whole body, when some answer told
    bool probe = false;   // `from` bytes are all, as it seems: is there more?
};

struct HopResult {
    int status = 0;
    QUrl redirect;            // absolute; set for a redirect
    bool unreachable = false; // no connection: another address may do
    bool broken = false;      // the body did not come whole
    Error problem;            // why, when unreachable or broken
    QByteArray contentType, disposition;
    HopStart start;           // for the rest of a broken body; from 0: it must begin anew
    bool nothingMore = false; // what is there already was all
    bool unsure = false;      // all came, if the connection did not break: `start` asks
    qint64 bytes = 0;         // of the whole body so far
};

// Hop: done resolves once; delete it by deleteLater(). Destroying it earlier aborts the request.
// Thread: the event loop's.
class Hop : public QObject
{
    Q_OBJECT
public:
    // request.url is the hop's own URL; onBegin and onData are called for a 2xx answer only. The answer must be whole at
    // `deadline`.
    Hop(FetchRequest request, const QHostAddress &address, HopStart start, std::chrono::steady_clock::time_point deadline);
    ~Hop() override;
    OneShot<HopResult> done() const { return m_done; }

private:
    void onProgress();
    void onHeaders();
    void onTimeout();
    void begin();
    Result<Done> take(QByteArrayView bytes);
    QCoro::Task<> handOver(QByteArray piece);
    void conclude();
    void breakOff(Error problem);
    void nothingMore();
    void restartTimer();
    void stop();
    void end(Result<HopResult> result);

    FetchRequest m_request;
    OneShot<HopResult> m_done;
    HopResult m_result;
    std::unique_ptr<Transfer> m_transfer;
    QTimer m_timer;
    CancelToken::Registration m_cancel;
    std::unique_ptr<Inflater> m_inflater;
    QByteArray m_errorBody, m_unpacked;
    const HopStart m_start;
    const std::chrono::steady_clock::time_point m_deadline;
    QByteArray m_validator;
    qint64 m_expected = -1; // bytes of this answer and what is before it, when announced
    qint64 m_whole = -1;    // of all
    bool m_open = false;    // a part that does not say whether more follows
    bool m_sent = false, m_headers = false, m_ended = false;
    bool m_handing = false; // a piece is with the sink
};

} // namespace power::net
