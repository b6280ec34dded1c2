// install_package: where the server allows it.
#include "operations/Services.h"
#include "sessions/SessionPackages.h"
#include <QJsonArray>

namespace power::operations {

namespace {
QString namesIn(const QJsonArray &list)
{
    QStringList names;
    for (const auto item : list)
        names << (item.isObject() ? item.toObject().value(QLatin1String("name")).toString() + u' '
                                        + item.toObject().value(QLatin1String("version")).toString()
                                  : item.toString());
    return names.join(QStringLiteral(", "));
}

QCoro::Task<Result<Answer>> installPackage(sessions::SessionPackages *packages, Caller caller, QJsonObject arguments)
{
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    const QString requirement = arguments.value(QLatin1String("package")).toString();
    const CancelToken cancel = caller.cancel;
    const Result<QJsonObject> done = co_await packages->install(named, requirement, cancel);
    if (!done)
        co_return Unexpected<Error>{done.error()};
    const QJsonArray installed = done->value(QLatin1String("installed")).toArray();
    const QJsonArray loaded = done->value(QLatin1String("loaded")).toArray();
    QString text = installed.isEmpty()
                       ? QStringLiteral("%1 is there already.").arg(done->value(QLatin1String("already")).toString(requirement))
                       : QStringLiteral("Installed for session '%1': %2. Import: %3.")
                             .arg(named.id, namesIn(installed), namesIn(done->value(QLatin1String("modules")).toArray()));
    if (!loaded.isEmpty())
        text += QStringLiteral(" Loaded before, so importlib.reload() is needed: %1.").arg(namesIn(loaded));
    co_return textAnswer(text, *done);
}
} // namespace

void addPackageOperations(Registry &registry, sessions::SessionPackages &packages)
{
    if (!packages.offered())
        return;
    Operation install;
    install.name = QStringLiteral("install_package");
    install.title = QStringLiteral("Install a package");
    install.description = QStringLiteral("Add a Python package and what it needs to one session, from wheels; installed packages keep their "
                                         "versions. It stays for as long as the session. pip inside of code cannot do this: there is no network.");
    install.scope = QStringLiteral("run");
    install.toolset = QStringLiteral("core");
    Parameter package;
    package.name = QStringLiteral("package");
    package.description = QStringLiteral("Name of the package, with a version when that matters: humanize==4.9.0");
    package.required = true;
    package.check = sessions::packageNameProblem;
    install.parameters = {package, sessionParameter()};
    install.hints = {false, false, true, true};
    install.method = [&packages](Caller caller, QJsonObject arguments) {
        return installPackage(&packages, std::move(caller), std::move(arguments));
    };
    registry.add(install);
}

} // namespace power::operations
