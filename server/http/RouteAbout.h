// What a route says of itself for the API description, where no operation's declaration does.
#pragma once
#include <QByteArray>
#include <QList>

namespace power::http {

struct RouteAbout {
    struct Field {
        const char *name;
        const char *in;                // "path", "query" or "header"
        const char *text;
        bool required = false;         // those of the path always are
        const char *type = "string";   // of JSON Schema
    };
    struct Reply {
        int status;
        const char *text;
        const char *type = "";         // media type of the body; empty = none, or JSON above 399
    };
    const char *group = "";
    const char *summary = "";          // one line
    const char *text = "";
    QList<Field> fields = {};
    const char *bodyType = "";         // media type of the request's body; empty = none
    QList<Reply> replies = {};
    bool open = false;                 // needs no key
};

} // namespace power::http
