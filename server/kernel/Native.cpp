#include "kernel/Native.h"
#include "kernel/Channel.h"
#include "kernel/Checkpoint.h"
#include "kernel/FreshRandom.h"
#include "kernel/HeapHoles.h"
#include "kernel/HugePages.h"
#include "kernel/Interrupt.h"
#include "kernel/Output.h"
#include "kernel/PathMap.h"
#include <chrono>
#include <memory>
#include <mutex>
#include <poll.h>
#include <pybind11/embed.h>
#include <pybind11/stl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace py = pybind11;

namespace power::kernel
{

namespace
{
std::unique_ptr<Channel> control;
std::mutex sendLock;
bool rehearsing = false;
std::vector<int> arrived; // descriptors that came with the last bytes, for the frame they belong to

std::string_view bytesOf(const py::buffer_info &info)
{
    return {static_cast<const char *>(info.ptr), std::size_t(info.size * info.itemsize)};
}

void throwUnless(bool fine)
{
    if (!fine) throw py::error_already_set();
}

py::size_t write(char channel, const py::buffer &data)
{
    const py::buffer_info info = data.request();
    throwUnless(writeOutput(channel, bytesOf(info)));
    return py::size_t(info.size * info.itemsize);
}

// One frame to the server. ConnectionError when it is gone or in a process forked by user code.
void send(int type, const py::bytes &metaBytes, const py::bytes &blob)
{
    if (rehearsing) return;
    const std::string_view meta = metaBytes;
    if (!control || inForkedChild()) {
        PyErr_SetString(PyExc_ConnectionError, "this process has no way to the server");
        throw py::error_already_set();
    }
    const std::string_view body = blob;
    bool sent = false;
    {
        py::gil_scoped_release waiting;
        const std::lock_guard<std::mutex> lock(sendLock);
        sent = control->send(static_cast<wire::FrameType>(type), meta, body);
    }
    if (!sent) {
        PyErr_SetString(PyExc_ConnectionError, "the server has closed this kernel's connection");
        throw py::error_already_set();
    }
}

// The next frame as (type, meta, blob), or None when the server closed the connection or sent garbage.
// Other threads of the session run while this waits.
py::object receive()
{
    wire::Frame frame;
    for (;;) {
        Channel::Received got = control->next(frame);
        if (got == Channel::Received::Frame)
            return py::make_tuple(int(frame.type), py::bytes(frame.meta), py::bytes(frame.blob));
        if (got == Channel::Received::Nothing) {
            py::gil_scoped_release waiting;
            got = control->fill(&arrived);
        }
        if (got == Channel::Received::Closed || got == Channel::Received::Bad) return py::none();
    }
}

// As receive(), for a wait in the middle of a cell: signals run (an interrupt raises), TimeoutError after `seconds`.
py::object receiveWithin(double seconds)
{
    using Clock = std::chrono::steady_clock;
    const Clock::time_point end = Clock::now() + std::chrono::milliseconds(std::int64_t(seconds * 1000));
    wire::Frame frame;
    for (;;) {
        Channel::Received got = control->next(frame);
        if (got == Channel::Received::Frame)
            return py::make_tuple(int(frame.type), py::bytes(frame.meta), py::bytes(frame.blob));
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (Clock::now() > end) {
            PyErr_SetString(PyExc_TimeoutError, "the server did not answer in time");
            throw py::error_already_set();
        }
        if (got == Channel::Received::Nothing) {
            py::gil_scoped_release waiting;
            // A signal that arrives just before the wait is seen after one slice.
            pollfd readable{control->socket(), POLLIN, 0};
            if (::poll(&readable, 1, 100) > 0) got = control->fill(nullptr);
        }
        if (got == Channel::Received::Closed || got == Channel::Received::Bad) return py::none();
    }
}

// Of a Checkpoint frame: ("taken", microseconds), ("skipped", reason), or in the copy, when it has become the kernel,
// ("resumed", meta, blob).
py::tuple checkpoint()
{
    std::vector<int> descriptors = std::exchange(arrived, {});
    if (descriptors.empty()) return py::make_tuple("skipped", "the session has no file descriptor left");
    const int socket = descriptors.back();
    descriptors.pop_back();
    for (const int descriptor : descriptors)
        ::close(descriptor);
    CheckpointResult result = takeCheckpoint(*control, socket, outputDescriptors());
    switch (result.kind) {
    case CheckpointResult::Kind::Taken:
        return py::make_tuple("taken", result.microseconds);
    case CheckpointResult::Kind::Skipped:
        return py::make_tuple("skipped", result.reason);
    case CheckpointResult::Kind::Resumed:
        break;
    }
    return py::make_tuple("resumed", py::bytes(result.resume.meta), py::bytes(result.resume.blob));
}

// In the zygote: cells run without a server, frames and output go nowhere.
void rehearse(bool on)
{
    rehearsing = on;
    muteOutput(on);
}

// What Python does in every forked child, done in the zygote.
void rehearseFork()
{
    PyOS_BeforeFork();
    PyOS_AfterFork_Child();
}

// The descriptor that came with the present frame, now the caller's; -1: none.
int takeDescriptor()
{
    const std::vector<int> descriptors = std::exchange(arrived, {});
    for (std::size_t i = 0; i + 1 < descriptors.size(); ++i)
        ::close(descriptors[i]);
    return descriptors.empty() ? -1 : descriptors.back();
}

// All that came with the present frame, in order; the caller's.
std::vector<int> takeDescriptors()
{
    return std::exchange(arrived, {});
}

// A part of a file in memory: read when it is touched, and what is written stays private. Offset on a page.
class Mapping
{
public:
    Mapping(int descriptor, std::int64_t offset, std::int64_t size) : m_size(std::size_t(size))
    {
        m_data = ::mmap(nullptr, m_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, offset);
        if (m_data != MAP_FAILED) return;
        PyErr_SetFromErrno(PyExc_OSError);
        throw py::error_already_set();
    }
    ~Mapping() { ::munmap(m_data, m_size); }
    Mapping(const Mapping &) = delete;
    Mapping &operator=(const Mapping &) = delete;
    py::buffer_info buffer()
    {
        return {static_cast<unsigned char *>(m_data), py::ssize_t(m_size), false};
    }

private:
    void *m_data;
    std::size_t m_size;
};
} // namespace

void setControlSocket(int socket)
{
    control = std::make_unique<Channel>(socket);
}

} // namespace power::kernel

