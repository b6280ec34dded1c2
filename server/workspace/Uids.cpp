#include "workspace/Uids.h"
#include "workspace/Beneath.h"
#include <QFile>
#include <QRandomGenerator>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace power::workspace
{

namespace
{
constexpr quint32 highestUid = 1'000'000'000;
constexpr quint32 reservedAtOnce = 64; // one fsync for so many; a restart skips what is left of them

// The end of the ids this user namespace maps without a gap from 0 (all of them outside a container).
quint32 mappedEnd()
{
    QFile map(QStringLiteral("/proc/self/uid_map"));
    quint64 end = 0;
    if (!map.open(QIODevice::ReadOnly)) return highestUid;
    for (const QByteArray &line : map.readAll().split('\n')) {
        const QList<QByteArray> fields = line.simplified().split(' ');
        if (fields.size() == 3 && fields[0].toULongLong() == end) end += fields[2].toULongLong();
    }
    return quint32(qMin<quint64>(end, highestUid));
}
} // namespace

Result<UidRange> UidRange::open(int root, quint32 uidBase, quint32 span)
{
    UidRange range;
    range.m_root = root;
    range.m_span = span;
    const quint32 end = mappedEnd();
    const Descriptor file(openBeneath(root, ".uids", O_RDONLY | O_NOFOLLOW));
    char text[64] = {};
    if (file.get() >= 0 && ::read(file.get(), text, sizeof text - 1) > 0) {
        const QList<QByteArray> words = QByteArray(text).simplified().split(' ');
        range.m_first = words.value(0).toUInt();
        range.m_next = words.value(1).toUInt();
        if (range.m_first > 0 && range.m_first < end && range.m_next >= range.m_first) {
            range.m_span = qMin(span, end - range.m_first);
            range.m_reserved = range.m_next;
            return range;
        }
    }
    if (end > uidBase + span) {
        const quint32 places = (end - uidBase) / span;
        range.m_first = uidBase + span * QRandomGenerator::system()->bounded(places);
    } else {
        // A small mapping (65,536 ids is common): its upper part.
        range.m_first = end > span + 10'000 ? end - span : end / 2;
        range.m_span = end - range.m_first;
    }
    range.m_next = range.m_reserved = range.m_first;
    const Result<Done> saved = range.save();
    if (!saved) return Unexpected<Error>{saved.error()};
    return range;
}

Result<Done> UidRange::save() const
{
    const QByteArray text = QByteArray::number(m_first) + ' ' + QByteArray::number(m_reserved) + '\n';
    const Descriptor file(openBeneath(m_root, ".uids.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    const bool written =
        file.get() >= 0 && ::write(file.get(), text.constData(), size_t(text.size())) == text.size() &&
        ::fdatasync(file.get()) == 0 && ::renameat(m_root, ".uids.new", m_root, ".uids") == 0;
    if (!written)
        return fail(ErrorCode::Unavailable,
                    QStringLiteral("The record of user ids in the sandbox directory cannot be written: %1.")
                        .arg(QString::fromLocal8Bit(strerror(errno))));
    return Done{};
}

Result<quint32> UidRange::take(const QSet<quint32> &used)
{
    for (quint32 tried = 0; tried < m_span - workers - jobs; ++tried) {
        if (m_next >= firstJob()) m_next = m_reserved = m_first;
        const quint32 uid = m_next++;
        if (used.contains(uid)) continue;
        if (m_next <= m_reserved) return uid;
        m_reserved = m_next + reservedAtOnce;
        const Result<Done> saved = save();
        if (!saved) return Unexpected<Error>{saved.error()};
        return uid;
    }
    return fail(ErrorCode::Unavailable,
                QStringLiteral("All %1 user ids for sessions are in use.").arg(m_span - workers - jobs),
                QStringLiteral("Delete sessions that are no longer needed."));
}

} // namespace power::workspace
