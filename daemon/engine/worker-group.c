/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One worker's groups in all hierarchies, handled as one thing. What counts as "its processes" is told by
 * one hierarchy, the tracking one: v2 where it has the group, else systemd's own, else any other. Limits
 * and usage come from whichever hierarchy has the controller. The root of a hierarchy is never a worker's
 * group. */
#include "engine/worker-group.h"
#include "engine/limit-check.h"
#include "util/parse-util.h"

#include <string.h>

void worker_group_done(WorkerGroup *group)
{
    for (size_t i = 0; i < CGROUP_HIERARCHY_MAX; i++)
        g_clear_pointer(&group->paths[i], g_free);
}

char *worker_group_cut(const char *path, const char *marker)
{
    size_t n = strlen(marker);
    const char *end = NULL;

    /* the last one: a daemon may itself run inside a worker of that number */
    for (const char *p = strstr(path, marker); p; p = strstr(p + 1, marker))
        if (p[n] == '\0' || p[n] == '/')
            end = p + n;
    return end ? g_strndup(path, (gsize) (end - path)) : NULL;
}

int worker_group_find(WorkerGroup *group, int32_t pid, const char *marker)
{
    g_autofree char *text = NULL;
    bool found = false;

    int r = cgroup_read_membership(pid, &text);
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    worker_group_done(group);
    for (size_t i = 0; i < cgroup_hierarchy_count(); i++) {
        g_autofree char *path = cgroup_path_in(text, cgroup_hierarchy(i));
        group->paths[i] = path ? worker_group_cut(path, marker) : NULL;
        found = found || group->paths[i];
    }
    return found ? 0 : -ENOENT;
}

int worker_group_recall(WorkerGroup *group, const char *control_group, const char *marker)
{
    g_autofree char *path = control_group ? worker_group_cut(control_group, marker) : NULL;
    bool found = false;

    worker_group_done(group);
    for (size_t i = 0; path && i < cgroup_hierarchy_count(); i++) {
        g_autofree char *directory = cgroup_directory(cgroup_hierarchy(i), path);
        if (!directory || !g_file_test(directory, G_FILE_TEST_IS_DIR))
            continue;
        group->paths[i] = g_strdup(path);
        found = true;
    }
    return found ? 0 : -ENOENT;
}

static int tracking_hierarchy(const WorkerGroup *group)
{
    int unified = cgroup_hierarchy_unified(), named = cgroup_hierarchy_named("systemd");

    if (unified >= 0 && group->paths[unified])
        return unified;
    if (named >= 0 && group->paths[named])
        return named;
    for (size_t i = 0; i < cgroup_hierarchy_count(); i++)
        if (group->paths[i])
            return (int) i;
    return -ENOENT;
}

const char *worker_group_path(const WorkerGroup *group)
{
    int i = tracking_hierarchy(group);

    return i < 0 ? NULL : group->paths[i];
}

bool worker_group_contains(const WorkerGroup *group, int32_t pid)
{
    g_autofree char *text = NULL;
    int i = tracking_hierarchy(group);

    if (i < 0 || cgroup_read_membership(pid, &text) < 0)
        return false;
    g_autofree char *path = cgroup_path_in(text, cgroup_hierarchy((size_t) i));
    return path && cgroup_path_is_below(path, group->paths[i]);
}

/* v1 cannot kill at once: frozen, nothing can fork away from the list. */
static void stop_all(const WorkerGroup *group)
{
    int i = cgroup_hierarchy_of(CGROUP_FREEZER);

    if (i >= 0 && group->paths[i])
        (void) !cgroup_write(cgroup_hierarchy((size_t) i), group->paths[i], CGROUP_FREEZER, "freezer.state",
                             "FROZEN");
}

/* On v1 what is frozen dies only when it goes on: also the tasks that stood still, in groups of their own. */
static void let_all_go(const WorkerGroup *group)
{
    int i = cgroup_hierarchy_of(CGROUP_FREEZER);

    if (i >= 0 && group->paths[i])
        (void) !cgroup_write_tree(cgroup_hierarchy((size_t) i), group->paths[i], "freezer.state", "THAWED");
}

int worker_group_kill(const WorkerGroup *group)
{
    int i = tracking_hierarchy(group);

    if (i < 0)
        return 0;
    stop_all(group);
    int r = cgroup_kill(cgroup_hierarchy((size_t) i), group->paths[i]);
    let_all_go(group);
    return r == -ENOENT || r == -ENODEV ? 0 : r;
}

