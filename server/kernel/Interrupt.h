// Interrupts of a running cell: the soft one (SIGINT: one KeyboardInterrupt) and the hard one (SIGUSR2: a
// trace function that raises at every line until the cell's last frame is gone, so `except: pass` cannot
// swallow it).
#pragma once

namespace power::kernel
{

// Between these two, signals interrupt; outside they are ignored. beginCell() drops what is still pending,
// endCell() clears the trace. GIL held, main thread.
void beginCell();
void endCell();

// Bodies of the two Python signal handlers. False: a Python exception is set.
bool softInterrupt();
bool hardInterrupt();

// Whether the last cell needed the hard one.
bool wasHard();

} // namespace power::kernel
