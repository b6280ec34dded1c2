// fetch_file: a file of a session as a model can use it.
#include "base/Offload.h"
#include "operations/FileFacts.h"
#include "operations/FilePlace.h"
#include "operations/FileTools.h"
#include "operations/FileViews.h"
#include "operations/Looking.h"
#include "operations/RunText.h"
#include <sys/stat.h>
#include <unistd.h>

namespace power::operations {

namespace {
constexpr qint64 kLargestImage = 3'500'000; // bytes sent as an image block
constexpr qsizetype kLargestText = 20'000;  // characters of a text file in one answer
constexpr qint64 kMostRead = 64 << 20;      // bytes of a text file that are looked through for its lines
constexpr int kLargestBase64 = 30'000;      // bytes of a file sent as base64 (40,000 characters)

// Lines of a text file.
struct TextPart {
    QString text;
    int first = 0, lines = 0; // from 0
    bool more = false;
    bool unseen = false; // kMostRead came before the end
};

// In pieces: a large file is not read whole for its head.
Result<TextPart> readLines(const workspace::Workspace &space, const QString &path, int offset, int limit)
{
    const auto opened = space.openRead(path);
    if (!opened)
        return Unexpected<Error>{opened.error()};
    TextPart part;
    part.first = offset;
    QByteArray kept;
    int line = 0;
    for (qint64 at = 0; !part.more && at < kMostRead;) {
        QByteArray piece(256 << 10, Qt::Uninitialized);
        const ssize_t got = ::pread(opened->get(), piece.data(), size_t(piece.size()), at);
        if (got <= 0)
            break;
        piece.truncate(got);
        at += got;
        for (qsizetype begin = 0; begin < piece.size() && !part.more;) {
            const qsizetype end = piece.indexOf('\n', begin);
            const QByteArrayView text = QByteArrayView(piece).sliced(begin, (end < 0 ? piece.size() : end + 1) - begin);
            part.more = part.lines >= limit || kept.size() > kLargestText * 4;
            if (!part.more && line >= offset)
                kept.append(text.data(), text.size());
            if (end >= 0) {
                part.lines += line >= offset && !part.more ? 1 : 0;
                ++line;
            }
            begin += text.size();
        }
    }
    struct stat facts = {};
    part.unseen = !part.more && ::fstat(opened->get(), &facts) == 0 && facts.st_size > kMostRead;
    part.text = QString::fromUtf8(kept);
    if (part.text.size() > kLargestText) {
        part.text.truncate(kLargestText);
        const qsizetype end = part.text.lastIndexOf(u'\n');
        if (end > 0)
            part.text.truncate(end + 1);
        part.lines = int(part.text.count(u'\n'));
        part.more = true;
    }
    return part;
}

QString shownPart(const TextPart &part)
{
    QString text = QStringLiteral("\n\n") + part.text;
    if (part.more && part.lines == 0)
        text += QStringLiteral("\n[the beginning of a line that is longer than an answer; read the rest in execute_code]");
    else if (part.more)
        text += QStringLiteral("\n[lines %1-%2; more with offset=%3]").arg(part.first + 1).arg(part.first + part.lines).arg(part.first + part.lines);
    else if (part.unseen)
        text += QStringLiteral("\n[only the first %1 of the file are looked through here; read what comes behind in execute_code]").arg(humanSize(kMostRead));
    else if (part.first > 0)
        text += QStringLiteral("\n[from line %1 to the end]").arg(part.first + 1);
    return text;
}

QCoro::Task<Result<Answer>> fetchFile(Services *services, Caller caller, QJsonObject arguments)
{
    const QString session = arguments.value(QStringLiteral("session_id")).toString();
    const QString given = arguments.value(QStringLiteral("filename")).toString();
    const Caller who = caller;
    const Result<FilePlace> place = co_await placeOf(services, who, session, given);
    if (!place)
        co_return Unexpected<Error>{place.error()};
    const auto space = place->space;
    const QString path = place->path;
    workspace::FileFacts facts;
    if (const auto opened = space->openRead(path, &facts); !opened)
        co_return Unexpected<Error>{opened.error()};
    facts.path = path;
    const QString principal = place->key.principal;
    const QString id = place->key.id;
    const auto stored = co_await services->files.store(principal, id, space, path);
    const QJsonObject info = fileInfo(*space, id, facts, stored ? &*stored : nullptr, caller.baseUrl);
    const QString mime = info.value(QStringLiteral("mime_type")).toString();
    const QString link = stored ? QStringLiteral("\nDownload URL: ") + caller.baseUrl + stored->downloadPath()
                                : QStringLiteral("\nNo link: ") + stored.error().text();
    Answer answer = textAnswer(QStringLiteral("File: %1 (%2, %3)").arg(shownName(path), humanSize(facts.size), mime) + link, info);
    const QString encoding = arguments.value(QStringLiteral("encoding")).toString();
    const bool image = mime == u"image/png" || mime == u"image/jpeg" || mime == u"image/gif" || mime == u"image/webp";
    const bool paged = arguments.contains(QStringLiteral("offset")) || arguments.contains(QStringLiteral("limit"));

    if (encoding == u"base64" && facts.size > kLargestBase64)
        co_return fail(ErrorCode::TooLarge,
                       QStringLiteral("%1 has %2; base64 answers are limited to %3.").arg(path, humanSize(facts.size), humanSize(kLargestBase64)),
                       stored ? QStringLiteral("Download it: ") + caller.baseUrl + stored->downloadPath() : QString());
    if (encoding == u"base64" || (image && facts.size <= kLargestImage)) {
        std::function<Result<QByteArray>()> work = [space, path] { return wholeFile(*space, path, kLargestImage); };
        const Result<QByteArray> content = co_await offload<QByteArray>(std::move(work));
        if (!content)
            co_return Unexpected<Error>{content.error()};
        if (encoding == u"base64") {
            const QString text = QString::fromLatin1(content->toBase64());
            answer.blocks[0].text += QStringLiteral("\nbase64:\n") + text;
            answer.data.insert(QStringLiteral("content_base64"), text);
            co_return answer;
        }
        Block picture;
        picture.kind = Block::Kind::Image;
        picture.data = *content;
        picture.mime = mime.toLatin1();
        picture.text = path;
        answer.blocks << picture;
        co_return answer;
    }
    if (encoding != u"text" && !paged && hasView(path, mime)) {
        const Result<Answer> view = co_await viewOf(services, who, *place, mime);
        if (view) {
            answer.blocks[0].text += QStringLiteral("\n\n") + view->blocks.value(0).text;
            answer.blocks << view->blocks.mid(1);
            answer.data.insert(QStringLiteral("view"), view->data);
            co_return answer;
        }
        answer.notes << view.error().text();
    }
    if (isTextType(mime) || encoding == u"text") {
        const int offset = arguments.value(QStringLiteral("offset")).toInt(0);
        const int limit = arguments.value(QStringLiteral("limit")).toInt(1000);
        std::function<Result<TextPart>()> work = [space, path, offset, limit] { return readLines(*space, path, offset, limit); };
        const Result<TextPart> part = co_await offload<TextPart>(std::move(work));
        if (!part)
            co_return Unexpected<Error>{part.error()};
        answer.blocks[0].text += shownPart(*part);
    }
    co_return answer;
}
} // namespace

Operation fetchFileOperation(Services &services, Registry &registry)
{
    Operation fetch = fileOperation("fetch_file", "Get a file",
                                    "Get a file of a session: an image as a picture, text by lines, a table's columns and first rows, "
                                    "anything else as a link. With url instead of filename it loads that URL into the session.");
    Parameter encoding = textParameter("encoding", "text: a table's lines as they are; base64: the bytes of a small file.");
    encoding.allowed = {QStringLiteral("auto"), QStringLiteral("text"), QStringLiteral("base64")};
    encoding.defaultValue = QStringLiteral("auto");
    Parameter offset = numberParameter("offset", "Lines to skip.", 0, 0, QJsonValue());
    Parameter limit = numberParameter("limit", "Most lines.", 1000, 1, 10'000);
    offset.defaultValue = limit.defaultValue = QJsonValue(); // given or not decides how a table is shown
    fetch.parameters = {textParameter("filename", "Name or link as an answer shows it."), sessionParameter(), encoding, offset, limit,
                        textParameter("url", "Load this URL into the session instead (as fetch_from_url).")};
    fetch.hints = {false, false, true, true};
    fetch.method = [&services, &registry](Caller caller, QJsonObject arguments) -> QCoro::Task<Result<Answer>> {
        if (!arguments.value(QStringLiteral("url")).toString().isEmpty())
            return registry.find(QStringLiteral("fetch_from_url"))->method(std::move(caller), std::move(arguments));
        return fetchFile(&services, std::move(caller), std::move(arguments));
    };
    return fetch;
}

} // namespace power::operations
