// The REST door: routes -> key -> arguments -> operation -> JSON (contract 9).
#pragma once
#include "doors/Authenticator.h"
#include "http/Dispatcher.h"
#include "rest/RouteTable.h"

namespace power::rest {

struct BodyLimits {
    qint64 usual = 16 * 1024 * 1024;
    qint64 upload = 64 * 1024 * 1024; // of the JSON body: at least 4/3 of the largest file
    // Takes multipart/form-data on the routes that upload, and reads that body itself; null: refused.
    http::Handler form = {};
};

// Adds the routes of the table. A client that hangs up does not stop what it started: the record of a run and its files
// are there afterwards. The registry must outlive every request. Thread: the event loop's.
void addRoutes(http::Dispatcher &dispatcher, const operations::Registry &registry, doors::Authenticator authenticate,
               BodyLimits limits);

// One request to one route; what the routes call.
void serve(const operations::Registry &registry, const doors::Authenticator &authenticate, const Route &route,
           http::ExchangePtr exchange);

} // namespace power::rest
