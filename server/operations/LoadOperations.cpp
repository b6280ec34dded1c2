// load_dataset: a file of the session, or a persistent dataset, as a DataFrame of it. It runs as a cell does, so that the
// variable is kept, restored and recorded as any other.
#include "operations/FilePlace.h"
#include "operations/FileTools.h"
#include "operations/InsideTools.h"
#include "operations/RunText.h"
#include "operations/TaskFailure.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <QSet>

namespace power::operations {

namespace {
const QStringList &readingOptions()
{
    static const QStringList names{QStringLiteral("sheet_name"), QStringLiteral("delimiter"), QStringLiteral("encoding"),
                                   QStringLiteral("pdf_pages")};
    return names;
}

// A name a variable can have, made of `name`.
QString identifierOf(const QString &name)
{
    static const QSet<QString> keywords{
        QStringLiteral("False"), QStringLiteral("None"), QStringLiteral("True"), QStringLiteral("and"), QStringLiteral("as"),
        QStringLiteral("assert"), QStringLiteral("async"), QStringLiteral("await"), QStringLiteral("break"), QStringLiteral("class"),
        QStringLiteral("continue"), QStringLiteral("def"), QStringLiteral("del"), QStringLiteral("elif"), QStringLiteral("else"),
        QStringLiteral("except"), QStringLiteral("finally"), QStringLiteral("for"), QStringLiteral("from"), QStringLiteral("global"),
        QStringLiteral("if"), QStringLiteral("import"), QStringLiteral("in"), QStringLiteral("is"), QStringLiteral("lambda"),
        QStringLiteral("nonlocal"), QStringLiteral("not"), QStringLiteral("or"), QStringLiteral("pass"), QStringLiteral("raise"),
        QStringLiteral("return"), QStringLiteral("try"), QStringLiteral("while"), QStringLiteral("with"), QStringLiteral("yield")};
    QString made;
    for (const QChar c : name.trimmed())
        made += c == u'_' || (c.unicode() < 128 ? c.isLetterOrNumber() : c.isLetter()) ? c : QChar(u'_');
    if (made.isEmpty() || made.count(u'_') == made.size())
        made = QStringLiteral("data");
    if (made.front().isDigit())
        made.prepend(QStringLiteral("t_"));
    return keywords.contains(made) ? made + u'_' : made;
}

// As a literal of Python: JSON's strings are.
QString literal(const QString &text)
{
    return QString::fromUtf8(QJsonDocument(QJsonArray{text}).toJson(QJsonDocument::Compact)).mid(1).chopped(1);
}

// The cell; the module is named in full, because a session may have a power.py of its own.
QByteArray loadingCode(const QString &variable, const QString &path, const QString &dataset, const QJsonObject &arguments)
{
    QString code = variable + QStringLiteral(" = __import__(\"power_kernel.tableload\", fromlist=[\"load_dataset\"]).load_dataset(");
    code += path.isEmpty() ? QStringLiteral("dataset=") + literal(dataset) : literal(path);
    for (const QString &option : readingOptions()) {
        const QString value = arguments.value(option).toString();
        if (!value.isEmpty())
            code += QStringLiteral(", %1=").arg(option) + literal(value);
    }
    return (code + u')').toUtf8();
}

// The file's path as code in the session sees it. Errors: those of the file.
QCoro::Task<Result<QString>> insidePathOf(Services *services, Caller caller, sessions::SessionKey key, QString given)
{
    const QString session = key.id;
    QCoro::Task<Result<FilePlace>> placing = placeOf(services, std::move(caller), session, given);
    const Result<FilePlace> place = co_await placing;
    if (!place)
        co_return Unexpected<Error>{place.error()};
    if (!(place->key == key))
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("That file is of session '%1'.").arg(place->key.id),
                       QStringLiteral("Pass session_id=\"%1\", or store it with upload_dataset: datasets are there for every session.").arg(place->key.id));
    const auto opened = place->space->openRead(place->path);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    const QString path = place->path;
    co_return path.startsWith(u'/') ? path : place->space->insidePath() + u'/' + path;
}

Result<Answer> answerOf(const sessions::RunReport &report, const QString &asked, const QString &variable)
{
    const supervisor::RunOutcome &outcome = report.outcome;
    if (outcome.status != supervisor::RunStatus::Ok)
        return runFailure(outcome, QStringLiteral("Loading"), QStringLiteral("Load a part of it in execute_code, or store it with "
                                                                             "upload_dataset and query it there."));
    Answer answer;
    answer.data = outcome.result.toObject();
    for (const QJsonValue &note : answer.data.take(QStringLiteral("notes")).toArray())
        answer.notes << note.toString();
    answer.data.insert(QStringLiteral("name"), variable);
    answer.data.insert(QStringLiteral("status"), QStringLiteral("loaded"));
    if (variable != asked)
        answer.notes << QStringLiteral("\"%1\" is no name for a variable: the DataFrame is called %2, in code and in SQL.").arg(asked, variable);
    if (!report.kernelNote.isEmpty() && !report.sessionIsNew)
        answer.notes << report.kernelNote;
    return answer;
}

QCoro::Task<Result<Answer>> loadDataset(Services *services, const Registry *registry, Caller caller, QJsonObject arguments)
{
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const sessions::SessionKey named = *key;
    const QString asked = arguments.value(QStringLiteral("dataset_name")).toString();
    const QString given = arguments.value(QStringLiteral("filename")).toString();
    QString path;
    if (!given.isEmpty()) {
        const Caller who = caller;
        QCoro::Task<Result<QString>> finding = insidePathOf(services, who, named, given);
        const Result<QString> found = co_await finding;
        if (!found)
            co_return Unexpected<Error>{found.error()};
        path = *found;
    }
    const QString variable = identifierOf(asked);
    sessions::RunCall call;
    call.key = named;
    call.door = caller.door;
    call.code = loadingCode(variable, path, asked, arguments);
    call.timeout = std::chrono::seconds(services->limits.maxExecutionSeconds);
    call.cancel = caller.cancel;
    call.report = caller.progress;
    call.tools = insideTools(*registry, caller, named.id);
    const auto report = co_await services->sessions.run(std::move(call));
    if (!report)
        co_return Unexpected<Error>{report.error()};
    co_return answerOf(*report, asked, variable);
}
} // namespace

void addLoadOperations(Registry &registry, Services &services)
{
    Operation load;
    load.name = QStringLiteral("load_dataset");
    load.title = QStringLiteral("Load a DataFrame");
    load.description = QStringLiteral("Load a table file of the session (csv, tsv, xlsx, xls, json, jsonl, parquet, pdf) as a pandas DataFrame "
                                      "variable, for execute_code and query_dataset. Without filename: the persistent dataset of that name.");
    Parameter name = textParameter("dataset_name", "Name of the variable; without filename also of the dataset.", true);
    name.aliases = {QStringLiteral("name")};
    name.example = QStringLiteral("sales");
    Parameter file = textParameter("filename", "Name as list_files shows it.");
    file.aliases = {QStringLiteral("file_path")};
    load.parameters = QList<Parameter>{name, file, sessionParameter()} + readingParameters();
    load.hints = {false, false, true, false};
    load.scope = QStringLiteral("run");
    load.toolset = QStringLiteral("data");
    load.method = [&services, &registry](Caller caller, QJsonObject arguments) {
        return loadDataset(&services, &registry, std::move(caller), std::move(arguments));
    };
    registry.add(load);
}

} // namespace power::operations
