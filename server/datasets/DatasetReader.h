// The server's end of the pipe on which a one-shot worker (resources/render/loader.py) tells what is in a file. The worker
// reads hostile files: everything is checked. Only for this folder.
#pragma once
#include "base/Error.h"
#include "datasets/Dataset.h"
#include "supervisor/Fd.h"
#include <QStringList>
#include <atomic>
#include <chrono>

namespace power::datasets {

// What the worker found before the first row.
struct Found {
    QString format;
    QList<Column> columns;
    QStringList notes;
};

// RowPipe: schema() first, then next() until it is empty, both blocking, by one thread at a time; close() and rows() by any.
class RowPipe
{
public:
    explicit RowPipe(supervisor::Fd pipe) : m_pipe(std::move(pipe)) {}

    // Errors: Upstream (the worker ended before it was whole; it says why elsewhere), InvalidArgument (columns),
    // Cancelled (closed), Internal (the worker does not keep to the form).
    Result<Found> schema();
    // Bytes of COPY (FORMAT csv), at most 256 KiB; empty = the end, and it was whole.
    Result<QByteArray> next();
    // Ends every wait.
    void close() { m_closed = true; }
    qint64 rows() const { return m_rows; }
    qint64 bytes() const { return m_bytes; }
    // Told at the end; to be read after it.
    const QStringList &lateNotes() const { return m_lateNotes; }

private:
    struct Head {
        quint32 kind = 0, bytes = 0, rows = 0;
    };
    Result<Head> head();
    Result<QByteArray> read(qsizetype bytes); // exactly so many

    supervisor::Fd m_pipe;
    quint32 m_left = 0, m_leftRows = 0; // of the present piece
    std::atomic<bool> m_closed = false;
    std::atomic<qint64> m_rows = 0, m_bytes = 0;
    QStringList m_lateNotes;
};

} // namespace power::datasets
