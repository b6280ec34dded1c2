// The content of a file inside a call. Only for this folder.
#pragma once
#include "base/Error.h"
#include <QJsonObject>

namespace power::operations {

// The bytes of content_base64 or text, of which one must be given. Error: InvalidArgument.
Result<QByteArray> contentOf(const QJsonObject &arguments, const QString &operation);

} // namespace power::operations