PYBIND11_EMBEDDED_MODULE(_power, m)
{
    using namespace power::kernel;
    m.def("write", &power::kernel::write);
    m.def("write_out", [](const py::buffer &data) { return power::kernel::write('o', data); });
    m.def("write_err", [](const py::buffer &data) { return power::kernel::write('e', data); });
    m.def("mark", [](char channel) { return markOutput(channel); });
    m.def("send", &power::kernel::send);
    m.def("receive", &power::kernel::receive);
    m.def("receive_within", &power::kernel::receiveWithin);
    m.def("checkpoint", &power::kernel::checkpoint);
    m.def("rehearse", &power::kernel::rehearse);
    m.def("rehearse_fork", &power::kernel::rehearseFork);
    m.def("fill_heap_holes", &power::kernel::fillHeapHoles);
    m.def("use_huge_pages", &power::kernel::useHugePages);
    m.def("set_random_state", &power::kernel::setRandomState);
    m.def("draw_random_state", &power::kernel::drawRandomState);
    m.def("take_descriptor", &power::kernel::takeDescriptor);
    m.def("take_descriptors", &power::kernel::takeDescriptors);
    py::class_<Mapping>(m, "Mapping", py::buffer_protocol())
        .def(py::init<int, std::int64_t, std::int64_t>())
        .def_buffer(&Mapping::buffer);
    m.def("forked", [] { return inForkedChild(); });
    m.def("map_paths",
          [](std::vector<std::pair<std::string, std::string>> rules) { mapPaths(std::move(rules)); });
    m.def("begin_cell", [] { beginCell(); });
    m.def("end_cell", [] { endCell(); });
    m.def("was_hard", [] { return wasHard(); });
    m.def("soft_interrupt", [](py::object, py::object) { throwUnless(softInterrupt()); });
    m.def("hard_interrupt", [](py::object, py::object) { throwUnless(hardInterrupt()); });
}
