#include "supervisor/KernelFrames.h"
#include <QJsonArray>
#include <QJsonDocument>
#include <algorithm>

namespace power::supervisor {

namespace {
constexpr qsizetype kMaxParts = 64;
constexpr qsizetype kMaxText = 16 * 1024;  // of one text in a meta
constexpr qsizetype kMaxNotes = 100;

Unexpected<Error> violation(const char *what)
{
    return fail(ErrorCode::Internal, QStringLiteral("The kernel sent a malformed frame: %1.").arg(QLatin1String(what)));
}

QString textOf(const QJsonObject &from, const char *name)
{
    return from.value(QLatin1String(name)).toString().left(kMaxText);
}

// Counters of a kernel are whole numbers that a double holds exactly.
bool counterOf(const QJsonObject &from, const char *name, quint64 &out)
{
    const double value = from.value(QLatin1String(name)).toDouble(0);
    if (!(value >= 0 && value <= 9007199254740992.0))
        return false;
    out = quint64(value);
    return true;
}

int boundedInt(const QJsonObject &from, const char *name)
{
    quint64 value = 0;
    return counterOf(from, name, value) ? int(std::min<quint64>(value, 2'000'000'000)) : 0;
}

bool isMime(const QByteArray &text)
{
    if (text.isEmpty() || text.size() > 100 || !text.contains('/'))
        return false;
    for (const char c : text) {
        if (c <= ' ' || c > '~')
            return false;
    }
    return true;
}

// A path inside the workspace, or nothing: whoever opens it checks again, beneath the directory.
bool isFileName(const QString &name)
{
    if (name.size() > 1024 || name.startsWith(u'/'))
        return false;
    for (const QChar c : name) {
        if (c.unicode() < 32)
            return false;
    }
    return !name.split(u'/').contains(QLatin1String(".."));
}
} // namespace

Result<QJsonObject> readMeta(const wire::Frame &frame)
{
    QJsonParseError error{};
    const QJsonDocument document =
        QJsonDocument::fromJson(QByteArray::fromRawData(frame.meta.data(), qsizetype(frame.meta.size())), &error);
    if (error.error != QJsonParseError::NoError || !document.isObject())
        return violation("its meta is not JSON");
    return document.object();
}

Result<DisplayFrame> readDisplay(wire::Frame &frame)
{
    const Result<QJsonObject> read = readMeta(frame);
    if (!read)
        return Unexpected<Error>{read.error()};
    const QJsonObject &meta = read.value();
    DisplayFrame out;
    out.runId = textOf(meta, "run");
    if (!counterOf(meta, "epoch", out.epoch))
        return violation("the epoch is not a counter");
    const QString kind = textOf(meta, "kind");
    if (kind == u"result")
        out.event.kind = OutputEvent::Kind::Result;
    else if (kind == u"figure")
        out.event.kind = OutputEvent::Kind::Figure;
    else if (kind == u"display" || kind == u"update")
        out.event.kind = OutputEvent::Kind::Display;
    else
        return violation("the kind of display is unknown");
    out.event.fileName = textOf(meta, "name");
    if (!isFileName(out.event.fileName))
        return violation("the file name leads out of the workspace");
    out.event.alt = textOf(meta, "alt");
    const QJsonArray parts = meta.value(QStringLiteral("parts")).toArray();
    if (parts.size() > kMaxParts)
        return violation("too many parts");
    qsizetype at = 0;
    const auto total = qsizetype(frame.blob.size());
    for (const QJsonValue &value : parts) {
        const QJsonObject part = value.toObject();
        quint64 size = 0;
        if (!counterOf(part, "size", size) || size > quint64(total - at))
            return violation("the sizes of the parts do not fit the blob");
        const QByteArray mime = textOf(part, "mime").toLatin1();
        if (!isMime(mime))
            return violation("a part has no media type");
        out.event.parts.append({mime, QByteArray(frame.blob.data() + at, qsizetype(size))});
        at += qsizetype(size);
    }
    if (at != total)
        return violation("the sizes of the parts do not fit the blob");
    return out;
}

Result<DoneFrame> readDone(wire::Frame &frame)
{
    const Result<QJsonObject> read = readMeta(frame);
    if (!read)
        return Unexpected<Error>{read.error()};
    const QJsonObject &meta = read.value();
    DoneFrame out;
    out.runId = textOf(meta, "run");
    out.status = textOf(meta, "status");
    if (!counterOf(meta, "epoch", out.epoch))
        return violation("the epoch is not a counter");
    if (out.status != u"ok" && out.status != u"error" && out.status != u"interrupted" && out.status != u"exit")
        return violation("the status is unknown");
    out.code = meta.value(QStringLiteral("code")).toInt();
    out.count = boundedInt(meta, "count");
    out.variables = boundedInt(meta, "variables");
    out.hard = meta.value(QStringLiteral("hard")).toBool();
    const QJsonObject error = meta.value(QStringLiteral("error")).toObject();
    out.errorName = textOf(error, "name").left(200);
    out.errorValue = textOf(error, "value");
    out.hint = textOf(error, "hint");
    out.errorCause = textOf(error, "cause").left(40);
    out.errorLimit = textOf(error, "limit").left(200);
    out.errorPeak = textOf(error, "peak").left(400);
    out.result = meta.value(QStringLiteral("result"));
    const QJsonArray notes = meta.value(QStringLiteral("notes")).toArray();
    for (qsizetype i = 0; i < std::min(notes.size(), kMaxNotes); ++i)
        out.notes << notes.at(i).toString().left(kMaxText);
    out.blob = QByteArray(frame.blob.data(), qsizetype(frame.blob.size()));
    return out;
}

Result<AskFrame> readAsk(wire::Frame &frame)
{
    const Result<QJsonObject> read = readMeta(frame);
    if (!read)
        return Unexpected<Error>{read.error()};
    const QJsonObject &meta = read.value();
    AskFrame out;
    out.runId = textOf(meta, "run");
    if (!counterOf(meta, "ask", out.number))
        return violation("the number of the question is not a counter");
    out.figure = QByteArray(frame.blob.data(), qsizetype(frame.blob.size()));
    const QString what = textOf(meta, "what");
    if (what == u"input") {
        out.what = AskFrame::What::Input;
        out.prompt = textOf(meta, "prompt").left(2'000);
        return out;
    }
    if (what == u"call") {
        out.what = AskFrame::What::Call;
        out.fields.insert(QStringLiteral("tool"), textOf(meta, "tool").left(100));
        return out;
    }
    if (what == u"progress") {
        out.what = AskFrame::What::Progress;
        const QJsonValue total = meta.value(QStringLiteral("total"));
        out.fields = {{QStringLiteral("done"), std::max(meta.value(QStringLiteral("done")).toDouble(), 0.0)},
                      {QStringLiteral("total"), total.isDouble() ? std::max(total.toDouble(), 0.0) : -1.0},
                      {QStringLiteral("text"), textOf(meta, "text").left(500)}};
        return out;
    }
    if (what != u"render")
        return violation("the question is unknown");
    const QString format = textOf(meta, "format");
    if (!QStringList{QStringLiteral("png"), QStringLiteral("jpeg"), QStringLiteral("webp"), QStringLiteral("svg"), QStringLiteral("pdf")}
             .contains(format))
        return violation("the format of the picture is unknown");
    out.fields.insert(QStringLiteral("format"), format);
    for (const QString &name : {QStringLiteral("width"), QStringLiteral("height"), QStringLiteral("scale")}) {
        const QJsonValue value = meta.value(name);
        if (value.isDouble())
            out.fields.insert(name, std::clamp(value.toDouble(), 0.0, 1e6)); // the worker knows what it can draw
    }
    return out;
}

static QStringList namesOf(const QJsonValue &value)
{
    constexpr qsizetype kMostNames = 50;
    QStringList names;
    const QJsonArray array = value.toArray();
    for (qsizetype i = 0; i < std::min(array.size(), kMostNames); ++i)
        names << array.at(i).toString().left(100);
    return names;
}

Result<CheckpointedFrame> readCheckpointed(const wire::Frame &frame)
{
    const Result<QJsonObject> read = readMeta(frame);
    if (!read)
        return Unexpected<Error>{read.error()};
    CheckpointedFrame out;
    out.ok = read->value(QStringLiteral("ok")).toBool();
    out.price = std::chrono::microseconds(boundedInt(read.value(), "us"));
    out.reason = textOf(read.value(), "reason").left(120);
    return out;
}

Result<ResumedFrame> readResumed(const wire::Frame &frame)
{
    const Result<QJsonObject> read = readMeta(frame);
    if (!read)
        return Unexpected<Error>{read.error()};
    ResumedFrame out;
    out.variables = boundedInt(read.value(), "variables");
    out.gone = namesOf(read->value(QStringLiteral("gone")));
    out.older = namesOf(read->value(QStringLiteral("older")));
    return out;
}

} // namespace power::supervisor
