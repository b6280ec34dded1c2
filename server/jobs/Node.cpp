#include "jobs/Node.h"
#include "base/Ids.h"
#include <QFile>
#include <QSaveFile>

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
    QSaveFile made(file);
    if (!made.open(QIODevice::WriteOnly) || made.write(id.toLatin1() + '\n') < 0 || !made.commit())
        return fail(ErrorCode::Unavailable, QStringLiteral("The server's identity cannot be kept in %1: %2.").arg(file, made.errorString()));
    return id;
}

} // namespace power::jobs
