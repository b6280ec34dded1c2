// The memory that all kernels together may use.
#pragma once
#include <QtGlobal>

namespace power::supervisor {

// The smaller of RAM and the memory limit of the server's own cgroup (v2 or v1).
qint64 machineMemoryBytes();
// configured > 0: that; else machine memory less a reserve for server, zygote and database (a tenth, 512 MB to 4 GB).
qint64 kernelMemoryBudget(qint64 configured);

} // namespace power::supervisor
