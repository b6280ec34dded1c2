#include "sandbox/RootFiles.h"

namespace power::sandbox::rootfiles {

std::vector<TextFile> writtenFiles(const Plan &plan)
{
    const std::string uid = std::to_string(plan.uid), gid = std::to_string(plan.gid);
    return {
        {"/etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:" + uid + ":" + gid + ":sandbox:" +
                            plan.workspaceInside + ":/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
        {"/etc/group", "root:x:0:\nsandbox:x:" + gid + ":\nnogroup:x:65534:\n"},
        {"/etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"},
        {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n"},
        {"/etc/hostname", "sandbox\n"},
    };
}

} // namespace power::sandbox::rootfiles
