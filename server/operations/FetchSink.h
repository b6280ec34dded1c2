// Where a fetch goes: into a file of the session that is named by what comes.
#pragma once
#include "net/Fetch.h"
#include "operations/Arrival.h"

namespace power::operations {

// FetchSink: the file is made when the first bytes are there, because they and the server's words decide its name. Disk
// work is beside the event loop, one piece at a time. Nothing is seen before finish(). Thread: the event loop's.
class FetchSink : public std::enable_shared_from_this<FetchSink>
{
public:
    // destination.name: as asked for, or empty to be found. ending: what a file without one gets, may be empty.
    FetchSink(Destination destination, QString ending) : m_destination(std::move(destination)), m_ending(std::move(ending)) {}

    // The body begins, perhaps anew.
    Result<Done> begin(const net::FetchedHead &head);
    OneShot<Done> take(QByteArray piece);
    // All came. Errors: Upstream (a web page in place of the file), those of the disk.
    QCoro::Task<Result<Arrival>> finish(Services *services, QString baseUrl, QString host);

    qint64 received() const { return m_received; }
    qint64 announced() const { return m_head.size; }
    const Destination &destination() const { return m_destination; }
    // What is odd about the content for its name; empty when nothing is.
    QString remark() const;

private:
    // Decides the name, if that is left to do.
    void name();

    Destination m_destination;
    QString m_ending;
    net::FetchedHead m_head;
    QByteArray m_beginning; // of the content
    std::shared_ptr<workspace::Workspace::Writer> m_writer;
    qint64 m_received = 0;
};

} // namespace power::operations
