// Completion of the names people type: session ids, file names, datasets.
#pragma once
#include "mcp/Providers.h"

namespace power::mcp {

// NameCompleter: knows arguments by their name: session_id, filename and path (files of the session in the context, else of
// all), dataset, format. The registry must outlive it.
class NameCompleter : public Completer
{
public:
    explicit NameCompleter(const operations::Registry &registry) : m_registry(registry) {}
    bool handles(const CompletionQuestion &question) const override;
    // Names that begin with the typed text first, then those that contain it.
    QCoro::Task<Result<Completion>> complete(operations::Caller caller, CompletionQuestion question) override;

private:
    const operations::Registry &m_registry;
};

} // namespace power::mcp
