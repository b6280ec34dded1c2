// upload_dataset, list_datasets, delete_dataset, and get_dataset for REST: persistent tables, and the frames beside them.
#include "datasets/DatasetService.h"
#include "operations/Content.h"
#include "operations/FilePlace.h"
#include "operations/FileTools.h"
#include "operations/RunText.h"
#include "sessions/LiveSession.h"
#include <QJsonDocument>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace power::operations {

namespace {
constexpr int kColumnsListed = 60;

// What a dataset is made of: an open file and how it is called.
struct DatasetSource {
    std::shared_ptr<workspace::Descriptor> file;
    QString name, session;
    QString note;
};

Result<std::shared_ptr<workspace::Descriptor>> inMemory(const QByteArray &bytes)
{
    const auto file = std::make_shared<workspace::Descriptor>(::memfd_create("dataset", MFD_CLOEXEC));
    qsizetype written = 0;
    while (file->get() >= 0 && written < bytes.size()) {
        const ssize_t part = ::write(file->get(), bytes.constData() + written, size_t(bytes.size() - written));
        if (part <= 0)
            break;
        written += part;
    }
    if (file->get() < 0 || written < bytes.size())
        return fail(ErrorCode::Unavailable, QStringLiteral("The server has no memory for the content now."), QStringLiteral("Upload it as a file first."));
    return file;
}

// A file of a session, fetched into it before when a URL was given.
QCoro::Task<Result<DatasetSource>> sessionSource(Services *services, const Registry *registry, Caller caller, QJsonObject arguments)
{
    const QString session = arguments.value(QStringLiteral("session_id")).toString();
    const QString url = arguments.value(QStringLiteral("url")).toString();
    QString given = arguments.value(QStringLiteral("filename")).toString();
    DatasetSource source;
    if (!url.isEmpty()) {
        QJsonObject fetch{{QStringLiteral("url"), url}, {QStringLiteral("session_id"), session}};
        if (!given.isEmpty())
            fetch.insert(QStringLiteral("filename"), given);
        const QString operation = QStringLiteral("fetch_from_url");
        const Caller who = caller;
        QCoro::Task<Result<Answer>> fetching = registry->call(operation, who, fetch);
        const Result<Answer> fetched = co_await fetching;
        if (!fetched)
            co_return Unexpected<Error>{fetched.error()};
        given = fetched->data.value(QStringLiteral("filename")).toString();
        source.note = QStringLiteral("The file is in session %1 too, as %2.").arg(session, given);
    }
    QCoro::Task<Result<FilePlace>> placing = placeOf(services, std::move(caller), session, given);
    const Result<FilePlace> place = co_await placing;
    if (!place)
        co_return Unexpected<Error>{place.error()};
    workspace::FileFacts facts;
    auto opened = place->space->openRead(place->path, &facts);
    if (!opened)
        co_return Unexpected<Error>{opened.error()};
    source.file = std::make_shared<workspace::Descriptor>(std::move(*opened));
    source.name = place->path.section(u'/', -1);
    source.session = place->key.id;
    co_return source;
}

QCoro::Task<Result<DatasetSource>> sourceOf(Services *services, const Registry *registry, Caller caller, QJsonObject arguments)
{
    const bool url = !arguments.value(QStringLiteral("url")).toString().isEmpty();
    const bool inLine = !url && (arguments.contains(QStringLiteral("content_base64")) || arguments.contains(QStringLiteral("text")));
    const QString name = arguments.value(QStringLiteral("filename")).toString();
    if (!inLine && !url && name.isEmpty())
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("There is nothing to store: filename, url, content_base64 or text is needed."),
                       QStringLiteral("filename is a file of the session, as list_files shows it."));
    if (!inLine) {
        QCoro::Task<Result<DatasetSource>> finding = sessionSource(services, registry, std::move(caller), std::move(arguments));
        Result<DatasetSource> found = co_await finding;
        co_return found;
    }
    const Result<QByteArray> content = contentOf(arguments, QStringLiteral("upload_dataset"));
    if (!content)
        co_return Unexpected<Error>{content.error()};
    auto file = inMemory(*content);
    if (!file)
        co_return Unexpected<Error>{file.error()};
    co_return DatasetSource{*file, name.isEmpty() ? QStringLiteral("content") : name.section(u'/', -1), {}, {}};
}

QJsonArray previewObjects(const datasets::Stored &stored)
{
    QJsonArray rows;
    for (const QJsonValue &row : stored.preview) {
        const QJsonArray cells = row.toArray();
        QJsonObject object;
        for (qsizetype i = 0; i < stored.previewColumns.size(); ++i)
            object.insert(stored.previewColumns[i], cells.at(i));
        rows.append(object);
    }
    return rows;
}

