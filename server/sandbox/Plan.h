// What the wall of one process is made of, and how it is put up. Standard library only (runs in power-kernel).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace power::sandbox {

struct JsonValue;

enum class Tier { None, NonRoot, Container, Full };
const char *tierWord(Tier tier);
bool tierFromWord(const std::string &word, Tier &out);

struct Bind {
    std::string source; // host path
    std::string target; // path inside
    bool writable = false;
};

// Plan: sent by the server in a Spawn frame ("plan"); trusted input. Paths are absolute.
struct Plan {
    Tier tier = Tier::None;
    int landlockAbi = 0;               // ABI to use, 0 = no Landlock
    bool userNamespace = false;        // full without root: the process is in a user namespace of its own (UserNamespace.h)
    std::uint32_t uid = 0, gid = 0;    // to become; own ids in nonroot and with userNamespace
    std::string workspace;             // host path of the session's directory
    std::string workspaceInside;       // /app/sandbox_data/<session>; the working directory
    std::string scratch;               // host path of the session's /tmp
    std::vector<std::string> readOnly; // venv, fonts, caches: host paths, the same inside
    std::vector<Bind> binds;           // further ones of a worker
    std::uint64_t memoryBytes = 0;     // RLIMIT_DATA; 0 = none
    std::uint64_t fileBytes = 0;       // RLIMIT_FSIZE
    std::uint64_t sharedBytes = 64u << 20; // size of the private /dev/shm (and of /tmp without a scratch) in full
    std::uint32_t processes = 64;      // RLIMIT_NPROC
    std::uint32_t openFiles = 1024;    // RLIMIT_NOFILE
    bool allowUnixSockets = false;     // AF_UNIX (render worker; sessions in `full` have them as well)
    std::string cgroup;                // v2 leaf to join, empty = none
};

// Plan from the JSON object text of a Spawn frame; the keys are the field names above, the tier is its word, absent
// keys keep their defaults, unknown keys are passed over. False + reason when malformed, when the workspace is
// missing, when uid or gid is 0 in full or container, or when userNamespace is set outside full.
bool planFromJson(const std::string &json, Plan &out, std::string &reason);
// The same of a value that was read already.
bool planFromValue(const JsonValue &value, Plan &out, std::string &reason);

} // namespace power::sandbox
