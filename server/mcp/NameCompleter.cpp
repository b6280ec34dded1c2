#include "mcp/NameCompleter.h"
#include <QJsonArray>

namespace power::mcp {

namespace {
// Where the names of an argument come from: an operation, the list in its answer, the member with the name.
struct NameSource {
    const char *argument, *operation, *list;
    QStringList members;
    bool ofSession; // asks for the session of the context
};

const QList<NameSource> &nameSources()
{
    static const QList<NameSource> all{
        {"session_id", "list_sessions", "sessions", {QStringLiteral("session_id")}, false},
        {"filename", "find_files", "files", {QStringLiteral("path")}, true},
        {"path", "find_files", "files", {QStringLiteral("path")}, true},
        {"dataset", "list_datasets", "datasets", {QStringLiteral("name"), QStringLiteral("dataset_name")}, true},
    };
    return all;
}

const NameSource *sourceOf(const QString &argument)
{
    for (const NameSource &source : nameSources()) {
        if (argument == QLatin1String(source.argument))
            return &source;
    }
    return nullptr;
}

Completion fitting(QStringList names, const QString &typed)
{
    names.removeDuplicates();
    Completion completion;
    QStringList inside;
    for (const QString &name : std::as_const(names)) {
        if (name.startsWith(typed, Qt::CaseInsensitive))
            completion.values << name;
        else if (name.contains(typed, Qt::CaseInsensitive))
            inside << name;
    }
    completion.values += inside;
    completion.total = int(completion.values.size());
    completion.hasMore = completion.values.size() > 100;
    completion.values = completion.values.mid(0, 100);
    return completion;
}
} // namespace

bool NameCompleter::handles(const CompletionQuestion &question) const
{
    return sourceOf(question.argument) || question.argument == u"format";
}

QCoro::Task<Result<Completion>> NameCompleter::complete(operations::Caller caller, CompletionQuestion question)
{
    if (question.argument == u"format")
        co_return fitting({QStringLiteral("html"), QStringLiteral("xlsx"), QStringLiteral("docx"), QStringLiteral("pdf")}, question.value);
    const NameSource *source = sourceOf(question.argument);
    const QString operation = source ? QString::fromLatin1(source->operation) : QString();
    if (!m_registry.find(operation))
        co_return Completion();
    QJsonObject arguments;
    const QString session = question.context.value(QStringLiteral("session_id")).toString();
    if (source->ofSession && !session.isEmpty())
        arguments.insert(QStringLiteral("session_id"), session);
    QCoro::Task<Result<operations::Answer>> asking = m_registry.call(operation, std::move(caller), arguments);
    const Result<operations::Answer> answer = co_await asking;
    // What is not there cannot be completed; that is no error of who types.
    if (!answer && (answer.error().code == ErrorCode::NotFound || answer.error().code == ErrorCode::InvalidArgument))
        co_return Completion();
    if (!answer)
        co_return Unexpected<Error>{answer.error()};
    QStringList names;
    for (const QJsonValue &entry : answer->data.value(QLatin1String(source->list)).toArray()) {
        for (const QString &member : source->members) {
            if (entry[member].isString()) {
                names << entry[member].toString();
                break;
            }
        }
    }
    co_return fitting(names, question.value);
}

} // namespace power::mcp
