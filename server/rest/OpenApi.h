// OpenAPI 3.1 of everything that is served: routes that run an operation by its declaration, others by their RouteAbout.
#pragma once
#include "http/Dispatcher.h"
#include "operations/Operation.h"

namespace power::rest {

// Of all routes in `served`; those whose operation is not registered are left out.
QJsonObject openApiDocument(const operations::Registry &registry, const QString &version, const QList<http::Dispatcher::Listed> &served);

} // namespace power::rest
