// Paths of user code where no mount namespace can make them true: /tmp and /app/sandbox_data/<session>.
// PathMap.cpp defines libc's file functions in the executable, so that every library of the process (CPython,
// pandas' C reader, sqlite, PIL, Arrow ...) calls them instead of libc's. A program that is
// started does not see the translation, so paths in its arguments (also inside of a shell's command) are replaced.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace power::kernel
{

// From now on, absolute paths at or below `first` mean `second` (the first rule that fits counts; one with
// both the same is an exception from later ones); getcwd() answers the other way round. Convenience, not a
// wall: the sandbox checks the real path. Empty list = off (the state at start). Thread: once, before other
// threads exist.
void mapPaths(std::vector<std::pair<std::string, std::string>> rules);

} // namespace power::kernel
