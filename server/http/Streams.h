// The long answers and bodies of an exchange: events, uploads, downloads.
#pragma once
#include "http/ExchangeImpl.h"

namespace power::http {

std::shared_ptr<SseStream> makeSseStream(std::shared_ptr<ExchangeImpl> exchange);

// Reads what the guard decodes. Safe to outlive the connection, not the exchange.
std::unique_ptr<BodyReader> makeBodyReader(ConnectionGuard *guard, qint64 announced, std::chrono::milliseconds timeout,
                                           CancelToken gone);

// Sends the source's bytes and calls exchange->finishStream(). A file of a plain socket leaves by sendfile(2).
void sendBody(std::shared_ptr<ExchangeImpl> exchange, std::unique_ptr<BodySource> source);

} // namespace power::http
