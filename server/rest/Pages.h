// The public pages beside the API: service card, health, API description and its page.
#pragma once
#include "http/Dispatcher.h"
#include <QJsonObject>

namespace power::rest {

// What GET /health answers; called per request, must not block.
using HealthProvider = std::function<QJsonObject()>;

// GET /, /health, /openapi.json, /docs, /redoc. `openApi` gives the description; called once, with the first request for it.
void addPages(http::Dispatcher &dispatcher, const QString &version, HealthProvider health, std::function<QJsonObject()> openApi);

} // namespace power::rest
