// Identifiers: random, unguessable, and the validation of names that come from outside.
#pragma once
#include "base/Error.h"
#include <QString>

namespace power {

// 122 random bits as a lower-case UUID without braces; used for run ids, /dl ids and request ids.
QString newUuid();

// 8 lower-case hexadecimal characters; for log correlation only, guessable.
QString shortId();

// The one session identity: ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ (contract D4). Error: InvalidArgument that
// shows the rule and an id made from the input.
Result<QString> validSessionId(const QString &text);

// A valid session id made from free text (contract R1), e.g. "Q3 Report!" -> "Q3-Report".
// Never empty: text without a usable character gives "session-" and 8 random characters.
QString sessionIdFromText(const QString &text);

} // namespace power
