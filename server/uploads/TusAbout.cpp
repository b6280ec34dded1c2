#include "uploads/TusAbout.h"

namespace power::uploads {

namespace {
using http::RouteAbout;
using Field = RouteAbout::Field;
using Reply = RouteAbout::Reply;

constexpr char kPieceType[] = "application/offset+octet-stream";
const Field version{"Tus-Resumable", "header", "1.0.0", true};
const Field uploadId{"id", "path", "The upload, as in its Location."};
const Reply noKey{403, "The API key is missing or wrong."};
const Reply unknown{404, "There is no such upload (any more): expired, ended, or begun at a server whose disk is gone. Begin again."};
const Reply otherVersion{412, "Tus-Resumable is not 1.0.0."};
} // namespace

RouteAbout aboutCreating()
{
    return {.group = "uploads",
            .summary = "Begin a resumable upload (tus 1.0: creation, expiration, checksum, termination, concatenation).",
            .text = "Any tus client does this and the rest. What is whole becomes a file of the session.",
            .fields = {version,
                       {"Upload-Length", "header", "Bytes in all.", false, "integer"},
                       {"Upload-Metadata", "header", "filename and session_id, each with its value in base64, separated by commas."},
                       {"Upload-Concat", "header", "partial, or final; with the parts' URLs."},
                       {"Upload-Checksum", "header", "Of the body, as for PATCH; after a wrong one nothing was begun."},
                       {"session_id", "query", "The session, instead of the metadata's."}},
            .bodyType = kPieceType,
            .replies = {{201, "Begun; Location is the upload's URL, Upload-Offset what was taken of the body."},
                        noKey, otherVersion, {413, "Above MAX_UPLOAD_MB."}, {460, "The checksum does not fit."}, {503, "The disk is full."}}};
}

RouteAbout aboutAppending()
{
    return {.group = "uploads",
            .summary = "The next bytes of a resumable upload.",
            .text = "What arrived before a break stays; ask for the offset with HEAD and go on from there.",
            .fields = {version, uploadId,
                       {"Upload-Offset", "header", "What the server has.", true, "integer"},
                       {"Upload-Checksum", "header", "Algorithm and base64 of the body's checksum; a wrong body is dropped whole."}},
            .bodyType = kPieceType,
            .replies = {{204, "Durable; Upload-Offset tells how far."}, noKey, unknown,
                        {409, "The upload is at another offset."}, otherVersion, {413, "More than the upload's length."},
                        {415, "Another Content-Type."}, {460, "The checksum does not fit."}, {503, "The disk is full."}}};
}

RouteAbout aboutOverriding()
{
    RouteAbout about = aboutAppending();
    about.summary = "PATCH, DELETE or HEAD for clients that can only POST (X-HTTP-Method-Override).";
    about.fields = {version, uploadId, {"X-HTTP-Method-Override", "header", "PATCH, DELETE or HEAD.", true}};
    return about;
}

RouteAbout aboutHead()
{
    return {.group = "uploads",
            .summary = "How far a resumable upload is.",
            .fields = {version, uploadId},
            .replies = {{200, "Upload-Offset, Upload-Length, Upload-Expires."}, noKey, unknown, otherVersion}};
}

RouteAbout aboutLooking()
{
    return {.group = "uploads",
            .summary = "The state of a resumable upload as JSON, with the file's link when it is whole.",
            .fields = {uploadId},
            .replies = {{200, "id, status, offset, length, session_id, filename, file.", "application/json"}, noKey, unknown}};
}

RouteAbout aboutTerminating()
{
    return {.group = "uploads",
            .summary = "End a resumable upload; its bytes go.",
            .fields = {version, uploadId},
            .replies = {{204, "Gone."}, noKey, unknown, otherVersion}};
}

} // namespace power::uploads
