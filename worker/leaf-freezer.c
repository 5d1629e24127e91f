/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The freezer, and reclaim, which makes sense for what is frozen only: what runs would fetch its memory back. The kernel
 * reclaims while the writer waits, so it is asked for portions, between which the caller's loop goes round. On v1 there
 * are no portions. */
#include "worker/leaf-freezer.h"

#include <fcntl.h>
#include <inttypes.h>

#include "util/parse-util.h"
#include "worker/kernel-file.h"

#define PORTION_BYTES (UINT64_C(16) << 20)

int leaf_freezer_set(int unified, int freezer, bool frozen)
{
    int r = unified < 0 ? -ENOENT : kernel_file_write(unified, "cgroup.freeze", frozen ? "1" : "0");

    if (r == -ENOENT && freezer >= 0)
        r = kernel_file_write(freezer, "freezer.state", frozen ? "FROZEN" : "THAWED");
    return r == -ENOENT ? -EOPNOTSUPP : r;
}

int leaf_reclaim_begin(int directory, bool v2, bool limited, LeafReclaim *ret)
{
    const char *file = v2 ? "memory.reclaim" : "memory.force_empty";
    g_autofree char *text = NULL;
    uint64_t bytes = UINT64_MAX;

    if (directory < 0 || faccessat(directory, file, W_OK, AT_EACCESS) < 0)
        return -EOPNOTSUPP;
    if (v2) {
        int r = kernel_file_read(directory, "memory.current", &text);
        if (r < 0 || (r = parse_uint64(g_strchomp(text), &bytes)) < 0)
            return r;
        if (limited)
            (void) !kernel_file_write(directory, "memory.swap.max", "max");
    }
    *ret = (LeafReclaim) { directory, bytes };
    return 0;
}

static bool reclaim_end(LeafReclaim *reclaim, bool limited)
{
    if (limited && reclaim->left_bytes != UINT64_MAX)
        (void) !kernel_file_write(reclaim->directory, "memory.swap.max", "0"); /* what is there may stay */
    reclaim->directory = -EBADF;
    return false;
}

bool leaf_reclaim_some(LeafReclaim *reclaim, bool limited)
{
    g_autofree char *text = NULL;
    uint64_t bytes;

    if (reclaim->directory < 0)
        return false;
    if (reclaim->left_bytes == UINT64_MAX) {
        (void) !kernel_file_write(reclaim->directory, "memory.force_empty", "0");
        return reclaim_end(reclaim, limited);
    }
    bytes = MIN(reclaim->left_bytes, PORTION_BYTES);
    text = g_strdup_printf("%" PRIu64, bytes);
    reclaim->left_bytes -= bytes;
    /* -EAGAIN: not as much as that can be had any more */
    if (kernel_file_write(reclaim->directory, "memory.reclaim", text) < 0 || reclaim->left_bytes == 0)
        return reclaim_end(reclaim, limited);
    return true;
}
