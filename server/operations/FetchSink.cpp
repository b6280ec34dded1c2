#include "operations/FetchSink.h"
#include "base/Offload.h"
#include "operations/RunText.h"
#include "workspace/Names.h"
#include <QMimeDatabase>

namespace power::operations {

namespace {
constexpr qsizetype kBeginning = 4096;

struct Form {
    const char *endings; // blank-separated
    const char *magic;   // null: text
    const char *what;
};
constexpr Form kForms[] = {
    {"xlsx xlsm docx pptx zip odt ods odp", "PK", "a ZIP archive"},
    {"xls doc ppt", "\xd0\xcf\x11\xe0", "an old Office file"},
    {"pdf", "%PDF", "a PDF"},
    {"parquet pq", "PAR1", "Parquet"},
    {"png", "\x89PNG", "a PNG image"},
    {"jpg jpeg", "\xff\xd8\xff", "a JPEG image"},
    {"gif", "GIF8", "a GIF image"},
    {"gz tgz", "\x1f\x8b", "gzip"},
    {"db sqlite sqlite3", "SQLite format 3", "an SQLite database"},
    {"csv tsv json jsonl ndjson", nullptr, "text"},
};

QString endingOf(const QString &name)
{
    const qsizetype dot = name.lastIndexOf(u'.');
    return dot > 0 && name.size() - dot <= 9 ? name.mid(dot + 1).toLower() : QString();
}

const Form *formOf(const QString &ending)
{
    for (const Form &form : kForms) {
        if (QString::fromLatin1(form.endings).split(u' ').contains(ending))
            return &form;
    }
    return nullptr;
}

bool isPage(const QByteArray &beginning)
{
    const QByteArray start = beginning.left(256).trimmed().toLower();
    return start.startsWith("<!doctype html") || start.startsWith("<html");
}

// What a content without an ending of its own gets; empty: none that is sure.
QString endingFor(const QByteArray &contentType, const QByteArray &beginning)
{
    for (const Form &form : kForms) {
        if (form.magic && qstrcmp(form.magic, "PK") != 0 && beginning.startsWith(form.magic))
            return QString::fromLatin1(form.endings).section(u' ', 0, 0);
    }
    static const QMimeDatabase database;
    const QByteArray type = contentType.left(contentType.indexOf(';') < 0 ? contentType.size() : contentType.indexOf(';')).trimmed().toLower();
    if (type.isEmpty() || type == "application/octet-stream" || type == "binary/octet-stream")
        return beginning.startsWith("PK\x03\x04") ? QStringLiteral("zip") : QString();
    return database.mimeTypeForName(QString::fromLatin1(type)).preferredSuffix();
}
} // namespace

Result<Done> FetchSink::begin(const net::FetchedHead &head)
{
    m_head = head;
    m_writer.reset();
    m_beginning.clear();
    m_received = 0;
    return Done{};
}

void FetchSink::name()
{
    QString name = m_destination.name.isEmpty() ? m_head.fileName : m_destination.name;
    if (name.isEmpty())
        name = QStringLiteral("downloaded_file");
    name = workspace::uploadName(name);
    if (endingOf(name).isEmpty()) {
        const QString ending = m_ending.isEmpty() ? endingFor(m_head.contentType, m_beginning) : m_ending;
        name += ending.isEmpty() ? QString() : u'.' + ending;
    }
    m_destination.name = workspace::uploadName(name);
}

OneShot<Done> FetchSink::take(QByteArray piece)
{
    m_received += piece.size();
    if (m_beginning.size() < kBeginning)
        m_beginning += piece.left(kBeginning - m_beginning.size());
    if (!m_writer)
        name();
    const auto self = shared_from_this();
    return inPool<Done>([self, piece]() -> Result<Done> {
        if (!self->m_writer) {
            auto made = self->m_destination.space->create(self->m_destination.name);
            if (!made)
                return Unexpected<Error>{made.error()};
            self->m_writer = std::move(*made);
        }
        return self->m_writer->write(piece);
    });
}

QCoro::Task<Result<Arrival>> FetchSink::finish(Services *services, QString baseUrl, QString host)
{
    const auto self = shared_from_this();
    if (!m_writer) { // an empty file
        const OneShot<Done> made = take({});
        const std::chrono::milliseconds untilDone{0};
        const Result<Done> done = co_await made.wait(untilDone);
        if (!done)
            co_return Unexpected<Error>{done.error()};
    }
    const Form *form = formOf(endingOf(m_destination.name));
    const bool pageType = m_head.contentType.toLower().startsWith("text/html") && m_beginning.trimmed().startsWith('<');
    if (form && (isPage(m_beginning) || pageType))
        co_return fail(ErrorCode::Upstream,
                       QStringLiteral("%1 answered with a web page instead of the file %2.").arg(host, m_destination.name),
                       QStringLiteral("The link probably needs a login or points to a viewer; use a direct download link, or share the file with everybody."));
    const auto writer = m_writer;
    const Destination destination = m_destination;
    Result<Arrival> arrival = co_await arriveBy(services, baseUrl, destination, writer);
    co_return arrival;
}

QString FetchSink::remark() const
{
    const QString ending = endingOf(m_destination.name);
    const Form *form = formOf(ending);
    if (!form || m_beginning.isEmpty())
        return {};
    const bool fits = form->magic ? m_beginning.startsWith(form->magic) : !m_beginning.contains('\0') || m_beginning.startsWith("\xff\xfe");
    if (fits)
        return {};
    const QString seen = files::mimeOf(QStringLiteral("content"), m_beginning);
    return QStringLiteral("Its content is not %1 as .%2 says; it looks like %3.").arg(QLatin1String(form->what), ending, seen);
}

} // namespace power::operations
