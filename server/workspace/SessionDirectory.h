// The Workspace of one session on disk.
#pragma once
#include "workspace/ChangeHub.h"
#include <memory>

namespace power::workspace
{

struct SessionPlace {
    QString sessionId;
    QString hostPath, scratchPath;
    quint32 uid = 0, gid = 0;
    bool chown = false; // new files and directories are given to uid:gid
};

// SessionDirectory: see Workspace.
class SessionDirectory : public Workspace
{
public:
    SessionDirectory(SessionPlace place, std::shared_ptr<const OpenPlaces> places,
                     std::shared_ptr<ChangeHub> hub, quint32 kernelUid = 0);
    ~SessionDirectory() override;

    QString hostPath() const override { return m_place.hostPath; }
    QString scratchPath() const override { return m_place.scratchPath; }
    quint32 uid() const override { return m_place.uid; }
    quint32 gid() const override { return m_place.gid; }
    QString insidePath() const override;
    Result<QString> resolve(const QString &name) const override;
    Result<Descriptor> openRead(const QString &path, FileFacts *facts) const override;
    Result<std::unique_ptr<Writer>> create(const QString &path) override;
    Result<Done> remove(const QString &path) override;
    QList<FileFacts> list(int most) const override;
    qint64 bytesOnDisk() const override;
    QStringList leftOut(int most) const override;
    void beginChanges() override { m_tracker->begin(); }
    Changes takeChanges() override { return m_tracker->take(); }
    std::shared_ptr<Workspace> apart(quint32 uid) const override;
    void disown(const Changes &told, bool all) override { m_tracker->disown(told, all); }
    void openToGroup() override;

private:
    struct Spot {
        int root = -1;
        QByteArray relative;
        bool scratch = false;
    };
    Result<Spot> spotOf(const QString &path) const;

    SessionPlace m_place;
    std::shared_ptr<const OpenPlaces> m_places;
    quint32 m_kernelUid;
    std::shared_ptr<ChangeTracker> m_tracker; // writers know it weakly
};

} // namespace power::workspace
