// A power-kernel that means harm: speaks enough of the protocol to be started, then does what its session is called.
#include "wire/Frame.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <random>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

using namespace power::wire;

namespace {
void sendAll(int fd, const std::string &bytes)
{
    std::size_t at = 0;
    while (at < bytes.size()) {
        const ssize_t n = ::send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
        if (n <= 0)
            ::_exit(1);
        at += std::size_t(n);
    }
}

std::string valueOf(const std::string &meta, const std::string &key)
{
    const std::size_t at = meta.find('"' + key + "\":");
    if (at == std::string::npos)
        return {};
    std::size_t from = at + key.size() + 3;
    const bool text = meta[from] == '"';
    if (text)
        ++from;
    return meta.substr(from, meta.find_first_of(text ? "\"" : ",}", from) - from);
}

std::string done(const std::string &run, int epoch)
{
    return encode(FrameType::Done, "{\"run\":\"" + run + "\",\"epoch\":" + std::to_string(epoch) + ",\"status\":\"ok\",\"variables\":1}");
}

std::string display(const std::string &run, int epoch, std::size_t size)
{
    return encode(FrameType::Display,
                  "{\"run\":\"" + run + "\",\"epoch\":" + std::to_string(epoch)
                      + ",\"kind\":\"display\",\"parts\":[{\"mime\":\"text/plain\",\"size\":" + std::to_string(size) + "}]}",
                  std::string(size, 'd'));
}

// As recv(2); the last descriptor that came along is kept in `socket`.
ssize_t receive(int control, char *bytes, std::size_t size, int &socket)
{
    iovec part{bytes, size};
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = space;
    message.msg_controllen = sizeof space;
    const ssize_t n = ::recvmsg(control, &message, MSG_CMSG_CLOEXEC);
    if (const cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr; header && header->cmsg_type == SCM_RIGHTS)
        std::memcpy(&socket, CMSG_DATA(header), sizeof socket);
    return n;
}

// What it answers when it is asked for a copy of itself. In the copy that may become the kernel: where it is told so, else -1.
int copy(const std::string &behaviour, int control, int socket)
{
    if (behaviour == "slow copy") {
        if (::fork() != 0)
            return -1;
        sendAll(socket, encode(FrameType::Parked, "{}"));
        return socket;
    }
    if (behaviour == "deaf copy" || behaviour == "lying copy") {
        if (::fork() != 0)
            return -1;
        sendAll(socket, encode(FrameType::Parked, "{}"));
        if (behaviour == "lying copy") {
            char byte;
            (void)!::recv(socket, &byte, 1, 0);
            sendAll(socket, encode(FrameType::Resumed, "{\"gone\":7,\"variables\":-1}") + encode(FrameType::Spawn, "{}"));
        }
        for (;;)
            ::pause();
    }
    if (behaviour == "no copy") {
        sendAll(socket, encode(FrameType::Parked, "{}")); // itself
        sendAll(control, encode(FrameType::Resumed, "{}") + encode(FrameType::Parked, "[]"));
    }
    return -1;
}

// It ends, and leaves children behind that go on talking for it.
[[noreturn]] void leaveHeirs(int control)
{
    if (::fork() != 0 && ::fork() != 0 && ::fork() != 0)
        ::_exit(3);
    ::alarm(6);
    std::string talk;
    for (int i = 0; i < 100; ++i) // few enough to be sent in one piece
        talk += display("nobody's", 1, 0);
    for (;;)
        sendAll(control, talk);
}

[[noreturn]] void kernel(int control, int out, int err, const std::string &behaviour, const std::string &token)
{
    ::setsid();
    for (const int signal : {SIGINT, SIGUSR2})
        ::signal(signal, SIG_IGN);
    if (behaviour != "unready")
        sendAll(control, encode(FrameType::Ready, "{\"pid\":1}"));
    Decoder decoder;
    char bytes[65536];
    const auto mark = [&](const char *epoch, char active) {
        const std::string text = "\x1b]PI;" + token + ';' + epoch + ';' + active + '\x07';
        (void)!::write(out, text.data(), text.size());
        (void)!::write(err, text.data(), text.size());
    };
    for (;;) {
        int socket = -1;
        const ssize_t n = receive(control, bytes, sizeof bytes, socket);
        if (n <= 0)
            ::_exit(0);
        decoder.feed({bytes, std::size_t(n)});
        Frame frame;
        while (decoder.next(frame) == Decoder::Status::Frame) {
            const std::string run = valueOf(frame.meta, "run");
            if (frame.type == FrameType::Checkpoint) {
                if (const int own = copy(behaviour, control, socket); own >= 0) {
                    control = own;
                    decoder = Decoder();
                }
                continue;
            }
            if (frame.type == FrameType::Resume) {
                ::usleep(150'000);
                sendAll(control, encode(FrameType::Resumed, "{\"gone\":[],\"older\":[],\"variables\":1}"));
                continue;
            }
            if (behaviour == "poison") {
                std::mt19937 random(unsigned(std::atoi(frame.blob.c_str())));
                std::string good = display(run, 1, 20) + display(run, 2, 0) + done(run, 3);
                for (unsigned i = random() % 6 + 1; i > 0; --i)
                    good[random() % good.size()] = char(random());
                sendAll(control, good);
            } else if (behaviour == "server") {
                sendAll(control, encode(FrameType::Spawn, "{}"));
            } else if (behaviour == "huge") {
                std::string head = encode(FrameType::Done, "{}");
                std::memset(head.data() + 12, 0xff, 4); // the size of the blob
                sendAll(control, head);
            } else if (behaviour == "displays") {
                for (;;)
                    sendAll(control, display(run, 1, 1000));
            } else if (behaviour == "flood") {
                const std::string block(60'000, 'x');
                for (;;)
                    (void)!::write(out, block.data(), block.size());
            } else if (behaviour == "forge") {
                (void)!::write(out, "before", 6);
                mark("18446744073709551615", 'o'); // too long: text
                mark("9000000000000000000", 'e');
                mark("1", 'o');
                (void)!::write(out, "after", 5);
                sendAll(control, done("other", 1) + done(run, 2) + done(run, 3) + display(run, 4, 5));
            } else if (behaviour == "heir") {
                leaveHeirs(control);
            } else if (behaviour == "future") { // of an epoch that no marker announces
                for (int i = 0; i < 300; ++i)
                    sendAll(control, display(run, 9, 1 << 20));
                sendAll(control, done(run, 10));
            } else if (frame.blob == "die") {
                ::_exit(3);
            } else if (behaviour == "silent") {
                continue;
            } else {
                if (frame.blob == "slow")
                    ::usleep(400'000);
                if (behaviour == "spill") {
                    const std::string text(3 << 20, 'x');
                    (void)!::write(out, text.data(), text.size());
                }
                mark("1", 'f');
                sendAll(control, done(run, 1));
            }
        }
    }
}


int zygote()
{
    sendAll(3, encode(FrameType::ZygoteReady, "{\"pid\":" + std::to_string(::getpid()) + ",\"tasks\":1}"));
    Decoder decoder;
    int received[4] = {-1, -1, -1, -1};
    for (;;) {
        pollfd wait{3, POLLIN, 0};
        ::poll(&wait, 1, 5);
        int status = 0;
        while (const pid_t pid = ::waitpid(-1, &status, WNOHANG)) {
            if (pid < 0)
                break;
            sendAll(3, encode(FrameType::Exited, "{\"pid\":" + std::to_string(pid)
                                                     + (WIFSIGNALED(status) ? ",\"signal\":" + std::to_string(WTERMSIG(status))
                                                                            : ",\"code\":" + std::to_string(WEXITSTATUS(status)))
                                                     + ",\"max_rss_kb\":1}"));
        }
        if (!wait.revents)
            continue;
        char bytes[65536];
        iovec part{bytes, sizeof bytes};
        alignas(cmsghdr) char space[CMSG_SPACE(sizeof received)];
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = space;
        message.msg_controllen = sizeof space;
        const ssize_t n = ::recvmsg(3, &message, MSG_CMSG_CLOEXEC);
        if (n <= 0)
            return 0;
        if (const cmsghdr *header = CMSG_FIRSTHDR(&message); header && header->cmsg_type == SCM_RIGHTS)
            std::memcpy(received, CMSG_DATA(header), sizeof received);
        decoder.feed({bytes, std::size_t(n)});
        Frame frame;
        while (decoder.next(frame) == Decoder::Status::Frame) {
            if (frame.type == FrameType::Kill) {
                const int pid = std::atoi(valueOf(frame.meta, "pid").c_str());
                if (pid > 1)
                    ::kill(pid, SIGKILL);
                continue;
            }
            if (frame.type != FrameType::Spawn)
                continue;
            const std::string session = valueOf(frame.meta, "session");
            const std::string spawn = valueOf(frame.meta, "spawn");
            const pid_t pid = ::fork();
            if (pid == 0) {
                ::close(3);
                kernel(received[0], received[1], received[2], session, valueOf(frame.meta, "token"));
            }
            for (int &fd : received)
                ::close(std::exchange(fd, -1));
            sendAll(3, encode(FrameType::Spawned, "{\"spawn\":" + spawn + ",\"pid\":" + std::to_string(pid)
                                                      + ",\"init_pid\":0,\"timings_us\":{}}"));
        }
    }
}
} // namespace

int main(int argc, char **argv)
{
    if (argc > 1 && std::strcmp(argv[1], "zygote") == 0)
        return zygote();
    std::puts("{\"tier\":\"none\",\"landlock\":0,\"reason\":\"a test double\"}");
    return 0;
}
