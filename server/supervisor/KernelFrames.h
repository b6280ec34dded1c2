// The frames of a kernel as typed values. Their sender runs user code: everything is checked.
#pragma once
#include "supervisor/Kernel.h"
#include "wire/Frame.h"
#include <QJsonValue>
#include <chrono>

namespace power::supervisor {

struct DisplayFrame {
    QString runId;
    quint64 epoch = 0;
    OutputEvent event;
};

struct DoneFrame {
    QString runId;
    quint64 epoch = 0;
    QString status; // ok | error | interrupted | exit
    int code = 0;   // of an `exit`
    int count = 0;
    int variables = 0;
    bool hard = false;
    QString errorName, errorValue, hint;
    QString errorCause, errorLimit, errorPeak; // of an exception that means a limit or a wall
    QJsonValue result;
    QStringList notes;
    QByteArray blob;
};

// What a cell wants from the server: a picture of a figure, a line of a person, a call of an operation, or to tell how far
// it is.
struct AskFrame {
    enum class What { Render, Input, Call, Progress };
    What what = What::Render;
    QString runId;
    quint64 number = 0; // 0: no answer is waited for
    QString prompt;     // Input
    QJsonObject fields; // Render: format, width, height, scale; Call: tool; Progress: done, total (-1: unknown), text. Checked
    QByteArray figure;  // Render: JSON of a plotly figure; Call: JSON of the arguments. Not looked at
};

// How a kernel answers when it is asked for a copy of itself.
struct CheckpointedFrame {
    bool ok = false;
    std::chrono::microseconds price{0}; // it stood still
    QString reason;                     // why there is none, at most 120 characters
};

// A copy that has become the kernel.
struct ResumedFrame {
    int variables = 0;
    QStringList gone, older;
};

// Errors (protocol violations) carry a sentence that says what was wrong.
Result<DisplayFrame> readDisplay(wire::Frame &frame);
Result<DoneFrame> readDone(wire::Frame &frame);
Result<AskFrame> readAsk(wire::Frame &frame);
Result<CheckpointedFrame> readCheckpointed(const wire::Frame &frame);
Result<ResumedFrame> readResumed(const wire::Frame &frame);

// The JSON object of a frame's meta; an error when it is not one.
Result<QJsonObject> readMeta(const wire::Frame &frame);

} // namespace power::supervisor
