/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of one slot's task. Owned by the slot. The folder for the result belongs to the task's user and
 * stays between tasks of the same user, empty: a task that leaves nothing costs three system calls.
 * Credentials stay the worker's own (their user may read them, but neither change them nor fill the memory
 * they lie in) where access lists allow it. */
#include "worker/task-files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "util/log.h"
#include "util/parse-util.h"
#include "worker/open-below.h"

#define RESULT_NAME "result"
#define INPUTS_NAME "inputs"

struct TaskFiles {
    FileSite *site;
    PrivateFolder *folder, *secrets;
    uint32_t slot, uid;
    bool ready;           /* the folder is there for the task */
    bool has_inputs;
    char *result, *inputs; /* paths */
    int *credential_fds;
    size_t n_credentials;
};

static char *beside(const char *path, const char *name)
{
    g_autofree char *directory = g_path_get_dirname(path);

    return g_build_filename(directory, name, NULL);
}

FileSite *file_site_new(const LaunchRecord *record)
{
    g_autofree char *slots = beside(record->output_directory, "slots");
    g_autofree char *secrets = beside(record->socket, "credentials");
    FileSite *site = g_new(FileSite, 1);

    site->slots = folder_site_new(slots, record->id);
    site->secrets = folder_site_new(secrets, record->id);
    return site;
}

FileSite *file_site_free(FileSite *site)
{
    if (!site)
        return NULL;
    (void) folder_site_free(site->slots);
    (void) folder_site_free(site->secrets);
    g_free(site);
    return NULL;
}

bool file_site_remove_some(FileSite *site)
{
    bool more = folder_site_remove_some(site->slots);

    return folder_site_remove_some(site->secrets) || more;
}

bool file_site_is_pending(const FileSite *site)
{
    return folder_site_is_pending(site->slots) || folder_site_is_pending(site->secrets);
}

TaskFiles *task_files_new(FileSite *site, uint32_t slot)
{
    TaskFiles *files = g_new0(TaskFiles, 1);

    files->site = site;
    files->slot = slot;
    files->folder = private_folder_new(site->slots, slot);
    files->secrets = private_folder_new(site->secrets, slot);
    return files;
}

TaskFiles *task_files_free(TaskFiles *files)
{
    if (!files)
        return NULL;
    task_files_close_credentials(files);
    (void) private_folder_free(files->folder);
    (void) private_folder_free(files->secrets);
    g_free(files->result);
    g_free(files->inputs);
    g_free(files);
    return NULL;
}

TaskFileNames task_files_names(const TaskFiles *files)
{
    return (TaskFileNames) {
        .result = files->ready ? files->result : NULL,
        .inputs = files->has_inputs ? files->inputs : NULL,
        .credentials = files->n_credentials > 0 ? private_folder_path(files->secrets) : NULL,
    };
}

/* ------------------------------------------------------------------ before the task */

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        data += n;
        size -= (size_t) n;
    }
    return 0;
}

static int give_to_user(int fd, const TaskContext *context)
{
    bool foreign = context->uid != geteuid() || context->gid != getegid();

    return foreign && geteuid() == 0 && fchown(fd, context->uid, context->gid) < 0 ? -errno : 0;
}

