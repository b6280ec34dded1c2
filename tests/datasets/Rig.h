// A database of its own, a real kernel host, and the service on both.
#pragma once
#include "datasets/DatasetService.h"
#include "storage/TestDatabase.h"
#include "supervisor/HostRig.h"
#include <QJsonDocument>
#include <sys/mman.h>

namespace power::datasets::test {

using storage::test::await;
using namespace std::chrono_literals;

struct Rig {
    storage::test::TestDatabase database;
    rig::Rig kernels;
    std::unique_ptr<DatasetService> service;

    // Empty, or what is missing.
    QString start()
    {
        const QString problem = database.start();
        if (!problem.isEmpty())
            return problem;
        if (!kernels.start())
            return QStringLiteral("no kernels");
        service = make();
        const Result<Done> started = await(service->start());
        return started ? service->queryProblem() : started.error().text();
    }
    std::unique_ptr<DatasetService> make()
    {
        DatasetService::Config config;
        config.ownCluster = true;
        return std::make_unique<DatasetService>(config, *database, *kernels.host);
    }
    void stop()
    {
        service.reset();
        kernels.stop();
        database.stop();
    }

    static StoreOrder order(const QString &name, int file, const QString &fileName)
    {
        StoreOrder made;
        made.principal = QStringLiteral("owner");
        made.name = name;
        made.fileName = fileName;
        made.file = file;
        made.timeout = 120s;
        return made;
    }
    static int memory(const QByteArray &content)
    {
        const int file = ::memfd_create("content", MFD_CLOEXEC);
        if (::write(file, content.constData(), size_t(content.size())) != content.size())
            qFatal("memfd");
        return file;
    }
    Result<Stored> store(const QString &name, const QByteArray &content, const QString &fileName = QStringLiteral("data.csv"),
                         const QString &principal = QStringLiteral("owner"))
    {
        const int file = memory(content);
        StoreOrder made = order(name, file, fileName);
        made.principal = principal;
        Result<Stored> stored = await(service->store(std::move(made)));
        ::close(file);
        return stored;
    }
    Result<QueryAnswer> query(const QString &sql, QJsonValue parameters = {}, qint64 limit = 1000, qint64 offset = 0,
                              std::chrono::milliseconds timeout = 20s)
    {
        QueryOrder asked;
        asked.principal = QStringLiteral("owner");
        asked.sql = sql;
        asked.parameters = std::move(parameters);
        asked.limit = limit;
        asked.offset = offset;
        asked.timeout = timeout;
        return await(service->query(std::move(asked)));
    }
    // All rows as JSON text, or the error.
    QByteArray rows(const QString &sql, QJsonValue parameters = {})
    {
        const auto answer = query(sql, std::move(parameters));
        return answer ? QJsonDocument(answer->rows).toJson(QJsonDocument::Compact) : answer.error().text().toUtf8();
    }
};

} // namespace power::datasets::test
