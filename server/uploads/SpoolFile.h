// A file that is being received, kept apart from every session until it is whole.
#pragma once
#include "base/Error.h"
#include "workspace/Workspace.h"
#include <QString>
#include <memory>

namespace power::uploads {

// SpoolFile: append only. Everything blocks on the disk. Thread: any, one at a time.
class SpoolFile
{
public:
    // A new file, mode 0600. Error: Unavailable (disk).
    static Result<std::shared_ptr<SpoolFile>> create(const QString &path);
    // One that is there, to go on behind its end.
    static Result<std::shared_ptr<SpoolFile>> open(const QString &path);
    // Deletes the file unless keep() was called; a large one a moment later, beside the caller.
    ~SpoolFile();

    // All of it or an error; what was written of a part that failed stays. Error: Unavailable (disk full ...).
    Result<Done> append(QByteArrayView bytes);
    // All of another file behind the end of this one.
    Result<Done> appendFile(const SpoolFile &other);
    // What was appended is on disk when this returns. Error: Unavailable with details.cause notDurable, then and ever after, by
    // append() too: what the disk did not take once may be lost although another sync succeeds.
    Result<Done> sync();

    qint64 size() const { return m_size; }
    void keep() { m_keep = true; }
    // Nothing more is appended: it is closed until again().
    void rest() { m_file = workspace::Descriptor(); }
    // A descriptor of its own for the reader.
    Result<std::shared_ptr<workspace::Descriptor>> again() const;

private:
    SpoolFile(QString path, int fd) : m_path(std::move(path)), m_file(fd) {}

    QString m_path;
    workspace::Descriptor m_file;
    qint64 m_size = 0;
    qint64 m_leaving = 0; // up to here the kernel was told to write out
    bool m_dirty = true;
    int m_lost = 0; // the errno of a sync that failed
    bool m_keep = false;
};

} // namespace power::uploads
