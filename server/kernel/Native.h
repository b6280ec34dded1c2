// The module `_power`: what the kernel's Python files need from C++.
#pragma once

namespace power::kernel
{

// Gives `_power` the kernel's control socket. Once, in the forked child.
void setControlSocket(int socket);

} // namespace power::kernel
