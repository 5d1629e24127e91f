/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files for what tasks print. Owned by the worker's main. The folder of the latest task stays open
 * with its pack, since the next task is most likely in the same; either may be removed by whoever cleans
 * up, then it is made again. */
#include "worker/task-output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "util/log.h"
#include "util/parse-util.h"
#include "worker/output-cap.h"

#define TASKS_PER_FOLDER 10000U
#define NAME_BYTES 64
#define HEADER_BYTES 128
#define COPY_BYTES_MAX (UINT64_C(256) << 20) /* what is copied at once: the loop waits for it */
#define COPY_CHUNK_BYTES 65536

struct OutputStore {
    char *directory;
    uint64_t folder; /* UINT64_MAX: none open */
    int folder_fd;
    char *pack_name; /* NULL: nothing is packed */
    int pack_fd;     /* of the folder; -EBADF: not open */
    uint64_t pack_size;
    OutputCap *cap;
};

OutputStore *output_store_new(const char *directory)
{
    OutputStore *store = g_new(OutputStore, 1);

    *store = (OutputStore) { .directory = g_strdup(directory), .folder = UINT64_MAX, .folder_fd = -EBADF,
                             .pack_fd = -EBADF, .cap = output_cap_new() };
    return store;
}

OutputStore *output_store_free(OutputStore *store)
{
    if (!store)
        return NULL;
    close_fd(store->pack_fd);
    close_fd(store->folder_fd);
    (void) output_cap_free(store->cap);
    g_free(store->pack_name);
    g_free(store->directory);
    g_free(store);
    return NULL;
}

int output_store_attach(OutputStore *store, sd_event *event, const char *worker)
{
    g_free(store->pack_name);
    store->pack_name = g_strconcat(worker, ".pack", NULL);
    return output_cap_attach(store->cap, event);
}

static void forget_folder(OutputStore *store)
{
    store->pack_fd = close_fd(store->pack_fd);
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

static const char *stream_suffix(StdStream stream)
{
    return stream == STREAM_STDERR ? "err" : "out";
}

static void format_name(const OutputName *name, char buffer[static NAME_BYTES])
{
    (void) snprintf(buffer, NAME_BYTES, "%" PRIu64 ".%" PRIu32 ".%s", name->task, name->attempt,
                    stream_suffix(name->stream));
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

void output_store_limit(OutputStore *store, int fd, uint64_t max_bytes)
{
    output_cap_add(store->cap, fd, max_bytes);
}

/* ------------------------------------------------------------------ packs */

static int open_pack(OutputStore *store)
{
    struct stat st;

    if (store->pack_fd >= 0 && fstat(store->pack_fd, &st) >= 0 && st.st_nlink > 0)
        return 0;
    store->pack_fd = close_fd(store->pack_fd);
    store->pack_fd =
        openat(store->folder_fd, store->pack_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (store->pack_fd < 0 || fstat(store->pack_fd, &st) < 0)
        return -errno;
    store->pack_size = (uint64_t) st.st_size;
    return 0;
}

/* A part of a record at the end of the pack, as a full disk leaves it, is written over by the next. */
static int append_to_pack(OutputStore *store, const OutputName *name, void *data, size_t size,
                          OutputPlace *place)
{
    char header[HEADER_BYTES];
    int length = snprintf(header, sizeof header, "parexec-output %" PRIu64 " %" PRIu32 " %s %zu\n",
                          name->task, name->attempt, stream_suffix(name->stream), size);
    struct iovec parts[] = { { header, (size_t) length }, { data, size } };
    ssize_t n = pwritev(store->pack_fd, parts, G_N_ELEMENTS(parts), (off_t) store->pack_size);

    if (n < 0)
        return -errno;
    if ((size_t) n != (size_t) length + size)
        return -ENOSPC;
    *place = (OutputPlace) { .packed = true, .offset = store->pack_size + (uint64_t) length, .size = size };
    store->pack_size += (uint64_t) n;
    return 0;
}

/* A small finished file goes into the pack; where that fails, it stays. */
static int pack_file(OutputStore *store, const OutputName *name, int fd, size_t size, OutputPlace *place)
{
    char data[OUTPUT_PACKED_BYTES];
    int r;

    if (pread(fd, data, size, 0) != (ssize_t) size)
        return -EIO;
    r = open_pack(store);
    return r < 0 ? r : append_to_pack(store, name, data, size, place);
}

/* ------------------------------------------------------------------ files over their limit */

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t) n;
    }
    return 0;
}

