#include "uploads/TusDoor.h"
#include "base/Durable.h"
#include "base/Ids.h"
#include "base/Offload.h"
#include "uploads/TusAbout.h"
#include "uploads/TusCreation.h"
#include "uploads/TusHeaders.h"
#include <QLocale>

namespace power::uploads {

using http::ExchangePtr;
using http::Response;

namespace {
constexpr char kBodyType[] = "application/offset+octet-stream";
constexpr int kMismatch = 460;
constexpr int kPartLife = 3600; // s: finished parts that were joined

Response tusAnswer(int status)
{
    Response response = Response::empty(status);
    response.headers.add("Tus-Resumable", "1.0.0");
    return response;
}

void refuse(const ExchangePtr &exchange, const Error &error, int status = 0)
{
    if (exchange->isAnswered())
        return; // interrupted
    Response response = http::errorResponse(error, exchange->request());
    response.headers.add("Tus-Resumable", "1.0.0");
    if (status != 0)
        response.status = status;
    if (response.status == 412)
        response.headers.add("Tus-Version", "1.0.0");
    exchange->reply(std::move(response));
}

// A checksum that does not fit has a status of its own.
void refuseBody(const ExchangePtr &exchange, const Error &error)
{
    const bool mismatch = error.details.value(QStringLiteral("cause")).toString() == u"checksum_mismatch";
    refuse(exchange, error, mismatch ? kMismatch : 0);
}

// Of the request's body; null when none was sent. Error: InvalidArgument.
Result<std::shared_ptr<Checksum>> checksumOf(const http::Request &request)
{
    const QByteArray sent = request.headers.value("Upload-Checksum");
    if (sent.isEmpty())
        return std::shared_ptr<Checksum>();
    return Checksum::read(sent);
}

// The protocol's version and the caller. False: answered.
bool enter(const Context &context, const ExchangePtr &exchange, operations::Caller *caller)
{
    const http::Request &request = exchange->request();
    exchange->note(QStringLiteral("operation"), QStringLiteral("tus"));
    Result<operations::Caller> who = callerOf(context, request);
    if (!who) {
        refuse(exchange, who.error());
        return false;
    }
    *caller = *who;
    if (request.method == "GET" || request.headers.value("Tus-Resumable") == "1.0.0")
        return true;
    refuse(exchange,
           fail(ErrorCode::InvalidArgument, QStringLiteral("This is a tus 1.0.0 server; the request's Tus-Resumable is something else."),
                QStringLiteral("Use a tus client, or send the file as multipart/form-data to /api/files/upload.")).error, 412);
    return false;
}

void addState(const Context &context, TusTurn &turn, Response &response)
{
    response.headers.add("Upload-Offset", QByteArray::number(turn.offset()));
    const QDateTime expiry = context.resumable.expiry(turn);
    response.headers.add("Upload-Expires", QLocale::c().toString(expiry.toUTC(), QStringLiteral("ddd, dd MMM yyyy HH:mm:ss")).toLatin1() + " GMT");
}

Unexpected<Error> tooMuch(const TusTurn &turn)
{
    return fail(ErrorCode::TooLarge, QStringLiteral("More bytes were sent than the upload's length of %1.").arg(turn.entry()->upload.length));
}

// The body into `to`, as far as it comes. Errors: those of the body and the disk; TooLarge.
QCoro::Task<Result<Done>> pour(ExchangePtr exchange, std::shared_ptr<SpoolFile> to, qint64 most, std::shared_ptr<Checksum> checksum,
                               Error excess)
{
    http::BodyReader &reader = exchange->bodyReader();
    if (reader.announcedSize() > most)
        co_return Unexpected<Error>{excess};
    for (;;) {
        const Result<QByteArray> piece = co_await reader.read();
        if (!piece)
            co_return Unexpected<Error>{piece.error()};
        if (piece->isEmpty())
            co_return Done{};
        most -= piece->size();
        if (most < 0)
            co_return Unexpected<Error>{excess};
        std::function<Result<Done>()> work = [to, checksum, bytes = *piece] {
            if (checksum)
                checksum->add(bytes);
            return to->append(bytes);
        };
        const Result<Done> written = co_await offload<Done>(std::move(work));
        if (!written)
            co_return written;
    }
}

// The request's body behind what the upload has; durable when it resolves, also where it broke off. With a checksum all of
// it or nothing. details.cause "checksum_mismatch" when that is wrong.
QCoro::Task<Result<Done>> receive(ContextPtr context, ExchangePtr exchange, TusTurnPtr turn, std::shared_ptr<Checksum> checksum)
{
    const CancelToken::Registration interrupted = turn->interrupted().onCancel([exchange] {
        refuse(exchange, fail(ErrorCode::Conflict, QStringLiteral("Another request took this upload over."),
                              QStringLiteral("Ask for the offset with HEAD and go on from there.")).error);
    });
    std::shared_ptr<SpoolFile> to = turn->file();
    if (checksum) {
        auto apart = SpoolFile::create(context->resumable.directory() + u'/' + newUuid() + QStringLiteral(".part"));
        if (!apart)
            co_return Unexpected<Error>{apart.error()};
        to = *apart;
    }
    const qint64 most = turn->upload().length - turn->offset();
    const Error excess = tooMuch(*turn).error;
    Result<Done> poured = co_await pour(exchange, to, most, checksum, excess);
    if (poured && checksum && !checksum->matches())
        poured = fail(ErrorCode::InvalidArgument, QStringLiteral("The bytes do not have the checksum that was sent with them; they were dropped."),
                      QStringLiteral("Send them again from the same offset."), {{QStringLiteral("cause"), QStringLiteral("checksum_mismatch")}});
    if (poured && checksum) {
        std::function<Result<Done>()> work = [to, file = turn->file()] { return file->appendFile(*to); };
        poured = co_await offload<Done>(std::move(work));
    }
    context->resumable.touch(*turn);
    const Result<Done> settled = co_await context->resumable.settle(turn);
    co_return poured ? settled : poured;
}

// A whole upload becomes the session's file; nothing happens to others.
QCoro::Task<Result<Done>> deliver(ContextPtr context, operations::Caller caller, TusTurnPtr turn)
{
    const TusUpload &upload = turn->upload();
    if (upload.delivered || upload.kind == TusUpload::Kind::Part || turn->offset() < upload.length)
        co_return Done{};
    const Result<operations::Destination> to = operations::destinationOf(&context->services, caller, upload.sessionId, upload.name);
    if (!to)
        co_return Unexpected<Error>{to.error()};
    const auto content = turn->file()->again();
    if (!content)
        co_return Unexpected<Error>{content.error()};
    const operations::Destination destination = *to;
    std::shared_ptr<workspace::Descriptor> whole = *content;
    const QString baseUrl = caller.baseUrl;
    const Result<operations::Arrival> arrival =
        co_await operations::arriveFrom(&context->services, baseUrl, destination, std::move(whole));
    if (!arrival && arrival.error().details.value(QStringLiteral("cause")).toString() == QLatin1String(notDurable))
        co_await context->resumable.lose(turn);
    if (!arrival)
        co_return Unexpected<Error>{arrival.error()};
    const QJsonObject info = arrival->info;
    Result<Done> recorded = co_await context->resumable.delivered(turn, info);
    co_return recorded;
}

QByteArray locationOf(const http::Request &request, const QString &id)
{
    // Relative to the request (RFC 9110, 10.2.2): right behind every proxy.
    const QByteArray path = request.target.left(request.target.indexOf('?') < 0 ? request.target.size() : request.target.indexOf('?'));
    return (path.endsWith('/') ? QByteArray() : QByteArray("uploads/")) + id.toLatin1();
}

QCoro::Task<> create(ContextPtr context, ExchangePtr exchange)
{
    operations::Caller caller;
    if (!enter(*context, exchange, &caller))
        co_return;
    const http::Request &request = exchange->request();
    Result<TusUpload> wanted = readCreation(*context, request, caller);
    if (!wanted)
        co_return refuse(exchange, wanted.error());
    const Result<std::shared_ptr<Checksum>> sum = checksumOf(request);
    if (!sum)
        co_return refuse(exchange, sum.error());
    QList<TusTurnPtr> parts;
    if (wanted->kind == TusUpload::Kind::Joined) {
        const QByteArray concat = wanted->joinedOf;
        const QString principal = caller.principal;
        const Result<QList<TusTurnPtr>> found = co_await partsOf(context, concat, principal);
        if (!found)
            co_return refuse(exchange, found.error());
        parts = *found;
        for (const TusTurnPtr &part : std::as_const(parts))
            wanted->length += part->upload().length;
        if (wanted->length > context->most())
            co_return refuse(exchange, tooLarge(*context, QStringLiteral("The parts have %1 bytes together").arg(wanted->length)).error);
    }
    const TusUpload upload = *wanted;
    const Result<TusTurnPtr> made = co_await context->resumable.create(upload);
    if (!made)
        co_return refuse(exchange, made.error());
    const TusTurnPtr turn = *made;
    Result<Done> done = Done{};
    if (!parts.isEmpty()) {
        done = co_await context->resumable.join(turn, parts);
    } else if (request.headers.value("Content-Type").toLower() == kBodyType) {
        const std::shared_ptr<Checksum> checksum = *sum;
        done = co_await receive(context, exchange, turn, checksum);
    }
    if (done)
        done = co_await deliver(context, caller, turn);
    if (!done) { // nobody was told its URL: it could only wait for its end
        const Result<Done> removed = co_await context->resumable.remove(turn);
        Q_UNUSED(removed);
        co_return refuseBody(exchange, done.error());
    }
    for (const TusTurnPtr &part : std::as_const(parts))
        context->resumable.shorten(*part, std::chrono::seconds(kPartLife));
    Response response = tusAnswer(201);
    response.headers.add("Location", locationOf(request, turn->upload().id));
    addState(*context, *turn, response);
    if (!exchange->isAnswered())
        exchange->reply(std::move(response));
}

// The upload that the request's path names, when its turn has come; null: answered.
QCoro::Task<TusTurnPtr> turnOf(ContextPtr context, ExchangePtr exchange, QString principal)
{
    const QString id = exchange->request().parameters.value(QStringLiteral("id"));
    const Result<TusTurnPtr> found = co_await context->resumable.turn(id, principal);
    if (!found)
        refuse(exchange, found.error());
    co_return found ? *found : TusTurnPtr();
}

QCoro::Task<> append(ContextPtr context, ExchangePtr exchange)
{
    operations::Caller caller;
    if (!enter(*context, exchange, &caller))
        co_return;
    const http::Request &request = exchange->request();
    if (request.headers.value("Content-Type").toLower() != kBodyType)
        co_return refuse(exchange, fail(ErrorCode::InvalidArgument, QStringLiteral("The Content-Type must be %1.").arg(QLatin1String(kBodyType))).error, 415);
    const Result<qint64> offset = readCount(request.headers.value("Upload-Offset"), "Upload-Offset");
    if (!offset)
        co_return refuse(exchange, offset.error());
    const Result<std::shared_ptr<Checksum>> sum = checksumOf(request);
    if (!sum)
        co_return refuse(exchange, sum.error());
    const std::shared_ptr<Checksum> checksum = *sum;
    const QString principal = caller.principal;
    const TusTurnPtr turn = co_await turnOf(context, exchange, principal);
    if (!turn)
        co_return;
    if (turn->upload().kind == TusUpload::Kind::Joined)
        co_return refuse(exchange, fail(ErrorCode::Forbidden, QStringLiteral("An upload that is joined of parts takes no bytes.")).error);
    if (*offset != turn->offset())
        co_return refuse(exchange, fail(ErrorCode::Conflict, QStringLiteral("The upload is at offset %1, not %2.").arg(turn->offset()).arg(*offset),
                                        QStringLiteral("Go on from there.")).error);
    Result<Done> done = Done{};
    if (!turn->upload().delivered)
        done = co_await receive(context, exchange, turn, checksum);
    if (done)
        done = co_await deliver(context, caller, turn);
    if (!done)
        co_return refuseBody(exchange, done.error());
    Response response = tusAnswer(204);
    addState(*context, *turn, response);
    if (!exchange->isAnswered())
        exchange->reply(std::move(response));
}

// HEAD for clients of the protocol, GET for people and programs: {id, status, offset, length, session_id, filename, file}.
QCoro::Task<> look(ContextPtr context, ExchangePtr exchange)
{
    operations::Caller caller;
    if (!enter(*context, exchange, &caller))
        co_return;
    const http::Request &request = exchange->request();
    const QString principal = caller.principal;
    const TusTurnPtr turn = co_await turnOf(context, exchange, principal);
    if (!turn)
        co_return;
    Result<Done> done = co_await context->resumable.settle(turn);
    if (done) // one that could not be delivered when its last byte came
        done = co_await deliver(context, caller, turn);
    if (!done)
        co_return refuse(exchange, done.error());
    const TusUpload &upload = turn->upload();
    Response response = tusAnswer(200);
    if (request.method == "GET") {
        const bool whole = turn->offset() == upload.length;
        response = Response::json(200, {{QStringLiteral("id"), upload.id},
                                        {QStringLiteral("status"), upload.delivered ? QStringLiteral("complete")
                                                                   : whole          ? QStringLiteral("part")
                                                                                    : QStringLiteral("receiving")},
                                        {QStringLiteral("offset"), turn->offset()},
                                        {QStringLiteral("length"), upload.length},
                                        {QStringLiteral("session_id"), upload.sessionId},
                                        {QStringLiteral("filename"), upload.name},
                                        {QStringLiteral("file"), upload.delivered ? QJsonValue(upload.file) : QJsonValue()}});
    }
    addState(*context, *turn, response);
    response.headers.add("Upload-Length", QByteArray::number(upload.length));
    response.headers.add("Cache-Control", "no-store");
    if (!upload.metadata.isEmpty())
        response.headers.add("Upload-Metadata", upload.metadata);
    if (upload.kind != TusUpload::Kind::Whole)
        response.headers.add("Upload-Concat", upload.kind == TusUpload::Kind::Part ? QByteArray("partial") : upload.joinedOf);
    exchange->reply(std::move(response));
}

QCoro::Task<> terminate(ContextPtr context, ExchangePtr exchange)
{
    operations::Caller caller;
    if (!enter(*context, exchange, &caller))
        co_return;
    const QString principal = caller.principal;
    const TusTurnPtr turn = co_await turnOf(context, exchange, principal);
    if (!turn)
        co_return;
    const Result<Done> removed = co_await context->resumable.remove(turn);
    if (!removed)
        co_return refuse(exchange, removed.error());
    exchange->reply(tusAnswer(204));
}

// For clients that cannot send PATCH or DELETE.
void overridden(const ContextPtr &context, ExchangePtr exchange)
{
    const QByteArray method = exchange->request().headers.value("X-HTTP-Method-Override").toUpper();
    if (method == "PATCH")
        append(context, std::move(exchange));
    else if (method == "DELETE")
        terminate(context, std::move(exchange));
    else if (method == "HEAD")
        look(context, std::move(exchange));
    else
        refuse(exchange, fail(ErrorCode::InvalidArgument, QStringLiteral("POST to an upload needs X-HTTP-Method-Override: PATCH.")).error, 405);
}
} // namespace

void addTusRoutes(http::Dispatcher &dispatcher, ContextPtr context)
{
    http::RouteOptions options;
    options.cors = true;
    options.maxBody = context->most();
    options.corsExpose = "Location, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, "
                         "Upload-Length, Upload-Metadata, Upload-Expires, Upload-Concat";
    options.optionsFields.add("Tus-Resumable", "1.0.0");
    options.optionsFields.add("Tus-Version", "1.0.0");
    options.optionsFields.add("Tus-Extension", "creation,creation-with-upload,expiration,checksum,termination,concatenation");
    options.optionsFields.add("Tus-Max-Size", QByteArray::number(context->most()));
    options.optionsFields.add("Tus-Checksum-Algorithm", Checksum::algorithms);
    const QString all = QStringLiteral("/api/uploads"), one = QStringLiteral("/api/uploads/{id}");
    const auto add = [&](const char *method, const QString &pattern, bool streams, http::RouteAbout about, auto serve) {
        options.streamBody = streams;
        options.about = std::move(about);
        dispatcher.add(method, pattern, [context, serve](ExchangePtr exchange) { serve(context, std::move(exchange)); }, options);
    };
    add("POST", all, true, aboutCreating(), create);
    add("PATCH", one, true, aboutAppending(), append);
    add("POST", one, true, aboutOverriding(), overridden);
    add("HEAD", one, false, aboutHead(), look);
    add("GET", one, false, aboutLooking(), look);
    add("DELETE", one, false, aboutTerminating(), terminate);
}

} // namespace power::uploads
