// The one declaration of a setting, and the table of all of them.
#pragma once
#include "config/Settings.h"
#include <limits>
#include <variant>
#include <vector>

namespace power::config {

enum class Form {
    Text,    // any text
    Path,    // made absolute
    Choice,  // one of `choices`, compared without case
    Host,    // IP address or "localhost"
    HttpUrl, // http(s)://host[:port][/path], no user part
    Origins, // comma list of "*" or scheme://host[:port]
    List,    // comma list
    PostgresUrl,
    Number,  // between least and most
    Switch,  // true/false, yes/no, on/off, 1/0
};

enum class Secrecy { Open, Secret, UrlPassword };

struct Declaration {
    using Field = std::variant<QString Settings::*, QStringList Settings::*, qint64 Settings::*, bool Settings::*>;
    QString group;
    QString name;          // of the environment variable; the flag is made from it
    Form form = Form::Text;
    Field field;
    QString standard;      // the default as one would write it; empty = unset or worked out (then `standardText`)
    QString help;          // one sentence
    QString standardText = {}; // shown in place of the default
    qint64 least = 0;
    qint64 most = std::numeric_limits<qint64>::max();
    QStringList choices = {};
    QStringList aliases = {}; // further environment names of the same meaning
    Secrecy secrecy = Secrecy::Open;

    QString flag() const;  // "--max-memory-mb"
    QString shownStandard() const;
};

// In the order of --help. Built once; thread: any.
const std::vector<Declaration> &declarations();

// Names that published texts mention and this server does not need (contract R17), with what to say about them.
struct UnusedName {
    QString name;
    QString reason;
};
const std::vector<UnusedName> &unusedNames();

} // namespace power::config