static int copy_range(int from, uint64_t begin, uint64_t end, int to)
{
    g_autofree char *chunk = g_malloc(COPY_CHUNK_BYTES);
    off_t at = (off_t) begin;

    while ((uint64_t) at < end) {
        size_t wanted = (size_t) MIN(end - (uint64_t) at, COPY_CHUNK_BYTES);
        ssize_t n = copy_file_range(from, &at, to, NULL, (size_t) (end - (uint64_t) at), 0);
        int r;

        if (n > 0)
            continue;
        n = pread(from, chunk, wanted, at);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        r = write_all(to, chunk, (size_t) n);
        if (r < 0)
            return r;
        at += n;
    }
    return 0;
}

static int write_note(int to, const OutputCut *cut)
{
    g_autofree char *size = format_bytes(cut->lost + cut->end - cut->begin),
                    *note = g_strdup_printf("\n[parexec: %s dropped here]\n", size);

    return write_all(to, note, strlen(note));
}

static int copy_parts(int from, const OutputCut *cut, const struct stat *st, int to)
{
    int r;

    if (geteuid() == 0 && fchown(to, st->st_uid, st->st_gid) < 0)
        return -errno;
    r = copy_range(from, 0, cut->begin, to);
    if (r >= 0)
        r = write_note(to, cut);
    return r < 0 ? r : copy_range(from, cut->end, (uint64_t) st->st_size, to);
}

/* What is kept goes into a new file that takes the place of the old: who is reading that can read on. */
static int replace_file(OutputStore *store, const char *file, int fd, const OutputCut *cut,
                        const struct stat *st)
{
    g_autofree char *fresh = g_strconcat(file, ".new", NULL);
    _cleanup_close_ int to = -EBADF;
    int r;

    (void) unlinkat(store->folder_fd, fresh, 0);
    to = openat(store->folder_fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    r = copy_parts(fd, cut, st, to);
    if (r >= 0 && renameat(store->folder_fd, fresh, store->folder_fd, file) < 0)
        r = -errno;
    if (r < 0)
        (void) unlinkat(store->folder_fd, fresh, 0);
    return r;
}

/* Where it cannot be copied, or would take long, the file stays as it is, with a hole of exactly what is
 * dropped. */
static void cut_file(OutputStore *store, const char *file, int fd, const OutputCut *cut,
                     const struct stat *st)
{
    int r = -EFBIG;

    if ((uint64_t) st->st_size - (cut->end - cut->begin) <= COPY_BYTES_MAX)
        r = replace_file(store, file, fd, cut, st);
    if (r < 0)
        r = output_cut_punch(fd, cut);
    if (r < 0)
        (void) log_warning_errno(r, "Cannot cut %s/%" PRIu64 "/%s down to its limit: %m", store->directory,
                                 store->folder, file);
}

void output_store_settle(OutputStore *store, const OutputName *name, int fd, OutputPlace *place,
                         uint64_t *dropped_bytes)
{
    char file[NAME_BYTES];
    OutputCut cut;
    struct stat st;

    output_cap_remove(store->cap, fd, &cut);
    if (fstat(fd, &st) < 0 || open_folder(store, name->task / TASKS_PER_FOLDER) < 0)
        return;
    format_name(name, file);
    if (cut.lost + cut.end - cut.begin > 0)
        *dropped_bytes = cut.lost + cut.end - cut.begin;
    if (cut.end > cut.begin)
        cut_file(store, file, fd, &cut, &st);
    else if (st.st_size == 0 ||
             (store->pack_name && st.st_size <= OUTPUT_PACKED_BYTES &&
              pack_file(store, name, fd, (size_t) st.st_size, place) >= 0))
        (void) unlinkat(store->folder_fd, file, 0);
    else
        (void) futimens(fd, NULL); /* it is kept for so long from now on, not from when something was written */
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
