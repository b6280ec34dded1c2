#include "operations/Operation.h"
#include "base/Log.h"
#include <exception>

namespace power::operations {

const QList<Toolset> &toolsets()
{
    static const QList<Toolset> all{
        {"core", true, "run code, sessions"},
        {"files", true, "the files of a session"},
        {"jobs", true, "long runs in the background"},
        {"data", true, "datasets and SQL"},
        {"microsoft", true, "OneDrive and SharePoint"},
        {"extended", false, "what goes beyond the published list"},
        {"chatgpt", false, "search and fetch over session files and datasets, in the shapes ChatGPT asks for"},
    };
    return all;
}

void Registry::add(Operation operation)
{
    if (const auto it = m_index.constFind(operation.name); it != m_index.constEnd()) {
        m_operations[*it] = std::move(operation);
        return;
    }
    m_index.insert(operation.name, m_operations.size());
    m_operations.append(std::move(operation));
}

const Operation *Registry::find(const QString &name) const
{
    const auto it = m_index.constFind(name);
    return it == m_index.constEnd() ? nullptr : &m_operations.at(*it);
}

QCoro::Task<Result<Answer>> Registry::call(QString name, Caller caller, QJsonObject arguments) const
{
    const Operation *operation = find(name);
    if (!operation)
        co_return fail(ErrorCode::NotFound, QStringLiteral("There is no operation named \"%1\".").arg(name.left(80)));
    if (!caller.scopes.isEmpty() && !operation->scope.isEmpty() && !caller.scopes.contains(operation->scope))
        co_return fail(ErrorCode::Forbidden,
                       QStringLiteral("This key may not use %1: it lacks the scope \"%2\".").arg(name, operation->scope),
                       QStringLiteral("Use a key with that scope."));
    if (caller.readOnly && !operation->hints.readOnly)
        co_return fail(ErrorCode::Forbidden, QStringLiteral("%1 changes something, and this connection is read-only.").arg(name),
                       QStringLiteral("Ask the user to connect without the read-only switch (readonly=1, X-MCP-Readonly, MCP_READ_ONLY)."));
    Result<CheckedArguments> checked = CheckedArguments{arguments, {}};
    if (operation->rawInputSchema.isEmpty())
        checked = checkArguments(*operation, arguments);
    if (!checked)
        co_return Unexpected<Error>{std::move(checked.error())};

    if (m_before) {
        QCoro::Task<Result<Done>> preparing = m_before(*operation, caller, checked->values);
        const Result<Done> ready = co_await preparing;
        if (!ready)
            co_return Unexpected<Error>{ready.error()};
    }
    const QByteArray requestId = caller.requestId;
    try {
        QCoro::Task<Result<Answer>> running = operation->method(std::move(caller), std::move(checked->values));
        Result<Answer> answer = co_await running;
        if (answer)
            answer->notes = checked->notes + answer->notes;
        co_return answer;
    } catch (const std::exception &problem) {
        log::error("operation_threw", {{QStringLiteral("operation"), name},
                                       {QStringLiteral("what"), QString::fromUtf8(problem.what())},
                                       {QStringLiteral("request_id"), QString::fromLatin1(requestId)}});
    } catch (...) {
        log::error("operation_threw", {{QStringLiteral("operation"), name},
                                       {QStringLiteral("request_id"), QString::fromLatin1(requestId)}});
    }
    co_return fail(ErrorCode::Internal, QStringLiteral("%1 failed because of a fault in the server.").arg(name),
                   QStringLiteral("Try again once; if it stays, report it with the request id %1.")
                       .arg(QString::fromLatin1(requestId)));
}

} // namespace power::operations
