// What the parts of DatasetService share. Only for this folder.
#pragma once
#include "datasets/DatasetService.h"
#include "datasets/ReadingRole.h"
#include "storage/Database.h"
#include "supervisor/KernelHost.h"
#include <QMap>

namespace power::datasets {

class DatasetService::Private
{
public:
    Private(Config its, storage::Database &store, supervisor::KernelHost &host) : config(std::move(its)), database(store), kernels(host) {}

    const Config config;
    storage::Database &database;
    supervisor::KernelHost &kernels;
    QString readerProblem = QStringLiteral("The database is not there yet.");
    QMap<QString, Reader> readers; // principal -> role, made and ready
    bool stopped = false;
};

// What every call says when the service went away under it.
Unexpected<Error> goneError();

} // namespace power::datasets
