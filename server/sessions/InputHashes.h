// What the files that runs read contain: hashes remembered while a file does not change.
#pragma once
#include "sessions/Session.h"
#include <QHash>

namespace power::sessions {

// InputHashes: of one session. Thread: the event loop's.
class InputHashes
{
public:
    void learn(const QString &path, qint64 size, qint64 modifiedNs, const QString &sha256);
    // Fills in what is known. True when a file is left that hashed() would read.
    bool fill(QList<ReadFile> &files) const;

private:
    struct Known {
        qint64 size, modifiedNs;
        QString sha256;
    };
    QHash<QString, Known> m_known; // at most 1,000
};

// Reads the files without a hash: those up to 64 MiB, together up to 128 MiB. A file that has changed since the run gets
// none. Takes long: for a worker thread.
QList<ReadFile> hashed(const workspace::Workspace &workspace, QList<ReadFile> files);

} // namespace power::sessions
