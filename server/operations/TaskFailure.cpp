#include "operations/TaskFailure.h"
#include <QSet>

namespace power::operations {

namespace {
// Errors that are sentences for an agent: their names say nothing more.
bool speaks(const QString &name)
{
    static const QSet<QString> names{QStringLiteral("TableError"), QStringLiteral("FormatError"), QStringLiteral("Refused"),
                                     QStringLiteral("LookupError")};
    return names.contains(name);
}
} // namespace

Unexpected<Error> runFailure(const supervisor::RunOutcome &outcome, const QString &what, const QString &smaller)
{
    if (outcome.status == supervisor::RunStatus::Error && outcome.errorCause.isEmpty())
        return fail(ErrorCode::InvalidArgument,
                    speaks(outcome.errorName) ? outcome.errorValue
                                              : QStringLiteral("%1 failed: %2: %3").arg(what, outcome.errorName, outcome.errorValue),
                    outcome.hint);
    if (outcome.status == supervisor::RunStatus::Error)
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("%1 failed: %2: %3 (limit %4, reached %5)")
                        .arg(what, outcome.errorName, outcome.errorValue, outcome.errorLimit, outcome.errorPeak),
                    outcome.hint.isEmpty() ? smaller : outcome.hint, {{QStringLiteral("cause"), outcome.errorCause}});
    return fail(outcome.cause == u"timeout" ? ErrorCode::Timeout : outcome.cause == u"cancelled" ? ErrorCode::Cancelled : ErrorCode::Unavailable,
                QStringLiteral("%1 did not finish: %2 %3").arg(what, outcome.cause, outcome.limit).trimmed()
                    + (outcome.restored ? QStringLiteral(". ") + outcome.restored->text() : QString()),
                smaller,
                {{QStringLiteral("cause"), outcome.cause},
                 {QStringLiteral("limit"), outcome.limit},
                 {QStringLiteral("variables_survived"), outcome.variablesSurvived}});
}

} // namespace power::operations
