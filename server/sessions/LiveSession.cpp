#include "sessions/LiveSession.h"

namespace power::sessions {

QString LiveSession::kernelNote(bool existedBefore) const
{
    if (!lossReason.isEmpty())
        return QStringLiteral("The kernel of session '%1' is new: %2").arg(key.id, lossReason);
    if (hadKernel)
        return QStringLiteral("The kernel of session '%1' is new.").arg(key.id);
    if (existedBefore)
        return QStringLiteral("The kernel of session '%1' is new: the server was restarted since it was last used.").arg(key.id);
    return QStringLiteral("Session '%1' is new: it has no variables or files yet.").arg(key.id);
}

} // namespace power::sessions
