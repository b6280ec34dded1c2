// The shipped supervisor: `power-interpreter serve --supervise`.
#pragma once
#include <optional>

namespace power::app {

// Forks; returns without a value in the child, which goes on as the server, and in the parent with the exit code of the
// program once it may end. In between the parent waits for the server and starts another one, at first 0.2 s after it died,
// each time twice as late (30 s at most, 1 s when it had come to serve; from the beginning again after a minute of life). SIGTERM, SIGINT and
// SIGHUP are passed on; after one of them, and after a server that ended by itself with 0 or 2 (settings that cannot be used),
// nothing is started any more. A server whose supervisor dies gets SIGTERM. The parent also collects processes that
// were left to it (as pid 1 of a container). Call it before any thread or event loop exists.
std::optional<int> supervise();

// In the server, once it has run a first cell: the supervisor need not think of a server that cannot live. Without one nothing happens.
void tellServing();

} // namespace power::app
