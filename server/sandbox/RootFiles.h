// The parts of the machine's file system that every sandbox shows, and the few files written for it.
#pragma once
#include "sandbox/Plan.h"
#include <string>
#include <vector>

namespace power::sandbox::rootfiles {

// Programs and libraries; read and execute. Symlinks among them are repeated as symlinks.
inline constexpr const char *kSystemDirectories[] = {"/usr",   "/bin",   "/sbin",  "/lib",
                                                     "/lib32", "/lib64", "/libx32"};
// Settings that libraries look up; read only. Nothing with a secret or the name of another machine.
inline constexpr const char *kSettings[] = {
    "/etc/alternatives", "/etc/fonts",       "/etc/ssl/certs",    "/etc/ssl/openssl.cnf", "/etc/ld.so.cache",
    "/etc/localtime",    "/etc/timezone",    "/etc/matplotlibrc", "/etc/mime.types",      "/etc/services",
    "/etc/protocols",    "/etc/locale.alias", "/etc/magic",       "/etc/papersize",       "/etc/debian_version",
    "/etc/os-release",   "/etc/python3",     "/etc/python3.11",   "/etc/python3.13",      "/etc/passwd",
    "/etc/group",        "/etc/nsswitch.conf"};
inline constexpr const char *kProcessorDirectory = "/sys/devices/system/cpu";
// Outside `full`: facts of the machine that joblib, psutil and the allocators read.
inline constexpr const char *kSharedFacts[] = {
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",    "/proc/uptime", "/proc/loadavg", "/proc/filesystems",
    "/proc/version", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu",       "/sys/fs/cgroup"};
// Outside `full`, of /proc/self.
inline constexpr const char *kOwnFacts[] = {"cmdline", "comm",   "environ", "fd",           "fdinfo", "io",    "limits", "maps",
                                            "smaps",   "smaps_rollup", "stat", "statm", "status", "cgroup"};
// Of a new /proc in `full`: files and directories of the whole machine that say too much.
inline constexpr const char *kMaskedFiles[] = {
    "cmdline",    "config.gz",  "iomem",        "ioports",       "kallsyms",   "kcore",         "key-users",
    "keys",       "kmsg",       "kpagecgroup",  "kpagecount",    "kpageflags", "latency_stats", "modules",
    "mtrr",       "pagetypeinfo", "sched_debug", "slabinfo",     "sysrq-trigger", "timer_list", "vmallocinfo",
    "partitions", "diskstats",  "swaps"};
inline constexpr const char *kMaskedDirectories[] = {"acpi", "asound", "bus",  "driver", "dynamic_debug",
                                                     "fs",   "irq",    "scsi", "sys",    "sysvipc", "tty"};

struct TextFile {
    std::string path, text;
};
// /etc/passwd and so on of the private root: the session's own user, no names of this machine.
std::vector<TextFile> writtenFiles(const Plan &plan);

} // namespace power::sandbox::rootfiles
