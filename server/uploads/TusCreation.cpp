#include "uploads/TusCreation.h"
#include "uploads/TusHeaders.h"
#include "workspace/Names.h"
#include <set>

namespace power::uploads {

Result<TusUpload> readCreation(const Context &context, const http::Request &request, const operations::Caller &caller)
{
    TusUpload upload;
    upload.principal = caller.principal;
    upload.metadata = request.headers.value("Upload-Metadata");
    const auto metadata = readMetadata(upload.metadata);
    if (!metadata)
        return Unexpected<Error>{metadata.error()};
    const QString inQuery = request.query.queryItemValue(QStringLiteral("session_id"), QUrl::FullyDecoded);
    upload.sessionId = inQuery.isEmpty() ? QString::fromUtf8(metadata->value("session_id")) : inQuery;
    const auto key = operations::sessionKey(caller, {{QStringLiteral("session_id"), upload.sessionId}});
    if (!key)
        return Unexpected<Error>{key.error()};
    upload.sessionId = key->id;
    const QByteArray named = metadata->value("filename");
    upload.name = workspace::uploadName(QString::fromUtf8(named.isEmpty() ? metadata->value("name") : named));
    const QByteArray concat = request.headers.value("Upload-Concat").trimmed();
    if (concat.startsWith("final;")) {
        upload.kind = TusUpload::Kind::Joined;
        upload.joinedOf = concat;
        return upload;
    }
    if (!concat.isEmpty() && concat != "partial")
        return fail(ErrorCode::InvalidArgument, QStringLiteral("The header Upload-Concat is malformed."));
    upload.kind = concat.isEmpty() ? TusUpload::Kind::Whole : TusUpload::Kind::Part;
    const Result<qint64> length = readCount(request.headers.value("Upload-Length"), "Upload-Length");
    if (!length)
        return Unexpected<Error>{length.error()};
    upload.length = *length;
    if (upload.length > context.most())
        return tooLarge(context, QStringLiteral("The upload would have %1 bytes").arg(upload.length));
    return upload;
}

QCoro::Task<Result<QList<TusTurnPtr>>> partsOf(ContextPtr context, QByteArray concat, QString principal)
{
    const auto ids = readPartIds(concat);
    if (!ids)
        co_return Unexpected<Error>{ids.error()};
    const std::set<QByteArray> ordered(ids->cbegin(), ids->cend());
    QHash<QByteArray, TusTurnPtr> turns;
    for (const QByteArray &id : ordered) {
        const QString name = QString::fromLatin1(id);
        const Result<TusTurnPtr> turn = co_await context->resumable.turn(name, principal);
        if (!turn)
            co_return Unexpected<Error>{turn.error()};
        if ((*turn)->upload().kind != TusUpload::Kind::Part || (*turn)->offset() != (*turn)->upload().length)
            co_return fail(ErrorCode::InvalidArgument, QStringLiteral("The upload %1 is not a finished partial upload.").arg(name),
                           QStringLiteral("Create the parts with Upload-Concat: partial and send them whole first."));
        turns.insert(id, *turn);
    }
    QList<TusTurnPtr> parts;
    for (const QByteArray &id : *ids)
        parts << turns.value(id);
    co_return parts;
}

} // namespace power::uploads
