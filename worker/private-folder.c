/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folders of slots. Owned by TaskFiles. What the user of a folder did in it, or does at this moment, is
 * not trusted: everything goes through the folder's descriptor, no link is followed, and a folder passes
 * from one user to another only by being made anew. The site itself is the workers', others may only pass
 * through it.
 *
 * A worker holds a lock on a file ".<worker>" of the site as long as it lives; the folders of one that was
 * killed are known by that lock being free, and removed by the next worker that starts. */
#include "worker/private-folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "model/ids.h"
#include "worker/open-below.h"

#define FILES_AT_ONCE 64
#define NAMES_TRIED_MAX 16

struct FolderSite {
    char *path;
    const char *worker;
    int fd, lock; /* -EBADF: not there yet */
    Rubbish *rubbish;
};

struct PrivateFolder {
    FolderSite *site;
    uint32_t slot, generation;
    uint32_t uid, gid;
    char *path;
    const char *name; /* in path */
    int fd;           /* -EBADF: it is not there */
};

/* ------------------------------------------------------------------ the site */

static int site_open_lock(const FolderSite *site, const char *worker, int flags)
{
    g_autofree char *name = g_strconcat(".", worker, NULL);
    int fd = openat(site->fd, name, flags | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : fd;
}

static int site_unlink_lock(const FolderSite *site, const char *worker)
{
    g_autofree char *name = g_strconcat(".", worker, NULL);

    return unlinkat(site->fd, name, 0) < 0 ? -errno : 0;
}

/* Another worker may hold the lock for a moment, to see that it is free, and remove the file. */
static void site_lock(FolderSite *site)
{
    struct stat st = { 0 };

    while (st.st_nlink == 0) {
        site->lock = close_fd(site->lock);
        site->lock = site_open_lock(site, site->worker, O_CREAT);
        if (site->lock < 0 || flock(site->lock, LOCK_EX) < 0 || fstat(site->lock, &st) < 0)
            return;
    }
}

/* Is that worker gone? Its lock is removed then. */
static bool site_bury(const FolderSite *site, const char *worker)
{
    _cleanup_close_ int fd = site_open_lock(site, worker, 0);

    if (fd < 0)
        return fd == -ENOENT;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 && site_unlink_lock(site, worker) >= 0;
}

/* Folders are <worker>-<slot>, locks .<worker>. */
static void site_sweep(FolderSite *site)
{
    DIR *list = fdopendir(fcntl(site->fd, F_DUPFD_CLOEXEC, 3));
    struct dirent *entry;

    while (list && (entry = readdir(list))) {
        bool is_lock = entry->d_name[0] == '.';
        g_autofree char *worker = g_strndup(entry->d_name + is_lock, strcspn(entry->d_name + is_lock, "-"));
        uint32_t number;

        if (worker_id_parse(worker, &number) < 0 || strcmp(worker, site->worker) == 0)
            continue;
        if (site_bury(site, worker) && !is_lock)
            (void) !rubbish_take(site->rubbish, entry->d_name);
    }
    if (list)
        (void) closedir(list);
}

static int site_open(FolderSite *site)
{
    if (site->fd >= 0)
        return 0;
    if (g_mkdir_with_parents(site->path, 0711) < 0)
        return -errno;
    site->fd = open(site->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (site->fd < 0)
        return -errno;
    site->rubbish = rubbish_new(site->fd);
    site_lock(site);
    site_sweep(site);
    return 0;
}

FolderSite *folder_site_new(const char *path, const char *worker)
{
    FolderSite *site = g_new(FolderSite, 1);

    *site = (FolderSite) { .path = g_strdup(path), .worker = worker, .fd = -EBADF, .lock = -EBADF };
    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        (void) !site_open(site);
    return site;
}

FolderSite *folder_site_free(FolderSite *site)
{
    if (!site)
        return NULL;
    (void) rubbish_free(site->rubbish);
    if (site->lock >= 0)
        (void) site_unlink_lock(site, site->worker);
    close_fd(site->lock);
    close_fd(site->fd);
    g_free(site->path);
    g_free(site);
    return NULL;
}

bool folder_site_remove_some(FolderSite *site)
{
    return site->rubbish && rubbish_remove_some(site->rubbish);
}

bool folder_site_is_pending(const FolderSite *site)
{
    return site->rubbish && rubbish_is_pending(site->rubbish);
}

/* ------------------------------------------------------------------ folders */

PrivateFolder *private_folder_new(FolderSite *site, uint32_t slot)
{
    PrivateFolder *folder = g_new(PrivateFolder, 1);

    *folder = (PrivateFolder) { .site = site, .slot = slot, .fd = -EBADF };
    return folder;
}

PrivateFolder *private_folder_free(PrivateFolder *folder)
{
    if (!folder)
        return NULL;
    private_folder_remove(folder);
    g_free(folder->path);
    g_free(folder);
    return NULL;
}

int private_folder_fd(const PrivateFolder *folder)
{
    return folder->fd;
}

const char *private_folder_path(const PrivateFolder *folder)
{
    return folder->path;
}

static void folder_set_name(PrivateFolder *folder)
{
    const FolderSite *site = folder->site;

    g_free(folder->path);
    folder->path = folder->generation == 0 ?
        g_strdup_printf("%s/%s-%" PRIu32, site->path, site->worker, folder->slot) :
        g_strdup_printf("%s/%s-%" PRIu32 ".%" PRIu32, site->path, site->worker, folder->slot,
                        folder->generation);
    folder->name = strrchr(folder->path, '/') + 1;
}

/* What has the name, of a worker before or a user before, makes room; if it cannot, the name is another. */
static int folder_make(PrivateFolder *folder)
{
    int r = -EEXIST;

    for (int i = 0; i < NAMES_TRIED_MAX && r == -EEXIST; i++) {
        folder_set_name(folder);
        r = mkdirat(folder->site->fd, folder->name, 0700) < 0 ? -errno : 0;
        if (r == -EEXIST && rubbish_take(folder->site->rubbish, folder->name) < 0)
            folder->generation++;
    }
    return r;
}

static int folder_open(PrivateFolder *folder)
{
    bool foreign = folder->uid != geteuid() || folder->gid != getegid();
    int r;

    r = site_open(folder->site);
    if (r >= 0)
        r = folder_make(folder);
    if (r < 0)
        return r;
    folder->fd = openat(folder->site->fd, folder->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder->fd < 0)
        return -errno;
    if (foreign && geteuid() == 0 && fchown(folder->fd, folder->uid, folder->gid) < 0) {
        r = -errno;
        private_folder_remove(folder);
    }
    return r;
}

/* Is it still what it was made as? Its user may have changed the mode, and anybody of rights removed it. */
static bool folder_is_intact(const PrivateFolder *folder)
{
    struct stat st;

    return folder->fd >= 0 && fstat(folder->fd, &st) == 0 && st.st_nlink > 0 &&
           (st.st_mode & 07777) == 0700;
}

int private_folder_prepare(PrivateFolder *folder, uint32_t uid, uint32_t gid)
{
    if (folder->uid == uid && folder->gid == gid && folder_is_intact(folder))
        return 0;
    private_folder_remove(folder);
    folder->uid = uid;
    folder->gid = gid;
    return folder_open(folder);
}

bool private_folder_is_empty(const PrivateFolder *folder)
{
    char buffer[512] __attribute__((aligned(__alignof__(struct dirent64))));
    ssize_t n;

    if (folder->fd < 0 || lseek(folder->fd, 0, SEEK_SET) < 0)
        return true;
    while ((n = getdents64(folder->fd, buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const void *) (buffer + at);

            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                return false;
            at += entry->d_reclen;
        }
    return true;
}

static bool is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Removes a few files; false: something is left. */
static bool clear_files(int fd, bool with_folders)
{
    DIR *list = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3));
    struct dirent *entry;
    bool cleared = list;

    if (list)
        rewinddir(list);
    for (int n = 0; cleared && (entry = readdir(list)); n += is_entry(entry)) {
        if (!is_entry(entry) || unlinkat(fd, entry->d_name, 0) == 0) {
            cleared = n < FILES_AT_ONCE;
        } else if (with_folders && errno == EISDIR) {
            _cleanup_close_ int below = open_below(fd, entry->d_name, O_RDONLY | O_DIRECTORY);

            cleared = below >= 0 && clear_files(below, false) &&
                      unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0;
        } else {
            cleared = false;
        }
    }
    if (list)
        (void) closedir(list);
    return cleared;
}

void private_folder_clear(PrivateFolder *folder)
{
    if (private_folder_is_empty(folder) || clear_files(folder->fd, true))
        return;
    private_folder_remove(folder);
}

void private_folder_remove(PrivateFolder *folder)
{
    if (folder->fd < 0)
        return;
    folder->fd = close_fd(folder->fd);
    if (unlinkat(folder->site->fd, folder->name, AT_REMOVEDIR) < 0 && errno != ENOENT &&
        rubbish_take(folder->site->rubbish, folder->name) < 0)
        folder->generation++;
}
