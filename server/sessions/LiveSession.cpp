#include "sessions/LiveSession.h"

namespace power::sessions {

QString LiveSession::kernelNote(bool existedBefore) const
{
    if (!lossReason.isEmpty())
        return QStringLiteral("The kernel of session '%1' is new: %2 Earlier variables are gone; files remain.")
            .arg(key.id, lossReason);
    if (hadKernel)
        return {};
    if (existedBefore)
        return QStringLiteral("The kernel of session '%1' is new: the server was restarted since it was last used. "
                              "Earlier variables are gone; files remain.")
            .arg(key.id);
    return QStringLiteral("Session '%1' is new: it has no variables or files yet.").arg(key.id);
}

QStringList LiveSession::remainingFiles() const
{
    QStringList names;
    const auto files = workspace->list(20);
    for (const auto &file : files)
        names << file.path;
    return names;
}

} // namespace power::sessions
