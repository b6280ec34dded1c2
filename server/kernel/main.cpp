// power-kernel: `zygote` (control socket on descriptor 3), `probe` or `sweep`. Started by the server, not by people.
#include "kernel/Confine.h"
#include "kernel/Zygote.h"
#include <cstdio>
#include <cstring>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc >= 2 && std::strcmp(argv[1], "probe") == 0) return power::kernel::runProbe(argc - 2, argv + 2);
    if (argc == 2 && std::strcmp(argv[1], "sweep") == 0) return power::kernel::runSweep();
    if (argc >= 2 && std::strcmp(argv[1], "zygote") == 0) {
        std::vector<std::string> imports;
        for (int i = 2; i + 1 < argc; i += 2) {
            if (std::strcmp(argv[i], "--import") == 0) imports.emplace_back(argv[i + 1]);
        }
        // No atexit handlers: those of Python and of the libraries belong to the kernels' memory image.
        ::_exit(power::kernel::runZygote(imports));
    }
    std::fputs("usage: power-kernel zygote [--import MODULE]... (control socket on descriptor 3)\n"
               "       power-kernel probe [--landlock ABI] [--tier TIER]\n"
               "       power-kernel sweep (user ids on standard input)\n",
               stderr);
    return 2;
}
