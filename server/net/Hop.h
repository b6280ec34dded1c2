// One request of a fetch: to one address, with the name in Host and SNI, until its answer is read.
#pragma once
#include "base/OneShot.h"
#include "net/Fetch.h"
#include "net/Inflate.h"
#include <QNetworkAccessManager>
#include <QNetworkReply>
#include <QTimer>

namespace power::net
{

struct HopResult {
    int status = 0;
    QUrl redirect;            // absolute; set for a redirect
    bool unreachable = false; // no connection: another address may do
    QString problem;          // why, when unreachable
    QByteArray contentType, disposition;
    qint64 bytes = 0;
};

// Hop: done resolves once; delete it by deleteLater(). Destroying it earlier aborts the request.
// Thread: the event loop's.
class Hop : public QObject
{
    Q_OBJECT
public:
    // request.url is the hop's own URL; onData gets the body of a 2xx answer only.
    Hop(FetchRequest request, const QHostAddress &address);
    ~Hop() override;
    OneShot<HopResult> done() const { return m_done; }

private:
    void onHeaders();
    void onReadable();
    void onFinished();
    void onTimeout();
    Result<Done> take(QByteArrayView bytes);
    void stop();
    void end(Result<HopResult> result);

    FetchRequest m_request;
    OneShot<HopResult> m_done;
    HopResult m_result;
    QNetworkAccessManager m_manager;
    QNetworkReply *m_reply = nullptr; // child of m_manager
    QTimer m_timer;
    CancelToken::Registration m_cancel;
    std::unique_ptr<Inflater> m_inflater;
    QByteArray m_errorBody;
    bool m_sent = false, m_headers = false, m_ended = false;
};

} // namespace power::net
