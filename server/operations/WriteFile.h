// Putting bytes from outside into a workspace.
#pragma once
#include "workspace/Workspace.h"
#include <QCoroTask>

namespace power::operations {

// A file name for a session made of what a client sent: the last path part only, no control characters; a leading dot
// or an empty rest gives "file_<seconds since the epoch>" (contract 9.4).
QString safeFileName(const QString &given);

// Writes `content` as `path`, durable when it resolves; nothing is visible before. The disk work is off the event loop.
QCoro::Task<Result<workspace::FileFacts>> writeFile(std::shared_ptr<workspace::Workspace> workspace, QString path,
                                                    QByteArray content);

// Makes what a writer holds durable and visible, off the event loop.
QCoro::Task<Result<workspace::FileFacts>> commitFile(std::shared_ptr<workspace::Workspace::Writer> writer);

} // namespace power::operations