bool worker_group_is_empty(const WorkerGroup *group)
{
    int i = tracking_hierarchy(group);

    return i < 0 || cgroup_is_empty(cgroup_hierarchy((size_t) i), group->paths[i]) != 0;
}

void worker_group_remove(const WorkerGroup *group)
{
    for (size_t i = 0; i < cgroup_hierarchy_count(); i++)
        if (group->paths[i])
            (void) !cgroup_remove(cgroup_hierarchy(i), group->paths[i]);
}

/* ---- usage ---- */

static int read_controller(const WorkerGroup *group, CgroupController controller, const char *file,
                           char **ret_value)
{
    int i = cgroup_hierarchy_of(controller);

    if (i < 0 || !group->paths[i])
        return -ENOENT;
    return cgroup_read(cgroup_hierarchy((size_t) i), group->paths[i], controller, file, ret_value);
}

/* The first of the files that there is. */
static uint64_t read_number(const WorkerGroup *group, CgroupController controller, const char *v2_file,
                            const char *v1_file)
{
    g_autofree char *value = NULL;
    int i = cgroup_hierarchy_of(controller);
    uint64_t number;

    if (i < 0)
        return UINT64_MAX;
    const char *file = cgroup_hierarchy((size_t) i)->unified ? v2_file : v1_file;
    if (!file || read_controller(group, controller, file, &value) < 0 || parse_uint64(value, &number) < 0)
        return UINT64_MAX;
    return number;
}

/* v2 accounts in every group, whatever its controllers: "usage_usec 1234\nuser_usec …". */
static uint64_t read_unified_cpu(const WorkerGroup *group)
{
    g_autofree char *text = NULL;
    int i = cgroup_hierarchy_unified();
    uint64_t usec;

    if (i < 0 || !group->paths[i] ||
        cgroup_read_core(cgroup_hierarchy((size_t) i), group->paths[i], "cpu.stat", &text) < 0)
        return UINT64_MAX;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "usage_usec ") && parse_uint64(*line + strlen("usage_usec "), &usec) == 0)
            return usec * NSEC_PER_USEC;
    return UINT64_MAX;
}

void worker_group_usage(const WorkerGroup *group, EngineUsage *ret)
{
    uint64_t cpu = read_unified_cpu(group);

    *ret = (EngineUsage) {
        .memory_bytes = read_number(group, CGROUP_MEMORY, "memory.current", "memory.usage_in_bytes"),
        .memory_peak_bytes = read_number(group, CGROUP_MEMORY, "memory.peak", "memory.max_usage_in_bytes"),
        .cpu_nsec = cpu != UINT64_MAX ? cpu : read_number(group, CGROUP_CPUACCT, NULL, "cpuacct.usage"),
    };
}

/* ---- setting limits ---- */

/* What was in a file that was written. */
typedef struct Written {
    const CgroupHierarchy *hierarchy;
    const char *path, *file; /* not owned */
    char *before;
} Written;

static void written_clear(void *data)
{
    g_free(((Written *) data)->before);
}

static void take_back(const GArray *written)
{
    for (guint i = written->len; i-- > 0;) {
        const Written *one = &g_array_index(written, Written, i);
        (void) !cgroup_write_core(one->hierarchy, one->path, one->file, *one->before ? one->before : "\n");
    }
}

/* A set of CPUs or nodes cannot be emptied while there are processes, not even on v2, where an empty one would do: it gets that of
 * the group above. */
static char *value_to_write(const CgroupHierarchy *hierarchy, const char *path, const LimitSetting *setting)
{
    g_autofree char *above = g_path_get_dirname(path), *effective = g_strconcat(setting->file, ".effective", NULL);
    g_autofree char *has = NULL;
    char *value = NULL;

    if (*setting->value)
        return g_strdup(setting->value);
    if (cgroup_read_core(hierarchy, path, setting->file, &has) < 0 || !*has ||
        cgroup_read_core(hierarchy, above, hierarchy->unified ? effective : setting->file, &value) < 0)
        return g_strdup("\n");
    return value;
}

