// A small JSON reader for the plan of a Spawn frame. Trusted input, yet bounded (depth 16).
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace power::sandbox {

struct JsonValue {
    enum class Kind { Null, Bool, Number, Text, List, Object };
    Kind kind = Kind::Null;
    bool boolean = false;
    double number = 0;
    std::string text;
    std::vector<JsonValue> list;
    std::map<std::string, JsonValue> object;
};

// False + reason (with the offset) when `text` is not exactly one JSON value.
bool readJson(const std::string &text, JsonValue &out, std::string &reason);

// A JSON string literal of UTF-8 text, with its quotes.
std::string quoteJson(const std::string &text);

} // namespace power::sandbox
