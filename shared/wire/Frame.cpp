#include "wire/Frame.h"
#include <cstring>
#include <stdexcept>

namespace power::wire {

namespace {
void put(std::string &out, std::uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; ++i)
        out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

std::uint32_t get(const char *at, int bytes)
{
    std::uint32_t value = 0;
    for (int i = 0; i < bytes; ++i)
        value |= std::uint32_t(static_cast<unsigned char>(at[i])) << (8 * i);
    return value;
}

bool knownType(std::uint32_t type)
{
    switch (static_cast<FrameType>(type)) {
    case FrameType::Run:
    case FrameType::Task:
    case FrameType::Answer:
    case FrameType::Checkpoint:
    case FrameType::Resume:
    case FrameType::Snapshot:
    case FrameType::Ready:
    case FrameType::Display:
    case FrameType::Done:
    case FrameType::Ask:
    case FrameType::Checkpointed:
    case FrameType::Parked:
    case FrameType::Resumed:
    case FrameType::SnapshotData:
    case FrameType::SnapshotEnd:
    case FrameType::Spawn:
    case FrameType::Kill:
    case FrameType::Adopt:
    case FrameType::ZygoteReady:
    case FrameType::Spawned:
    case FrameType::SpawnFailed:
    case FrameType::Exited:
        return true;
    }
    return false;
}
} // namespace

std::string encode(FrameType type, std::string_view meta, std::string_view blob)
{
    if (meta.size() > kMaxMeta || blob.size() > 0xffffffffu)
        throw std::length_error("frame part above its limit");
    std::string out;
    out.reserve(kHeaderSize + meta.size() + blob.size());
    put(out, kMagic, 4);
    put(out, static_cast<std::uint16_t>(type), 2);
    put(out, 0, 2);
    put(out, meta.size(), 4);
    put(out, blob.size(), 4);
    out.append(meta);
    out.append(blob);
    return out;
}

std::string encode(const Frame &frame)
{
    return encode(frame.type, frame.meta, frame.blob);
}

bool metaLooksSane(std::string_view meta)
{
    if (meta.size() > kMaxMeta || meta.empty() || meta.front() != '{' || meta.back() != '}')
        return false;
    int depth = 0;
    bool inString = false;
    for (std::size_t i = 0; i < meta.size(); ++i) {
        const char c = meta[i];
        if (inString) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                inString = false;
            continue;
        }
        if (c == '"')
            inString = true;
        else if (c == '{' || c == '[') {
            if (++depth > kMaxMetaDepth)
                return false;
        } else if (c == '}' || c == ']') {
            if (--depth < 0 || (depth == 0 && i + 1 != meta.size()))
                return false;
        }
    }
    return depth == 0 && !inString;
}

void Decoder::feed(std::string_view bytes)
{
    if (m_read > 0 && m_read == m_buffer.size()) {
        m_buffer.clear();
        m_read = 0;
    } else if (m_read > 1024 * 1024) {
        m_buffer.erase(0, m_read);
        m_read = 0;
    }
    m_buffer.append(bytes);
}

Decoder::Status Decoder::bad(std::string reason)
{
    m_reason = std::move(reason);
    m_buffer.clear();
    m_read = 0;
    return Status::Bad;
}

Decoder::Status Decoder::next(Frame &out)
{
    if (!m_reason.empty())
        return Status::Bad;
    if (buffered() < kHeaderSize)
        return Status::NeedMore;
    const char *head = m_buffer.data() + m_read;
    if (get(head, 4) != kMagic)
        return bad("wrong magic");
    const std::uint32_t type = get(head + 4, 2);
    const std::size_t metaSize = get(head + 8, 4);
    const std::size_t blobSize = get(head + 12, 4);
    if (!knownType(type) || get(head + 6, 2) != 0)
        return bad("unknown frame type");
    if (metaSize > kMaxMeta)
        return bad("meta above 64 KiB");
    if (blobSize > m_maxBlob)
        return bad("blob above its limit");
    if (buffered() < kHeaderSize + metaSize + blobSize)
        return Status::NeedMore;
    out.type = static_cast<FrameType>(type);
    out.meta.assign(head + kHeaderSize, metaSize);
    out.blob.assign(head + kHeaderSize + metaSize, blobSize);
    if (!metaLooksSane(out.meta))
        return bad("meta is not a bounded JSON object");
    m_read += kHeaderSize + metaSize + blobSize;
    return Status::Frame;
}

} // namespace power::wire
