#include "downloads/ZipBody.h"
#include "base/Offload.h"
#include <QDateTime>
#include <QtEndian>
#include <unistd.h>
#include <zlib.h>

namespace power::downloads
{

namespace
{
constexpr qint64 largestField = 0xffffffffll; // where ZIP64 begins
constexpr qint64 mostPlainEntries = 0xffff;
constexpr quint16 flags = 0x0808; // checksum and sizes behind the data; UTF-8 names
constexpr quint16 plainVersion = 20, zip64Version = 45;

struct Entry {
    QString path; // in the workspace
    QByteArray name;
    qint64 size = 0, offset = 0;
    quint32 time = 0, checksum = 0;
    bool isLarge() const { return size >= largestField; }
};

class Bytes
{
public:
    template <typename T>
    Bytes &add(T value)
    {
        char raw[sizeof(T)];
        qToLittleEndian(value, raw);
        m_bytes.append(raw, sizeof(T));
        return *this;
    }
    Bytes &add(const QByteArray &raw)
    {
        m_bytes += raw;
        return *this;
    }
    QByteArray take() { return std::move(m_bytes); }

private:
    QByteArray m_bytes;
};

quint32 fieldOf(qint64 value)
{
    return quint32(qMin(value, largestField));
}

// The date in the upper, the time in the lower half; UTC.
quint32 dosTime(qint64 ns)
{
    const QDateTime when = QDateTime::fromMSecsSinceEpoch(ns / 1'000'000).toUTC();
    const QDate date = when.date();
    if (date.year() < 1980 || date.year() > 2107) return 0x00210000;
    return quint32((date.year() - 1980) << 25 | date.month() << 21 | date.day() << 16 | when.time().hour() << 11 |
                   when.time().minute() << 5 | when.time().second() / 2);
}

QByteArray localHead(const Entry &entry)
{
    Bytes bytes;
    bytes.add(quint32(0x04034b50)).add(entry.isLarge() ? zip64Version : plainVersion).add(flags).add(quint16(0)).add(entry.time);
    const quint32 size = entry.isLarge() ? quint32(largestField) : 0;
    bytes.add(quint32(0)).add(size).add(size).add(quint16(entry.name.size())).add(quint16(entry.isLarge() ? 20 : 0)).add(entry.name);
    if (entry.isLarge()) bytes.add(quint16(1)).add(quint16(16)).add(quint64(0)).add(quint64(0));
    return bytes.take();
}

QByteArray descriptorOf(const Entry &entry)
{
    Bytes bytes;
    bytes.add(quint32(0x08074b50)).add(entry.checksum);
    if (entry.isLarge())
        bytes.add(quint64(entry.size)).add(quint64(entry.size));
    else
        bytes.add(quint32(entry.size)).add(quint32(entry.size));
    return bytes.take();
}

QByteArray directoryEntry(const Entry &entry)
{
    Bytes extra;
    if (entry.isLarge()) extra.add(quint64(entry.size)).add(quint64(entry.size));
    if (entry.offset >= largestField) extra.add(quint64(entry.offset));
    const QByteArray large = extra.take();
    Bytes bytes;
    bytes.add(quint32(0x02014b50)).add(quint16(3 << 8 | zip64Version)).add(large.isEmpty() ? plainVersion : zip64Version);
    bytes.add(flags).add(quint16(0)).add(entry.time).add(entry.checksum).add(fieldOf(entry.size)).add(fieldOf(entry.size));
    bytes.add(quint16(entry.name.size())).add(quint16(large.isEmpty() ? 0 : large.size() + 4)).add(quint16(0)).add(quint16(0));
    bytes.add(quint16(0)).add(quint32(0100644) << 16).add(fieldOf(entry.offset)).add(entry.name);
    if (!large.isEmpty()) bytes.add(quint16(1)).add(quint16(large.size())).add(large);
    return bytes.take();
}

QByteArray archiveEnd(qint64 count, qint64 directoryAt, qint64 directorySize)
{
    Bytes bytes;
    if (count >= mostPlainEntries || directoryAt + directorySize >= largestField) {
        bytes.add(quint32(0x06064b50)).add(quint64(44)).add(quint16(3 << 8 | zip64Version)).add(zip64Version).add(quint32(0)).add(quint32(0));
        bytes.add(quint64(count)).add(quint64(count)).add(quint64(directorySize)).add(quint64(directoryAt));
        bytes.add(quint32(0x07064b50)).add(quint32(0)).add(quint64(directoryAt + directorySize)).add(quint32(1));
    }
    const quint16 shown = quint16(qMin(count, mostPlainEntries));
    bytes.add(quint32(0x06054b50)).add(quint16(0)).add(quint16(0)).add(shown).add(shown);
    bytes.add(fieldOf(directorySize)).add(fieldOf(directoryAt)).add(quint16(0));
    return bytes.take();
}

// What is read beside the event loop: its owner waits for it.
struct Reading {
    std::shared_ptr<workspace::Workspace> workspace;
    workspace::Descriptor file;
    qint64 done = 0;
    uLong checksum = 0;
};

Result<QByteArray> readSome(Reading &reading, const QString &path, qint64 size, qint64 most)
{
    const auto gone = [&path] { return fail(ErrorCode::Conflict, QStringLiteral("\"%1\" changed while it was archived.").arg(path)); };
    if (reading.done == 0) {
        auto file = reading.workspace->openRead(path);
        if (!file) return gone();
        reading.file = std::move(*file);
        reading.checksum = crc32_z(0, nullptr, 0);
    }
    QByteArray piece(qsizetype(qMin(most, size - reading.done)), Qt::Uninitialized);
    const ssize_t got = ::pread(reading.file.get(), piece.data(), size_t(piece.size()), reading.done);
    if (got <= 0) return gone();
    piece.truncate(got);
    reading.done += got;
    reading.checksum = crc32_z(reading.checksum, reinterpret_cast<const Bytef *>(piece.constData()), z_size_t(got));
    return piece;
}

class ZipBody : public http::BodySource
{
public:
    ZipBody(std::shared_ptr<workspace::Workspace> workspace, const QList<workspace::FileFacts> &files, const QString &prefix)
        : m_reading(std::make_shared<Reading>())
    {
        m_reading->workspace = std::move(workspace);
        for (const workspace::FileFacts &file : files) {
            Entry entry{file.path, (prefix.isEmpty() ? file.path : prefix + u'/' + file.path).toUtf8(), file.size, m_directoryAt, dosTime(file.modifiedNs), 0};
            if (entry.name.size() > 0xffff) continue; // the format has no longer ones
            m_directoryAt += localHead(entry).size() + entry.size + descriptorOf(entry).size();
            m_directorySize += directoryEntry(entry).size();
            m_entries.push_back(std::move(entry));
        }
    }
    qint64 size() const override
    {
        return m_directoryAt + m_directorySize + archiveEnd(qint64(m_entries.size()), m_directoryAt, m_directorySize).size();
    }
    QCoro::Task<Result<QByteArray>> read(qint64 most) override
    {
        if (m_waiting.isEmpty()) {
            const Result<Done> more = co_await next(most);
            if (!more) co_return Unexpected<Error>{more.error()};
        }
        QByteArray piece = m_waiting.size() <= most ? std::exchange(m_waiting, {}) : m_waiting.left(qsizetype(most));
        if (!m_waiting.isEmpty()) m_waiting.remove(0, piece.size());
        co_return piece;
    }

private:
    enum class At { Head, Data, Directory, End };

