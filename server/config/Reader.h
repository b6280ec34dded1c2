// Turns one text into one field. The only place that knows how a value is written.
#pragma once
#include "config/Declaration.h"

namespace power::config {

// Empty on success (the field is set), else one sentence that names the setting as `shownName`
// ("PORT" or "--port"), the value (never that of a secret) and what is accepted.
QString readValue(Settings &settings, const Declaration &declaration, const QString &shownName, const QString &text);

// The field as it would be written in the environment; not redacted.
QString writtenValue(const Settings &settings, const Declaration &declaration);

} // namespace power::config
