#include "mcp/Dispatch.h"

namespace power::mcp {

namespace {
constexpr qsizetype kLargestBatch = 100;

// An element's answer in a batch: nothing can be said before it.
class BatchOutlet final : public Outlet
{
public:
    bool canCarry() const override { return false; }
    bool isFlowing() const override { return false; }
    void carry(const QByteArray &) override {}
    void finish(Reply) override {}
};

} // namespace

std::optional<QString> batchProblem(const Arrival &arrival, const QJsonArray &batch)
{
    QString version = QString::fromLatin1(arrival.headers.value("MCP-Protocol-Version").trimmed());
    if (version.isEmpty() && arrival.session)
        version = arrival.session->version;
    const bool isKnown = version.isEmpty() || version == QLatin1String("2025-03-26") || version == QLatin1String("2024-11-05");
    bool isAllowed = arrival.door == Door::Sse || isKnown;
    for (const QJsonValue &element : batch) {
        const QJsonValue claim = element[QLatin1String("params")][QLatin1String("_meta")][QLatin1String(kMetaVersion)];
        isAllowed = isAllowed && claim.isUndefined();
    }
    if (!isAllowed)
        return QStringLiteral("Batches are not part of this protocol version.");
    if ((batch.isEmpty() && arrival.door != Door::Sse) || batch.size() > kLargestBatch)
        return QStringLiteral("A batch has 1 to %1 messages.").arg(kLargestBatch);
    return std::nullopt;
}

QCoro::Task<Reply> serveBatch(CorePtr core, Arrival arrival, QJsonArray batch)
{
    QByteArray replies;
    for (const QJsonValue &element : std::as_const(batch)) {
        Begun begun = begin(*core, arrival, element);
        Reply reply;
        if (auto *ready = std::get_if<Reply>(&begun)) {
            reply = std::move(*ready);
        } else {
            const CallPtr call = std::get<CallPtr>(begun);
            call->outlet = std::make_shared<BatchOutlet>();
            QCoro::Task<Reply> serving = serve(core, call);
            Reply made = co_await serving;
            reply = std::move(made);
        }
        if (!reply.body.isEmpty())
            replies += (replies.isEmpty() ? "" : ",") + reply.body;
    }
    Reply all{arrival.door == Door::Sse ? 204 : 202, {}, {}};
    if (!replies.isEmpty())
        all = {200, '[' + replies + ']', {}};
    co_return all;
}

} // namespace power::mcp
