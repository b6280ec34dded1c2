// What REST clients read when something is wrong: {"detail": ...} as they always have (contract 9).
#pragma once
#include "base/Error.h"
#include "http/Message.h"
#include "rest/RouteTable.h"
#include <QStringList>

namespace power::rest {

// One entry of a 422's `detail` list.
struct Invalid {
    QString type;
    QStringList place; // "body", "code"
    QString message;
};

// {"detail": text}
http::Response refusal(int status, const QString &text, const http::Request &request);
// 422 with a `detail` list; `hint` is added when not empty.
http::Response invalid(const QList<Invalid> &problems, const QString &hint, const http::Request &request);

// An operation's error at a route. Arguments that failed validation: 422; busy: 503 with retry_after (contract 9.2);
// no or a wrong key: 403, as published.
http::Response problemResponse(const Error &error, const Route &route, const http::Request &request);

} // namespace power::rest
