/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The removal of folders that a task could write to. Owned by a FolderSite. They are renamed into a hidden
 * folder that only the worker may enter, and taken apart there: what is no folder is unlinked, what is one
 * is moved up, beside the others, until all are empty. So neither depth nor size costs memory, stack or
 * descriptors, and the work can stop after any number of files and be taken up again, also by another
 * worker process. No symbolic link is followed, and no mount point is entered or moved. What cannot be
 * removed (a mount point, an immutable file of root's) stays and is passed over. */
#include "worker/rubbish.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/open-below.h"

#define FILES_AT_ONCE 256
#define HIDDEN_NAME ".gone"
#define NAME_BYTES 48
#define NAMES_TRIED_MAX 1000

struct Rubbish {
    int directory, fd; /* fd: the hidden folder; -EBADF: not open yet */
    uint64_t counter;  /* of names */
    uint64_t progress; /* so much was removed or moved */
    bool pending;      /* there may be something to remove */
};

Rubbish *rubbish_new(int directory)
{
    Rubbish *rubbish = g_new(Rubbish, 1);

    *rubbish = (Rubbish) { .directory = directory, .fd = -EBADF };
    return rubbish;
}

Rubbish *rubbish_free(Rubbish *rubbish)
{
    if (!rubbish)
        return NULL;
    close_fd(rubbish->fd);
    g_free(rubbish);
    return NULL;
}

static int open_folder(int directory, const char *name)
{
    return open_below(directory, name, O_RDONLY | O_DIRECTORY);
}

static int open_hidden(Rubbish *rubbish)
{
    if (rubbish->fd >= 0)
        return 0;
    if (mkdirat(rubbish->directory, HIDDEN_NAME, 0700) < 0 && errno != EEXIST)
        return -errno;
    rubbish->fd = open_folder(rubbish->directory, HIDDEN_NAME);
    rubbish->pending = true; /* of workers before */
    return rubbish->fd < 0 ? rubbish->fd : 0;
}

/* Moves a folder to the top, under a name that no other worker takes. One that its owner may not write to
 * cannot be moved, unless by root. */
static int move_up(Rubbish *rubbish, int directory, const char *name)
{
    char target[NAME_BYTES];
    int r = -EEXIST;

    for (int tries = 0; tries < NAMES_TRIED_MAX && r < 0; tries++) {
        (void) snprintf(target, sizeof target, "%d.%" PRIu64, (int) getpid(), rubbish->counter++);
        r = renameat(directory, name, rubbish->fd, target) < 0 ? -errno : 0;
        if (r == -EACCES && geteuid() != 0 && fchmodat(directory, name, 0700, 0) == 0)
            r = renameat(directory, name, rubbish->fd, target) < 0 ? -errno : 0;
        if (r != -EEXIST && r != -ENOTEMPTY && r != -ENOTDIR)
            break;
    }
    if (r >= 0) {
        rubbish->progress++;
        rubbish->pending = true;
    }
    return r;
}

int rubbish_take(Rubbish *rubbish, const char *folder)
{
    int r;

    r = open_hidden(rubbish);
    return r < 0 ? r : move_up(rubbish, rubbish->directory, folder);
}

static bool remove_entry(Rubbish *rubbish, int directory, const char *name, int flags)
{
    if (unlinkat(directory, name, flags) < 0)
        return false;
    rubbish->progress++;
    return true;
}

static DIR *list_folder(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);

    if (!list)
        close_fd(copy);
    else
        rewinddir(list);
    return list;
}

/* Empties a folder, as far as the budget goes; false: it is used up. */
static bool empty_folder(Rubbish *rubbish, int fd, int *budget)
{
    DIR *list = list_folder(fd);
    struct dirent *entry;

    while (*budget > 0 && list && (entry = readdir(list))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        --*budget;
        if (!remove_entry(rubbish, fd, entry->d_name, 0) && (errno == EISDIR || errno == EPERM) &&
            !remove_entry(rubbish, fd, entry->d_name, AT_REMOVEDIR))
            (void) !move_up(rubbish, fd, entry->d_name);
    }
    if (list)
        (void) closedir(list);
    return *budget > 0;
}

static void remove_folder(Rubbish *rubbish, const char *name, int *budget)
{
    _cleanup_close_ int fd = -EBADF;

    if (geteuid() != 0)
        (void) fchmodat(rubbish->fd, name, 0700, 0);
    fd = open_folder(rubbish->fd, name);
    if (fd >= 0 && empty_folder(rubbish, fd, budget))
        (void) remove_entry(rubbish, rubbish->fd, name, AT_REMOVEDIR);
}

/* Goes through what there is, once. A round that changes nothing is the last: what is still there cannot be
 * removed. */
bool rubbish_remove_some(Rubbish *rubbish)
{
    int budget = FILES_AT_ONCE;
    uint64_t before = rubbish->progress;
    DIR *list = rubbish->fd >= 0 ? list_folder(rubbish->fd) : NULL;
    struct dirent *entry;

    while (budget > 0 && list && (entry = readdir(list))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        budget--;
        remove_folder(rubbish, entry->d_name, &budget);
    }
    if (list)
        (void) closedir(list);
    rubbish->pending = rubbish->progress > before;
    return rubbish->pending;
}

bool rubbish_is_pending(const Rubbish *rubbish)
{
    return rubbish->pending;
}
