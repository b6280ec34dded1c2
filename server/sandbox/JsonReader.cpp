#include "sandbox/JsonReader.h"
#include <charconv>
#include <cstdio>
#include <cstring>

namespace power::sandbox {

namespace {

constexpr int kMaxDepth = 16;

class Reader
{
public:
    explicit Reader(const std::string &text) : m_at(text.data()), m_begin(m_at), m_end(m_at + text.size()) {}

    bool document(JsonValue &out)
    {
        if (!value(out, 0)) return false;
        space();
        return m_at == m_end;
    }

    std::size_t offset() const { return static_cast<std::size_t>(m_at - m_begin); }

private:
    void space()
    {
        while (m_at < m_end && (*m_at == ' ' || *m_at == '\t' || *m_at == '\n' || *m_at == '\r'))
            ++m_at;
    }

    bool take(char wanted)
    {
        space();
        if (m_at >= m_end || *m_at != wanted) return false;
        ++m_at;
        return true;
    }

    bool word(const char *wanted)
    {
        const std::size_t size = std::strlen(wanted);
        if (static_cast<std::size_t>(m_end - m_at) < size || std::memcmp(m_at, wanted, size) != 0) return false;
        m_at += size;
        return true;
    }

    bool value(JsonValue &out, int depth)
    {
        space();
        if (m_at >= m_end || depth > kMaxDepth) return false;
        switch (*m_at) {
        case '{':
            return object(out, depth);
        case '[':
            return list(out, depth);
        case '"':
            out.kind = JsonValue::Kind::Text;
            return string(out.text);
        case 't':
        case 'f':
            out.kind = JsonValue::Kind::Bool;
            out.boolean = *m_at == 't';
            return word(out.boolean ? "true" : "false");
        case 'n':
            return word("null");
        default:
            return number(out);
        }
    }

    bool number(JsonValue &out)
    {
        if (*m_at != '-' && (*m_at < '0' || *m_at > '9')) return false;
        out.kind = JsonValue::Kind::Number;
        const auto [next, error] = std::from_chars(m_at, m_end, out.number);
        if (error != std::errc()) return false;
        m_at = next;
        return true;
    }

    bool object(JsonValue &out, int depth)
    {
        out.kind = JsonValue::Kind::Object;
        take('{');
        if (take('}')) return true;
        do {
            std::string key;
            space();
            if (!string(key) || !take(':') || !value(out.object[key], depth + 1)) return false;
        } while (take(','));
        return take('}');
    }

    bool list(JsonValue &out, int depth)
    {
        out.kind = JsonValue::Kind::List;
        take('[');
        if (take(']')) return true;
        do {
            if (!value(out.list.emplace_back(), depth + 1)) return false;
        } while (take(','));
        return take(']');
    }

    bool hex(unsigned &code)
    {
        if (m_end - m_at < 4) return false;
        const auto [next, error] = std::from_chars(m_at, m_at + 4, code, 16);
        if (error != std::errc() || next != m_at + 4) return false;
        m_at += 4;
        return true;
    }

    bool unicode(std::string &out)
    {
        unsigned code = 0, low = 0;
        if (!hex(code)) return false;
        if (code >= 0xD800 && code < 0xDC00) {
            if (!word("\\u") || !hex(low) || low < 0xDC00 || low > 0xDFFF) return false;
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        const auto add = [&out](unsigned byte) { out.push_back(static_cast<char>(byte)); };
        if (code < 0x80) {
            add(code);
        } else if (code < 0x800) {
            add(0xC0 | code >> 6), add(0x80 | (code & 63));
        } else if (code < 0x10000) {
            add(0xE0 | code >> 12), add(0x80 | (code >> 6 & 63)), add(0x80 | (code & 63));
        } else {
            add(0xF0 | code >> 18), add(0x80 | (code >> 12 & 63)), add(0x80 | (code >> 6 & 63)), add(0x80 | (code & 63));
        }
        return true;
    }

    bool string(std::string &out)
    {
        if (!take('"')) return false;
        while (m_at < m_end) {
            const char c = *m_at++;
            if (c == '"') return true;
            if (static_cast<unsigned char>(c) < 0x20) return false;
            if (c != '\\') {
                out.push_back(c);
                continue;
            }
            if (m_at >= m_end) return false;
            const char escape = *m_at++;
            if (escape == 'u') {
                if (!unicode(out)) return false;
                continue;
            }
            static constexpr char kFrom[] = "\"\\/bfnrt", kTo[] = "\"\\/\b\f\n\r\t";
            const char *known = std::strchr(kFrom, escape);
            if (escape == 0 || !known) return false;
            out.push_back(kTo[known - kFrom]);
        }
        return false;
    }

    const char *m_at, *m_begin, *m_end;
};

} // namespace

bool readJson(const std::string &text, JsonValue &out, std::string &reason)
{
    Reader reader(text);
    if (reader.document(out)) return true;
    reason = "not valid JSON at byte " + std::to_string(reader.offset());
    return false;
}

std::string quoteJson(const std::string &text)
{
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
            out += escape;
        } else {
            out += c;
        }
    }
    return out + '"';
}

} // namespace power::sandbox
