#include "kernel/PathMap.h"
#include <alloca.h>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

namespace power::kernel
{

namespace
{
std::vector<std::pair<std::string, std::string>> *pathRules =
    nullptr; // null = off: one load and branch per call

bool startsWith(const char *path, const std::string &prefix)
{
    return std::strncmp(path, prefix.c_str(), prefix.size()) == 0 &&
           (path[prefix.size()] == '/' || path[prefix.size()] == '\0');
}

// `path` with the first matching prefix replaced, in `room` (PATH_MAX); else `path` itself.
const char *forward(const char *path, char *room)
{
    if (!pathRules || !path || path[0] != '/') return path;
    for (const auto &[from, to] : *pathRules) {
        if (!startsWith(path, from)) continue;
        const char *rest = path + from.size();
        if (to.size() + std::strlen(rest) >= PATH_MAX) return path;
        std::memcpy(room, to.data(), to.size());
        std::strcpy(room + to.size(), rest);
        return room;
    }
    return path;
}

// The other way round, in place; false when it does not fit.
bool backward(char *path, std::size_t size)
{
    if (!pathRules) return true;
    for (const auto &[from, to] : *pathRules) {
        if (from == to || !startsWith(path, to)) continue;
        const std::string rest = path + to.size();
        if (from.size() + rest.size() >= size) return false;
        std::strcpy(path, (from + rest).c_str());
        return true;
    }
    return true;
}

bool inWord(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && std::strchr("_-./~$", c));
}

// `text` with every path in it replaced, into `out` (null: only counts). Bytes with the final zero. A path
// begins where no name or path goes on, so that the commands of a shell ("cat </tmp/a") are covered too.
std::size_t translate(const char *text, char *out)
{
    std::size_t size = 0;
    const auto add = [&](const char *from, std::size_t count) {
        if (out) std::memcpy(out + size, from, count);
        size += count;
    };
    for (const char *at = text; *at;) {
        const std::pair<std::string, std::string> *rule = nullptr;
        if (*at == '/' && (at == text || !inWord(at[-1]))) {
            for (const auto &each : *pathRules) {
                if (std::strncmp(at, each.first.c_str(), each.first.size()) != 0) continue;
                const char after = at[each.first.size()];
                if (after != '\0' && after != '/' && inWord(after)) continue;
                rule = &each;
                break;
            }
        }
        if (rule) {
            add(rule->second.data(), rule->second.size());
            at += rule->first.size();
        } else {
            add(at++, 1);
        }
    }
    add("", 1);
    return size;
}

constexpr std::size_t kMostArguments = 1u << 20; // bytes on the stack of the caller

// Bytes that translated() needs for these arguments; 0 = nothing to do.
std::size_t roomFor(char *const *arguments)
{
    if (!pathRules || !arguments) return 0;
    std::size_t count = 1, bytes = 0;
    for (; arguments[count - 1]; ++count)
        bytes += translate(arguments[count - 1], nullptr);
    return count * sizeof(char *) + bytes;
}

// In `room`: the arguments with their paths replaced. No allocation: the caller may be the child of a vfork.
char *const *translated(char *const *arguments, void *room)
{
    std::size_t count = 1;
    while (arguments[count - 1])
        ++count;
    auto list = static_cast<char **>(room);
    auto text = reinterpret_cast<char *>(list + count);
    for (std::size_t i = 0; i + 1 < count; ++i) {
        list[i] = text;
        text += translate(arguments[i], text);
    }
    list[count - 1] = nullptr;
    return list;
}

template <typename Function>
Function next(const char *name)
{
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}
} // namespace

void mapPaths(std::vector<std::pair<std::string, std::string>> rules)
{
    delete pathRules;
    pathRules = rules.empty() ? nullptr : new auto(std::move(rules));
}

} // namespace power::kernel

using power::kernel::backward;
using power::kernel::forward;
using power::kernel::kMostArguments;
using power::kernel::next;
using power::kernel::roomFor;
using power::kernel::translated;

