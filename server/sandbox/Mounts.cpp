#include "sandbox/Mounts.h"
#include "sandbox/RootFiles.h"
#include "sandbox/Sys.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace power::sandbox {

namespace {

constexpr std::uint64_t kSystemMount = sys::kMountReadOnly | sys::kMountNoSuid | sys::kMountNoDevices;
constexpr std::uint64_t kUserMount = sys::kMountNoSuid | sys::kMountNoDevices;
constexpr std::uint64_t kDeviceMount = sys::kMountNoSuid | sys::kMountNoExec;
// The tmpfs of the root is mounted over this directory before it becomes the root; any that exists serves, because
// everything wanted of the old tree has been cloned by then.
constexpr const char *kStage = "/usr";

bool isSystemPath(const std::string &path)
{
    for (const char *directory : rootfiles::kSystemDirectories) {
        const std::size_t size = std::strlen(directory);
        if (path.compare(0, size, directory) == 0 && (path.size() == size || path[size] == '/')) return true;
    }
    return false;
}

// A detached copy of a piece of the old tree, to be placed at `target` of the new root.
struct Piece {
    std::string target;
    sys::Fd tree;
    bool directory = false;
};

class RootBuilder
{
public:
    RootBuilder(const Plan &plan, Failure &failure) : m_plan(plan), m_failure(failure) {}

    bool build()
    {
        return collect() && stage() && placePieces() && mountOwn() && maskProc() && pivot();
    }

private:
    bool fail(const char *step, const std::string &about = {}) { return sys::fail(m_failure, step, about); }

    bool clone(const std::string &source, const std::string &target, std::uint64_t attributes, std::vector<Piece> &into)
    {
        Piece piece;
        piece.target = target.substr(1);
        piece.tree = sys::Fd(static_cast<int>(sys::openTree(
            AT_FDCWD, source.c_str(), sys::kOpenTreeClone | sys::kOpenTreeCloseOnExec | sys::kRecursive)));
        if (!piece.tree) return fail("open_tree", source);
        sys::MountAttributes change;
        change.set = attributes;
        if (sys::mountSetAttributes(piece.tree.get(), "", sys::kEmptyPath | sys::kRecursive, change) != 0)
            return fail("mount_setattr", source);
        struct stat facts {};
        if (::fstat(piece.tree.get(), &facts) != 0) return fail("open_tree", source);
        piece.directory = S_ISDIR(facts.st_mode);
        into.push_back(std::move(piece));
        return true;
    }

    // A path of the system: absent = left out, symlink = repeated, else a read-only bind.
    bool systemPath(const char *path)
    {
        struct stat facts {};
        if (::lstat(path, &facts) != 0) return true;
        if (S_ISLNK(facts.st_mode)) {
            char target[4096];
            const ssize_t size = ::readlink(path, target, sizeof(target));
            if (size <= 0) return fail("readlink", path);
            m_links.push_back({path, std::string(target, static_cast<std::size_t>(size))});
            return true;
        }
        return clone(path, path, kSystemMount, m_pieces);
    }

