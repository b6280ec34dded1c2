#include "config/Settings.h"
#include "config/Reader.h"
#include <QDir>
#include <QFileInfo>
#include <QHostAddress>
#include <QJsonArray>

namespace power::config {

namespace {
// One raw value per setting and where it came from.
struct Raw {
    QString shownName, text;
};
using RawValues = QHash<QString, Raw>;

const Declaration *byName(const QString &name)
{
    for (const Declaration &declaration : declarations()) {
        if (declaration.name == name || declaration.aliases.contains(name))
            return &declaration;
    }
    return nullptr;
}

// The flag that resembles an unknown one most: same start, or one contained in the other.
QString suggestion(const QString &name)
{
    for (const Declaration &declaration : declarations()) {
        if (declaration.name.startsWith(name) || declaration.name.contains(name) || name.contains(declaration.name))
            return QStringLiteral(" Did you mean %1?").arg(declaration.flag());
    }
    return QStringLiteral(" --help lists all.");
}

bool isSwitchWord(const QString &text)
{
    static const Declaration any{{}, {}, Form::Switch, &Settings::allowInsecure, {}, {}};
    Settings scratch;
    return readValue(scratch, any, {}, text).isEmpty();
}

void readEnvironment(const QProcessEnvironment &environment, RawValues &values, Settings &settings)
{
    for (const Declaration &declaration : declarations()) {
        QStringList names{declaration.name};
        names += declaration.aliases;
        for (const QString &name : names) {
            const QString text = environment.value(name);
            if (text.isEmpty())
                continue;
            if (const auto known = values.constFind(declaration.name); known == values.constEnd())
                values.insert(declaration.name, {name, text});
            else if (known->text != text)
                settings.warnings += QStringLiteral("%1 and %2 differ; %1 is used.").arg(known->shownName, name);
        }
    }
    for (const UnusedName &unused : unusedNames()) {
        if (!environment.value(unused.name).isEmpty())
            settings.notes += unused.name + u' ' + unused.reason + u'.';
    }
}

void readFlags(const QStringList &args, RawValues &values, Settings &settings, QStringList &problems)
{
    for (qsizetype i = 0; i < args.size(); ++i) {
        const QString &arg = args.at(i);
        if (!arg.startsWith(QStringLiteral("--"))) {
            problems += QStringLiteral("\"%1\" is not a flag.").arg(arg.left(100));
            continue;
        }
        const qsizetype equals = arg.indexOf(u'=');
        const QString shown = equals < 0 ? arg : arg.left(equals);
        const QString name = shown.mid(2).toUpper().replace(u'-', u'_');
        const Declaration *declaration = byName(name);
        if (!declaration) {
            problems += QStringLiteral("There is no flag %1.").arg(shown.left(100)) + suggestion(name);
            continue;
        }
        const bool isSwitch = declaration->form == Form::Switch;
        QString text;
        if (equals >= 0)
            text = arg.mid(equals + 1);
        else if (isSwitch && (i + 1 == args.size() || !isSwitchWord(args.at(i + 1))))
            text = QStringLiteral("true");
        else if (i + 1 < args.size())
            text = args.at(++i);
        else {
            problems += QStringLiteral("%1 needs a value.").arg(shown);
            continue;
        }
        if (declaration->secrecy != Secrecy::Open)
            settings.warnings += QStringLiteral("%1 on the command line can be read by every user of this machine; "
                                                "use the environment variable %2.").arg(shown, declaration->name);
        values.insert(declaration->name, {shown, text});
    }
}

// Defaults that depend on other settings and on the machine.
void workOut(Settings &s, const QProcessEnvironment &environment)
{
    if (s.host.isEmpty())
        s.host = s.apiKey.isEmpty() ? QStringLiteral("127.0.0.1") : QStringLiteral("0.0.0.0");
    if (s.publicUrl.isEmpty() && !s.railwayPublicDomain.isEmpty())
        s.publicUrl = QStringLiteral("https://") + s.railwayPublicDomain;
    if (s.logLevel == u"CRITICAL")
        s.logLevel = QStringLiteral("ERROR");

    const bool container = QFileInfo::exists(QStringLiteral("/.dockerenv"))
                           || QFileInfo::exists(QStringLiteral("/run/.containerenv"))
                           || environment.contains(QStringLiteral("RAILWAY_ENVIRONMENT"));
    const QString appData = QStringLiteral("/app/data");
    if (s.dataDir.isEmpty()) {
        const QFileInfo app(QStringLiteral("/app"));
        s.dataDir = container && app.isDir() && app.isWritable() ? appData
                                                                 : QDir::current().absoluteFilePath(QStringLiteral("data"));
    }
    if (s.sandboxDir.isEmpty())
        s.sandboxDir = s.dataDir == appData ? QStringLiteral("/app/sandbox_data")
                                            : s.dataDir + QStringLiteral("/sandbox_data");
}

// Rules between settings.
void checkTogether(Settings &s, QStringList &problems)
{
    if (s.isPublic() && s.apiKey.isEmpty() && !s.allowInsecure)
        problems += QStringLiteral("HOST is the public address %1 but API_KEY is unset, so anybody who reaches it could "
                                   "run code. Set API_KEY, or HOST=127.0.0.1, or ALLOW_INSECURE=true if a proxy guards "
                                   "the port.").arg(s.host);
    if (s.mcpAuth == u"api-key" && s.apiKey.isEmpty())
        problems += QStringLiteral("MCP_AUTH is \"api-key\" but API_KEY is unset. Set API_KEY.");
    if (s.stdio && s.supervise)
        problems += QStringLiteral("STDIO and SUPERVISE do not go together: the client on standard input starts the server again itself.");
    if (s.tlsCertFile.isEmpty() != s.tlsKeyFile.isEmpty())
        problems += QStringLiteral("TLS_CERT_FILE and TLS_KEY_FILE go together; %1 is unset.")
                        .arg(s.tlsCertFile.isEmpty() ? QStringLiteral("TLS_CERT_FILE") : QStringLiteral("TLS_KEY_FILE"));
    for (const QString &file : {s.tlsCertFile, s.tlsKeyFile}) {
        if (const QFileInfo info(file); !file.isEmpty() && !(info.isFile() && info.isReadable()))
            problems += QStringLiteral("The TLS file %1 does not exist or cannot be read.").arg(file);
    }
    if (s.isPublic() && s.mcpAuth == u"none")
        s.warnings += QStringLiteral("/mcp is open to everybody who reaches %1 (MCP_AUTH=none): whoever calls it can run "
                                     "code. Set MCP_AUTH=api-key, or guard the port.").arg(s.host);
    if (!s.apiKey.isEmpty() && s.apiKey.size() < 16)
        s.warnings += QStringLiteral("API_KEY is shorter than 16 characters and may be guessed.");
    if (s.azureTenantId.isEmpty() != s.azureClientId.isEmpty())
        s.warnings += QStringLiteral("Microsoft stays off: AZURE_TENANT_ID and AZURE_CLIENT_ID must both be set.");
    if (s.sandboxRequire == u"none" || s.sandboxTier == u"none")
        s.warnings += QStringLiteral("Code may run without a sandbox, with every right of this server.");
}
} // namespace

bool Settings::isPublic() const
{
    return host != u"localhost" && !QHostAddress(host).isLoopback();
}

Result<Settings> Settings::load(const QStringList &args, const QProcessEnvironment &environment)
{
    Settings settings;
    settings.helpAsked = args.contains(QStringLiteral("--help")) || args.contains(QStringLiteral("-h"));
    settings.versionAsked = args.contains(QStringLiteral("--version"));
    if (settings.helpAsked || settings.versionAsked)
        return settings;

    QStringList problems;
    RawValues values;
    readEnvironment(environment, values, settings);
    readFlags(args, values, settings, problems);
    for (const Declaration &declaration : declarations()) {
        const auto found = values.constFind(declaration.name);
        if (found == values.constEnd() && declaration.standard.isEmpty())
            continue;
        const Raw raw = found == values.constEnd() ? Raw{declaration.name, declaration.standard} : *found;
        if (const QString problem = readValue(settings, declaration, raw.shownName, raw.text); !problem.isEmpty())
            problems += problem;
    }
    if (settings.stdio && !values.contains(QStringLiteral("PORT")))
        settings.port = 0; // several clients may each start one
    workOut(settings, environment);
    checkTogether(settings, problems);
    if (problems.isEmpty())
        return settings;
    return fail(ErrorCode::InvalidArgument,
                QStringLiteral("The settings cannot be used:\n  ") + problems.join(QStringLiteral("\n  ")),
                QStringLiteral("\n--help explains every setting."),
                {{QStringLiteral("problems"), QJsonArray::fromStringList(problems)}});
}

} // namespace power::config
