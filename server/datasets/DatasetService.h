// Persistent datasets: tables of a principal that outlive sessions. Stored, listed, queried, copied out, removed.
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include "datasets/Dataset.h"
#include <QCoroTask>
#include <QJsonValue>
#include <QObject>
#include <QStringList>
#include <functional>
#include <memory>

namespace power::storage {
class Database;
}
namespace power::supervisor {
class KernelHost;
}

namespace power::datasets {

// How a file is to be read; empty = found out from the content.
struct ReadOptions {
    QString sheet, delimiter, encoding, pdfPages;
};

struct StoreOrder {
    QString principal, name;
    QString fileName;            // its ending says what the content does not
    QString session;             // where it came from, for the record; may be empty
    int file = -1;               // regular file or memfd, open for reading; the caller keeps it open until the answer
    ReadOptions options;
    std::chrono::milliseconds timeout{1'800'000};
    CancelToken cancel;
    std::function<void(qint64 rows, const QString &text)> progress{}; // rows stored so far, at most twice a second
};

struct Stored {
    Dataset dataset;
    QStringList previewColumns;
    QJsonArray preview;          // the first five rows, each a list of cells
    bool replaced = false;       // one of that name was there before
    QStringList notes;           // what was changed or left out on the way
};

struct QueryOrder {
    QString principal;
    QString sql;                 // one SELECT, WITH, VALUES, TABLE or EXPLAIN of PostgreSQL
    QJsonValue parameters{};     // list: $1, $2 ...; object: :name; values are text to PostgreSQL, typed by the statement
    qint64 limit = 1000, offset = 0;
    std::chrono::milliseconds timeout{60'000};
    CancelToken cancel;
};

struct QueryAnswer {
    QStringList columns, types;  // types as PostgreSQL calls them; names may occur twice
    QJsonArray rows;             // each a list of cells, safe as JSON: numbers where they are exact as such, else text;
                                 // NaN and infinities as text, times in ISO 8601, bytea as \x..., json as it is
    bool hasMore = false;
};

struct CopyOrder {
    QString principal, name;
    QStringList columns;         // empty = all, in the table's order
    qint64 mostBytes = 0;        // 0 = no limit; above: TooLarge
    int to = -1;                 // regular file, memfd or pipe; CSV with a header is written to it; stays the caller's
    std::chrono::milliseconds timeout{600'000};
    CancelToken cancel;
};

// CSV as COPY writes it: NULL is an empty field, an empty text is "".
struct Copied {
    QList<Column> columns;       // of the copy
    qint64 rows = 0, bytes = 0;
};

// DatasetService: all of it is durable when it resolves; after a crash a dataset is there whole or not at all.
// A name is 1 to 63 bytes of text (Error InvalidArgument says the rule). Thread: the event loop's.
class DatasetService : public QObject
{
    Q_OBJECT
public:
    struct Config {
        bool ownCluster = false;    // the database is ours alone: what agents need not is taken from PUBLIC, and their
                                    // backends get a limit of memory
        qint64 queryMemory = 1ll << 30;
        int loads = 2, queries = 4; // at once; more wait
        qint64 diskReserve = 512ll << 20; // free space a load leaves where `disk` is
        QString disk{};             // a directory on the disk of the cluster; empty = unknown
    };
    DatasetService(Config config, storage::Database &database, supervisor::KernelHost &kernels);
    ~DatasetService() override;

    // Once the database is there: what the Python server of old left gets its place, tables nobody knows are dropped.
    QCoro::Task<Result<Done>> start();
    void stop();

    // Replaces the dataset of that name, which is there until the new one is whole. Errors: InvalidArgument (name, content;
    // the message says how to read it), TooLarge (columns, disk), Busy, Timeout, Cancelled, Unavailable.
    QCoro::Task<Result<Stored>> store(StoreOrder order);
    // By name.
    QCoro::Task<Result<QList<Dataset>>> list(QString principal);
    // By name, table name or id; a name that differs only in case counts when no other fits. Error: NotFound, with the
    // names there are.
    QCoro::Task<Result<Dataset>> find(QString principal, QString name);
    QCoro::Task<Result<Dataset>> remove(QString principal, QString name);
    // Behind the rights of a role that can read the principal's datasets and nothing else, by their names or table names.
    // Errors: InvalidArgument (what PostgreSQL says of the statement, with its hint), Forbidden, TooLarge (the answer is
    // above 32 MiB), Timeout, Cancelled, Unavailable; details.sqlstate.
    QCoro::Task<Result<QueryAnswer>> query(QueryOrder order);
    // Empty while query() has its role; else why not, for /health. Then the rows must be copied out and queried elsewhere.
    QString queryProblem() const;
    // Errors: NotFound, InvalidArgument (a column that is not there), TooLarge, Timeout, Cancelled, Unavailable.
    QCoro::Task<Result<Copied>> copyOut(CopyOrder order);

    QJsonObject report() const; // for /health

Q_SIGNALS:
    // Stored, replaced or removed at this server.
    void changed(const QString &principal);

private:
    class Private;
    std::shared_ptr<Private> d;
};

} // namespace power::datasets
