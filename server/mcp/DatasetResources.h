// Persistent datasets as resources: power://datasets/{dataset}: what it is, its columns and first rows, as JSON.
#pragma once
#include "mcp/Providers.h"
#include <QMap>
#include <QSet>

namespace power::mcp {

// A dataset's URI; the name is percent-encoded.
QString datasetUri(const QString &name);

// DatasetResources: reads through the operations list_datasets, get_dataset and query_dataset, so their limits and scopes
// hold. The registry must outlive it. Thread: the event loop's.
class DatasetResources : public ResourceProvider
{
public:
    DatasetResources(const operations::Registry &registry, std::shared_ptr<Changes> changes)
        : m_registry(registry), m_changes(std::move(changes)) {}

    QCoro::Task<Result<QList<ResourceInfo>>> list(operations::Caller caller) override;
    QList<ResourceTemplate> templates() const override;
    bool owns(const QString &uri) const override;
    // Error: NotFound.
    QCoro::Task<Result<ResourceRead>> read(operations::Caller caller, QString uri) override;
    Result<Done> watch(const operations::Caller &caller, const QString &uri, bool on) override;

    // A dataset of the principal was stored, replaced or removed; which, is not known: each one that is watched is told.
    void changed(const QString &principal);

private:
    const operations::Registry &m_registry;
    std::shared_ptr<Changes> m_changes;
    QMap<QString, QSet<QString>> m_watched; // principal -> URIs
};

} // namespace power::mcp
