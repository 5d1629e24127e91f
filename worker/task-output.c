/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files for what tasks print. Owned by the runner. The folder of the latest task stays open, since the
 * next task is most likely in the same; it may be removed by whoever cleans up, then it is made again. */
#include "worker/task-output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define TASKS_PER_FOLDER 10000U
#define NAME_BYTES 64

struct OutputStore {
    char *directory;
    uint64_t folder; /* UINT64_MAX: none open */
    int folder_fd;
};

OutputStore *output_store_new(const char *directory)
{
    OutputStore *store = g_new(OutputStore, 1);

    *store = (OutputStore) { .directory = g_strdup(directory), .folder = UINT64_MAX, .folder_fd = -EBADF };
    return store;
}

OutputStore *output_store_free(OutputStore *store)
{
    if (!store)
        return NULL;
    close_fd(store->folder_fd);
    g_free(store->directory);
    g_free(store);
    return NULL;
}

static void forget_folder(OutputStore *store)
{
    store->folder_fd = close_fd(store->folder_fd);
    store->folder = UINT64_MAX;
}

static int open_folder(OutputStore *store, uint64_t folder)
{
    g_autofree char *path = NULL;

    if (store->folder == folder)
        return 0;
    forget_folder(store);
    path = g_strdup_printf("%s/%" PRIu64, store->directory, folder);
    store->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->folder_fd < 0 && errno == ENOENT) {
        if (g_mkdir_with_parents(path, 0700) < 0)
            return -errno;
        store->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (store->folder_fd < 0)
        return -errno;
    store->folder = folder;
    return 0;
}

static void format_name(const OutputName *name, char buffer[static NAME_BYTES])
{
    (void) snprintf(buffer, NAME_BYTES, "%" PRIu64 ".%" PRIu32 ".%s", name->task, name->attempt,
                    name->stream == STREAM_STDERR ? "err" : "out");
}

static int open_file(OutputStore *store, const OutputName *name)
{
    char file[NAME_BYTES];
    int fd = -EBADF, r;

    format_name(name, file);
    for (int tries = 0; tries < 2; tries++) {
        r = open_folder(store, name->task / TASKS_PER_FOLDER);
        if (r < 0)
            return r;
        /* readable as well, for the tail */
        fd = openat(store->folder_fd, file, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
                    0600);
        if (fd >= 0 || errno != ENOENT)
            break;
        forget_folder(store); /* somebody removed it */
    }
    return fd < 0 ? -errno : fd;
}

int output_store_open(OutputStore *store, const OutputName *name, uint32_t uid, uint32_t gid, int *ret_fd)
{
    _cleanup_close_ int fd = open_file(store, name);

    if (fd < 0)
        return fd;
    /* a program may open /dev/stdout, which asks for the rights on the file */
    if ((uid != geteuid() || gid != getegid()) && geteuid() == 0 && fchown(fd, uid, gid) < 0)
        return -errno;
    *ret_fd = steal_fd(&fd);
    return 0;
}

void output_store_settle(OutputStore *store, const OutputName *name, int fd)
{
    char file[NAME_BYTES];
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size > 0 || open_folder(store, name->task / TASKS_PER_FOLDER) < 0)
        return;
    format_name(name, file);
    (void) unlinkat(store->folder_fd, file, 0);
}

GBytes *output_tail(int fd)
{
    char buffer[STDERR_TAIL_BYTES];
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0 || st.st_size <= 0)
        return NULL;
    n = pread(fd, buffer, sizeof buffer, MAX(st.st_size - (off_t) sizeof buffer, 0));
    return n > 0 ? g_bytes_new(buffer, (size_t) n) : NULL;
}
