// OpenAPI 3.1 of the JSON routes, from the route table and the declarations.
#pragma once
#include "operations/Operation.h"

namespace power::rest {

// Routes whose operation is not registered are left out.
QJsonObject openApiDocument(const operations::Registry &registry, const QString &version);

} // namespace power::rest
