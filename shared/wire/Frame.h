// The frames between the server, the zygote and the kernels. Standard library only: power-kernel has no Qt.
//
// Layout, little endian: magic u32 | type u16 | reserved u16 (0) | metaSize u32 | blobSize u32 | meta | blob
// meta is one JSON object in UTF-8, at most 64 KiB and 16 levels deep; blob is raw bytes.
// The meaning of every type is in PROTOCOL.md beside this file.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace power::wire {

enum class FrameType : std::uint16_t {
    // server -> kernel
    Run = 1,
    Task = 2,
    Answer = 3,
    Checkpoint = 4,
    Snapshot = 6,
    // server -> checkpoint
    Resume = 5,
    // kernel -> server
    Ready = 16,
    Display = 17,
    Done = 18,
    Ask = 19,
    Checkpointed = 20,
    // checkpoint -> server
    Parked = 21,
    Resumed = 22,
    // a kernel's forked child -> server, on a socket of its own
    SnapshotData = 23,
    SnapshotEnd = 24,
    // server -> zygote
    Spawn = 32,
    Kill = 33,
    Adopt = 34,
    // zygote -> server
    ZygoteReady = 48,
    Spawned = 49,
    SpawnFailed = 50,
    Exited = 51,
};

struct Frame {
    FrameType type{};
    std::string meta = "{}";
    std::string blob;
};

inline constexpr std::uint32_t kMagic = 0x31465750; // "PWF1"
inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::size_t kMaxMeta = 64 * 1024;
inline constexpr int kMaxMetaDepth = 16;
inline constexpr std::size_t kDefaultMaxBlob = 64u * 1024 * 1024;

// Header + meta + blob as one byte string. Throws std::length_error when a part is above its limit:
// a bug of the sender, never caused by input.
std::string encode(const Frame &frame);
std::string encode(FrameType type, std::string_view meta, std::string_view blob = {});

// True when `meta` is one JSON object within the limits (balanced outside of strings, depth, size).
// It is a cheap gate in front of a real JSON parser, not a validator of JSON.
bool metaLooksSane(std::string_view meta);

// Decoder: incremental parser of hostile input. feed() bytes as they come, then next() until NeedMore.
// After Bad the stream is unusable and reason() says why; nothing is allocated beyond the limits.
// Thread: none of its own; use from one thread.
class Decoder
{
public:
    enum class Status { Frame, NeedMore, Bad };
    explicit Decoder(std::size_t maxBlob = kDefaultMaxBlob) : m_maxBlob(maxBlob) {}

    void feed(std::string_view bytes);
    Status next(Frame &out);
    const std::string &reason() const { return m_reason; }
    // Bytes held that do not make a frame yet.
    std::size_t buffered() const { return m_buffer.size() - m_read; }

private:
    Status bad(std::string reason);

    std::size_t m_maxBlob;
    std::string m_buffer;
    std::size_t m_read = 0;
    std::string m_reason;
};

} // namespace power::wire
