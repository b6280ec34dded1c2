#include "base/Log.h"
#include <QDateTime>
#include <QJsonDocument>
#include <atomic>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace power::log {

namespace {
std::atomic<Format> chosenFormat{Format::Text};

spdlog::level::level_enum spdlogLevel(Level level)
{
    switch (level) {
    case Level::Debug: return spdlog::level::debug;
    case Level::Info: return spdlog::level::info;
    case Level::Warning: return spdlog::level::warn;
    case Level::Error: break;
    }
    return spdlog::level::err;
}

const char *levelWord(Level level)
{
    switch (level) {
    case Level::Debug: return "debug";
    case Level::Info: return "info";
    case Level::Warning: return "warning";
    case Level::Error: break;
    }
    return "error";
}

QByteArray plainValue(const QJsonValue &value)
{
    if (value.isString()) {
        const QByteArray text = value.toString().toUtf8();
        const bool quiet = !text.isEmpty() && !text.contains(' ') && !text.contains('"') && !text.contains('\n');
        return quiet ? text : QJsonDocument(QJsonArray{value}).toJson(QJsonDocument::Compact).mid(1).chopped(1);
    }
    return QJsonDocument(QJsonArray{value}).toJson(QJsonDocument::Compact).mid(1).chopped(1);
}
} // namespace

void start(Level level, Format format)
{
    chosenFormat = format;
    auto logger = std::make_shared<spdlog::logger>("power", std::make_shared<spdlog::sinks::stdout_sink_mt>());
    logger->set_pattern("%v");
    logger->set_level(spdlogLevel(level));
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

Level levelFromText(const QString &text)
{
    const QString word = text.toLower();
    if (word == u"debug")
        return Level::Debug;
    if (word == u"warning" || word == u"warn")
        return Level::Warning;
    if (word == u"error" || word == u"critical")
        return Level::Error;
    return Level::Info;
}

bool enabled(Level level)
{
    return spdlog::default_logger_raw()->should_log(spdlogLevel(level));
}

void write(Level level, const char *event, const QJsonObject &fields)
{
    if (!enabled(level))
        return;
    const QString time = QDateTime::currentDateTimeUtc().toString(Qt::ISODateWithMs);
    QByteArray line;
    if (chosenFormat == Format::Json) {
        QJsonObject all = fields;
        all.insert(QStringLiteral("time"), time);
        all.insert(QStringLiteral("level"), QLatin1String(levelWord(level)));
        all.insert(QStringLiteral("event"), QLatin1String(event));
        line = QJsonDocument(all).toJson(QJsonDocument::Compact);
    } else {
        line = time.toLatin1() + ' ' + levelWord(level) + ' ' + event;
        for (auto it = fields.begin(); it != fields.end(); ++it)
            line += ' ' + it.key().toUtf8() + '=' + plainValue(it.value());
    }
    spdlog::default_logger_raw()->log(spdlogLevel(level), spdlog::string_view_t(line.constData(), size_t(line.size())));
}

} // namespace power::log
