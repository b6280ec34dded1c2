#include "sessions/InputHashes.h"
#include <QCryptographicHash>
#include <algorithm>
#include <unistd.h>

namespace power::sessions {

namespace {
constexpr qint64 kLargestHashed = 64ll << 20;
constexpr qint64 kMostHashed = 128ll << 20;
constexpr qsizetype kMostKnown = 1'000;

// Empty: not the file that the run saw.
QString hashOf(const workspace::Workspace &workspace, const ReadFile &file)
{
    workspace::FileFacts facts;
    const auto opened = workspace.openRead(file.path, &facts);
    if (!opened || facts.size != file.size || facts.modifiedNs != file.modifiedNs)
        return {};
    QCryptographicHash hash(QCryptographicHash::Sha256);
    QByteArray buffer(1 << 18, Qt::Uninitialized);
    for (qint64 left = file.size; left > 0;) {
        const ssize_t got = ::read(opened->get(), buffer.data(), size_t(qMin<qint64>(buffer.size(), left)));
        if (got <= 0)
            return {};
        hash.addData(QByteArrayView(buffer.constData(), got));
        left -= got;
    }
    return QString::fromLatin1(hash.result().toHex());
}
} // namespace

void InputHashes::learn(const QString &path, qint64 size, qint64 modifiedNs, const QString &sha256)
{
    if (sha256.isEmpty())
        return;
    if (m_known.size() >= kMostKnown)
        m_known.clear();
    m_known.insert(path, {size, modifiedNs, sha256});
}

bool InputHashes::fill(QList<ReadFile> &files) const
{
    for (ReadFile &file : files) {
        const auto found = m_known.constFind(file.path);
        if (found != m_known.constEnd() && found->size == file.size && found->modifiedNs == file.modifiedNs)
            file.sha256 = found->sha256;
    }
    return std::any_of(files.cbegin(), files.cend(),
                       [](const ReadFile &file) { return file.sha256.isEmpty() && file.size <= kLargestHashed; });
}

QList<ReadFile> hashed(const workspace::Workspace &workspace, QList<ReadFile> files)
{
    qint64 left = kMostHashed;
    for (ReadFile &file : files) {
        if (!file.sha256.isEmpty() || file.size > qMin(kLargestHashed, left))
            continue;
        left -= file.size;
        file.sha256 = hashOf(workspace, file);
    }
    return files;
}

} // namespace power::sessions
