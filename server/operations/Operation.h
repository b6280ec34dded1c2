// One declaration per operation: MCP schema, REST validation, OpenAPI and the reference page come from it.
#pragma once
#include "base/CancelToken.h"
#include "base/Error.h"
#include <QCoroTask>
#include <QJsonObject>
#include <QJsonValue>
#include <QHash>
#include <QList>
#include <QStringList>
#include <functional>
#include <optional>

namespace power::operations {

struct Parameter {
    enum class Type { String, Integer, Number, Boolean, Object, StringList };
    QString name;
    Type type = Type::String;
    QString description;
    bool required = false;
    QJsonValue defaultValue;     // null = none
    QStringList aliases;         // other accepted names (contract D2-D4)
    QJsonValue minimum, maximum; // numbers; for strings the length (minimum: without surrounding blanks)
    bool clamp = false;          // values outside are moved to the bound with a note, else refused
    QStringList allowed;         // enum
    bool hidden = false;         // accepted, not advertised (REST only)
    QJsonValue example;          // for the example in error texts; null = one made from name and type
    // A rule of its own for a String; empty text = fine, else what is wrong, as a part of a sentence ("must be ...").
    QString (*check)(const QString &value) = nullptr;
    QString insideName = {};     // name of the argument in the module `power`; empty = `name`
};

// Parameters that stand for one another: one of them must be given (needed), or no two with a value (single).
struct Choice {
    QStringList names;
    bool needed = true, single = true;
};

struct Hints { // MCP annotations; always sent
    bool readOnly = false, destructive = false, idempotent = false, openWorld = false;
};

// A block of the answer, in order. Adapters decide its form (MCP content block, REST field).
struct Block {
    enum class Kind { Text, Image, Json, Audio, Resource, Link };
    Kind kind = Kind::Text;
    QString text;                // Text; for Image and Audio: one line that stands for it where it cannot go;
                                 // Resource: its text (else data); Link: its description
    QByteArray data, mime;       // Image, Audio, Resource (mime also for Link)
    QString uri = {}, name = {}; // Resource (embedded whole) and Link (to be read with resources/read); Link has a name
    qint64 size = -1;            // Link: bytes, when known
};

// What an operation must ask the client before it can go on. The door asks (by an input_required result, or by requests
// of its own in the older protocol) and calls the operation again with the same arguments, Caller::inputResponses and
// Caller::inputState. Ask only for what Caller::client declares; where nobody can be asked the door answers an error.
struct InputNeed {
    QJsonObject requests;        // key -> {"method": "elicitation/create", "params": {...}}; also sampling/createMessage,
                                 // roots/list. Keys are the operation's own words.
    QJsonObject state;           // comes back unchanged and unforged, valid for an hour; at most 16 KiB as JSON
    std::function<void()> abandoned = {}; // called when the door gives up asking and will not call again; in 2026-07-28
                                          // nobody knows, so what waits needs a limit of its own
};

struct Answer {
    QJsonObject data;            // the whole result for programs (REST body)
    QList<Block> blocks;         // for models: bounded; empty = `data` as JSON text
    bool userError = false;      // user code failed: the call itself worked (contract R16)
    QStringList notes;           // "timeout 900 was lowered to 300", unknown arguments ...
    int status = 200;            // REST status of success
    std::optional<InputNeed> need = {}; // then the rest does not count
};

// Who asks and through which door.
struct Caller {
    QString principal = QStringLiteral("owner");
    QString slug;                // empty for owner
    QStringList scopes;          // empty = all
    QString baseUrl;             // "https://host" for absolute links, no trailing slash
    QByteArray requestId;
    QString door;                // "mcp", "mcp/sse", "rest"; for records
    CancelToken cancel;
    // Progress while it runs: fraction unknown = -1; may be empty.
    std::function<void(double done, double total, const QString &text)> progress;
    // One log message for the client ("debug", "info", "warning" ...); may be empty. Reaches it when it asked for that
    // level or worse.
    std::function<void(const QString &level, const QString &logger, const QJsonValue &data)> log = {};
    // Cuts the connection to the client, not the call; it comes back for the answer by itself. May be empty, and is
    // without effect for clients that could not.
    std::function<void()> dropConnection = {};
    // What the MCP client declared it can do: {"elicitation": {"form": {}}, "sampling": {}, "roots": {}, "extensions":
    // {"io.modelcontextprotocol/ui": {...}}}. Empty for REST and for clients that said nothing.
    QJsonObject client = {};
    bool canBeAsked = false;         // questions reach the client in the middle of this call
    QJsonObject inputResponses = {}; // key of InputNeed::requests -> the client's result; keys may be missing
    QJsonObject inputState = {};     // InputNeed::state of the call before
    bool readOnly = false; // only operations that are declared readOnly
};

using Method = std::function<QCoro::Task<Result<Answer>>(Caller, QJsonObject)>;

// An operation as a function of the module `power`, which code in a session imports: power.<name>(...). It runs in that
// session (session_id is not an argument) while a cell of it runs, so it must not wait for the session's turn.
struct Inside {
    QString name;                // empty = not there
    QString result;              // key of Answer::data that is given back; empty = all of it
    QString returns;             // for help(): "the path of the file"
    QString about;               // for help(); empty = the operation's description
};

struct Operation {
    QString name;                // MCP tool name
    QString title;
    QString description;         // front-loaded, at most 2,000 characters
    QList<Parameter> parameters;
    QList<Choice> choices = {};  // checked with the parameters
    Hints hints;
    QString scope;               // "run", "files", "sessions", "admin"
    QString toolset;             // a name of toolsets(); decides which tool lists show it
    bool isTool = true;          // false: REST only
    QString emptyArgumentsText;  // recovery text when a model sent {} (contract 7.1); empty = the general one
    QJsonObject rawInputSchema = {};  // set: advertised as it is instead of one made from `parameters`, and the
                                      // arguments reach the method unchecked
    QJsonObject outputSchema = {};    // MCP: of Answer::data; empty = none advertised
    QJsonObject meta = {};            // MCP: `_meta` of the tool
    // MCP tasks: a call of it may go on after it was answered with a task, for clients that can follow one. Required: only so.
    enum class Task { Never, Optional, Required };
    Task task = Task::Never;
    int taskAfterMs = 0;              // where the server decides: so long it waits for the answer itself
    QJsonObject clientNeeds = {};     // capabilities without which the tool cannot run, e.g. {"sampling": {}}
    Inside inside = {};
    Method method;
};

// A named part of the tools: what a client selects. Tools beyond the default list are in `extended`.
struct Toolset {
    const char *name;
    bool standard;               // in the list of a client that selects nothing
    const char *about;
};
const QList<Toolset> &toolsets();

// What validation made of the caller's arguments.
struct CheckedArguments {
    QJsonObject values;          // canonical names, right types, defaults filled in
    QStringList notes;           // unknown keys ignored, values clamped
};

// Coerces ("5" -> 5, "true" -> true, "[..]" -> list), takes null as not given, ignores unknown keys with a note,
// reports every problem at once with a correct example. Error: InvalidArgument, details.problems = a list of
// {argument, type (missing, blank, wrong_type, out_of_range, not_allowed, invalid), message}; details.cause "empty_arguments"
// when nothing was given at all (contract 7.1).
Result<CheckedArguments> checkArguments(const Operation &operation, const QJsonObject &given);

// A correct call: every required argument, one of each needed choice, and those of `also`, as JSON.
QJsonObject exampleArguments(const Operation &operation, const QStringList &also = {});

// JSON Schema 2020-12 of the parameters in the safe intersection of all clients: root object, no combinators, no $ref,
// arrays with items, every property with type and description, defaults in the text. Object parameters are advertised
// as a string holding JSON, because some clients refuse an object without named properties.
QJsonObject inputSchema(const Operation &operation);

// Registry: filled at start, then read only; order = order of tools/list.
// It must outlive every running call. Thread: the event loop's.
class Registry
{
public:
    // A second operation of the same name replaces the first in its place.
    void add(Operation operation);
    // Null when there is none of that name.
    const Operation *find(const QString &name) const;
    const QList<Operation> &all() const { return m_operations; }
    // Awaited before each method, with the checked arguments; its error is the call's.
    using Before = std::function<QCoro::Task<Result<Done>>(const Operation &, const Caller &, const QJsonObject &)>;
    void setBefore(Before before) { m_before = std::move(before); }
    // Validates, checks the scope, runs. Never throws. Errors: NotFound (no such operation), Forbidden (scope, read-only),
    // InvalidArgument (see checkArguments), Internal (the method threw), and whatever the method answers.
    QCoro::Task<Result<Answer>> call(QString name, Caller caller, QJsonObject arguments) const;

private:
    QList<Operation> m_operations;
    QHash<QString, qsizetype> m_index;
    Before m_before;
};

} // namespace power::operations
