// A ZIP archive of session files, made while it is sent: stored entries, nothing is compressed and nothing buffered.
#pragma once
#include "http/Exchange.h"
#include "workspace/Workspace.h"
#include <QList>

namespace power::downloads
{

// The archive's size is known before (APPNOTE 6.3: names in UTF-8, checksums behind each file, ZIP64 where sizes or
// numbers ask for it). A file that has become shorter, or is gone, ends the body short, so that the client sees a broken
// download rather than a wrong archive; one that has grown is sent as long as it was. Thread: the event loop's; the disk
// is read beside it. `prefix`: a directory put before all names; may be empty.
std::unique_ptr<http::BodySource> zipBody(std::shared_ptr<workspace::Workspace> workspace, const QList<workspace::FileFacts> &files,
                                          const QString &prefix);

} // namespace power::downloads
