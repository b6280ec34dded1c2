// The validation ladder as data: rungs in order, the first that fails answers (reference MCP 2.1, step 5).
#pragma once
#include "mcp/Classifier.h"
#include <optional>

namespace power::mcp {

struct Rung {
    const char *name;
    unsigned worlds; // in which it is checked
    std::optional<Rejection> (*check)(const Inbound &, const http::Headers &);
};

const QList<Rung> &ladder();

// First rung that refuses the message; nothing = serve it. Requests only: notifications are never answered
// with an error, and an unknown one does no harm.
std::optional<Rejection> climb(const Inbound &inbound, const http::Headers &headers);

// Value of a header that may be written "=?base64?...?=" (2026-07-28); nothing when that form is malformed.
std::optional<QString> decodedHeader(const QByteArray &value);

} // namespace power::mcp