QCoro::Task<Result<Answer>> uploadDataset(Services *services, const Registry *registry, Caller caller, QJsonObject arguments)
{
    const Caller who = caller;
    QCoro::Task<Result<DatasetSource>> finding = sourceOf(services, registry, who, arguments);
    const Result<DatasetSource> source = co_await finding;
    if (!source)
        co_return Unexpected<Error>{source.error()};
    datasets::StoreOrder order;
    order.principal = caller.principal;
    order.name = arguments.value(QStringLiteral("dataset_name")).toString();
    order.fileName = source->name;
    order.session = source->session;
    order.file = source->file->get();
    order.options = {arguments.value(QStringLiteral("sheet_name")).toString(), arguments.value(QStringLiteral("delimiter")).toString(),
                     arguments.value(QStringLiteral("encoding")).toString(), arguments.value(QStringLiteral("pdf_pages")).toString()};
    order.timeout = std::chrono::seconds(services->limits.jobSeconds);
    order.cancel = caller.cancel;
    if (const auto tell = caller.progress)
        order.progress = [tell](qint64 rows, const QString &text) { tell(double(rows), -1, text); };
    QCoro::Task<Result<datasets::Stored>> storing = services->datasets->store(std::move(order));
    const Result<datasets::Stored> stored = co_await storing;
    if (!stored)
        co_return Unexpected<Error>{stored.error()};
    Answer answer;
    answer.data = datasets::datasetJson(stored->dataset);
    answer.data.insert(QStringLiteral("preview"), previewObjects(*stored));
    answer.data.insert(QStringLiteral("status"), QStringLiteral("loaded"));
    if (stored->replaced)
        answer.data.insert(QStringLiteral("replaced"), true);
    answer.notes = stored->notes;
    if (!source->note.isEmpty())
        answer.notes << source->note;
    co_return answer;
}

// "name type" of each: what SQL is written with.
QJsonArray columnWords(const QList<datasets::Column> &columns)
{
    QJsonArray words;
    for (const datasets::Column &column : columns.mid(0, kColumnsListed))
        words.append(column.name + u' ' + column.type);
    if (columns.size() > kColumnsListed)
        words.append(QStringLiteral("... %1 more").arg(columns.size() - kColumnsListed));
    return words;
}

// The DataFrames of a session that has a kernel and is not at work: listing starts nothing and waits for nothing.
QCoro::Task<QJsonArray> framesOf(Services *services, sessions::SessionKey key, Answer *answer)
{
    const bool exists = services->sessions.existingWorkspace(key).ok();
    const auto live = exists ? services->sessions.existing(key) : Result<std::shared_ptr<sessions::LiveSession>>(fail(ErrorCode::NotFound, QString()));
    if (!live || !(*live)->kernelAlive())
        co_return QJsonArray();
    if ((*live)->queue.isBusy()) {
        answer->notes << QStringLiteral("Session %1 is running code; its DataFrames are not listed.").arg(key.id);
        co_return QJsonArray();
    }
    const QString task = QStringLiteral("frames");
    const QJsonObject nothing;
    const std::chrono::milliseconds most{10'000};
    const CancelToken never;
    const QString session = key.id;
    const auto outcome = co_await services->sessions.task(std::move(key), task, nothing, most, never);
    if (!outcome || outcome->status != supervisor::RunStatus::Ok)
        co_return QJsonArray();
    QJsonArray list;
    const QJsonObject told = QJsonDocument::fromJson(outcome->payload).object();
    for (const QJsonValue &frame : told.value(QStringLiteral("frames")).toArray()) {
        QList<datasets::Column> columns;
        for (const QJsonValue &column : frame[QLatin1String("columns")].toArray())
            columns.append({column[QLatin1String("name")].toString(), column[QLatin1String("dtype")].toString()});
        list.append(QJsonObject{{QStringLiteral("kind"), QStringLiteral("dataframe")},
                                {QStringLiteral("name"), frame[QLatin1String("name")]},
                                {QStringLiteral("session_id"), session},
                                {QStringLiteral("shape"), frame[QLatin1String("shape")]},
                                {QStringLiteral("columns"), columnWords(columns)}});
    }
    co_return list;
}

QCoro::Task<Result<Answer>> listDatasets(Services *services, Caller caller, QJsonObject arguments)
{
    const auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const QString principal = caller.principal;
    QCoro::Task<Result<QList<datasets::Dataset>>> listing = services->datasets->list(principal);
    const auto stored = co_await listing;
    Answer answer;
    QJsonArray list;
    if (!stored)
        answer.notes << QStringLiteral("Persistent datasets are not listed: ") + stored.error().message;
    for (const datasets::Dataset &dataset : stored ? *stored : QList<datasets::Dataset>()) {
        QJsonObject entry = datasets::datasetJson(dataset);
        entry.insert(QStringLiteral("kind"), QStringLiteral("persistent"));
        entry.insert(QStringLiteral("columns"), columnWords(dataset.columns));
        list.append(entry);
    }
    const sessions::SessionKey named = *key;
    if (arguments.value(QStringLiteral("frames")).toBool()) {
        QCoro::Task<QJsonArray> looking = framesOf(services, named, &answer);
        const QJsonArray frames = co_await looking;
        for (const QJsonValue &frame : frames)
            list.append(frame);
    }
    answer.data = {{QStringLiteral("datasets"), list}, {QStringLiteral("count"), list.size()}};
    co_return answer;
}

QCoro::Task<Result<Answer>> getDataset(Services *services, Caller caller, QJsonObject arguments)
{
    const QString principal = caller.principal;
    const QString name = arguments.value(QStringLiteral("dataset_name")).toString();
    QCoro::Task<Result<datasets::Dataset>> finding = services->datasets->find(principal, name);
    const auto found = co_await finding;
    if (!found)
        co_return Unexpected<Error>{found.error()};
    Answer answer;
    answer.data = datasets::datasetJson(*found);
    answer.data.insert(QStringLiteral("description"), found->description);
    answer.data.insert(QStringLiteral("updated_at"), found->updated.toUTC().toString(Qt::ISODateWithMs));
    co_return answer;
}

QCoro::Task<Result<Answer>> deleteDataset(Services *services, Caller caller, QJsonObject arguments)
{
    const QString principal = caller.principal;
    const QString name = arguments.value(QStringLiteral("dataset_name")).toString();
    QCoro::Task<Result<datasets::Dataset>> removing = services->datasets->remove(principal, name);
    const auto removed = co_await removing;
    if (!removed)
        co_return Unexpected<Error>{removed.error()};
    Answer answer;
    answer.data = {{QStringLiteral("dropped"), true}, {QStringLiteral("name"), removed->name}, {QStringLiteral("table_name"), removed->table}};
    co_return answer;
}

Operation dataOperation(const char *name, const char *title, const char *description, Hints hints)
{
    Operation operation;
    operation.name = QLatin1String(name);
    operation.title = QLatin1String(title);
    operation.description = QLatin1String(description);
    operation.hints = hints;
    operation.scope = QStringLiteral("files");
    operation.toolset = QStringLiteral("data");
    return operation;
}

Parameter nameParameter(const char *description)
{
    Parameter name = textParameter("dataset_name", description, true);
    name.aliases = {QStringLiteral("name")};
    name.insideName = QStringLiteral("name");
    name.example = QStringLiteral("sales");
    return name;
}
} // namespace

