// The Writer of a workspace: a hidden file at the top of its directory, renamed over the target.
#pragma once
#include "workspace/ChangeHub.h"
#include "workspace/SessionDirectory.h"

namespace power::workspace
{

// Whether a file of that name (without its directory) is one that a writer has not finished.
bool isTemporaryName(const QByteArray &name);

class FileWriter : public Workspace::Writer
{
public:
    // root: the directory `relative` is below; missing directories are made. shown: the path the caller used.
    static Result<std::unique_ptr<Workspace::Writer>> create(int root, const QByteArray &relative,
                                                             const QString &shown, const SessionPlace &place,
                                                             std::weak_ptr<ChangeTracker> tracker);
    ~FileWriter() override;

    Result<Done> write(QByteArrayView bytes) override;
    Result<Done> adopt(int file) override;
    Result<FileFacts> commit() override;
    int descriptor() const override { return m_file.get(); }

private:
    FileWriter() = default;

    Descriptor m_root, m_directory, m_file; // the temporary name is at the root, where a start looks for what was left
    QByteArray m_temporary, m_name;
    QString m_shown;
    SessionPlace m_place;
    std::weak_ptr<ChangeTracker> m_tracker;
    bool m_done = false;
    bool m_shared = false; // the file has, or had, another name elsewhere
};

} // namespace power::workspace
