// What the endpoint is told at start.
#pragma once
#include "mcp/ProgressMeter.h"
#include "mcp/Providers.h"
#include "mcp/ResultShaping.h"
#include "mcp/Sealer.h"
#include "mcp/ToolSelection.h"

namespace power::mcp {

// What the server says of itself.
struct ServerFacts {
    QString name = QStringLiteral("Power Interpreter");
    QString version;
    QString instructions; // at most 2,000 characters, most important first
};

struct EndpointConfig {
    ServerFacts facts;
    ShapeRules shape;
    StreamDelays delays;
    std::shared_ptr<Features> features = std::make_shared<Features>(); // resources, prompts, completions
    ToolSelection tools;               // for requests that select none; its read-only switch holds for all
    Sealer sealer;                     // of session ids and request states; one that outlives a restart keeps them good
    std::chrono::milliseconds inputTimeout{600'000}; // for the person behind a client to answer a question
    qint64 maxBody = 64 * 1024 * 1024; // bytes of one POST; uploads larger than that go by URL or REST
};

} // namespace power::mcp
