#include "kernel/Interpreter.h"
#include <clocale>
#include <pybind11/embed.h>

namespace py = pybind11;

namespace power::kernel
{

namespace
{
bool failed(const PyStatus &status, std::string &reason)
{
    if (!PyStatus_Exception(status)) return false;
    reason = std::string("CPython did not start: ") + (status.err_msg ? status.err_msg : "unknown reason");
    return true;
}

// Makes `import power_kernel.x` find the embedded files.
void installScripts()
{
    py::dict sources;
    std::string_view bootstrap;
    for (const Script &script : scripts()) {
        if (std::string_view(script.name) == "bootstrap") bootstrap = script.source;
        sources[script.name] = py::str(script.source.data(), script.source.size());
    }
    py::dict globals;
    globals["__builtins__"] = py::module_::import("builtins");
    globals["__name__"] = "power_bootstrap";
    globals["SOURCES"] = sources;
    py::exec(py::str(bootstrap.data(), bootstrap.size()), globals);
}
} // namespace

bool startInterpreter(const std::string &environment, std::string &reason)
{
    std::setlocale(LC_CTYPE, "C.UTF-8");
    PyPreConfig pre;
    PyPreConfig_InitIsolatedConfig(&pre);
    pre.utf8_mode = 1;
    if (failed(Py_PreInitialize(&pre), reason)) return false;
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 1;
    config.write_bytecode = 0;
    config.site_import = 1;
    const std::string program = environment.empty() ? POWER_PYTHON : environment + "/bin/python3";
    PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, program.c_str());
    if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (failed(status, reason)) return false;
    try {
        installScripts();
    } catch (const py::error_already_set &error) {
        reason = std::string("the kernel's own Python files did not load: ") + error.what();
        return false;
    }
    return true;
}

} // namespace power::kernel