QList<Parameter> readingParameters()
{
    return {textParameter("sheet_name", "Sheet of a workbook; default: the first."),
            textParameter("delimiter", "Of a text file; default: found."),
            textParameter("encoding", "Of a text file; default: found."),
            textParameter("pdf_pages", "Pages of a PDF, e.g. 1,3 or all.")};
}

void addDatasetOperations(Registry &registry, Services &services)
{
    Operation upload = dataOperation("upload_dataset", "Store a dataset",
                                     "Store a table file (csv, tsv, xlsx, xls, json, jsonl, parquet, pdf; millions of rows) as a persistent "
                                     "dataset in PostgreSQL, for query_dataset from every session. Replaces one of that name.",
                                     {false, true, true, false});
    Parameter file = textParameter("filename", "File of the session; or");
    file.aliases = {QStringLiteral("file_path")};
    file.insideName = QStringLiteral("file");
    upload.parameters = {nameParameter("Its name; the table's name in SQL."), file, textParameter("url", "a public URL; or"),
                         textParameter("text", "the text of a CSV; or"), textParameter("content_base64", "the file's bytes."), sessionParameter()};
    upload.parameters += readingParameters();
    const QStringList contents{QStringLiteral("url"), QStringLiteral("text"), QStringLiteral("content_base64")};
    upload.choices = {{QStringList{QStringLiteral("filename")} + contents, true, false}, {contents, false, true}};
    upload.method = [&services, &registry](Caller caller, QJsonObject arguments) {
        return uploadDataset(&services, &registry, std::move(caller), std::move(arguments));
    };
    upload.inside = {QStringLiteral("store"), {}, QStringLiteral("a dict: name, row_count, columns ..."), {}};
    registry.add(upload);

    Operation list = dataOperation("list_datasets", "List datasets", "Persistent datasets, and the DataFrames of a running session, with their columns.",
                                   {true, false, true, false});
    Parameter frames;
    frames.name = QStringLiteral("frames");
    frames.type = Parameter::Type::Boolean;
    frames.description = QStringLiteral("The DataFrames too.");
    frames.defaultValue = true;
    frames.hidden = true;
    list.parameters = {sessionParameter(), frames};
    list.method = boundFile(services, listDatasets);
    list.inside = {QStringLiteral("datasets"), QStringLiteral("datasets"), QStringLiteral("a list of dicts: name, row_count, columns ..."), {}};
    registry.add(list);

    Operation get = dataOperation("get_dataset", "A dataset", "One persistent dataset with its columns.", {true, false, true, false});
    get.parameters = {nameParameter("Name, table name or id.")};
    get.isTool = false;
    get.method = boundFile(services, getDataset);
    registry.add(get);

    Operation remove = dataOperation("delete_dataset", "Delete a dataset", "Delete a persistent dataset with all its rows.", {false, true, true, false});
    remove.parameters = {nameParameter("Its name.")};
    remove.method = boundFile(services, deleteDataset);
    registry.add(remove);
}

} // namespace power::operations
