#include "files/FileStore.h"
#include <QHash>
#include <QMimeDatabase>
#include <cstring>

namespace power::files
{

namespace
{
struct Magic {
    const char *bytes;
    int length, offset;
    const char *mime;
};
constexpr Magic imageMagic[] = {
    {"\x89PNG\r\n\x1a\n", 8, 0, "image/png"},
    {"\xff\xd8\xff", 3, 0, "image/jpeg"},
    {"GIF8", 4, 0, "image/gif"},
    {"WEBP", 4, 8, "image/webp"},
    {"BM", 2, 0, "image/bmp"},
    {"II*\0", 4, 0, "image/tiff"},
    {"MM\0*", 4, 0, "image/tiff"},
    {"ftypavif", 8, 4, "image/avif"},
};
constexpr Magic dataMagic[] = {
    {"%PDF-", 5, 0, "application/pdf"},
    {"PAR1", 4, 0, "application/vnd.apache.parquet"},
    {"ARROW1", 6, 0, "application/vnd.apache.arrow.file"},
    {"SQLite format 3\0", 16, 0, "application/vnd.sqlite3"},
    {"\x1f\x8b", 2, 0, "application/gzip"},
};

const QHash<QString, QString> &byExtension()
{
    static const QHash<QString, QString> table = [] {
        QHash<QString, QString> made;
        const auto add = [&made](const char *words, const char *mime) {
            for (const QString &word : QString::fromLatin1(words).split(u' '))
                made.insert(word, QLatin1String(mime));
        };
        add("csv", "text/csv");
        add("tsv", "text/tab-separated-values");
        add("txt log", "text/plain");
        add("md markdown", "text/markdown");
        add("html htm", "text/html");
        add("json geojson", "application/json");
        add("jsonl ndjson", "application/x-ndjson");
        add("xml", "application/xml");
        add("yaml yml", "application/yaml");
        add("py", "text/x-python");
        add("ipynb", "application/x-ipynb+json");
        add("svg", "image/svg+xml");
        add("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet");
        add("xlsm", "application/vnd.ms-excel.sheet.macroenabled.12");
        add("xlsb", "application/vnd.ms-excel.sheet.binary.macroenabled.12");
        add("xls", "application/vnd.ms-excel");
        add("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
        add("doc", "application/msword");
        add("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation");
        add("odt", "application/vnd.oasis.opendocument.text");
        add("ods", "application/vnd.oasis.opendocument.spreadsheet");
        add("pq parquet", "application/vnd.apache.parquet");
        add("feather arrow", "application/vnd.apache.arrow.file");
        add("db sqlite sqlite3", "application/vnd.sqlite3");
        add("zip", "application/zip");
        add("gz tgz", "application/gzip");
        add("pdf", "application/pdf");
        add("pkl pickle npy npz bin dat", "application/octet-stream");
        return made;
    }();
    return table;
}

const char *magicOf(const QByteArray &head, const Magic *begin, const Magic *end)
{
    for (const Magic *magic = begin; magic != end; ++magic) {
        if (head.size() >= magic->offset + magic->length &&
            std::memcmp(head.constData() + magic->offset, magic->bytes, size_t(magic->length)) == 0)
            return magic->mime;
    }
    return nullptr;
}

bool looksLikeText(const QByteArray &head)
{
    for (const char c : head) {
        const auto byte = quint8(c);
        if (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t' && byte != '\f' && byte != 0x1b)
            return false;
    }
    return true;
}
} // namespace

QString mimeOf(const QString &name, const QByteArray &head)
{
    if (const char *image = magicOf(head, std::begin(imageMagic), std::end(imageMagic)))
        return QLatin1String(image);
    const QString extension = name.section(u'/', -1).section(u'.', 1).section(u'.', -1).toLower();
    const QString known = byExtension().value(extension);
    const bool text = looksLikeText(head);
    if (text && (extension == u"svg" || extension == u"xml" || extension.isEmpty()) && head.contains("<svg"))
        return QStringLiteral("image/svg+xml");
    if (const char *data = magicOf(head, std::begin(dataMagic), std::end(dataMagic)))
        return QLatin1String(data);
    const QString plain =
        text ? QStringLiteral("text/plain; charset=utf-8") : QStringLiteral("application/octet-stream");
    if (head.startsWith("PK\x03\x04")) {
        const bool packed = known.contains(u"openxmlformats") || known.contains(u"opendocument") ||
                            known.contains(u"macroenabled");
        return packed ? known : QStringLiteral("application/zip");
    }
    const bool wantsText = known.startsWith(u"text/") || known.endsWith(u"json") || known.endsWith(u"xml") ||
                           known.endsWith(u"yaml");
    if (!known.isEmpty() && known != u"image/svg+xml")
        return wantsText && !text ? QStringLiteral("application/octet-stream") : known;
    static const QMimeDatabase database;
    const QString guessed = database.mimeTypeForFileNameAndData(name, head).name();
    // What only claims to be an image, or is of no known type, is what its bytes look like.
    const bool vague = guessed == u"application/octet-stream" || guessed == u"text/plain" ||
                       guessed == u"application/x-zerosize";
    return guessed.startsWith(u"image/") || vague ? plain : guessed;
}

} // namespace power::files
