#include "uploads/FormDoor.h"
#include "base/Ids.h"
#include "base/Offload.h"
#include "operations/RunText.h"
#include "uploads/MultipartParser.h"
#include <QJsonArray>

namespace power::uploads {

namespace {
// The parts of one form: files in the spool, fields in memory. Thread: one at a time, any.
class FormIntake final : public MultipartParser::Sink
{
public:
    struct File {
        QString name;
        std::shared_ptr<SpoolFile> content;
    };
    static constexpr qsizetype mostField = 4096;

    FormIntake(QString directory, ContextPtr context) : m_directory(std::move(directory)), m_context(std::move(context)) {}

    QList<File> files;
    QHash<QByteArray, QByteArray> fields;

    Result<Done> begin(const FormPart &part) override
    {
        m_part = part;
        m_field.clear();
        m_content.reset();
        if (!part.isFile)
            return Done{};
        auto made = SpoolFile::create(m_directory + u'/' + newUuid() + QStringLiteral(".part"));
        if (!made)
            return Unexpected<Error>{made.error()};
        m_content = *made;
        return Done{};
    }
    Result<Done> data(QByteArrayView bytes) override
    {
        if (m_content) {
            m_total += bytes.size();
            if (m_total > m_context->most())
                return tooLarge(*m_context, QStringLiteral("The form's files are too large"));
            if (m_total > m_roomUntil) { // others write too: asked again and again
                const Result<Done> room = m_context->resumable.roomFor(kRoomAtOnce);
                if (!room)
                    return room;
                m_roomUntil = m_total + kRoomAtOnce;
            }
            return m_content->append(bytes);
        }
        if (m_field.size() + bytes.size() > mostField)
            return fail(ErrorCode::InvalidArgument,
                        QStringLiteral("The form's field \"%1\" is too long.").arg(QString::fromUtf8(m_part.name.left(80))),
                        QStringLiteral("Send a file with a file name: curl -F file=@data.csv."));
        m_field.append(bytes.data(), bytes.size());
        return Done{};
    }
    Result<Done> end() override
    {
        // A browser's empty file field has neither name nor content.
        if (m_content && !(m_part.fileName.isEmpty() && m_content->size() == 0)) {
            m_content->rest(); // a form may have a thousand of them
            files << File{m_part.fileName, m_content};
        }
        if (!m_part.isFile && fields.size() < 64)
            fields.insert(m_part.name, m_field);
        m_content.reset();
        return Done{};
    }

private:
    QString m_directory;
    ContextPtr m_context;
    FormPart m_part;
    QByteArray m_field;
    std::shared_ptr<SpoolFile> m_content;
    static constexpr qint64 kRoomAtOnce = 8 << 20;
    qint64 m_total = 0, m_roomUntil = 0;
};

struct Form {
    Form(const QByteArray &boundary, QString directory, ContextPtr context)
        : intake(std::move(directory), std::move(context)), parser(boundary, intake)
    {
    }
    FormIntake intake;
    MultipartParser parser;
};
using FormPtr = std::shared_ptr<Form>;

QCoro::Task<Result<Done>> receive(http::ExchangePtr exchange, FormPtr form)
{
    http::BodyReader &reader = exchange->bodyReader();
    for (;;) {
        const Result<QByteArray> piece = co_await reader.read();
        if (!piece)
            co_return Unexpected<Error>{piece.error()};
        if (piece->isEmpty())
            co_return form->parser.finish();
        std::function<Result<Done>()> work = [form, bytes = *piece] { return form->parser.feed(bytes); };
        const Result<Done> fed = co_await offload<Done>(std::move(work));
        if (!fed)
            co_return fed;
    }
}

QString wanted(const http::Request &request, const Form &form, const char *field)
{
    const QString inQuery = request.query.queryItemValue(QLatin1String(field), QUrl::FullyDecoded);
    return inQuery.isEmpty() ? QString::fromUtf8(form.intake.fields.value(field)).trimmed() : inQuery;
}

QCoro::Task<Result<QJsonObject>> arriveAll(ContextPtr context, operations::Caller caller, FormPtr form, QString session, QString name)
{
    QJsonArray infos, arrived;
    QStringList notes;
    for (const FormIntake::File &file : form->intake.files) {
        Result<operations::Destination> to =
            operations::destinationOf(&context->services, caller, session, name.isEmpty() ? file.name : name);
        if (!to)
            co_return Unexpected<Error>{to.error()};
        const auto content = file.content->again();
        if (!content)
            co_return Unexpected<Error>{content.error()};
        const std::shared_ptr<workspace::Descriptor> whole = *content;
        const QString baseUrl = caller.baseUrl;
        const operations::Destination destination = *to;
        const Result<operations::Arrival> arrival = co_await operations::arriveFrom(&context->services, baseUrl, destination, whole);
        if (!arrival) {
            Error error = arrival.error();
            error.details.insert(QStringLiteral("arrived"), arrived);
            co_return Unexpected<Error>{error};
        }
        if (arrived.contains(arrival->facts.path))
            notes << QStringLiteral("The form has several files named \"%1\": the session has the last one, the others have their links.").arg(arrival->facts.path);
        infos.append(arrival->info);
        arrived.append(arrival->facts.path);
        if (!arrival->note.isEmpty())
            notes << arrival->note;
    }
    QJsonObject answer = infos.size() == 1 ? infos.first().toObject()
                                           : QJsonObject{{QStringLiteral("files"), infos}, {QStringLiteral("count"), infos.size()}};
    if (!notes.isEmpty())
        answer.insert(QStringLiteral("notes"), QJsonArray::fromStringList(notes));
    co_return answer;
}

QCoro::Task<> takeForm(ContextPtr context, http::ExchangePtr exchange)
{
    const http::Request &request = exchange->request();
    exchange->note(QStringLiteral("operation"), QStringLiteral("upload_form"));
    Result<operations::Caller> caller = callerOf(*context, request);
    const Result<QByteArray> boundary = MultipartParser::boundaryOf(request.headers.value("Content-Type"));
    if (!caller || !boundary) {
        exchange->reply(http::errorResponse(caller ? boundary.error() : caller.error(), request));
        co_return;
    }
    caller->door = QStringLiteral("rest");
    const FormPtr form = std::make_shared<Form>(*boundary, context->resumable.directory(), context);
    Result<Done> received = co_await receive(exchange, form);
    if (received && form->intake.files.isEmpty())
        received = fail(ErrorCode::InvalidArgument, QStringLiteral("The form has no file."),
                        QStringLiteral("Send one with its name: curl -F file=@data.csv -F session_id=default."));
    const QString session = wanted(request, *form, "session_id");
    const QString name = form->intake.files.size() == 1 ? wanted(request, *form, "filename") : QString();
    exchange->note(QStringLiteral("session"), session);
    if (!received) {
        exchange->reply(http::errorResponse(received.error(), request));
        co_return;
    }
    const operations::Caller who = *caller;
    const Result<QJsonObject> answer = co_await arriveAll(context, who, form, session, name);
    exchange->reply(answer ? http::Response::json(200, *answer) : http::errorResponse(answer.error(), request));
}
} // namespace

http::Handler formHandler(ContextPtr context)
{
    return [context](http::ExchangePtr exchange) { takeForm(context, std::move(exchange)); };
}

} // namespace power::uploads
