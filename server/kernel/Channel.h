// A blocking frame socket: the zygote's to the server, and a kernel's.
#pragma once
#include "wire/Frame.h"
#include <vector>

namespace power::kernel
{

// Owns no descriptor: whoever made the socket closes it.
// Thread: one reader; send() from several threads needs a lock of the caller.
class Channel
{
public:
    enum class Received { Frame, Nothing, Closed, Bad };

    explicit Channel(int socket) : m_socket(socket) {}
    int socket() const { return m_socket; }

    // Writes everything. False when the other side is gone.
    bool send(wire::FrameType type, std::string_view meta, std::string_view blob = {});

    // Next frame that is already buffered; Nothing when more bytes are needed.
    Received next(wire::Frame &out);
    // One recvmsg: appends to the buffer. Descriptors that came along are appended to `descriptors`
    // (close-on-exec, owned by the caller). Nothing = try next() again (also after EINTR).
    Received fill(std::vector<int> *descriptors);

    const std::string &reason() const { return m_decoder.reason(); }

private:
    int m_socket;
    wire::Decoder m_decoder;
};

} // namespace power::kernel
