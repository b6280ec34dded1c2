// Content-Encoding gzip and deflate, piece by piece, for servers that send it although `identity` was asked
// for.
#pragma once
#include "base/Error.h"
#include <functional>
#include <memory>

namespace power::net
{

// Inflater: feed() hands every unpacked piece (64 KiB or less) to `out` and stops at its first error, so a
// caller that counts is never given more than it takes. Error: Upstream for data that cannot be unpacked.
class Inflater
{
public:
    Inflater();
    ~Inflater();
    Result<Done> feed(QByteArrayView bytes, const std::function<Result<Done>(QByteArrayView)> &out);
    bool isComplete() const;

private:
    struct Stream;
    std::unique_ptr<Stream> m_stream;
};

} // namespace power::net
