/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening names that are not to be trusted. No state. */
#include "worker/open-below.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

int open_below(int directory, const char *name, int flags)
{
    int all = flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const struct open_how how = { .flags = (uint64_t) all, .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS };
    int fd = (int) syscall(SYS_openat2, directory, name, &how, sizeof how);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* forbidden in some containers */
        fd = openat(directory, name, all);
    return fd < 0 ? -errno : fd;
}
