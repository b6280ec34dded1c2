// The tools, resources and prompts the official conformance suite calls. Never part of a production server.
#pragma once
#include "mcp/Providers.h"

namespace power::conformance {

// `changes`: where the tools that change a list say so.
void addPlainTools(operations::Registry &registry, const std::shared_ptr<mcp::Changes> &changes);
void addAskingTools(operations::Registry &registry);
// Tools whose calls become tasks, and where those are kept.
void addTaskTools(operations::Registry &registry);
std::shared_ptr<mcp::TaskProvider> tasksInMemory();
void addOffers(mcp::Features &features);

// --- for the parts of the fixture
QJsonObject parsed(const char *json); // written with single quotes
const QByteArray &tinyPng();
operations::Block textBlock(const QString &text);
operations::Answer textAnswer(const QString &text);
operations::InputNeed elicitation(const QString &key, const QString &message, const QJsonObject &schema);
void addTool(operations::Registry &registry, const char *name, const char *description, operations::Method method,
             const QJsonObject &schema = {});

} // namespace power::conformance
