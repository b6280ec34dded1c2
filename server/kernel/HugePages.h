// Memory that many processes are forked from, in pages of 2 MB.
#pragma once

namespace power::kernel
{

// Puts the private memory that no file stands behind into huge pages, as far as whole ones fit. A fork then copies a table of
// some dozens of entries instead of some ten thousand; a process that writes gets, as ever, copies of the small pages it
// writes to. Where the system cannot (Linux before 6.1) nothing changes. Returns the number of huge pages made.
// Thread: the only one of the process.
int useHugePages();

} // namespace power::kernel