    bool collect()
    {
        m_written = rootfiles::writtenFiles(m_plan);
        for (const char *path : rootfiles::kSystemDirectories)
            if (!systemPath(path)) return false;
        for (const char *path : rootfiles::kSettings) {
            const bool isWritten = std::any_of(m_written.begin(), m_written.end(),
                                               [path](const rootfiles::TextFile &file) { return file.path == path; });
            if (!isWritten && !systemPath(path)) return false;
        }
        if (::access(rootfiles::kProcessorDirectory, F_OK) == 0 && !systemPath(rootfiles::kProcessorDirectory))
            return false;
        for (const std::string &path : m_plan.readOnly)
            if (!isSystemPath(path) && ::access(path.c_str(), F_OK) == 0 && !clone(path, path, kSystemMount, m_pieces))
                return false;
        for (const Bind &bind : m_plan.binds)
            if (!clone(bind.source, bind.target, bind.writable ? kUserMount : kSystemMount, m_pieces)) return false;
        for (const char *device : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
            if (!clone(device, device, kDeviceMount, m_pieces)) return false;
        std::sort(m_pieces.begin(), m_pieces.end(),
                  [](const Piece &a, const Piece &b) { return a.target < b.target; });
        // Last, so that no target is ever looked up inside directories that user code can change.
        if (!m_plan.scratch.empty() && !clone(m_plan.scratch, "/tmp", kUserMount, m_pieces)) return false;
        return clone(m_plan.workspace, m_plan.workspaceInside, kUserMount, m_pieces);
    }

    bool stage()
    {
        if (::mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m,nr_inodes=4096") != 0)
            return fail("mount tmpfs", "root");
        if (::chdir(kStage) != 0) return fail("chdir", "root");
        for (const auto &[path, target] : m_links) {
            if (!makeParents(path.substr(1))) return false;
            if (::symlink(target.c_str(), path.c_str() + 1) != 0) return fail("symlink", path);
        }
        for (const rootfiles::TextFile &file : m_written) {
            if (!makeParents(file.path.substr(1))) return false;
            const sys::Fd fd(::open(file.path.c_str() + 1, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
            if (!fd || ::write(fd.get(), file.text.data(), file.text.size()) < 0) return fail("write", file.path);
        }
        return true;
    }

    bool makeDirectory(const std::string &path)
    {
        if (::mkdir(path.c_str(), 0755) == 0) return true;
        const int error = errno;
        if (::access(path.c_str(), F_OK) == 0) return true;
        errno = error;
        return fail("mkdir", path);
    }

    bool makeParents(const std::string &path)
    {
        for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1))
            if (!makeDirectory(path.substr(0, at))) return false;
        return true;
    }

    bool placePieces()
    {
        for (Piece &piece : m_pieces) {
            if (!makeParents(piece.target)) return false;
            if (piece.directory) {
                if (!makeDirectory(piece.target)) return false;
            } else {
                const sys::Fd made(::open(piece.target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
            }
            if (sys::moveMount(piece.tree.get(), "", AT_FDCWD, piece.target.c_str(), sys::kMoveFromEmptyPath) != 0)
                return fail("move_mount", piece.target);
        }
        return true;
    }

    bool mountOwn()
    {
        const std::string size = std::to_string(m_plan.sharedBytes);
        const std::string options = "mode=1777,nr_inodes=16384,size=" + size;
        if (!makeDirectory("dev") || !makeDirectory("dev/shm") || !makeDirectory("proc") || !makeDirectory("tmp"))
            return false;
        if (::mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
            return fail("mount tmpfs", "/dev/shm");
        if (m_plan.scratch.empty() && ::mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
            return fail("mount tmpfs", "/tmp");
        if (::mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2") != 0)
            return fail("mount proc");
        static constexpr const char *kDeviceLinks[][2] = {{"/proc/self/fd", "dev/fd"},
                                                          {"/proc/self/fd/0", "dev/stdin"},
                                                          {"/proc/self/fd/1", "dev/stdout"},
                                                          {"/proc/self/fd/2", "dev/stderr"}};
        for (const auto &link : kDeviceLinks)
            if (::symlink(link[0], link[1]) != 0) return fail("symlink", link[1]);
        return true;
    }

    bool maskProc()
    {
        for (const char *name : rootfiles::kMaskedFiles) {
            const std::string path = std::string("proc/") + name;
            if (::mount("dev/null", path.c_str(), nullptr, MS_BIND, nullptr) != 0 && errno != ENOENT)
                return fail("mask", path);
        }
        std::string empty; // the first one gets an empty tmpfs, the others a bind of it
        for (const char *name : rootfiles::kMaskedDirectories) {
            const std::string path = std::string("proc/") + name;
            const int result = empty.empty()
                                   ? ::mount("tmpfs", path.c_str(), "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                             "size=4k,nr_inodes=2,mode=0555")
                                   : ::mount(empty.c_str(), path.c_str(), nullptr, MS_BIND, nullptr);
            if (result == 0 && empty.empty()) empty = path;
            if (result != 0 && errno != ENOENT) return fail("mask", path);
        }
        return true;
    }

    bool pivot()
    {
        if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail("pivot_root");
        if (::umount2(".", MNT_DETACH) != 0) return fail("umount", "old root");
        if (::chdir("/") != 0) return fail("chdir", "/");
        sys::MountAttributes readOnly;
        readOnly.set = sys::kMountReadOnly;
        if (sys::mountSetAttributes(AT_FDCWD, "/", 0, readOnly) != 0) return fail("mount_setattr", "/");
        return true;
    }

    const Plan &m_plan;
    Failure &m_failure;
    std::vector<Piece> m_pieces;
    std::vector<std::pair<std::string, std::string>> m_links;
    std::vector<rootfiles::TextFile> m_written;
};

// Not an error when it fails: without it, 127.0.0.1 is just as unreachable as everything else.
void raiseLoopback()
{
    const sys::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (socket) ::ioctl(socket.get(), SIOCSIFFLAGS, &request);
}

} // namespace

bool enterNamespaces(Failure &failure)
{
    if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) != 0)
        return sys::fail(failure, "unshare", "mount, network, ipc, uts, cgroup namespaces");
    raiseLoopback();
    if (::sethostname("sandbox", 7) != 0) return sys::fail(failure, "sethostname");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return sys::fail(failure, "mount private");
    return true;
}

bool buildRoot(const Plan &plan, Failure &failure)
{
    const mode_t before = ::umask(0);
    RootBuilder builder(plan, failure);
    const bool built = builder.build();
    ::umask(before);
    return built;
}

} // namespace power::sandbox
