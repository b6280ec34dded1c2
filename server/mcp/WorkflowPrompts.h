// Prompts for what people do with this server all the time: analyse a file, build a report, query a dataset, bring a file
// from SharePoint.
#pragma once
#include "mcp/Providers.h"

namespace power::mcp {

// WorkflowPrompts: a prompt is listed when the tools it tells the model to use exist. The registry must outlive it.
class WorkflowPrompts : public PromptProvider
{
public:
    explicit WorkflowPrompts(const operations::Registry &registry) : m_registry(registry) {}
    QList<Prompt> list(const operations::Caller &caller) const override;
    QCoro::Task<Result<PromptText>> get(operations::Caller caller, QString name, QJsonObject arguments) override;

private:
    const operations::Registry &m_registry;
};

} // namespace power::mcp
