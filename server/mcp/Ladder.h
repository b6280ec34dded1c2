// The validation ladder as data: rungs in order, the first that fails answers (reference MCP 2.1, step 5).
#pragma once
#include "mcp/Classifier.h"
#include "mcp/Providers.h"
#include "mcp/ToolList.h"
#include <optional>

namespace power::mcp {

// What the rungs look at.
struct Climber {
    const Inbound &inbound;
    const http::Headers &headers;
    const ToolList &tools;
    const Features &features;
};

struct Rung {
    const char *name;
    unsigned worlds; // in which it is checked
    unsigned doors;  // header rungs: only where there are headers
    std::optional<Rejection> (*check)(const Climber &);
};

const QList<Rung> &ladder();

// First rung that refuses the message; nothing = serve it. Requests only: notifications are never answered
// with an error, and an unknown one does no harm.
std::optional<Rejection> climb(const Climber &climber);

// Those of `requests` (InputNeed::requests, or any object of {"method", "params"}) whose capability the client did not
// declare, as a capabilities object; empty = all declared.
QJsonObject undeclared(const QJsonObject &capabilities, const QJsonObject &requests);

// Value of a header that may be written "=?base64?...?=" (2026-07-28); nothing when that form is malformed.
std::optional<QString> decodedHeader(const QByteArray &value);

} // namespace power::mcp
