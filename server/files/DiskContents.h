// Contents on disk: <directory>/ab/cd/<sha256>.
#pragma once
#include "files/Contents.h"
#include <QList>
#include <chrono>
#include <mutex>

namespace power::files
{

// DiskContents: what keep() gave is durable (the data, its name and its directories). Thread: any; everything blocks on
// the disk.
class DiskContents : public Contents
{
public:
    DiskContents(QString directory, qint64 maxBytes) : Contents(maxBytes), m_directory(std::move(directory)) {}
    // Makes the directories (0700), clears what a crash left half-copied and counts what is there. Errors: Unavailable.
    Result<Done> start();

    // Copies by reflink where the file system can.
    Result<KeptContent> keep(const Reopen &reopen, const QString &shown, qint64 limit) override;
    QString locationOf(const QByteArray &sha256) const override;
    // Errors: NotFound, Unavailable.
    Result<workspace::Descriptor> open(const QByteArray &sha256) const;

    // Names of contents last kept more than `age` ago.
    QList<QByteArray> olderThan(std::chrono::seconds age) const;
    // Deletes those that are still that old.
    void drop(const QList<QByteArray> &contents, std::chrono::seconds age);

private:
    QByteArray pathOf(const QByteArray &sha256) const;
    // isNew: set when it was not there.
    Result<Done> place(const QByteArray &temporary, int fd, KeptContent *content);

    QString m_directory;
    std::mutex m_placing; // between finding a content present and renewing its age, against drop()
};

} // namespace power::files
