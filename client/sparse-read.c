/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holes in outputs are made by the limit on what tasks print; they reach to whole blocks, and what is left
 * of a block is NUL bytes, which belong to the hole. What cannot be sought in is read as it comes. */

#include "client/sparse-read.h"

#include <glib/gi18n.h>
#include <string.h>
#include <sys/stat.h>

#include "util/parse-util.h"

/* Where data begin at or behind this place, and where they end. The descriptor is there afterwards. */
static int find_data(int fd, off_t from, off_t *ret_data, off_t *ret_end)
{
    off_t data = lseek(fd, from, SEEK_DATA), end;
    struct stat st;

    if (data < 0 && errno == ENXIO) { /* nothing but a hole, or the end */
        if (fstat(fd, &st) < 0)
            return -errno;
        data = MAX(st.st_size, from);
    } else if (data < 0)
        data = from;
    end = lseek(fd, data, SEEK_HOLE);
    if (lseek(fd, data, SEEK_SET) < 0)
        return -errno;
    *ret_data = data;
    *ret_end = end > data ? end : data;
    return 0;
}

static size_t count_nuls(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && p[i] == '\0')
        i++;
    return i;
}

ssize_t sparse_read(int fd, void *buffer, size_t size, uint64_t *ret_dropped)
{
    off_t from = lseek(fd, 0, SEEK_CUR), data = 0, end = 0;
    uint64_t dropped = 0;
    ssize_t n;

    *ret_dropped = 0;
    if (from < 0)
        return read(fd, buffer, size);
    for (;;) {
        int r = find_data(fd, from, &data, &end);
        if (r < 0) {
            errno = -r;
            return -1;
        }
        dropped += (uint64_t) (data - from);
        n = read(fd, buffer, end > data ? MIN(size, (size_t) (end - data)) : size);
        if (n < 0)
            return n;
        size_t nuls = dropped > 0 ? count_nuls(buffer, (size_t) n) : 0;
        dropped += nuls;
        n -= (ssize_t) nuls;
        memmove(buffer, (char *) buffer + nuls, (size_t) n);
        if (n > 0 || nuls == 0)
            break;
        from = data + (off_t) nuls;
    }
    *ret_dropped = dropped;
    return n;
}

char *sparse_note(uint64_t dropped)
{
    g_autofree char *size = format_bytes(dropped);

    return g_strdup_printf(_("[parexec: %s dropped here]\n"), size);
}
