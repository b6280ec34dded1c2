#include "kernel/Interrupt.h"
#include <Python.h>
#include <cstring>
#include <frameobject.h>

namespace power::kernel
{

namespace
{
bool cellRunning = false;
bool hardMode = false;

// The kernel's own files must be able to finish the cell: they are named <power/...>.
bool isOwnFrame(PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    const char *name = PyUnicode_AsUTF8(code->co_filename);
    const bool own = name && std::strncmp(name, "<power/", 7) == 0;
    if (!name) PyErr_Clear();
    Py_DECREF(code);
    return own;
}

int raiseAlways(PyObject *, PyFrameObject *frame, int what, PyObject *)
{
    if ((what != PyTrace_LINE && what != PyTrace_CALL) || !hardMode || isOwnFrame(frame)) return 0;
    PyErr_SetString(PyExc_KeyboardInterrupt, "hard interrupt");
    return -1;
}
} // namespace

void beginCell()
{
    hardMode = false;
    if (PyErr_CheckSignals() != 0) PyErr_Clear();
    cellRunning = true;
}

void endCell()
{
    cellRunning = false;
    if (hardMode) PyEval_SetTrace(nullptr, nullptr);
}

bool softInterrupt()
{
    if (!cellRunning) return true;
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return false;
}

bool hardInterrupt()
{
    if (!cellRunning) return true;
    hardMode = true;
    PyEval_SetTrace(raiseAlways, nullptr);
    PyErr_SetString(PyExc_KeyboardInterrupt, "hard interrupt");
    return false;
}

bool wasHard()
{
    return hardMode;
}

} // namespace power::kernel
