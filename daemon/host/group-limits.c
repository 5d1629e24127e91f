/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits of the cgroups that this process and the workers are in, from the group itself up to the highest one that is
 * mounted: in a container that is the container's own. Both versions; in the hybrid layout a controller is in one of them, and
 * the files of the other are simply not there.
 *
 * What is "left" counts cached files as free, as MemAvailable of /proc/meminfo does. The workers' group is looked for beside each
 * of the groups above this process, the nearest first: below the root it is the system's, below user@UID.service the user's. So
 * what is above it has been read already; it is told by itself, and so is what lies in it, since only some workers are there. */
#include "host/group-limits.h"
#include "util/parse-util.h"

#include <math.h>
#include <string.h>

#define NO_LIMIT_V1 (UINT64_C(1) << 62) /* the kernel says LONG_MAX rounded down to a page */

/* ---- files ---- */

static char *read_text(const char *directory, const char *file)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

/* "max", "-1", what is no number and what is not there: no limit. */
static uint64_t read_number(const char *directory, const char *file)
{
    g_autofree char *text = read_text(directory, file);
    uint64_t number;

    return text && parse_uint64(text, &number) == 0 && number < NO_LIMIT_V1 ? number : UINT64_MAX;
}

/* The sum of two lines "key 1234" of memory.stat. */
static uint64_t read_cache(const char *directory, const char *inactive, const char *active)
{
    g_autofree char *text = read_text(directory, "memory.stat");
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
    uint64_t sum = 0;

    for (char **line = lines; *line; line++) {
        char *value = strchr(*line, ' ');
        uint64_t number;
        if (!value)
            continue;
        *value++ = '\0';
        bool counts = strcmp(*line, inactive) == 0 || strcmp(*line, active) == 0;
        if (counts && parse_uint64(value, &number) == 0)
            sum = usec_add(sum, number);
    }
    return sum;
}

/* ---- one group ---- */

static uint64_t memory_left(const char *directory, bool unified)
{
    uint64_t limit = read_number(directory, unified ? "memory.max" : "memory.limit_in_bytes");

    if (unified)
        limit = MIN(limit, read_number(directory, "memory.high"));
    if (limit == UINT64_MAX)
        return UINT64_MAX;
    uint64_t used = read_number(directory, unified ? "memory.current" : "memory.usage_in_bytes");
    if (used == UINT64_MAX)
        return limit;
    uint64_t cache = unified ? read_cache(directory, "inactive_file", "active_file")
                             : read_cache(directory, "total_inactive_file", "total_active_file");
    used -= MIN(used, cache);
    return limit > used ? limit - used : 0;
}

/* v2: "50000 100000" in one file, v1: in two. */
static double cpus_of(const char *directory, bool unified)
{
    g_autofree char *text = unified ? read_text(directory, "cpu.max") : NULL;
    uint64_t quota = UINT64_MAX, period = 0;

    if (!unified) {
        quota = read_number(directory, "cpu.cfs_quota_us");
        period = read_number(directory, "cpu.cfs_period_us");
    } else if (text) {
        g_auto(GStrv) words = g_strsplit(text, " ", 2);
        if (!words[0] || !words[1] || parse_uint64(words[0], &quota) < 0 || parse_uint64(words[1], &period) < 0)
            quota = UINT64_MAX;
    }
    if (quota == UINT64_MAX || period == 0 || period == UINT64_MAX)
        return INFINITY;
    return (double) quota / (double) period;
}

static void take_group(const char *directory, bool unified, HostGroup *limits)
{
    limits->free_bytes = MIN(limits->free_bytes, memory_left(directory, unified));
    limits->cpus = fmin(limits->cpus, cpus_of(directory, unified));
}

/* ---- one hierarchy ---- */

typedef struct Hierarchy {
    char *mount;   /* where it is */
    char *root;    /* the part of it that is mounted there */
    char *options; /* of v1: its controllers */
    bool unified;
} Hierarchy;

static void hierarchy_done(Hierarchy *hierarchy)
{
    g_free(hierarchy->mount);
    g_free(hierarchy->root);
    g_free(hierarchy->options);
}

static bool lists_word(const char *list, const char *word)
{
    g_auto(GStrv) words = g_strsplit(list, ",", -1);

    return g_strv_contains((const char *const *) words, word);
}