// The functions get names of their own and libc's symbol, so that libc's headers have no say in their
// declaration.
#define EXPORTED(name) __asm__(#name) __attribute__((visibility("default"), used))
#define MAPPED(result, name, params, args)                                                                   \
    extern "C" result power_##name params EXPORTED(name);                                                    \
    extern "C" result power_##name params                                                                    \
    {                                                                                                        \
        static const auto real = next<result(*) params>(#name);                                              \
        char room[PATH_MAX];                                                                                 \
        path = forward(path, room);                                                                          \
        return real args;                                                                                    \
    }
// Looked up before main(): the child of a vfork must not take the loader's lock.
#define MAPPED_EXEC(name, params, args, tooLong)                                                             \
    static const auto real_##name = next<int(*) params>(#name);                                              \
    extern "C" int power_##name params EXPORTED(name);                                                       \
    extern "C" int power_##name params                                                                       \
    {                                                                                                        \
        char room[PATH_MAX];                                                                                 \
        path = forward(path, room);                                                                          \
        const std::size_t size = roomFor(arguments);                                                         \
        if (size > kMostArguments) tooLong;                                                                  \
        if (size > 0) arguments = translated(arguments, alloca(size));                                       \
        return real_##name args;                                                                             \
    }
#define MAPPED_TWO(result, name, params, args)                                                               \
    extern "C" result power_##name params EXPORTED(name);                                                    \
    extern "C" result power_##name params                                                                    \
    {                                                                                                        \
        static const auto real = next<result(*) params>(#name);                                              \
        char room[PATH_MAX], second[PATH_MAX];                                                               \
        path = forward(path, room);                                                                          \
        to = forward(to, second);                                                                            \
        return real args;                                                                                    \
    }
// open() and its kin take a mode only when they create.
#define MAPPED_OPEN(name, params, call)                                                                      \
    extern "C" int power_##name params EXPORTED(name);                                                       \
    extern "C" int power_##name params                                                                       \
    {                                                                                                        \
        static const auto real = next<int(*) params>(#name);                                                 \
        mode_t mode = 0;                                                                                     \
        if (flags & (O_CREAT | __O_TMPFILE)) {                                                               \
            va_list rest;                                                                                    \
            va_start(rest, flags);                                                                           \
            mode = va_arg(rest, mode_t);                                                                     \
            va_end(rest);                                                                                    \
        }                                                                                                    \
        char room[PATH_MAX];                                                                                 \
        path = forward(path, room);                                                                          \
        return real call;                                                                                    \
    }

MAPPED_OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
MAPPED_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
MAPPED_OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
MAPPED_OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))
MAPPED(int, __open_2, (const char *path, int flags), (path, flags))
MAPPED(int, __open64_2, (const char *path, int flags), (path, flags))
MAPPED(int, __openat_2, (int at, const char *path, int flags), (at, path, flags))
MAPPED(int, __openat64_2, (int at, const char *path, int flags), (at, path, flags))
MAPPED(int, creat, (const char *path, mode_t mode), (path, mode))
MAPPED(int, creat64, (const char *path, mode_t mode), (path, mode))
MAPPED(FILE *, fopen, (const char *path, const char *mode), (path, mode))
MAPPED(FILE *, fopen64, (const char *path, const char *mode), (path, mode))
MAPPED(FILE *, freopen, (const char *path, const char *mode, FILE *file), (path, mode, file))
MAPPED(FILE *, freopen64, (const char *path, const char *mode, FILE *file), (path, mode, file))

MAPPED(int, stat, (const char *path, void *out), (path, out))
MAPPED(int, stat64, (const char *path, void *out), (path, out))
MAPPED(int, lstat, (const char *path, void *out), (path, out))
MAPPED(int, lstat64, (const char *path, void *out), (path, out))
MAPPED(int, fstatat, (int at, const char *path, void *out, int flags), (at, path, out, flags))
MAPPED(int, fstatat64, (int at, const char *path, void *out, int flags), (at, path, out, flags))
MAPPED(int, __xstat, (int version, const char *path, void *out), (version, path, out))
MAPPED(int, __xstat64, (int version, const char *path, void *out), (version, path, out))
MAPPED(int, __lxstat, (int version, const char *path, void *out), (version, path, out))
MAPPED(int, __lxstat64, (int version, const char *path, void *out), (version, path, out))
MAPPED(int, __fxstatat, (int version, int at, const char *path, void *out, int flags),
       (version, at, path, out, flags))
MAPPED(int, __fxstatat64, (int version, int at, const char *path, void *out, int flags),
       (version, at, path, out, flags))
MAPPED(int, statx, (int at, const char *path, int flags, unsigned mask, void *out),
       (at, path, flags, mask, out))
MAPPED(int, statfs, (const char *path, void *out), (path, out))
MAPPED(int, statfs64, (const char *path, void *out), (path, out))
MAPPED(int, statvfs, (const char *path, void *out), (path, out))
MAPPED(int, statvfs64, (const char *path, void *out), (path, out))
MAPPED(int, access, (const char *path, int mode), (path, mode))
MAPPED(int, faccessat, (int at, const char *path, int mode, int flags), (at, path, mode, flags))
MAPPED(int, euidaccess, (const char *path, int mode), (path, mode))
MAPPED(int, eaccess, (const char *path, int mode), (path, mode))
MAPPED(long, pathconf, (const char *path, int name), (path, name))

MAPPED(int, mkdir, (const char *path, mode_t mode), (path, mode))
MAPPED(int, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))
MAPPED(int, mkfifo, (const char *path, mode_t mode), (path, mode))
MAPPED(int, rmdir, (const char *path), (path))
MAPPED(int, unlink, (const char *path), (path))
MAPPED(int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
MAPPED(int, remove, (const char *path), (path))
MAPPED(int, chdir, (const char *path), (path))
MAPPED(DIR *, opendir, (const char *path), (path))
MAPPED(int, chmod, (const char *path, mode_t mode), (path, mode))
MAPPED(int, lchmod, (const char *path, mode_t mode), (path, mode))
MAPPED(int, fchmodat, (int at, const char *path, mode_t mode, int flags), (at, path, mode, flags))
MAPPED(int, chown, (const char *path, uid_t user, gid_t group), (path, user, group))
MAPPED(int, lchown, (const char *path, uid_t user, gid_t group), (path, user, group))
MAPPED(int, fchownat, (int at, const char *path, uid_t user, gid_t group, int flags),
       (at, path, user, group, flags))
MAPPED(int, truncate, (const char *path, long length), (path, length))
MAPPED(int, truncate64, (const char *path, long length), (path, length))
MAPPED(int, utime, (const char *path, const utimbuf *times), (path, times))
MAPPED(int, utimes, (const char *path, const timeval *times), (path, times))
MAPPED(int, lutimes, (const char *path, const timeval *times), (path, times))
MAPPED(int, utimensat, (int at, const char *path, const timespec *times, int flags), (at, path, times, flags))
MAPPED(ssize_t, readlink, (const char *path, char *out, std::size_t size), (path, out, size))
MAPPED(ssize_t, readlinkat, (int at, const char *path, char *out, std::size_t size), (at, path, out, size))
MAPPED(char *, realpath, (const char *path, char *out), (path, out))
MAPPED(ssize_t, getxattr, (const char *path, const char *name, void *out, std::size_t size),
       (path, name, out, size))
MAPPED(ssize_t, lgetxattr, (const char *path, const char *name, void *out, std::size_t size),
       (path, name, out, size))
MAPPED(ssize_t, listxattr, (const char *path, char *out, std::size_t size), (path, out, size))
MAPPED(ssize_t, llistxattr, (const char *path, char *out, std::size_t size), (path, out, size))

MAPPED_TWO(int, rename, (const char *path, const char *to), (path, to))
MAPPED_TWO(int, renameat, (int at, const char *path, int toAt, const char *to), (at, path, toAt, to))
MAPPED_TWO(int, renameat2, (int at, const char *path, int toAt, const char *to, unsigned flags),
           (at, path, toAt, to, flags))
MAPPED_TWO(int, link, (const char *path, const char *to), (path, to))
MAPPED_TWO(int, linkat, (int at, const char *path, int toAt, const char *to, int flags),
           (at, path, toAt, to, flags))
MAPPED_TWO(int, symlink, (const char *path, const char *to), (path, to))
MAPPED_TWO(int, symlinkat, (const char *path, int toAt, const char *to), (path, toAt, to))

#define TOO_LONG return errno = E2BIG, -1
MAPPED_EXEC(execve, (const char *path, char *const *arguments, char *const *environment),
            (path, arguments, environment), TOO_LONG)
MAPPED_EXEC(execv, (const char *path, char *const *arguments), (path, arguments), TOO_LONG)
MAPPED_EXEC(execvp, (const char *path, char *const *arguments), (path, arguments), TOO_LONG)
MAPPED_EXEC(execvpe, (const char *path, char *const *arguments, char *const *environment),
            (path, arguments, environment), TOO_LONG)
MAPPED_EXEC(posix_spawn,
            (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
             const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment),
            (pid, path, actions, attributes, arguments, environment), return E2BIG)
MAPPED_EXEC(posix_spawnp,
            (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions,
             const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment),
            (pid, path, actions, attributes, arguments, environment), return E2BIG)

// The six letters at the end of a template are the answer.
#define MAPPED_TEMPLATE(result, name, params, args)                                                          \
    extern "C" result power_##name params EXPORTED(name);                                                    \
    extern "C" result power_##name params                                                                    \
    {                                                                                                        \
        static const auto real = next<result(*) params>(#name);                                              \
        char room[PATH_MAX];                                                                                 \
        char *const given = path;                                                                            \
        if (forward(given, room) == room) path = room;                                                       \
        const result got = real args;                                                                        \
        if (path == room) std::memcpy(given + std::strlen(given) - 6, room + std::strlen(room) - 6, 6);      \
        return got;                                                                                          \
    }
MAPPED_TEMPLATE(int, mkstemp, (char *path), (path))
MAPPED_TEMPLATE(int, mkstemp64, (char *path), (path))
MAPPED_TEMPLATE(int, mkostemp, (char *path, int flags), (path, flags))
MAPPED_TEMPLATE(int, mkostemp64, (char *path, int flags), (path, flags))

extern "C" char *power_mkdtemp(char *path) EXPORTED(mkdtemp);
extern "C" char *power_mkdtemp(char *path)
{
    static const auto real = next<char *(*)(char *)>("mkdtemp");
    char room[PATH_MAX];
    if (forward(path, room) != room) return real(path);
    if (!real(room)) return nullptr;
    std::memcpy(path + std::strlen(path) - 6, room + std::strlen(room) - 6, 6);
    return path;
}

extern "C" char *power_getcwd(char *out, std::size_t size) EXPORTED(getcwd);
extern "C" char *power_getcwd(char *out, std::size_t size)
{
    static const auto real = next<char *(*)(char *, std::size_t)>("getcwd");
    char *const got = real(out, size);
    // With a null buffer libc allocates just enough: such callers get the real path, which is as good.
    if (got && out && !backward(got, size)) {
        errno = ERANGE;
        return nullptr;
    }
    return got;
}
