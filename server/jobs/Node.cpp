#include "jobs/Node.h"
#include "base/Durable.h"
#include "base/Ids.h"
#include <QFile>

namespace power::jobs {

Result<QString> nodeIdentity(const QString &file)
{
    QFile known(file);
    if (known.open(QIODevice::ReadOnly)) {
        const QString id = QString::fromLatin1(known.readLine(64).trimmed());
        if (id.size() == 36)
            return id;
    }
    const QString id = newUuid();
    const Result<Done> kept = writeDurably(file, id.toLatin1() + '\n');
    if (!kept)
        return fail(ErrorCode::Unavailable, QStringLiteral("The server's identity cannot be kept in %1: %2").arg(file, kept.error().message), kept.error().nextStep);
    return id;
}

} // namespace power::jobs
