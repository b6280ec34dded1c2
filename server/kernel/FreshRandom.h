// The state of a Mersenne twister in memory, drawn anew by every kernel.
#pragma once
#include <cstdint>

namespace power::kernel
{

// In the zygote: where the state lies (624 words, then the position as an int). 0: nowhere.
void setRandomState(std::uintptr_t address);

// In the child: words of the system's randomness, none of them used yet. False when there is no state, or no randomness.
bool drawRandomState();

} // namespace power::kernel
