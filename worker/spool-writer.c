/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's last will: a whole file under its final name, or none. */
#include "worker/spool-writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "model/spool.h"

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            size -= (size_t) n;
        }
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int write_file(int directory, const char *name, const GString *text)
{
    _cleanup_close_ int fd =
        openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : write_all(fd, text->str, text->len);
}

static int write_text(const char *directory, const char *id, const GString *text)
{
    g_autofree char *temporary = g_strconcat(".", id, ".new", NULL);
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (g_mkdir_with_parents(directory, 0700) < 0)
        return -errno;
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = write_file(fd, temporary, text);
    if (r >= 0 && renameat(fd, temporary, fd, id) < 0)
        r = -errno;
    if (r < 0) {
        (void) unlinkat(fd, temporary, 0);
        return r;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int spool_write(const char *directory, const char *id, ResultQueue *queue)
{
    g_autoptr(GString) text = g_string_new(NULL);

    result_queue_unsend(queue);
    for (const GList *item = result_queue_unsent(queue); item; item = item->next)
        spool_append_line(text, item->data);
    return text->len == 0 ? 0 : write_text(directory, id, text);
}
