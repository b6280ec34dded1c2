// From an HTTP request to the arguments of an operation.
#pragma once
#include "http/Message.h"
#include "rest/RouteTable.h"
#include <variant>

namespace power::rest {

// Preset before path before query before body. The alternative is the answer to send instead: 422 for a body that is no
// JSON object, 415 for a form, 400 for an argument that is blank where the route forbids it.
std::variant<QJsonObject, http::Response> argumentsOf(const Route &route, const http::Request &request);

} // namespace power::rest
