// What the MCP doors serve beside tools: resources, prompts, completions. The product implements these interfaces; the
// methods (lists, pages, subscriptions, eras) are done once in this folder.
#pragma once
#include "mcp/Changes.h"
#include "operations/Operation.h"
#include <QDateTime>
#include <QStringList>

namespace power::mcp {

// One entry of resources/list.
struct ResourceInfo {
    QString uri;
    QString name;              // short, e.g. the file name
    QString title;             // for people; may be empty, like the following
    QString description;
    QString mimeType;
    qint64 size = -1;          // bytes, when known
    QJsonObject annotations;   // audience, priority, lastModified
    QJsonObject meta;          // `_meta`
};

// One entry of resources/templates/list (RFC 6570).
struct ResourceTemplate {
    QString uriTemplate;
    QString name, title, description, mimeType;
    QJsonObject annotations, meta;
};

struct ResourceContent {
    QString uri, mimeType;
    QString text;
    QByteArray blob;           // used when isBlob; sent as base64
    bool isBlob = false;
    QJsonObject meta;
};

struct ResourceRead {
    QList<ResourceContent> contents; // never empty
    std::optional<operations::InputNeed> need = {}; // ask the client first; then contents does not count
};

// ResourceProvider: all resources of one kind. The caller's principal decides what is visible.
// Methods never block; thread: the event loop's.
class ResourceProvider
{
public:
    virtual ~ResourceProvider() = default;
    // In a stable order; everything the caller may see (the door makes pages of it).
    virtual QCoro::Task<Result<QList<ResourceInfo>>> list(operations::Caller caller) = 0;
    virtual QList<ResourceTemplate> templates() const { return {}; }
    // Whether the URI is of this provider's kind (existing or not); the first that says so is asked.
    virtual bool owns(const QString &uri) const = 0;
    // Errors: NotFound (becomes the protocol's "resource not found"), any other is told as it is.
    virtual QCoro::Task<Result<ResourceRead>> read(operations::Caller caller, QString uri) = 0;
    // The first subscriber of a principal to this URI came (on) or the last one went; tell changes with
    // Changes::resourceUpdated(). Error: NotFound.
    virtual Result<Done> watch(const operations::Caller &caller, const QString &uri, bool on)
    {
        Q_UNUSED(caller) Q_UNUSED(uri) Q_UNUSED(on)
        return Done{};
    }
};

struct PromptArgument {
    QString name, title, description;
    bool required = false;
};

// One entry of prompts/list. A description is always wanted.
struct Prompt {
    QString name, title, description;
    QList<PromptArgument> arguments;
    QJsonObject meta;
};

struct PromptMessage {
    bool fromAssistant = false;    // else from the user
    operations::Block content;     // Text, Image, Audio, Resource or Link
};

struct PromptText {
    QString description;
    QList<PromptMessage> messages;
    std::optional<operations::InputNeed> need = {}; // ask the client first
};

class PromptProvider
{
public:
    virtual ~PromptProvider() = default;
    // In a stable order.
    virtual QList<Prompt> list(const operations::Caller &caller) const = 0;
    // A prompt of list(); the required arguments are there, every value is a text. Errors are told as they are.
    virtual QCoro::Task<Result<PromptText>> get(operations::Caller caller, QString name, QJsonObject arguments) = 0;
};

// What the user types where: an argument of a prompt, or a variable of a resource template.
struct CompletionQuestion {
    bool ofPrompt = true;
    QString reference;         // the prompt's name, or the uriTemplate
    QString argument, value;   // `value` as typed so far
    QJsonObject context;       // other arguments already filled in
};

struct Completion {
    QStringList values;        // best first; at most 100 are sent
    int total = -1;            // all matches, when known
    bool hasMore = false;
};

// Completer: the first one that handles a question answers it.
class Completer
{
public:
    virtual ~Completer() = default;
    virtual bool handles(const CompletionQuestion &question) const = 0;
    virtual QCoro::Task<Result<Completion>> complete(operations::Caller caller, CompletionQuestion question) = 0;
};

// A task as the protocol's clients see it: a call that goes on after it was answered, or a job.
struct TaskFacts {
    QString id;
    QString status;            // working, completed, failed (there is only an error), cancelled
    QString message;           // what it does now or why it ended, for people
    bool hasError = false;     // completed, but its result is an error
    QDateTime created, updated;
    qint64 ttlMs = -1;         // kept so long from its creation; -1: no limit is known
};

// TaskProvider: keeps what becomes of calls; the calls themselves are run by this folder. Everything is of the caller's
// principal alone. Thread: the event loop's.
class TaskProvider
{
public:
    virtual ~TaskProvider() = default;
    // From now on the call is known by an id, durably. `stop` is fired when it must end.
    virtual QCoro::Task<Result<TaskFacts>> begin(operations::Caller caller, QString tool, QJsonObject arguments, CancelSource stop) = 0;
    // How a call ended: its answer, or the error it has instead. Durable when it resolves.
    virtual QCoro::Task<> end(QString id, Result<operations::Answer> answer) = 0;
    // Errors of the following: NotFound.
    virtual QCoro::Task<Result<TaskFacts>> get(operations::Caller caller, QString id) = 0;
    // Resolves when it has ended, or with `stop`.
    virtual QCoro::Task<Result<TaskFacts>> wait(operations::Caller caller, QString id, CancelToken stop) = 0;
    // Of one that has ended. An Internal error is the protocol's, others are the tool's.
    virtual QCoro::Task<Result<operations::Answer>> result(operations::Caller caller, QString id) = 0;
    // Done also for one that has ended.
    virtual QCoro::Task<Result<Done>> cancel(operations::Caller caller, QString id) = 0;
    // Newest first.
    virtual QCoro::Task<Result<QList<TaskFacts>>> list(operations::Caller caller) = 0;
};

// Features: filled at start, before the endpoint's first request. Empty lists: the capability is not declared.
struct Features {
    QList<std::shared_ptr<ResourceProvider>> resources;
    QList<std::shared_ptr<PromptProvider>> prompts;
    QList<std::shared_ptr<Completer>> completers;
    std::shared_ptr<TaskProvider> tasks = {};    // null: none
    std::shared_ptr<Changes> changes = std::make_shared<Changes>(); // tell it what changed
    bool toolsMayChange = false;                 // tools/list is declared with listChanged
    QJsonObject extensions;                      // capabilities.extensions, e.g. {"io.modelcontextprotocol/ui": {...}}
    int pageSize = 500;                          // entries of one page of a list
};

} // namespace power::mcp
