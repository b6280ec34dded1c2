// A disk that does not take something once, as Linux tells of it: one sync fails, the next succeeds although the bytes are lost.
#pragma once
#include <QByteArray>
#include <QFile>
#include <QTemporaryDir>

namespace power {

// FailSync: of programs that are built with FailSync.cpp, or started with the module of it in LD_PRELOAD and environment()
// set. Thread: the test's.
class FailSync
{
public:
    FailSync() { qputenv("POWER_FAIL_SYNC", QFile::encodeName(order())); }
    ~FailSync() { qunsetenv("POWER_FAIL_SYNC"); }

    // The next call ("fsync" or "fdatasync") of a file whose path contains `path`, or ends with it ("path$"), fails with
    // EIO; after so many (9 at most) that go well.
    bool next(const char *call, const QByteArray &path, int before = 0)
    {
        QFile file(order());
        const QByteArray text = QByteArray::number(before) + ' ' + call + ' ' + path;
        return file.open(QIODevice::WriteOnly) && file.write(text) == text.size();
    }
    // It has failed.
    bool isDone() const { return !QFile::exists(order()); }
    QString environment() const { return QStringLiteral("POWER_FAIL_SYNC=") + order(); }

private:
    QString order() const { return m_place.filePath(QStringLiteral("order")); }

    QTemporaryDir m_place;
};

} // namespace power
