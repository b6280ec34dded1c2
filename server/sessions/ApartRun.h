// A cell that runs beside a session: in a kernel and under a uid of its own, with the session's files.
#pragma once
#include "sessions/Session.h"

namespace power::sessions {

struct ApartCall {
    RunCall call;              // progress is not called
    quint32 uid = 0;           // one that nobody uses; 0 or without own uids: the session's
    int cores = 1;             // threads of the pools of numeric libraries
    QString state;             // variables kept by keepState() under this id; empty: it begins without
    std::function<void(const supervisor::OutputEvent &)> onOutput; // live
    std::function<void()> onStart;                                 // the code begins now
};

} // namespace power::sessions