    // Fills m_waiting.
    QCoro::Task<Result<Done>> next(qint64 most)
    {
        if (m_at == At::Data) {
            const std::shared_ptr<Reading> reading = m_reading;
            const QString path = m_entries[m_entry].path;
            const qint64 size = m_entries[m_entry].size;
            std::function<Result<QByteArray>()> work = [reading, path, size, most] { return readSome(*reading, path, size, most); };
            Result<QByteArray> piece = co_await offload<QByteArray>(std::move(work));
            if (!piece) co_return Unexpected<Error>{piece.error()};
            m_waiting = std::move(*piece);
            if (m_reading->done < size) co_return Done{};
            endEntry();
            co_return Done{};
        }
        // Small pieces together.
        while (m_waiting.size() < most && m_at != At::Data && m_at != At::End) {
            if (m_at == At::Head && m_entry < m_entries.size()) {
                m_waiting += localHead(m_entries[m_entry]);
                m_reading->done = 0;
                m_reading->checksum = 0;
                if (m_entries[m_entry].size > 0)
                    m_at = At::Data;
                else
                    endEntry();
            } else if (m_at == At::Head) {
                m_at = At::Directory;
                m_entry = 0;
            } else if (m_entry < m_entries.size()) {
                m_waiting += directoryEntry(m_entries[m_entry++]);
            } else {
                m_waiting += archiveEnd(qint64(m_entries.size()), m_directoryAt, m_directorySize);
                m_at = At::End;
            }
        }
        co_return Done{};
    }
    void endEntry()
    {
        Entry &entry = m_entries[m_entry++];
        entry.checksum = quint32(m_reading->checksum);
        m_waiting += descriptorOf(entry);
        m_at = At::Head;
    }

    std::shared_ptr<Reading> m_reading;
    std::vector<Entry> m_entries;
    qint64 m_directoryAt = 0, m_directorySize = 0;
    At m_at = At::Head;
    std::size_t m_entry = 0;
    QByteArray m_waiting;
};
} // namespace

std::unique_ptr<http::BodySource> zipBody(std::shared_ptr<workspace::Workspace> workspace, const QList<workspace::FileFacts> &files,
                                          const QString &prefix)
{
    return std::make_unique<ZipBody>(std::move(workspace), files, prefix);
}

} // namespace power::downloads
