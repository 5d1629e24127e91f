/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

/* Ownership is told in one dialect: g_autoptr, g_autofree, g_auto and g_steal_pointer. What GLib 2.74 lacks is here. */

#define _cleanup_close_ __attribute__((cleanup(close_fdp)))
#define _warn_unused_ __attribute__((warn_unused_result))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define NSEC_PER_USEC UINT64_C(1000)

/* Closes without touching errno; returns -EBADF, so that "fd = close_fd(fd)" leaves no stale number behind. */
static inline int close_fd(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        (void) close(fd);
        errno = saved;
    }
    return -EBADF;
}

static inline void close_fdp(int *fd)
{
    *fd = close_fd(*fd);
}

/* Hands the descriptor over: the variable forgets it. */
static inline int steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -EBADF;
    return taken;
}

/* A point in time after a span; a span of "infinity" never ends. */
static inline uint64_t usec_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}
