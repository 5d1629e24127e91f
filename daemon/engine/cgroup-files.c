/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups as directories and files: mounts and membership as text, making, removing, listing, killing. No
 * libcgroup here. Invariant: nothing above a mount point is touched, and no walk goes deeper than
 * DEPTH_MAX (a task that was given its own groups may nest them as it likes). */
#include "engine/cgroup-files.h"
#include "engine/cgroup.h"
#include "util/parse-util.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 64U
#define VALUE_MAX (1U << 20)

/* ---- mounts and membership ---- */

void cgroup_hierarchy_done(CgroupHierarchy *hierarchy)
{
    g_clear_pointer(&hierarchy->mount, g_free);
    g_clear_pointer(&hierarchy->root, g_free);
    g_clear_pointer(&hierarchy->name, g_free);
}

/* mountinfo writes blanks, tabs, newlines and backslashes as \ooo */
static char *unescape(const char *field)
{
    return g_strcompress(field);
}

static void take_v1_options(CgroupHierarchy *hierarchy, const char *options)
{
    g_auto(GStrv) words = g_strsplit(options, ",", -1);

    for (char **word = words; *word; word++) {
        int controller = cgroup_controller_from_word(*word);
        if (controller >= 0)
            hierarchy->controllers |= CGROUP_BIT(controller);
        else if (g_str_has_prefix(*word, "name=") && !hierarchy->name)
            hierarchy->name = g_strdup(*word + strlen("name="));
    }
}

/* "31 23 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory" */
static bool parse_mount(const char *line, CgroupHierarchy *ret)
{
    g_auto(GStrv) fields = g_strsplit(line, " ", -1);
    guint n = g_strv_length(fields), dash = 6;

    while (dash < n && strcmp(fields[dash], "-") != 0)
        dash++;
    if (dash + 3 >= n)
        return false;
    bool unified = strcmp(fields[dash + 1], "cgroup2") == 0;
    if (!unified && strcmp(fields[dash + 1], "cgroup") != 0)
        return false;
    *ret = (CgroupHierarchy) {
        .mount = unescape(fields[4]),
        .root = unescape(fields[3]),
        .unified = unified,
    };
    if (!unified)
        take_v1_options(ret, fields[dash + 3]);
    return true;
}

static bool is_known(const CgroupHierarchy *known, size_t n, const CgroupHierarchy *one)
{
    for (size_t i = 0; i < n; i++)
        if (known[i].unified == one->unified && known[i].controllers == one->controllers &&
            g_strcmp0(known[i].name, one->name) == 0)
            return true;
    return false;
}

/* A v1 hierarchy of controllers that mean nothing here. */
static bool is_of_no_use(const CgroupHierarchy *one)
{
    return !one->unified && one->controllers == 0 && !one->name;
}

size_t cgroup_parse_mounts(const char *mountinfo, CgroupHierarchy *hierarchies, size_t max)
{
    g_auto(GStrv) lines = g_strsplit(mountinfo, "\n", -1);
    size_t n = 0;

    for (char **line = lines; *line && n < max; line++) {
        CgroupHierarchy one = { 0 };
        if (!parse_mount(*line, &one))
            continue;
        if (is_of_no_use(&one) || is_known(hierarchies, n, &one))
            cgroup_hierarchy_done(&one);
        else
            hierarchies[n++] = one;
    }
    return n;
}

/* Is this the second field of a line of /proc/PID/cgroup that means the hierarchy? */
static bool field_means(const char *field, const CgroupHierarchy *hierarchy)
{
    if (hierarchy->unified)
        return *field == '\0';
    if (hierarchy->name)
        return g_str_has_prefix(field, "name=") && strcmp(field + strlen("name="), hierarchy->name) == 0;

    g_auto(GStrv) words = g_strsplit(field, ",", -1);
    for (char **word = words; *word; word++) {
        int controller = cgroup_controller_from_word(*word);
        if (controller >= 0 && (hierarchy->controllers & CGROUP_BIT(controller)))
            return true;
    }
    return false;
}

