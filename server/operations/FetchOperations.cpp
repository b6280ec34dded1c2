// fetch_from_url: the primary way to bring a file into a session (contract 4.2).
#include "net/ShareLinks.h"
#include "operations/FetchSink.h"
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

bool isCompleteUrl(const QString &text)
{
    const QUrl url(text.trimmed(), QUrl::StrictMode);
    return url.isValid() && !url.host().isEmpty();
}

QCoro::Task<Result<Answer>> fetchFromUrl(Services *services, Caller caller, QJsonObject arguments)
{
    const QString given = arguments.value(QStringLiteral("url")).toString().trimmed();
    if (!isCompleteUrl(given))
        co_return fail(ErrorCode::InvalidArgument, QStringLiteral("\"%1\" is not a complete URL.").arg(given.left(200)),
                       QStringLiteral("Send an http or https URL, e.g. https://example.com/data.csv."));
    const Result<Destination> to = destinationOf(services, caller, arguments.value(QStringLiteral("session_id")).toString(), QStringLiteral("x"));
    if (!to)
        co_return Unexpected<Error>{to.error()};
    Destination destination = *to;
    destination.name = arguments.value(QStringLiteral("filename")).toString();
    const net::DirectLink link = net::directLink(QUrl(given, QUrl::StrictMode));
    const auto sink = std::make_shared<FetchSink>(destination, link.ending);

    net::FetchRequest request;
    request.url = link.url;
    request.maxBytes = services->limits.maxFetchBytes;
    request.cancel = caller.cancel;
    request.onBegin = [sink](const net::FetchedHead &head) { return sink->begin(head); };
    request.onData = [sink, progress = caller.progress](QByteArray piece) {
        const OneShot<Done> taken = sink->take(std::move(piece));
        if (progress)
            progress(double(sink->received()), double(sink->announced()), QStringLiteral("%1 received").arg(humanSize(sink->received())));
        return taken;
    };
    const auto fetched = co_await services->fetcher.fetch(std::move(request));
    if (!fetched)
        co_return Unexpected<Error>{fetched.error()};
    const QString baseUrl = caller.baseUrl;
    const QString host = link.url.host();
    const Result<Arrival> arrival = co_await sink->finish(services, baseUrl, host);
    if (!arrival)
        co_return Unexpected<Error>{arrival.error()};
    const QJsonObject info = arrival->info;
    const Destination &at = sink->destination();
    const QString inside = at.space->insidePath() + u'/' + at.name;
    QString text = QStringLiteral("Saved %1 (%2 bytes) to %3 in session %4")
                       .arg(at.name, QLocale(QLocale::English).toString(arrival->facts.size), inside, at.key.id);
    if (!link.host.isEmpty())
        text += QStringLiteral("\nThe %1 link was fetched as a direct download.").arg(link.host);
    if (const QString remark = sink->remark(); !remark.isEmpty())
        text += QStringLiteral("\nNote: ") + remark;
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
    url.description = QStringLiteral("Link to the file; share links of Google, Dropbox, OneDrive, GitHub work too.");
    url.required = true;
    url.check = [](const QString &text) {
        return isCompleteUrl(text) ? QString()
                                   : QStringLiteral("must be a complete http or https URL, got \"%1\"").arg(text.left(200));
    };
    Parameter name;
    name.insideName = QStringLiteral("name");
    name.name = QStringLiteral("filename");
    name.description = QStringLiteral("Name to save it as; default: the file's own.");
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
