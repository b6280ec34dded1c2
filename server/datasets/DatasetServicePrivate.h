// What the parts of DatasetService share. Only for this folder.
#pragma once
#include "datasets/DatasetService.h"
#include "datasets/ReadingRole.h"
#include "datasets/Turns.h"
#include "storage/Database.h"
#include "supervisor/KernelHost.h"
#include <QMap>

namespace power::datasets {

class DatasetService::Private
{
public:
    Private(Config its, storage::Database &store, supervisor::KernelHost &host) : config(std::move(its)), database(store), kernels(host), loads(config.loads), queries(config.queries)
    {
    }

    // The role of a principal, made at its first query. again: whatever is known of it. Errors: those of makeReader().
    static QCoro::Task<Result<Reader>> readerFor(std::shared_ptr<Private> held, QString principal, bool again);

    const Config config;
    storage::Database &database;
    supervisor::KernelHost &kernels;
    QString readerProblem = QStringLiteral("The database is not there yet.");
    QMap<QString, Reader> readers; // principal -> role, made and ready
    Turns loads, queries;
    CancelSource stop;
};

} // namespace power::datasets
