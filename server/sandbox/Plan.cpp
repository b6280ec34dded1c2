#include "sandbox/Plan.h"
#include "sandbox/JsonReader.h"
#include <limits>

namespace power::sandbox {

const char *tierWord(Tier tier)
{
    switch (tier) {
    case Tier::Full:
        return "full";
    case Tier::Container:
        return "container";
    case Tier::NonRoot:
        return "nonroot";
    case Tier::None:
        break;
    }
    return "none";
}

bool tierFromWord(const std::string &word, Tier &out)
{
    for (const Tier tier : {Tier::None, Tier::NonRoot, Tier::Container, Tier::Full}) {
        if (word != tierWord(tier)) continue;
        out = tier;
        return true;
    }
    return false;
}

namespace {

// Takes the known fields out of the object; the first problem is kept as a sentence.
class PlanReader
{
public:
    PlanReader(const JsonValue &object, std::string &reason) : m_object(object), m_reason(reason) {}

    template <typename Integer>
    PlanReader &number(const char *name, Integer &out)
    {
        const JsonValue *value = find(name, JsonValue::Kind::Number, "a number");
        if (!value) return *this;
        constexpr double kExact = 9007199254740992.0; // above, a double skips whole numbers
        if (value->number < 0 || value->number > kExact ||
            value->number > static_cast<double>(std::numeric_limits<Integer>::max()) ||
            value->number != static_cast<double>(static_cast<std::uint64_t>(value->number)))
            return refuse(name, "a whole number that fits");
        out = static_cast<Integer>(value->number);
        return *this;
    }

    PlanReader &flag(const char *name, bool &out)
    {
        if (const JsonValue *value = find(name, JsonValue::Kind::Bool, "true or false")) out = value->boolean;
        return *this;
    }

    // mayBeEmpty is about the text; an absent field keeps its default.
    PlanReader &path(const char *name, std::string &out)
    {
        const JsonValue *value = find(name, JsonValue::Kind::Text, "a text");
        if (!value) return *this;
        if (!value->text.empty() && !isClean(value->text)) return refuse(name, "an absolute path without . and ..");
        out = value->text;
        return *this;
    }

    PlanReader &paths(const char *name, std::vector<std::string> &out)
    {
        const JsonValue *value = find(name, JsonValue::Kind::List, "a list");
        if (!value) return *this;
        for (const JsonValue &item : value->list) {
            if (item.kind != JsonValue::Kind::Text || !isClean(item.text)) return refuse(name, "a list of absolute paths without . and ..");
            out.push_back(item.text);
        }
        return *this;
    }

    PlanReader &binds(const char *name, std::vector<Bind> &out)
    {
        const JsonValue *value = find(name, JsonValue::Kind::List, "a list");
        if (!value) return *this;
        for (const JsonValue &item : value->list) {
            if (item.kind != JsonValue::Kind::Object) return refuse(name, "a list of objects");
            Bind bind;
            PlanReader(item, m_reason).path("source", bind.source).path("target", bind.target).flag("writable", bind.writable);
            if (bind.source.empty() || bind.target.empty()) return refuse(name, "a list of {source, target, writable}");
            out.push_back(std::move(bind));
        }
        return *this;
    }

    PlanReader &tier(const char *name, Tier &out)
    {
        const JsonValue *value = find(name, JsonValue::Kind::Text, "a text");
        if (!value) return *this;
        if (!tierFromWord(value->text, out)) return refuse(name, "full, container, nonroot or none");
        return *this;
    }

private:
    // Absolute, and without "." and ".." on the way: a target must not leave the new root while it is being built.
    static bool isClean(const std::string &path)
    {
        if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos) return false;
        const std::string closed = path + '/';
        return closed.find("/./") == std::string::npos && closed.find("/../") == std::string::npos;
    }

    const JsonValue *find(const char *name, JsonValue::Kind kind, const char *wanted)
    {
        const auto at = m_object.object.find(name);
        if (at == m_object.object.end() || at->second.kind == JsonValue::Kind::Null) return nullptr;
        if (at->second.kind == kind) return &at->second;
        refuse(name, wanted);
        return nullptr;
    }

    PlanReader &refuse(const char *name, const char *wanted)
    {
        if (m_reason.empty()) m_reason = std::string("plan: \"") + name + "\" must be " + wanted;
        return *this;
    }

    const JsonValue &m_object;
    std::string &m_reason;
};

} // namespace

bool planFromJson(const std::string &json, Plan &out, std::string &reason)
{
    JsonValue document;
    reason.clear();
    if (!readJson(json, document, reason)) {
        reason = "plan: " + reason;
        return false;
    }
    return planFromValue(document, out, reason);
}

bool planFromValue(const JsonValue &value, Plan &out, std::string &reason)
{
    reason.clear();
    if (value.kind != JsonValue::Kind::Object) {
        reason = "plan: must be a JSON object";
        return false;
    }
    out = Plan();
    PlanReader(value, reason)
        .tier("tier", out.tier)
        .number("landlockAbi", out.landlockAbi)
        .flag("userNamespace", out.userNamespace)
        .number("uid", out.uid)
        .number("gid", out.gid)
        .path("workspace", out.workspace)
        .path("workspaceInside", out.workspaceInside)
        .path("scratch", out.scratch)
        .paths("readOnly", out.readOnly)
        .binds("binds", out.binds)
        .number("memoryBytes", out.memoryBytes)
        .number("fileBytes", out.fileBytes)
        .number("sharedBytes", out.sharedBytes)
        .number("processes", out.processes)
        .number("openFiles", out.openFiles)
        .flag("allowUnixSockets", out.allowUnixSockets)
        .path("cgroup", out.cgroup);
    if (!reason.empty()) return false;
    if (out.workspace.empty())
        reason = "plan: \"workspace\" is missing";
    else if ((out.tier == Tier::Full || out.tier == Tier::Container) && (out.uid == 0 || out.gid == 0))
        reason = "plan: \"uid\" and \"gid\" must not be 0 in full and container";
    else if (out.userNamespace && out.tier != Tier::Full)
        reason = "plan: \"userNamespace\" belongs to full";
    return reason.empty();
}

} // namespace power::sandbox
