#include "sessions/PackageDownload.h"
#include "base/OneShot.h"
#include <QJsonDocument>
#include <QProcess>
#include <QRegularExpression>
#include <csignal>

namespace power::sessions {

namespace {
// The process and whatever it started: the script makes a group of its own.
void endGroup(QProcess &process)
{
    if (process.state() == QProcess::NotRunning)
        return;
    ::kill(pid_t(-process.processId()), SIGKILL);
    process.kill();
}

QString lastLine(const QByteArray &text)
{
    return QString::fromUtf8(text).trimmed().section(u'\n', -1).left(1000);
}
} // namespace

QProcessEnvironment pipEnvironment()
{
    const QProcessEnvironment all = QProcessEnvironment::systemEnvironment();
    QProcessEnvironment some;
    const QStringList names = all.keys();
    for (const QString &name : names) {
        if (name.startsWith(u"PIP_") || name.endsWith(u"_proxy", Qt::CaseInsensitive) || name.startsWith(u"SSL_CERT_")
            || name == u"PATH" || name == u"HOME" || name == u"LANG")
            some.insert(name, all.value(name));
    }
    return some;
}

QString pipPython(const QString &pythonEnv)
{
    return pythonEnv.isEmpty() ? QStringLiteral("/usr/bin/python3") : pythonEnv + QStringLiteral("/bin/python");
}

QString packageNameProblem(const QString &requirement)
{
    static const QRegularExpression form(QStringLiteral(
        "\\A[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?(\\[[A-Za-z0-9._, -]{1,100}\\])?"
        "( ?(==|>=|<=|~=|!=|<|>) ?[A-Za-z0-9.*+!_-]{1,40}( ?, ?(==|>=|<=|~=|!=|<|>) ?[A-Za-z0-9.*+!_-]{1,40}){0,4})?\\z"));
    return form.match(requirement).hasMatch()
               ? QString()
               : QStringLiteral("must be the name of a package, perhaps with a version: humanize, or humanize==4.9.0");
}

QCoro::Task<Result<QJsonObject>> downloadWheels(PackageRules rules, QString requirement, QString directory, CancelToken cancel)
{
    OneShot<int> ended;
    // Deleted later: it may be its own signal that resumes this coroutine.
    const std::shared_ptr<QProcess> process(new QProcess, [](QProcess *gone) { gone->deleteLater(); });
    QObject::connect(process.get(), &QProcess::finished, process.get(), [ended](int code, QProcess::ExitStatus status) {
        ended.resolve(status == QProcess::NormalExit ? code : -1);
    });
    QObject::connect(process.get(), &QProcess::errorOccurred, process.get(), [ended](QProcess::ProcessError error) {
        if (error == QProcess::FailedToStart)
            ended.resolve(-1);
    });
    process->setProcessEnvironment(pipEnvironment());
    process->start(pipPython(rules.pythonEnv), {QStringLiteral("-I"), QStringLiteral("-c"), rules.script, requirement, directory, rules.index,
                                                QString::number(rules.mostBytes)});
    const std::chrono::milliseconds limit = rules.limit;
    const Result<int> code = co_await ended.wait(limit, cancel);
    if (!code) {
        endGroup(*process);
        if (code.error().code != ErrorCode::Timeout)
            co_return Unexpected<Error>{code.error()};
        co_return fail(ErrorCode::Timeout,
                       QStringLiteral("Fetching %1 took longer than %2 s and was stopped.").arg(requirement).arg(limit.count() / 1000),
                       QStringLiteral("Try again later, or use what is installed."));
    }
    if (*code < 0)
        co_return fail(ErrorCode::Unavailable, QStringLiteral("The installer of packages could not be run."),
                       QStringLiteral("Use what is installed; tell whoever runs the server."));
    if (*code != 0)
        co_return fail(ErrorCode::NotFound, QStringLiteral("%1 was not installed: %2").arg(requirement, lastLine(process->readAllStandardError())),
                       QStringLiteral("Only wheels for this Python are installed, and the installed packages keep their versions. Try another "
                                      "version, or use what is installed."));
    const QJsonObject found = QJsonDocument::fromJson(lastLine(process->readAllStandardOutput()).toUtf8()).object();
    if (!found.contains(QLatin1String("wheels")))
        co_return fail(ErrorCode::Internal, QStringLiteral("The installer of packages gave no answer."), {});
    co_return found;
}

} // namespace power::sessions
