#include "operations/WriteFile.h"
#include "base/Offload.h"
#include <QDateTime>

namespace power::operations {

QString safeFileName(const QString &given)
{
    QString name = given;
    name.replace(u'\\', u'/');
    name = name.section(u'/', -1).trimmed();
    QString clean;
    for (const QChar c : std::as_const(name)) {
        if (c.category() != QChar::Other_Control && c.category() != QChar::Other_Format)
            clean += c;
    }
    while (clean.toUtf8().size() > 200)
        clean.remove(clean.size() / 2, 1); // the extension stays
    if (clean.isEmpty() || clean.startsWith(u'.'))
        return QStringLiteral("file_%1").arg(QDateTime::currentSecsSinceEpoch());
    return clean;
}

QCoro::Task<Result<workspace::FileFacts>> writeFile(std::shared_ptr<workspace::Workspace> workspace, QString path,
                                                    QByteArray content)
{
    std::function<Result<workspace::FileFacts>()> work = [workspace, path, content]() -> Result<workspace::FileFacts> {
        auto writer = workspace->create(path);
        if (!writer)
            return Unexpected<Error>{writer.error()};
        const auto written = (*writer)->write(content);
        if (!written)
            return Unexpected<Error>{written.error()};
        return (*writer)->commit();
    };
    Result<workspace::FileFacts> result = co_await offload<workspace::FileFacts>(std::move(work));
    co_return result;
}

QCoro::Task<Result<workspace::FileFacts>> commitFile(std::shared_ptr<workspace::Workspace::Writer> writer)
{
    std::function<Result<workspace::FileFacts>()> work = [writer] { return writer->commit(); };
    Result<workspace::FileFacts> result = co_await offload<workspace::FileFacts>(std::move(work));
    co_return result;
}

} // namespace power::operations
