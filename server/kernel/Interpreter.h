// The embedded CPython of power-kernel.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace power::kernel
{

// One file of resources/kernel or resources/render, embedded by CMake; module power_kernel.<name>.
struct Script {
    const char *name;
    std::string_view source;
};
const std::vector<Script> &scripts();

// Starts the distribution's interpreter: no environment variables, no user site, UTF-8 mode, no .pyc files.
// `environment`: prefix of a venv made by that interpreter, empty = its own packages. False + reason on
// failure. Thread: the main thread, once. The GIL is held afterwards.
bool startInterpreter(const std::string &environment, std::string &reason);

} // namespace power::kernel