char *cgroup_path_in(const char *text, const CgroupHierarchy *hierarchy)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        char *field = strchr(*line, ':');
        char *path = field ? strchr(field + 1, ':') : NULL;
        if (!path)
            continue;
        *path = '\0';
        if (path[1] == '/' && field_means(field + 1, hierarchy))
            return g_strdup(path + 1);
    }
    return NULL;
}

bool cgroup_path_is_below(const char *path, const char *group)
{
    size_t n = strlen(group);

    while (n > 0 && group[n - 1] == '/')
        n--;
    return strncmp(path, group, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

char *cgroup_directory(const CgroupHierarchy *hierarchy, const char *path)
{
    if (*path != '/' || strstr(path, "/../") || g_str_has_suffix(path, "/.."))
        return NULL;
    if (strcmp(hierarchy->root, "/") == 0)
        return g_strconcat(hierarchy->mount, path, NULL);
    if (!cgroup_path_is_below(path, hierarchy->root))
        return NULL;
    return g_strconcat(hierarchy->mount, path + strlen(hierarchy->root), NULL);
}

/* ---- files ---- */

static int read_file(const char *path, char **ret_text)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[4096];
    ssize_t n;

    if (fd < 0)
        return -errno;
    while ((n = read(fd, buffer, sizeof buffer)) > 0 && text->len < VALUE_MAX)
        g_string_append_len(text, buffer, n);
    if (n < 0)
        return -errno;
    *ret_text = g_string_free(g_steal_pointer(&text), FALSE);
    return 0;
}

static int write_file(const char *path, const char *value)
{
    /* O_NONBLOCK: since Linux 6.16 a lower memory.max or memory.high is set at once, and reclaimed for by whoever wants more;
     * before, and without it, the writer waits for the reclaim. */
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    size_t size = strlen(value);

    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, value, size);
    if (n < 0)
        return -errno;
    return (size_t) n == size ? 0 : -EIO;
}

int cgroup_read_membership(int32_t pid, char **ret_text)
{
    char path[32];

    (void) g_snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    return read_file(path, ret_text);
}

static char *core_path(const CgroupHierarchy *hierarchy, const char *path, const char *file)
{
    g_autofree char *directory = cgroup_directory(hierarchy, path);

    return directory ? g_build_filename(directory, file, NULL) : NULL;
}

int cgroup_read_core(const CgroupHierarchy *hierarchy, const char *path, const char *file, char **ret_value)
{
    g_autofree char *where = core_path(hierarchy, path, file);
    char *value = NULL;

    int r = where ? read_file(where, &value) : -ENOENT;
    if (r < 0)
        return r;
    *ret_value = g_strchomp(value);
    return 0;
}

int cgroup_write_core(const CgroupHierarchy *hierarchy, const char *path, const char *file, const char *value)
{
    g_autofree char *where = core_path(hierarchy, path, file);

    return where ? write_file(where, value) : -ENOENT;
}

/* ---- directories ---- */

int cgroup_files_make(const char *directory, size_t mount_length)
{
    g_autofree char *path = g_strdup(directory);

    for (char *p = path + mount_length; p && *p;) {
        p = strchr(p + 1, '/');
        if (p)
            *p = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return -errno;
        if (p)
            *p = '/';
    }
    return 0;
}

static bool lists_word(const char *text, const char *word)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \n", -1);

    return g_strv_contains((const char *const *) words, word);
}

static void enable_in(const char *directory, uint32_t controllers)
{
    g_autofree char *control = g_build_filename(directory, "cgroup.subtree_control", NULL);
    g_autofree char *enabled = NULL;

    if (read_file(control, &enabled) < 0)
        return;
    for (unsigned c = 0; c < _CGROUP_CONTROLLER_MAX; c++) {
        const char *word = cgroup_controller_word(c, true);
        if (!(controllers & CGROUP_BIT(c)) || lists_word(enabled, word))
            continue;
        /* one by one: a refused one must not take the others with it */
        g_autofree char *plus = g_strconcat("+", word, NULL);
        (void) write_file(control, plus);
    }
}

void cgroup_files_enable(const char *directory, size_t mount_length, uint32_t controllers)
{
    g_autofree char *path = g_strdup(directory);

    for (char *p = path + mount_length; p && *p; p = strchr(p + 1, '/')) {
        *p = '\0';
        enable_in(path, controllers);
        *p = '/';
    }
}

