// Density: what the zygote does to its memory before kernels are forked from it.
#pragma once

namespace power::kernel
{

// Fills the holes that the imports left in the heaps of libc and of Python, for good. A kernel's first allocations then
// come from pages of their own instead of writing to pages that all kernels share. Costs the zygote nothing: the
// holes are resident anyway. Once, before the first fork; GIL held.
void fillHeapHoles();

} // namespace power::kernel
