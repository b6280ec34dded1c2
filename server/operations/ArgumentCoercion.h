// One value to the type of one parameter, as leniently as is safe (clients send numbers, lists and objects as text).
#pragma once
#include "operations/Operation.h"
#include <optional>

namespace power::operations {

// What became of one given value.
struct Coerced {
    enum class Outcome { Value, NotGiven, Problem };
    Outcome outcome = Outcome::Value;
    QJsonValue value;
    QString problemType; // wrong_type, blank, out_of_range, not_allowed, invalid
    QString text;        // of the problem, or a note about a clamped value; may be empty
};

// Type, enum and bounds. Empty text for a parameter that is no string counts as not given.
Coerced coerceArgument(const Parameter &parameter, const QJsonValue &given);

// A value as a reader sees it: text in quotes, at most 60 characters.
QString shownValue(const QJsonValue &value);

} // namespace power::operations
