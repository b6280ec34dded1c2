// fetch_from_url: the primary way to bring a file into a session (contract 4.2).
#include "operations/Arrival.h"
#include "operations/RunText.h"

namespace power::operations {

namespace {
// A line of Python that reads the file, by its extension; empty when unknown.
QString readLine(const QString &path)
{
    const QString ending = path.section(u'.', -1).toLower();
    static const QHash<QString, QString> readers = {
        {QStringLiteral("xlsx"), QStringLiteral("df = pd.read_excel('%1')")},
        {QStringLiteral("xls"), QStringLiteral("df = pd.read_excel('%1')")},
        {QStringLiteral("csv"), QStringLiteral("df = pd.read_csv('%1')")},
        {QStringLiteral("tsv"), QStringLiteral("df = pd.read_csv('%1', sep='\\t')")},
        {QStringLiteral("json"), QStringLiteral("df = pd.read_json('%1')")},
        {QStringLiteral("jsonl"), QStringLiteral("df = pd.read_json('%1', lines=True)")},
        {QStringLiteral("parquet"), QStringLiteral("df = pd.read_parquet('%1')")},
        {QStringLiteral("txt"), QStringLiteral("text = open('%1').read()")},
        {QStringLiteral("pdf"), QStringLiteral("import pdfplumber; pdf = pdfplumber.open('%1')")},
    };
    const QString reader = readers.value(ending);
    return reader.isEmpty() ? QString() : reader.arg(path);
}

// An HTML page in place of a binary file is a login or error page, not the data (R4).
bool isUnexpectedHtml(const QString &name, const QByteArray &contentType, const QByteArray &head)
{
    static const QStringList binary = {QStringLiteral("xlsx"), QStringLiteral("xls"), QStringLiteral("parquet"),
                                       QStringLiteral("pdf"), QStringLiteral("png"), QStringLiteral("jpg"),
                                       QStringLiteral("jpeg"), QStringLiteral("zip"), QStringLiteral("db"),
                                       QStringLiteral("sqlite"), QStringLiteral("docx"), QStringLiteral("csv"),
                                       QStringLiteral("tsv")};
    if (!binary.contains(name.section(u'.', -1).toLower()))
        return false;
    const QByteArray start = head.left(256).trimmed().toLower();
    return start.startsWith("<!doctype html") || start.startsWith("<html") || (contentType.startsWith("text/html") && start.startsWith('<'));
}

bool isCompleteUrl(const QString &text)
{
    const QUrl url(text.trimmed(), QUrl::StrictMode);
    return url.isValid() && !url.host().isEmpty();
}

QString nameFromUrl(const QUrl &url)
{
    const QString last = url.path(QUrl::FullyDecoded).section(u'/', -1);
    return last.isEmpty() ? QStringLiteral("downloaded_file") : last;
}

QCoro::Task<Result<Answer>> fetchFromUrl(Services *services, Caller caller, QJsonObject arguments)
{
    auto key = sessionKey(caller, arguments);
    if (!key)
        co_return Unexpected<Error>{key.error()};
    const QUrl url(arguments.value(QStringLiteral("url")).toString().trimmed(), QUrl::StrictMode);
    if (!isCompleteUrl(arguments.value(QStringLiteral("url")).toString()))
        co_return fail(ErrorCode::InvalidArgument,
                       QStringLiteral("\"%1\" is not a complete URL.").arg(arguments.value(QStringLiteral("url")).toString().left(200)),
                       QStringLiteral("Send an http or https URL, e.g. https://example.com/data.csv."));
    const QString wanted = arguments.value(QStringLiteral("filename")).toString();
    const Result<Destination> to = destinationOf(services, caller, key->id, wanted.isEmpty() ? nameFromUrl(url) : wanted);
    if (!to)
        co_return Unexpected<Error>{to.error()};
    const Destination destination = *to;
    const QString name = destination.name;
    auto created = destination.space->create(name);
    if (!created)
        co_return Unexpected<Error>{created.error()};
    const std::shared_ptr<workspace::Workspace::Writer> writer = std::move(*created);
    auto head = std::make_shared<QByteArray>();

    net::FetchRequest request;
    request.url = url;
    request.maxBytes = services->limits.maxFetchBytes;
    request.cancel = caller.cancel;
    const qint64 most = services->limits.maxFetchBytes;
    auto received = std::make_shared<qint64>(0);
    request.onData = [writer, head, received, most, progress = caller.progress](QByteArrayView bytes) {
        if (head->size() < 512)
            head->append(bytes.first(qMin<qsizetype>(bytes.size(), 512)).toByteArray());
        *received += bytes.size();
        if (progress)
            progress(double(*received), double(most), QStringLiteral("%1 received").arg(humanSize(*received)));
        return writer->write(bytes);
    };
    auto fetched = co_await services->fetcher.fetch(std::move(request));
    if (!fetched)
        co_return Unexpected<Error>{fetched.error()};
    if (isUnexpectedHtml(name, fetched->contentType, *head))
        co_return fail(ErrorCode::Upstream,
                       QStringLiteral("%1 answered with a web page instead of the file %2.").arg(url.host(), name),
                       QStringLiteral("The link probably needs a login or points to a viewer; use a direct download link."));
    const QString baseUrl = caller.baseUrl;
    const Result<Arrival> arrival = co_await arriveBy(services, baseUrl, destination, writer);
    if (!arrival)
        co_return Unexpected<Error>{arrival.error()};
    const QJsonObject info = arrival->info;
    const QString inside = destination.space->insidePath() + u'/' + name;
    QString text = QStringLiteral("Saved %1 (%2 bytes) to %3 in session %4")
                       .arg(name, QLocale::c().toString(arrival->facts.size), inside, key->id);
    const QString preview = info.value(QStringLiteral("preview")).toString();
    if (!preview.isEmpty())
        text += QStringLiteral("\nPreview:\n") + preview;
    if (const QString line = readLine(inside); !line.isEmpty())
        text += QStringLiteral("\nRead it with: ") + line;
    if (!arrival->note.isEmpty())
        text += u'\n' + arrival->note;
    co_return textAnswer(text, info);
}
} // namespace

void addFetchOperations(Registry &registry, Services &services)
{
    Operation fetch;
    fetch.name = QStringLiteral("fetch_from_url");
    fetch.title = QStringLiteral("Load a URL");
    fetch.description = QStringLiteral("Download a public http(s) URL into a session: the primary way to load files (xlsx, csv, json, "
                                       "parquet, pdf, zip, images ...). Up to %1. Returns the path to use in execute_code.")
                            .arg(humanSize(services.limits.maxFetchBytes));
    Parameter url;
    url.name = QStringLiteral("url");
    url.description = QStringLiteral("Direct link to the file.");
    url.required = true;
    url.check = [](const QString &text) {
        return isCompleteUrl(text) ? QString()
                                   : QStringLiteral("must be a complete http or https URL, got \"%1\"").arg(text.left(200));
    };
    Parameter name;
    name.insideName = QStringLiteral("name");
    name.name = QStringLiteral("filename");
    name.description = QStringLiteral("Name to save it as; default: from the URL.");
    fetch.parameters = {url, name, sessionParameter()};
    fetch.hints = {false, false, true, true};
    fetch.scope = QStringLiteral("files");
    fetch.toolset = QStringLiteral("files");
    fetch.method = [&services](Caller caller, QJsonObject arguments) {
        return fetchFromUrl(&services, std::move(caller), std::move(arguments));
    };
    fetch.inside = {QStringLiteral("fetch"), QStringLiteral("sandbox_path"), QStringLiteral("the path of the file in the session"),
                    QStringLiteral("Download a public http(s) URL into the session's directory.")};
    registry.add(std::move(fetch));
}

} // namespace power::operations
