/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One round over the outputs, in two passes: the first removes what is too old and adds up what is left,
 * the second, if that is over the quota, removes from the oldest folder on until it is not. A folder
 * holds the files and packs of ten thousand consecutive tasks (model/output-path.h). What has not the
 * name of an output is not ours, and stays. Workers write meanwhile: what they use is either of an active
 * task, or younger than a minute; a pack that is removed under them they make again. */
#include "output/output-sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/parse-util.h"

#define TASKS_PER_FOLDER 10000U
#define FILES_PER_STEP 256U
#define YOUNG_USEC (60 * USEC_PER_SEC) /* and not removed for the quota */

typedef struct Round {
    const OutputSweep *sweep;
    OutputSwept swept;
    unsigned in_step;
    uint64_t folder;
    int folder_fd;
    bool for_quota;
} Round;

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}

void output_sweep_sort(GArray *active)
{
    g_array_sort(active, compare_numbers);
}

/* Is a task of that range active? */
static bool any_active(const Round *round, uint64_t first, uint64_t last)
{
    const GArray *active = round->sweep->active;
    guint low = 0, high = active ? active->len : 0;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (g_array_index(active, uint64_t, middle) < first)
            low = middle + 1;
        else
            high = middle;
    }
    return active && low < active->len && g_array_index(active, uint64_t, low) <= last;
}

/* Which tasks is it of? "17.1.out", "17.1.err", one of these with ".new", or "w3.pack". */
static bool parse_name(const Round *round, const char *name, uint64_t *ret_first, uint64_t *ret_last)
{
    g_auto(GStrv) part = g_strsplit(name, ".", 5);
    guint n = g_strv_length(part);
    uint64_t task, number;

    if (n == 2 && part[0][0] == 'w' && parse_uint64(part[0] + 1, &number) >= 0 &&
        strcmp(part[1], "pack") == 0) {
        *ret_first = round->folder * TASKS_PER_FOLDER;
        *ret_last = *ret_first + TASKS_PER_FOLDER - 1;
        return true;
    }
    if (n < 3 || n > 4 || (n == 4 && strcmp(part[3], "new") != 0) || parse_uint64(part[0], &task) < 0 ||
        parse_uint64(part[1], &number) < 0 || (strcmp(part[2], "out") != 0 && strcmp(part[2], "err") != 0))
        return false;
    *ret_first = *ret_last = task;
    return true;
}

static bool is_older(const Round *round, const struct stat *st, uint64_t usec)
{
    uint64_t written =
        (uint64_t) st->st_mtim.tv_sec * USEC_PER_SEC + (uint64_t) st->st_mtim.tv_nsec / NSEC_PER_USEC;

    return usec != UINT64_MAX && usec_add(written, usec) < round->sweep->now_usec;
}

static bool may_go(const Round *round, const struct stat *st)
{
    if (!round->for_quota)
        return is_older(round, st, round->sweep->keep_usec);
    return round->swept.kept_bytes > round->sweep->quota_bytes && is_older(round, st, YOUNG_USEC);
}

static void deal_with(Round *round, const char *name)
{
    uint64_t first, last, size;
    struct stat st;

    if (!parse_name(round, name, &first, &last) ||
        fstatat(round->folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
        return;
    size = (uint64_t) st.st_blocks * 512;
    if (may_go(round, &st) && !any_active(round, first, last) && unlinkat(round->folder_fd, name, 0) >= 0) {
        round->swept.removed_files++;
        round->swept.removed_bytes += size;
        if (round->for_quota)
            round->swept.kept_bytes -= MIN(size, round->swept.kept_bytes);
    } else if (!round->for_quota) {
        round->swept.kept_bytes += size;
    }
}

/* True: go on. */
static bool step(Round *round)
{
    if (++round->in_step < FILES_PER_STEP)
        return true;
    round->in_step = 0;
    return !round->sweep->pause || round->sweep->pause(round->sweep->userdata);
}

static int sweep_files(Round *round, DIR *files)
{
    const struct dirent *entry;

    while ((entry = readdir(files))) {
        if (entry->d_name[0] != '.')
            deal_with(round, entry->d_name);
        if (!step(round))
            return -ECANCELED;
    }
    return 0;
}

/* What cannot be opened (it has just gone, or is no folder) is passed over. */
static int sweep_folder(Round *round, int top, uint64_t folder)
{
    g_autofree char *name = g_strdup_printf("%" G_GUINT64_FORMAT, folder);
    int fd = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;
    DIR *files = fd >= 0 ? fdopendir(fd) : NULL;

    if (!files) {
        close_fd(fd);
        return 0;
    }
    round->folder = folder;
    round->folder_fd = fd;
    r = sweep_files(round, files);
    (void) closedir(files);
    (void) unlinkat(top, name, AT_REMOVEDIR); /* if it is empty */
    return r;
}

/* The numbers of the folders, lowest first. */
static GArray *list_folders(int top)
{
    GArray *folders = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    uint64_t number;

    while (entries && (entry = readdir(entries)))
        if (parse_uint64(entry->d_name, &number) >= 0 && number <= UINT64_MAX / TASKS_PER_FOLDER)
            g_array_append_val(folders, number);
    if (entries)
        (void) closedir(entries);
    else
        close_fd(fd);
    g_array_sort(folders, compare_numbers);
    return folders;
}

static int sweep_all(Round *round, int top)
{
    g_autoptr(GArray) folders = list_folders(top);
    int r = 0;

    for (guint i = 0; i < folders->len && r >= 0; i++) {
        if (round->for_quota && round->swept.kept_bytes <= round->sweep->quota_bytes)
            break;
        r = sweep_folder(round, top, g_array_index(folders, uint64_t, i));
    }
    return r;
}

int output_sweep_run(const OutputSweep *sweep, OutputSwept *ret)
{
    _cleanup_close_ int top = open(sweep->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    Round round = { .sweep = sweep, .folder_fd = -EBADF };
    int r;

    if (top < 0)
        return -errno;
    r = sweep_all(&round, top);
    if (r >= 0 && round.swept.kept_bytes > sweep->quota_bytes) {
        round.for_quota = true;
        r = sweep_all(&round, top);
    }
    *ret = round.swept;
    return r;
}
