// What a directory tree takes on disk, in a walk that user code cannot hide from.
#pragma once
#include <QSet>
#include <QString>
#include <QtGlobal>

namespace power {

struct DiskUse {
    // A tree that is above one of them is not counted to its end, and is not within any quota. Each level costs a descriptor
    // for the time of the walk; a million entries take about 2 s.
    static constexpr int kMostLevels = 256;
    static constexpr qint64 kMostEntries = 1'000'000;

    qint64 bytes = 0;     // blocks in use; a file with several names counts once
    qint64 entries = 0;
    bool tooDeep = false, tooMany = false;
    bool closed = false;  // a directory could not be opened: of the same user, who took the right away
    bool failed = false;  // the server could not look (no descriptor is left, the disk fails): the figures mean nothing

    bool isWhole() const { return !tooDeep && !tooMany && !closed; }

    // Of a tree that is not whole: what a session may have, and what it has.
    QString limitInWords() const;
    QString excessInWords() const;

    // Adds the tree below the directory `name` (a path, or a name below the descriptor `parent`); links are not followed.
    // What vanishes meanwhile is passed over. Thread: any; blocks on the disk.
    void add(int parent, const char *name);

private:
    void enter(int parent, const char *name, int level);
    void walk(int directory, int level);

    QSet<quint64> m_linked;
};

} // namespace power
