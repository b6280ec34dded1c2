// The log front: one structured line per event, to stdout (contract lesson 16). spdlog behind it.
#pragma once
#include <QJsonObject>
#include <QString>

namespace power::log {

enum class Level { Debug, Info, Warning, Error };
enum class Format { Text, Json };

// Once, before the first line. Thread: main. Every line is flushed.
void start(Level level, Format format);
// "INFO", "debug" ... -> level; falls back to Info.
Level levelFromText(const QString &text);

// event: a stable snake_case word ("kernel_started"); fields: flat JSON values. Never a secret, never
// user code (log its length). Thread: any.
void write(Level level, const char *event, const QJsonObject &fields = {});
bool enabled(Level level);

inline void debug(const char *event, const QJsonObject &fields = {}) { write(Level::Debug, event, fields); }
inline void info(const char *event, const QJsonObject &fields = {}) { write(Level::Info, event, fields); }
inline void warning(const char *event, const QJsonObject &fields = {}) { write(Level::Warning, event, fields); }
inline void error(const char *event, const QJsonObject &fields = {}) { write(Level::Error, event, fields); }

} // namespace power::log
