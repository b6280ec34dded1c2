// The types of a session and of a run as services and operations see them.
#pragma once
#include "files/FileStore.h"
#include "supervisor/Kernel.h"
#include <QDateTime>
#include <QJsonObject>

namespace power::sessions {

// Whose session: one identity everywhere (design decision 10).
struct SessionKey {
    QString principal; // "owner" ...
    QString slug;      // empty for owner; appears in host paths
    QString id;        // validated session_id
    bool operator==(const SessionKey &) const = default;
    QString text() const { return principal + u'/' + id; }
};

struct SessionInfo {
    SessionKey key;
    QString name, description;
    QJsonObject metadata;
    QDateTime created, lastUsed;
    QDateTime expires;      // deleted then, unless used before; invalid = never
    bool hasKernel = false; // variables are in memory now
    int executionCount = 0;
    int variables = 0;
    bool busy = false;
    int queued = 0;
    qint64 memoryBytes = 0;
};

struct RunCall {
    SessionKey key;
    QString door;        // "mcp", "mcp/sse", "rest" ...; for the history
    QByteArray code;
    std::chrono::milliseconds timeout{120'000};
    QJsonObject context;
    CancelToken cancel;
    // Live: text pieces of stdout/stderr and queue positions; may be empty.
    std::function<void(const QString &text)> progress;
    // The cell waits in input(); empty: refused there.
    std::function<void(const supervisor::InputQuestion &)> onInput = {};
    // What the code itself tells (power.progress); total -1: unknown. May be empty.
    std::function<void(double done, double total, const QString &text)> report;
    supervisor::CellCall tools; // what the code may call; may be empty
};

// A file that a run wrote but that has no link, and why.
struct UnlinkedFile {
    QString path;
    qint64 size = 0;
    Error reason;
};

// A file that a run opened and did not write.
struct ReadFile {
    QString path;
    qint64 size = 0;
    qint64 modifiedNs = 0;
    QString sha256;      // hex; empty while it is not known
};

// What the code asked of the server.
struct InsideCall {
    QString tool, arguments; // JSON, at most 500 characters
    bool ok = false;
    QString error;           // word of its code
    qint64 milliseconds = 0;
};

struct RunReport {
    QString runId;
    QList<InsideCall> calls; // the first 100
    supervisor::RunOutcome outcome;
    QList<files::StoredFile> files;  // in the order of their names; figures and HTML included
    QList<UnlinkedFile> unlinked;
    QList<ReadFile> read;
    QStringList removed;
    QStringList remaining;           // files of the session, given when variables were lost
    bool sessionIsNew = false;       // made by this call
    QString kernelNote;              // the kernel is new, or was restored since the last call, and why; empty for a warm one
    bool kernelIsNew = false;        // without earlier variables
    QJsonObject restored;            // the kernel is new and began with a snapshot: see restoredFacts()
    int snapshotCell = -1;           // variables were lost, and the next call restores them as after this cell
    std::chrono::milliseconds queuedFor{0};
    int queuePosition = 0;           // at arrival, 0 = ran at once
};

} // namespace power::sessions
