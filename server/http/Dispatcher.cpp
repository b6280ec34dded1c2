#include "http/Dispatcher.h"
#include <QVarLengthArray>
#include <map>
#include <utility>
#include <vector>

namespace power::http {

// Not an anonymous namespace: the types are part of Dispatcher::Node, which unity builds check for linkage.
namespace routing {
struct Endpoint {
    QByteArray method;
    Handler handler;
    RouteOptions options;
    QStringList names; // of the pattern's parameters, in order
};
using Endpoints = std::vector<std::unique_ptr<Endpoint>>;
using Segments = QVarLengthArray<QStringView, 16>;
} // namespace routing

namespace {
using routing::Endpoint;
using routing::Endpoints;
using routing::Segments;

// "/a/b/" -> "a", "b"; "/" -> nothing. Inner empty segments are kept, so "//a" is not "/a".
Segments segmentsOf(QStringView path)
{
    Segments segments;
    if (path.startsWith(u'/'))
        path = path.mid(1);
    if (path.isEmpty())
        return segments;
    for (qsizetype start = 0;;) {
        const qsizetype slash = path.indexOf(u'/', start);
        if (slash < 0) {
            if (start < path.size())
                segments.append(path.mid(start));
            return segments;
        }
        segments.append(path.mid(start, slash - start));
        start = slash + 1;
    }
}

const Endpoint *endpointFor(const Endpoints &endpoints, QByteArrayView method)
{
    const Endpoint *forGet = nullptr;
    for (const auto &endpoint : endpoints) {
        if (endpoint->method == method)
            return endpoint.get();
        if (endpoint->method == "GET")
            forGet = endpoint.get();
    }
    return method == QByteArrayView("HEAD") ? forGet : nullptr;
}

// `also` may be null.
QByteArray allowOf(const Endpoints &endpoints, const Endpoints *also)
{
    QByteArrayList methods;
    for (const Endpoints *each : {&endpoints, also}) {
        if (!each)
            continue;
        for (const auto &endpoint : *each) {
            if (!methods.contains(endpoint->method))
                methods.append(endpoint->method);
            if (endpoint->method == "GET" && !endpointFor(*each, "HEAD")->method.startsWith("HEAD"))
                methods.append(QByteArrayLiteral("HEAD"));
        }
    }
    if (!methods.contains("OPTIONS"))
        methods.append(QByteArrayLiteral("OPTIONS"));
    return methods.join(", ");
}
} // namespace

struct Dispatcher::Node {
    std::map<QString, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> parameter;
    routing::Endpoints here; // the path ends at this node
    routing::Endpoints rest; // {name*}: at least one more segment
    std::map<QString, routing::Endpoints, std::less<>> tails; // {name*}/literal: at least one segment and that one

    struct Found {
        const routing::Endpoints *endpoints = nullptr;
        const routing::Endpoints *also = nullptr; // match the path too; asked when the first do not have the method
        QVarLengthArray<QStringView, 8> values;
    };

    // Literal before parameter before rest; goes back when a branch leads nowhere.
    bool walk(const routing::Segments &segments, qsizetype at, QByteArrayView method, Found &found) const
    {
        if (at == segments.size()) {
            if (here.empty())
                return false;
            found.endpoints = &here;
            return true;
        }
        const QStringView segment = segments[at];
        if (auto next = literals.find(segment); next != literals.end() && next->second->walk(segments, at + 1, method, found))
            return true;
        if (parameter && !segment.isEmpty()) {
            found.values.append(segment);
            if (parameter->walk(segments, at + 1, method, found))
                return true;
            found.values.removeLast();
        }
        const QStringView last = segments.back();
        const auto tail = segments.size() - at > 1 ? tails.find(last) : tails.end();
        if (tail != tails.end() && (endpointFor(tail->second, method) || !endpointFor(rest, method))) {
            found.values.append(QStringView(segment.data(), last.data() - 1 - segment.data()));
            found.endpoints = &tail->second;
            found.also = &rest;
            return true;
        }
        if (rest.empty())
            return false;
        found.values.append(QStringView(segment.data(), last.data() + last.size() - segment.data()));
        found.endpoints = &rest;
        return true;
    }
};

Dispatcher::Dispatcher() : m_root(std::make_unique<Node>()) {}
Dispatcher::~Dispatcher() = default;

void Dispatcher::add(QByteArray method, const QString &pattern, Handler handler, RouteOptions options)
{
    m_all.append({method, pattern, options.about});
    auto endpoint = std::make_unique<Endpoint>(
        Endpoint{std::move(method), std::move(handler), std::move(options), {}});
    Node *node = m_root.get();
    const Segments segments = segmentsOf(pattern);
    for (qsizetype i = 0; i < segments.size(); ++i) {
        const QStringView segment = segments[i];
        if (!segment.startsWith(u'{') || !segment.endsWith(u'}')) {
            auto &next = node->literals[segment.toString()];
            if (!next)
                next = std::make_unique<Node>();
            node = next.get();
            continue;
        }
        const QStringView name = segment.mid(1, segment.size() - 2);
        if (name.endsWith(u'*')) {
            endpoint->names.append(name.chopped(1).toString());
            auto &endpoints = i + 1 < segments.size() ? node->tails[segments[i + 1].toString()] : node->rest;
            endpoints.push_back(std::move(endpoint));
            return;
        }
        endpoint->names.append(name.toString());
        if (!node->parameter)
            node->parameter = std::make_unique<Node>();
        node = node->parameter.get();
    }
    node->here.push_back(std::move(endpoint));
}

Dispatcher::Match Dispatcher::find(QByteArrayView method, const QString &path) const
{
    Match match;
    Node::Found found;
    const Segments segments = segmentsOf(path);
    if (!m_root->walk(segments, 0, method, found))
        return match;
    const Endpoint *endpoint = endpointFor(*found.endpoints, method);
    if (!endpoint) {
        match.allow = allowOf(*found.endpoints, found.also);
        match.options = &found.endpoints->front()->options;
        return match;
    }
    match.handler = &endpoint->handler;
    match.options = &endpoint->options;
    for (qsizetype i = 0; i < found.values.size(); ++i)
        match.parameters.insert(endpoint->names.at(i), found.values[i].toString());
    return match;
}

} // namespace power::http
