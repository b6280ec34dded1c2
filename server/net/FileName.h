// The name a response suggests for its content.
#pragma once
#include <QByteArray>
#include <QString>
#include <QUrl>

namespace power::net
{

// filename* (RFC 8187) or filename of a Content-Disposition value; empty when there is none.
QString dispositionFileName(const QByteArray &value);

// From Content-Disposition, else the last path part with an extension (of the URL asked for, then of the
// final one).
QString suggestedFileName(const QByteArray &disposition, const QUrl &asked, const QUrl &final);

} // namespace power::net
