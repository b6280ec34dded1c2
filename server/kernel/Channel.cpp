#include "kernel/Channel.h"
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

namespace power::kernel
{

namespace
{
constexpr std::size_t kMaxDescriptors = 16;

void takeDescriptors(msghdr &message, std::vector<int> *into)
{
    for (cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (into)
                into->push_back(descriptor);
            else
                ::close(descriptor);
        }
    }
}
} // namespace

bool Channel::send(wire::FrameType type, std::string_view meta, std::string_view blob)
{
    const std::string bytes = wire::encode(type, meta, blob);
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::send(m_socket, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (n > 0)
            done += std::size_t(n);
        else if (n < 0 && errno != EINTR)
            return false;
    }
    return true;
}

Channel::Received Channel::next(wire::Frame &out)
{
    switch (m_decoder.next(out)) {
    case wire::Decoder::Status::Frame:
        return Received::Frame;
    case wire::Decoder::Status::Bad:
        return Received::Bad;
    case wire::Decoder::Status::NeedMore:
        break;
    }
    return Received::Nothing;
}

Channel::Received Channel::fill(std::vector<int> *descriptors)
{
    char bytes[65536];
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
    iovec part{bytes, sizeof bytes};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t n = ::recvmsg(m_socket, &message, MSG_CMSG_CLOEXEC);
    if (n < 0) return errno == EINTR || errno == EAGAIN ? Received::Nothing : Received::Closed;
    takeDescriptors(message, descriptors);
    if (n == 0) return Received::Closed;
    m_decoder.feed({bytes, std::size_t(n)});
    return Received::Nothing;
}

} // namespace power::kernel
