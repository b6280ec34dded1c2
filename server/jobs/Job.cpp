#include "jobs/Job.h"
#include <algorithm>

namespace power::jobs {

bool isFinal(const QString &state)
{
    return state != state::queued && state != state::running;
}

QString statusOf(const QString &state)
{
    if (state == state::queued)
        return QStringLiteral("pending");
    if (state == state::running || state == state::cancelled)
        return state;
    return state == state::succeeded ? QStringLiteral("completed") : QStringLiteral("failed");
}

QStringList statesOf(const QString &word)
{
    static const QStringList all{state::queued, state::running, state::succeeded, state::failed, state::cancelled, state::timedOut, state::interrupted};
    if (word == state::failed) // the original's word means everything that went wrong
        return {state::failed, state::timedOut, state::interrupted};
    if (word == u"timeout")
        return {state::timedOut};
    if (all.contains(word))
        return {word};
    QStringList found;
    std::copy_if(all.cbegin(), all.cend(), std::back_inserter(found), [&word](const QString &state) { return statusOf(state) == word; });
    return found;
}

Order orderOf(const QJsonObject &arguments)
{
    const auto text = [&](const char *name) { return arguments.value(QLatin1String(name)).toString(); };
    Order order;
    order.key.id = text("session_id");
    order.code = text("code").toUtf8();
    order.context = arguments.value(QStringLiteral("context")).toObject();
    order.metadata = arguments.value(QStringLiteral("metadata")).toObject();
    order.options = arguments.value(QStringLiteral("options")).toObject();
    order.timeoutSeconds = arguments.value(QStringLiteral("timeout")).toInt();
    order.priority = arguments.value(QStringLiteral("priority")).toInt();
    order.maxAttempts = arguments.value(QStringLiteral("max_attempts")).toInt(1);
    order.requeueIfLost = text("if_lost") == u"requeue";
    order.webhook = {text("webhook_url"), text("webhook_secret")};
    return order;
}

qint64 Job::elapsedMs() const
{
    if (executionMs >= 0 && isFinal(state))
        return executionMs;
    const QDateTime from = started.isValid() ? started : submitted;
    const QDateTime to = completed.isValid() ? completed : now;
    return from.isValid() && to.isValid() ? std::max<qint64>(0, from.msecsTo(to)) : 0;
}

} // namespace power::jobs
