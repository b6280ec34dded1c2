// Every method once, with the worlds it exists in; and the finalizer that stamps what their results must carry.
#pragma once
#include "mcp/Classifier.h"
#include "mcp/Config.h"
#include <variant>

namespace power::mcp {

struct Core;
struct Call;

// A result that was finalized before.
struct Ready {
    QByteArray result;
};
// Nobody is there to be answered.
struct NoAnswer {};
using Outcome = std::variant<QJsonObject, Ready, RpcError, operations::InputNeed, NoAnswer>;

// The fields ttlMs and cacheScope: for results that must not have them, may be kept a while, must be asked again.
enum class Caching { None, Private, Fresh };

// What a method works on; it exists only when the server has some.
enum class Needs { Nothing, Resources, Prompts, Completers, Tasks };

struct Method {
    const char *name;
    unsigned worlds;
    Needs needs;
    Caching caching;
    bool mayAsk; // its outcome may be an InputNeed
    // One of the two: answered at once, or later.
    Outcome (*quick)(Core &, Call &);
    QCoro::Task<Outcome> (*later)(std::shared_ptr<Core>, std::shared_ptr<Call>);
};

// Null: no such method in that world. The list methods of features this server has none of are found in the Legacy world
// all the same, because clients ask for them undeclared.
const Method *findMethod(const QString &name, World world, const Features &features);

// Stamps a result: nothing in the initialize era; resultType and server info in the modern one, and the caching
// fields for the methods that must have them.
QByteArray finalized(QJsonObject result, World world, const ServerFacts &facts, Caching caching = Caching::None);

QJsonObject serverInfo(const ServerFacts &facts);

} // namespace power::mcp