static int write_input(int directory, const TaskInput *input, const TaskContext *context)
{
    _cleanup_close_ int fd =
        openat(directory, input->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    gsize size;
    const void *data = g_bytes_get_data(input->data, &size);
    int r;

    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    r = write_all(fd, data, size);
    return r < 0 ? r : give_to_user(fd, context);
}

/* The folder above is the user's: what has the name by now must be what we have made, which the user can
 * put away but not put another in place of. */
static int make_inputs_folder(const TaskFiles *files)
{
    int above = private_folder_fd(files->folder);
    _cleanup_close_ int fd = -EBADF;
    struct stat st;

    if (mkdirat(above, INPUTS_NAME, 0700) < 0)
        return -errno;
    fd = open_below(above, INPUTS_NAME, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    return st.st_uid == geteuid() ? steal_fd(&fd) : -EPERM;
}

static int write_inputs(TaskFiles *files, const TaskContext *context, const GPtrArray *inputs,
                        char **ret_why)
{
    _cleanup_close_ int fd = make_inputs_folder(files);
    int r = fd < 0 ? fd : 0;

    if (r < 0)
        *ret_why = g_strdup_printf("cannot make a folder for its inputs: %s", g_strerror(-r));
    for (guint i = 0; i < inputs->len && r >= 0; i++) {
        const TaskInput *input = inputs->pdata[i];

        r = write_input(fd, input, context);
        if (r < 0)
            *ret_why = g_strdup_printf("cannot write input '%s': %s", input->name, g_strerror(-r));
    }
    return r < 0 ? r : give_to_user(fd, context);
}

static void set_paths(TaskFiles *files)
{
    const char *path = private_folder_path(files->folder);

    if (files->result && strncmp(files->result, path, strlen(path)) == 0)
        return;
    g_free(files->result);
    g_free(files->inputs);
    files->result = g_build_filename(path, RESULT_NAME, NULL);
    files->inputs = g_build_filename(path, INPUTS_NAME, NULL);
}

int task_files_prepare(TaskFiles *files, const TaskContext *context, const GPtrArray *inputs, char **ret_why)
{
    static bool warned;
    int r;

    files->ready = files->has_inputs = false;
    files->uid = context->uid;
    r = private_folder_prepare(files->folder, context->uid, context->gid);
    if (r < 0 && !warned)
        (void) log_warning_errno(r, "Cannot make a folder for the results of tasks: %m");
    warned |= r < 0;
    if (r < 0 && inputs)
        *ret_why = g_strdup_printf("cannot make a folder for its inputs: %s", g_strerror(-r));
    if (r < 0)
        return r;
    files->ready = true;
    set_paths(files);
    if (!inputs)
        return 0;
    files->has_inputs = true;
    return write_inputs(files, context, inputs, ret_why);
}

/* ------------------------------------------------------------------ credentials */

/* Lets a user read (and, of a folder, enter) what stays ours. */
static int let_read(int fd, uint32_t uid, uint16_t rights)
{
    struct {
        struct posix_acl_xattr_header header;
        struct posix_acl_xattr_entry entries[5];
    } list = {
        .header = { GUINT32_TO_LE(POSIX_ACL_XATTR_VERSION) },
        .entries = {
            { GUINT16_TO_LE(ACL_USER_OBJ), GUINT16_TO_LE(rights | ACL_WRITE), GUINT32_TO_LE(UINT32_MAX) },
            { GUINT16_TO_LE(ACL_USER), GUINT16_TO_LE(rights), GUINT32_TO_LE(uid) },
            { GUINT16_TO_LE(ACL_GROUP_OBJ), 0, GUINT32_TO_LE(UINT32_MAX) },
            { GUINT16_TO_LE(ACL_MASK), GUINT16_TO_LE(rights), GUINT32_TO_LE(UINT32_MAX) },
            { GUINT16_TO_LE(ACL_OTHER), 0, GUINT32_TO_LE(UINT32_MAX) },
        },
    };

    return fsetxattr(fd, "system.posix_acl_access", &list, sizeof list, 0) < 0 ? -errno : 0;
}

static int open_to_user(int fd, const TaskContext *context, uint16_t rights)
{
    if (context->uid == geteuid())
        return 0;
    if (let_read(fd, context->uid, rights) >= 0)
        return 0;
    return give_to_user(fd, context); /* where there are no access lists */
}

static int make_credential(TaskFiles *files, const TaskContext *context, const char *name)
{
    _cleanup_close_ int fd = openat(private_folder_fd(files->secrets), name,
                                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    int r;

    if (fd < 0)
        return -errno;
    r = open_to_user(fd, context, ACL_READ);
    if (r < 0)
        return r;
    files->credential_fds[files->n_credentials++] = steal_fd(&fd);
    return 0;
}

int task_files_make_credentials(TaskFiles *files, const TaskContext *context, const char *const *names,
                                size_t n, const int **ret_fds)
{
    int r;

    task_files_close_credentials(files);
    r = private_folder_prepare(files->secrets, geteuid(), getegid());
    if (r < 0)
        return r;
    files->credential_fds = g_new(int, n);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = make_credential(files, context, names[i]);
    if (r >= 0)
        r = open_to_user(private_folder_fd(files->secrets), context, ACL_READ | ACL_EXECUTE);
    if (r < 0)
        return r;
    *ret_fds = files->credential_fds;
    return 0;
}

void task_files_close_credentials(TaskFiles *files)
{
    for (size_t i = 0; files->credential_fds && i < files->n_credentials; i++)
        close_fd(files->credential_fds[i]);
    g_clear_pointer(&files->credential_fds, g_free);
}

/* ------------------------------------------------------------------ after the task */

static char *describe_size(uint64_t size)
{
    g_autofree char *is = format_bytes(size), *most = format_bytes(RESULT_BYTES_MAX);

    return g_strdup_printf("its result has %s, over %s, and was dropped", is, most);
}

/* Everything here is as the task wanted it; above all, whose file it is: a link to, or the name of, what
 * the user may not read would be read by us. */
static GBytes *read_result(int fd, uint32_t uid, char **ret_note)
{
    g_autofree char *data = NULL;
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        *ret_note = g_strdup("its result is not a regular file and was dropped");
        return NULL;
    }
    if (st.st_uid != uid) {
        *ret_note = g_strdup("its result belongs to another user and was dropped");
        return NULL;
    }
    if ((uint64_t) st.st_size > RESULT_BYTES_MAX) {
        *ret_note = describe_size((uint64_t) st.st_size);
        return NULL;
    }
    data = g_malloc(RESULT_BYTES_MAX);
    n = read(fd, data, RESULT_BYTES_MAX);
    if (n < 0)
        *ret_note = g_strdup_printf("its result cannot be read: %s", g_strerror(errno));
    return n > 0 ? g_bytes_new(data, (size_t) n) : NULL;
}

static void collect_result(TaskFiles *files, TaskResult *result)
{
    _cleanup_close_ int fd = open_below(private_folder_fd(files->folder), RESULT_NAME, O_RDONLY);
    char *note = NULL;

    if (fd >= 0)
        result->data = read_result(fd, files->uid, &note);
    else if (fd == -ELOOP)
        note = g_strdup("its result is a symbolic link and was dropped");
    else if (fd != -ENOENT)
        note = g_strdup_printf("its result cannot be read: %s", g_strerror(-fd));
    if (note && !result->note)
        result->note = g_steal_pointer(&note);
    g_free(note);
}

void task_files_collect(TaskFiles *files, TaskResult *result)
{
    task_files_close_credentials(files);
    if (files->n_credentials > 0 || private_folder_fd(files->secrets) >= 0) {
        private_folder_clear(files->secrets);
        private_folder_remove(files->secrets);
    }
    files->n_credentials = 0;
    if (!files->ready || private_folder_is_empty(files->folder))
        return;
    collect_result(files, result);
    private_folder_clear(files->folder);
}