typedef int (*GroupVisitor)(const char *directory, void *userdata);

/* The groups below first, then the group. */
static int walk(const char *directory, unsigned depth, GroupVisitor visit, void *userdata)
{
    DIR *dir = opendir(directory);
    int r = 0;

    if (!dir)
        return -errno;
    for (struct dirent *entry; r >= 0 && depth < DEPTH_MAX && (entry = readdir(dir));) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        g_autofree char *below = g_build_filename(directory, entry->d_name, NULL);
        r = walk(below, depth + 1, visit, userdata);
        if (r == -ENOENT || r == -ENODEV)
            r = 0; /* went meanwhile */
    }
    closedir(dir);
    return r < 0 ? r : visit(directory, userdata);
}

static int visit_remove(const char *directory, void *userdata)
{
    return rmdir(directory) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_files_remove(const char *directory)
{
    int r = walk(directory, 0, visit_remove, NULL);

    return r == -ENOENT ? 0 : r;
}

static int visit_pids(const char *directory, void *userdata)
{
    g_autofree char *procs = g_build_filename(directory, "cgroup.procs", NULL);
    g_autofree char *text = NULL;
    GArray *pids = userdata;

    int r = read_file(procs, &text);
    if (r < 0)
        return r;
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        uint64_t number;
        int32_t pid = parse_uint64(line, &number) == 0 && number <= INT32_MAX ? (int32_t) number : 0;
        if (pid > 0) /* 0: outside of this PID namespace */
            g_array_append_val(pids, pid);
    }
    return 0;
}

int cgroup_files_list_pids(const char *directory, GArray *pids)
{
    return walk(directory, 0, visit_pids, pids);
}

int cgroup_list_pids(const CgroupHierarchy *hierarchy, const char *path, GArray *pids)
{
    g_autofree char *directory = cgroup_directory(hierarchy, path);

    return directory ? cgroup_files_list_pids(directory, pids) : -ENOENT;
}

typedef struct TreeWrite {
    const char *file, *value;
} TreeWrite;

static int visit_write(const char *directory, void *userdata)
{
    const TreeWrite *tree = userdata;
    g_autofree char *path = g_build_filename(directory, tree->file, NULL);

    return write_file(path, tree->value);
}

int cgroup_write_tree(const CgroupHierarchy *hierarchy, const char *path, const char *file, const char *value)
{
    g_autofree char *directory = cgroup_directory(hierarchy, path);
    TreeWrite tree = { file, value };

    return directory ? walk(directory, 0, visit_write, &tree) : -ENOENT;
}

/* ---- the life of a group ---- */

int cgroup_kill(const CgroupHierarchy *hierarchy, const char *path)
{
    g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(int32_t));

    if (strcmp(path, "/") == 0)
        return -EPERM; /* the whole machine is nobody's worker */
    if (hierarchy->unified && cgroup_write_core(hierarchy, path, "cgroup.kill", "1") >= 0)
        return 0;
    int r = cgroup_list_pids(hierarchy, path, pids);
    if (r < 0)
        return r;
    for (guint i = 0; i < pids->len; i++)
        if (g_array_index(pids, int32_t, i) != getpid())
            (void) kill(g_array_index(pids, int32_t, i), SIGKILL);
    return 0;
}

/* "populated 0\nfrozen 0" */
static int populated_of(const char *events)
{
    g_auto(GStrv) lines = g_strsplit(events, "\n", -1);

    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "populated "))
            return strcmp(*line, "populated 0") != 0;
    return -EBADMSG;
}

int cgroup_is_empty(const CgroupHierarchy *hierarchy, const char *path)
{
    g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(int32_t));
    g_autofree char *events = NULL;
    int r;

    if (hierarchy->unified) {
        r = cgroup_read_core(hierarchy, path, "cgroup.events", &events);
        if (r >= 0)
            r = populated_of(events);
        if (r >= 0)
            return !r;
        if (r == -ENOENT || r == -ENODEV)
            return 1;
    }
    r = cgroup_list_pids(hierarchy, path, pids);
    if (r == -ENOENT || r == -ENODEV)
        return 1;
    return r < 0 ? r : pids->len == 0;
}
