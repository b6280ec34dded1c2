#include "kernel/FreshRandom.h"
#include <sys/random.h>

namespace power::kernel
{

namespace
{
constexpr int kWords = 624;
struct Twister {
    std::uint32_t words[kWords];
    int position;
};
Twister *state = nullptr;
} // namespace

void setRandomState(std::uintptr_t address)
{
    state = reinterpret_cast<Twister *>(address);
}

bool drawRandomState()
{
    if (!state) return false;
    auto *bytes = reinterpret_cast<unsigned char *>(state->words);
    for (std::size_t done = 0; done < sizeof state->words;) { // up to 256 bytes are never cut short
        const ssize_t n = ::getrandom(bytes + done, 208, 0);
        if (n <= 0) return false;
        done += std::size_t(n);
    }
    state->words[0] |= 0x80000000u; // never all zero
    state->position = kWords;
    return true;
}

} // namespace power::kernel
