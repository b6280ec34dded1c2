// A kernel's frozen copy as the server sees it.
#pragma once
#include "supervisor/Fd.h"
#include "supervisor/Poller.h"
#include "wire/Frame.h"
#include <QByteArray>
#include <QElapsedTimer>
#include <QList>
#include <sys/types.h>

namespace power::supervisor {

// A cell that ran after the latest checkpoint. The code tells, when it is lost, which names were its.
struct UnprotectedCell {
    int count = 0;
    QByteArray code; // empty when it is too long to be kept
};

// KernelCopy: asked for, then parked. Closing its control socket ends it.
struct KernelCopy {
    Fd control;
    Fd pidfd;                 // once it is parked
    pid_t pid = 0;
    Poller::Id watch = 0;     // of control until it is parked, then of pidfd
    wire::Decoder decoder{64 * 1024};
    int cell = 0;             // it holds the state after this cell
    qsizetype covers = 0;     // unprotected cells that it makes protected
    qint64 memory = 0;        // of the session when it was asked for
    qint64 faults = -1;       // of the kernel at that time, where memory can only be estimated
    qint64 resident = 0;
    QElapsedTimer age;
};

// The process that sent the next bytes on `socket` (SO_PASSCRED), and the bytes. Descriptors that came along are closed.
// 0: nothing to read yet; -1: closed.
pid_t receiveFrom(const Fd &socket, QByteArray &bytes);

// Sends all of `bytes` and the descriptor, or nothing: false when the socket is full.
bool sendDescriptor(const Fd &socket, const QByteArray &bytes, const Fd &descriptor);

} // namespace power::supervisor
