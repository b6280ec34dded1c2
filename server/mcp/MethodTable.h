// Every method once, with the worlds it exists in; and the finalizer that stamps what their results must carry.
#pragma once
#include "mcp/Classifier.h"

namespace power::mcp {

class ToolList;

// What the server says of itself.
struct ServerFacts {
    QString name = QStringLiteral("Power Interpreter");
    QString version;
    QString instructions; // at most 2,000 characters, most important first
};

// A result as JSON text (finalized), or an error.
using MethodAnswer = std::variant<QByteArray, RpcError>;

struct Method {
    const char *name;
    unsigned worlds;
    // Null for tools/call, which runs an operation and answers later.
    MethodAnswer (*answer)(const Inbound &, const ServerFacts &, const ToolList &);
};

// Null: no such method in that world.
const Method *findMethod(const QString &name, World world);

// Stamps a result: nothing in the initialize era; resultType and server info in the modern one, and the caching
// fields for the methods that must have them.
enum class Caching { None, Private };
QByteArray finalized(QJsonObject result, World world, const ServerFacts &facts, Caching caching = Caching::None);

} // namespace power::mcp
