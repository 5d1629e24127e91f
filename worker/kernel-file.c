/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small files of the kernel. They tell what holds at the moment of the read, so nothing is buffered here;
 * what is read again and again (usage of a leaf) comes from descriptors that stay open, by pread(2). */
#include "worker/kernel-file.h"

#include <fcntl.h>
#include <string.h>

int kernel_file_read(int directory, const char *name, char **ret)
{
    _cleanup_close_ int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    g_autoptr(GString) text = g_string_new(NULL);
    char chunk[4096];
    ssize_t n;

    if (fd < 0)
        return -errno;
    while ((n = read(fd, chunk, sizeof chunk)) > 0) {
        if (text->len + (size_t) n > KERNEL_FILE_MAX)
            return -EFBIG;
        g_string_append_len(text, chunk, n);
    }
    if (n < 0)
        return -errno;
    *ret = g_string_free(g_steal_pointer(&text), FALSE);
    return 0;
}

int kernel_file_write(int directory, const char *name, const char *text)
{
    /* O_NONBLOCK: since Linux 6.16 a lower memory.max or memory.high is set at once, and reclaimed for by whoever wants more;
     * before, and without it, the writer waits for the reclaim. */
    _cleanup_close_ int fd = openat(directory, name, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* The beginning of an open file as a string. */
static int fd_text(int fd, char *buffer, size_t size)
{
    ssize_t n;

    if (fd < 0)
        return -EBADF;
    n = pread(fd, buffer, size - 1, 0);
    if (n < 0)
        return -errno;
    buffer[n] = '\0';
    return 0;
}

static int text_number(const char *text, uint64_t *ret)
{
    char *end;
    uint64_t value;

    if (!g_ascii_isdigit(*text))
        return -EINVAL;
    errno = 0;
    value = g_ascii_strtoull(text, &end, 10);
    if (errno)
        return -errno;
    *ret = value;
    return 0;
}

int kernel_fd_number(int fd, uint64_t *ret)
{
    char buffer[64];
    int r = fd_text(fd, buffer, sizeof buffer);

    return r < 0 ? r : text_number(buffer, ret);
}

int kernel_text_key(const char *text, const char *key, uint64_t *ret)
{
    size_t n = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, key, n) == 0 && line[n] == ' ')
            return text_number(line + n + 1, ret);
    }
    return -ENODATA;
}

int kernel_fd_key(int fd, const char *key, uint64_t *ret)
{
    char buffer[4096];
    int r = fd_text(fd, buffer, sizeof buffer);

    return r < 0 ? r : kernel_text_key(buffer, key, ret);
}
