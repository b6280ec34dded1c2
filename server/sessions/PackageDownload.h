// Wheels for install_package: found and fetched by pip in a process of its own.
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include <QCoroTask>
#include <QJsonObject>
#include <QProcessEnvironment>
#include <QString>
#include <chrono>

namespace power::sessions {

// Where and how much: of the settings.
struct PackageRules {
    bool offered = false;                    // ALLOW_INSTALL
    QString pythonEnv;                       // prefix of the environment the sessions have; empty: the distribution's
    QString index;                           // PACKAGE_INDEX; empty: pip's own
    QString script;                          // resources/packages/session.py
    qint64 mostBytes = 0;                    // of a package's wheels together; unpacked four times that
    std::chrono::milliseconds limit{300'000};
};

// What pip needs of the server's environment, and none of its secrets.
QProcessEnvironment pipEnvironment();
// The interpreter whose pip is used.
QString pipPython(const QString &pythonEnv);

// Empty when `requirement` is the name of a package, perhaps with [extras] and versions: never an option, path or address.
QString packageNameProblem(const QString &requirement);

// Fetches what `requirement` needs besides the environment into `directory`/wheels. {"wheels": [names], "installed":
// [{name, version}], "already": text or null}. Errors: NotFound (pip's reason: no wheel, a conflict, too large), Timeout,
// Cancelled, Unavailable. Thread: the event loop's.
QCoro::Task<Result<QJsonObject>> downloadWheels(PackageRules rules, QString requirement, QString directory, CancelToken cancel);

} // namespace power::sessions
