#include "app/Doors.h"
#include "app/JobTasks.h"
#include "datasets/DatasetService.h"
#include "downloads/Downloads.h"
#include "downloads/SessionRoutes.h"
#include "mcp/DatasetResources.h"
#include "mcp/NameCompleter.h"
#include "mcp/SessionResources.h"
#include "mcp/Views.h"
#include "mcp/WorkflowPrompts.h"
#include "rest/Door.h"
#include "rest/OpenApi.h"
#include "rest/Pages.h"
#include "uploads/FormDoor.h"
#include "uploads/TusDoor.h"

namespace power::app {

namespace {
const char *const kInstructions =
    "Python in persistent, sandboxed sessions, as in Jupyter. execute_code runs a cell; variables, imports and files stay "
    "between calls of one session_id, so build up in small steps and reuse them. Bring data in with fetch_from_url (public "
    "URLs) or upload_file; there is no internet inside the sandbox. Files a cell writes and figures it draws come back as "
    "download links and images; give people the links as they are. query_dataset runs SQL over DataFrame variables and over "
    "datasets that upload_dataset keeps for all sessions. submit_job runs what takes longer than a call. Answers are "
    "bounded: print summaries, write large results to files. A timed-out run keeps its variables.";

// What the MCP door offers beside tools.
std::shared_ptr<mcp::Features> features(const operations::Registry &registry, operations::Services &services)
{
    auto features = std::make_shared<mcp::Features>();
    const auto files = std::make_shared<mcp::SessionResources>(registry, features->changes);
    sessions::SessionService &sessions = services.sessions;
    QObject::connect(&sessions, &sessions::SessionService::filesChanged, &sessions,
                     [files](const sessions::SessionKey &key, const QStringList &written, const QStringList &removed) {
                         files->filesChanged(key.principal, key.id, written + removed);
                     });
    QObject::connect(&sessions, &sessions::SessionService::sessionsChanged, &sessions,
                     [files](const QString &principal) { files->listChanged(principal); });
    const auto tables = std::make_shared<mcp::DatasetResources>(registry, features->changes);
    QObject::connect(services.datasets, &datasets::DatasetService::changed, services.datasets,
                     [tables](const QString &principal) { tables->changed(principal); });
    features->resources << files << tables << std::make_shared<mcp::Views>();
    features->extensions.insert(QLatin1String(mcp::kViewExtension),
                                QJsonObject{{QStringLiteral("mimeTypes"), QJsonArray{QLatin1String(mcp::kViewType)}}});
    features->prompts << std::make_shared<mcp::WorkflowPrompts>(registry);
    features->completers << std::make_shared<mcp::NameCompleter>(registry);
    return features;
}

// A JSON body of an upload: base64 grows a file by a third.
qint64 uploadBody(const config::Settings &settings)
{
    return (settings.maxUploadMb << 20) / 3 * 4 + (1 << 20);
}

// Answers with what it was sent: the least this server does for a request. tests/bench compares with it.
void addEcho(http::Dispatcher &dispatcher)
{
    http::RouteOptions options;
    options.about = {.group = "server", .summary = "Answers with the request's body (BENCH_ECHO).", .bodyType = "application/json",
                     .replies = {{200, "The body.", "application/json"}}, .open = true};
    dispatcher.add("POST", QStringLiteral("/bench/echo"), [](http::ExchangePtr exchange) {
        exchange->reply(http::Response::bytes(200, "application/json", exchange->request().body));
    }, options);
}
} // namespace

Doors::Doors(const config::Settings &settings, const mcp::ToolSelection &tools, const operations::Registry &registry,
             operations::Services &services, uploads::TusUploads &resumable, const mcp::Sealer &sealer,
             std::function<QJsonObject()> health, http::Dispatcher &dispatcher)
    : m_publicUrl(settings.publicUrl)
{
    const access::ApiKeyGate gate(settings.apiKey.toUtf8());
    const doors::Authenticator open = doors::openAuthenticator(settings.publicUrl);
    const doors::Authenticator keyed = doors::keyAuthenticator(gate, settings.publicUrl);

    mcp::EndpointConfig endpoint;
    endpoint.facts.version = QStringLiteral(POWER_VERSION);
    endpoint.facts.instructions = QLatin1String(kInstructions);
    endpoint.shape.maxChars = settings.mcpResponseMaxChars;
    endpoint.shape.images = settings.imageBase64;
    endpoint.maxBody = uploadBody(settings);
    endpoint.tools = tools;
    endpoint.features = features(registry, services);
    endpoint.features->tasks = std::make_shared<JobTasks>(*services.jobs, int(settings.jobCleanupHours), endpoint.features->changes);
    endpoint.sealer = sealer;
    m_mcp = std::make_unique<mcp::Endpoint>(registry, settings.mcpAuth == u"api-key" ? keyed : open, endpoint);
    m_mcp->addRoutes(dispatcher);

    const uploads::ContextPtr incoming(new uploads::Context{services, keyed, resumable});
    uploads::addTusRoutes(dispatcher, incoming);
    rest::BodyLimits limits;
    limits.upload = uploadBody(settings);
    limits.form = uploads::formHandler(incoming);
    rest::addRoutes(dispatcher, registry, keyed, limits);
    rest::addPages(dispatcher, QStringLiteral(POWER_VERSION), std::move(health),
                   [&registry, &dispatcher] { return rest::openApiDocument(registry, QStringLiteral(POWER_VERSION), dispatcher.all()); });
    const downloads::Config publicFiles{settings.chartsPublic, POWER_VERSION};
    downloads::addRoutes(dispatcher, services.files, publicFiles);
    downloads::addSessionRoutes(dispatcher, services, keyed);
    if (settings.benchEcho)
        addEcho(dispatcher);
}

Doors::~Doors() = default;

void Doors::serveLines(int in, int out, const QString &baseUrl, std::function<void()> ended)
{
    operations::Caller caller;
    caller.door = QStringLiteral("mcp/stdio");
    caller.baseUrl = m_publicUrl.isEmpty() ? baseUrl : m_publicUrl;
    m_lines = std::make_unique<mcp::StdioTransport>(*m_mcp, std::move(caller), in, out, std::move(ended));
}

void Doors::close()
{
    m_mcp->close();
}

} // namespace power::app