/* In plain files: libcgroup does not hand on what the kernel says. */
static int write_setting(const CgroupHierarchy *hierarchy, const char *path, const LimitSetting *setting,
                         GArray *written, char **ret_why)
{
    g_autofree char *value = value_to_write(hierarchy, path, setting);
    Written one = { .hierarchy = hierarchy, .path = path, .file = setting->file };

    int r = cgroup_read_core(hierarchy, path, setting->file, &one.before);
    if (r == -ENOENT)
        return 0; /* then nothing is enforced, either */
    if (r >= 0)
        r = cgroup_write_core(hierarchy, path, setting->file, value);
    if (r < 0 && !setting->may_fail) {
        *ret_why = g_strdup_printf("the kernel does not take \"%s\" for %s: %s", g_strchomp(value), setting->file,
                                   r == -EBUSY ? "more is in use" : g_strerror(-r));
        g_free(one.before);
        return r;
    }
    if (r < 0 || setting->controller == CGROUP_IO) /* reads as more than can be written */
        written_clear(&one);
    else
        g_array_append_val(written, one);
    return 0;
}

int worker_group_set_limits(const WorkerGroup *group, const WorkerLimits *limits, char **ret_why)
{
    g_autoptr(GArray) written = g_array_new(FALSE, FALSE, sizeof(Written));
    int r = 0;

    g_array_set_clear_func(written, written_clear);
    for (size_t h = 0; r >= 0 && h < cgroup_hierarchy_count(); h++) {
        const CgroupHierarchy *hierarchy = cgroup_hierarchy(h);
        g_autoptr(GArray) settings = limit_settings(limits, hierarchy->controllers, hierarchy->unified, true);
        for (guint i = 0; r >= 0 && group->paths[h] && i < settings->len; i++)
            r = write_setting(hierarchy, group->paths[h], &g_array_index(settings, LimitSetting, i), written, ret_why);
    }
    if (r < 0)
        take_back(written);
    return r;
}

int worker_group_check_memory(const WorkerGroup *group, const WorkerLimits *limits, char **ret_why)
{
    uint64_t has = read_number(group, CGROUP_MEMORY, "memory.max", "memory.limit_in_bytes");

    if (limits->memory_max_bytes == LIMIT_INFINITY || has == UINT64_MAX || has <= limits->memory_max_bytes)
        return 0;
    g_autofree char *has_text = format_bytes(has), *wanted = format_bytes(limits->memory_max_bytes);
    *ret_why = g_strdup_printf("the kernel keeps a memory limit of %s instead of %s: more is in use", has_text, wanted);
    return -EBUSY;
}

/* ---- checking limits ---- */

typedef struct CheckedGroup {
    const WorkerGroup *group;
    const char *membership;
} CheckedGroup;

/* A group that the worker is not in enforces nothing, whatever stands in its files. */
static int checked_version(CgroupController controller, void *userdata)
{
    const CheckedGroup *checked = userdata;
    int i = cgroup_hierarchy_of(controller);

    if (i < 0 || !checked->group->paths[i])
        return 0;
    const CgroupHierarchy *hierarchy = cgroup_hierarchy((size_t) i);
    g_autofree char *path = cgroup_path_in(checked->membership, hierarchy);
    if (!path || !cgroup_path_is_below(path, checked->group->paths[i]))
        return 0;
    return hierarchy->unified ? 2 : 1;
}

static int checked_read(CgroupController controller, const char *file, char **ret_value, void *userdata)
{
    const CheckedGroup *checked = userdata;

    return read_controller(checked->group, controller, file, ret_value);
}

/* A head line, and one line for each area. */
static bool machine_swaps(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/swaps", &text, NULL, NULL))
        return false;
    const char *first = strchr(text, '\n');
    return first && first[1] != '\0';
}

char **worker_group_not_enforced(const WorkerGroup *group, int32_t pid, const WorkerLimits *limits)
{
    g_autofree char *membership = NULL;

    if (!worker_group_path(group))
        return limit_check_none(limits, "this worker has no cgroup");
    if (cgroup_read_membership(pid, &membership) < 0)
        return g_new0(char *, 1); /* it is over: there is nothing to enforce */
    CheckedGroup checked = { .group = group, .membership = membership };
    LimitSource source = {
        .version = checked_version, .read = checked_read, .has_swap = machine_swaps(), .userdata = &checked
    };
    return limit_check(limits, &source);
}
