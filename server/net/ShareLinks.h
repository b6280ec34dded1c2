// Share links of common hosts as the links that give the file itself.
#pragma once
#include <QString>
#include <QUrl>

namespace power::net
{

struct DirectLink {
    QUrl url;      // what to fetch
    QString host;  // "Google Drive" ...; empty: the link is fetched as it is
    QString ending; // of the file, when the link fixes it ("xlsx" of a Google spreadsheet)
};

// By rewriting alone, without credentials or a request: Google Drive and Docs, Dropbox, OneDrive, SharePoint, GitHub, GitLab,
// Bitbucket, Hugging Face. A link to something that is not shared with everybody leads to a login page, as before.
DirectLink directLink(const QUrl &link);

} // namespace power::net
