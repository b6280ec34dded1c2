"""Writes a C++ file with the given Python files as byte arrays (power::kernel::scripts())."""
import os
import sys

target, *scripts = sys.argv[1:]
lines = ['#include "kernel/Interpreter.h"', "namespace power::kernel {", "namespace {"]
table = []
for number, path in enumerate(sorted(scripts)):
    data = open(path, "rb").read()
    compile(data, path, "exec")  # a syntax error is an error of the build
    lines.append(f"const unsigned char script{number}[] = {{{','.join(map(str, data or b' '))}}};")
    name = os.path.splitext(os.path.basename(path))[0]
    table.append(f'    {{"{name}", {{reinterpret_cast<const char *>(script{number}), sizeof script{number}}}}},')
lines += ["} // namespace", "const std::vector<Script> &scripts()", "{", "    static const std::vector<Script> all = {"]
lines += table + ["    };", "    return all;", "}", "} // namespace power::kernel", ""]
with open(target, "w") as out:
    out.write("\n".join(lines))