/* "31 23 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory" */
static bool parse_mount(const char *line, Hierarchy *ret)
{
    g_auto(GStrv) fields = g_strsplit(line, " ", -1);
    guint n = g_strv_length(fields), dash = 6;

    while (dash < n && strcmp(fields[dash], "-") != 0)
        dash++;
    if (dash + 3 >= n)
        return false;
    bool unified = strcmp(fields[dash + 1], "cgroup2") == 0, v1 = strcmp(fields[dash + 1], "cgroup") == 0;
    if (!unified && !(v1 && (lists_word(fields[dash + 3], "memory") || lists_word(fields[dash + 3], "cpu"))))
        return false;
    *ret = (Hierarchy) {
        .mount = g_strcompress(fields[4]), /* blanks are written as \040 */
        .root = g_strcompress(fields[3]),
        .options = g_strdup(fields[dash + 3]),
        .unified = unified,
    };
    return true;
}

/* "4:memory:/a/b"; v2: "0::/a/b" */
static char *own_path(const char *membership, const Hierarchy *hierarchy)
{
    g_auto(GStrv) lines = g_strsplit(membership, "\n", -1);

    for (char **line = lines; *line; line++) {
        g_auto(GStrv) fields = g_strsplit(*line, ":", 3);
        if (g_strv_length(fields) != 3)
            continue;
        bool is_it = hierarchy->unified ? *fields[1] == '\0'
                                        : (lists_word(fields[1], "memory") && lists_word(hierarchy->options, "memory")) ||
                                              (lists_word(fields[1], "cpu") && lists_word(hierarchy->options, "cpu"));
        if (is_it)
            return g_strdup(fields[2]);
    }
    return NULL;
}

/* Below the mount point; "" for what the mount does not show: a group outside of the namespace, "/../other". */
static const char *path_below_mount(const char *path, const char *root)
{
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0') || strstr(path, "/..") ||
        strcmp(path + n, "/") == 0)
        return "";
    return path + n;
}

/* The group of that name that is nearest to the process. NULL: there is none yet. */
static char *find_group(const char *top, const char *own, const char *name)
{
    g_autofree char *path = g_strdup(own);

    for (;;) {
        g_autofree char *directory = g_strconcat(top, path, "/", name, NULL);
        if (g_file_test(directory, G_FILE_TEST_IS_DIR))
            return g_strconcat(path, "/", name, NULL);
        char *end = strrchr(path, '/');
        if (!end)
            return NULL;
        *end = '\0';
    }
}

static void take_path(const char *top, const char *path, bool unified, HostGroup *limits)
{
    g_autofree char *rest = g_strdup(path);

    for (;;) {
        g_autofree char *directory = g_strconcat(top, rest, NULL);
        take_group(directory, unified, limits);
        char *end = strrchr(rest, '/');
        if (!end)
            return;
        *end = '\0';
    }
}

typedef struct Wanted {
    const char *root, *membership, *group, *slice;
} Wanted;

static void take_hierarchy(const Wanted *wanted, const Hierarchy *hierarchy, HostGroups *limits)
{
    g_autofree char *path = own_path(wanted->membership, hierarchy);

    if (!path)
        return;
    g_autofree char *top = g_strconcat(wanted->root, hierarchy->mount, NULL);
    const char *own = path_below_mount(path, hierarchy->root);
    g_autofree char *workers = find_group(top, own, wanted->group);
    take_path(top, own, hierarchy->unified, &limits->all);
    if (!workers)
        return;
    g_autofree char *group = g_strconcat(top, workers, NULL), *slice = g_strconcat(group, "/", wanted->slice, NULL);
    take_group(group, hierarchy->unified, &limits->engine);
    if (wanted->slice)
        take_group(slice, hierarchy->unified, &limits->slice);
}

void group_limits_read(const char *root, const char *group, const char *slice, HostGroups *ret)
{
    g_autofree char *mountinfo = read_text(root, "/proc/self/mountinfo");
    g_autofree char *membership = read_text(root, "/proc/self/cgroup");
    g_auto(GStrv) lines = g_strsplit(mountinfo ? mountinfo : "", "\n", -1);
    const Wanted wanted = { root, membership, group, slice };
    const HostGroup none = { UINT64_MAX, INFINITY };
    HostGroups limits = { none, none, none };

    for (char **line = lines; membership && *line; line++) {
        Hierarchy hierarchy;
        if (!parse_mount(*line, &hierarchy))
            continue;
        take_hierarchy(&wanted, &hierarchy, &limits);
        hierarchy_done(&hierarchy);
    }
    *ret = limits;
}
