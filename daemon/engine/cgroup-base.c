/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The groups of the cgroup engine: where they may be made, and making one worker's.
 *
 * v1: below the daemon's own group in each hierarchy that is of use. v2: controllers can only be handed to
 * groups below one that has no processes of its own (but for the root). So if the daemon is alone in its
 * group, it moves to the leaf "daemon" and the workers' groups become its siblings; a group that others
 * are in as well, or that systemd has not delegated, is left alone. */
#include "engine/cgroup-base.h"
#include "engine/limit-check.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <systemd/sd-daemon.h>

#define BASE_NAME "parexec"
#define LEAF_NAME "/daemon"

/* Always of use: for accounting, for killing, and for limits that come later. */
#define CONTROLLERS_ALWAYS                                                                                   \
    (CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUACCT) |                       \
     CGROUP_BIT(CGROUP_PIDS) | CGROUP_BIT(CGROUP_FREEZER))
#define CONTROLLERS_ALL (CONTROLLERS_ALWAYS | CGROUP_BIT(CGROUP_CPUSET) | CGROUP_BIT(CGROUP_IO))

void cgroup_base_done(CgroupBase *base)
{
    for (size_t i = 0; i < cgroup_hierarchy_count(); i++) {
        const char *path = base->groups.paths[i];
        g_autofree char *directory = path ? cgroup_directory(cgroup_hierarchy(i), path) : NULL;
        if (directory)
            (void) rmdir(directory); /* refused while there are workers */
    }
    worker_group_done(&base->groups);
    g_clear_pointer(&base->reason, g_free);
}

static char *below(const char *path, const char *name)
{
    return g_strconcat(strcmp(path, "/") == 0 ? "" : path, "/", name, NULL);
}

static void set_reason(CgroupBase *base, char *reason /* taken */)
{
    g_free(base->reason);
    base->reason = reason;
}

/* ---- v2 ---- */

/* The root has no type, and may have both processes and controllers below. */
static bool is_true_root(const CgroupHierarchy *hierarchy, const char *path)
{
    g_autofree char *type = NULL;

    return cgroup_read_core(hierarchy, path, "cgroup.type", &type) == -ENOENT;
}

/* systemd marks the groups below which it does nothing; a user's own is the user's. */
static bool is_delegated(const CgroupHierarchy *hierarchy, const char *path)
{
    static const char *const names[] = { "trusted.delegate", "user.delegate" };
    g_autofree char *directory = cgroup_directory(hierarchy, path);
    struct stat st;
    char value = 0;

    if (geteuid() != 0 && directory && stat(directory, &st) == 0 && st.st_uid == geteuid())
        return true;
    for (size_t i = 0; directory && i < G_N_ELEMENTS(names); i++)
        if (getxattr(directory, names[i], &value, 1) == 1 && value == '1')
            return true;
    return false;
}

/* Processes of the group itself, those below not counted. */
static bool has_only(const CgroupHierarchy *hierarchy, const char *path, int32_t pid)
{
    g_autofree char *procs = NULL;
    char number[16] = "";

    if (pid > 0)
        (void) g_snprintf(number, sizeof number, "%d", pid);
    return cgroup_read_core(hierarchy, path, "cgroup.procs", &procs) == 0 && strcmp(procs, number) == 0;
}

static char *parent_of_leaf(const CgroupHierarchy *hierarchy, const char *own)
{
    if (!g_str_has_suffix(own, LEAF_NAME))
        return NULL;
    g_autofree char *parent = g_path_get_dirname(own);
    return has_only(hierarchy, parent, 0) ? g_steal_pointer(&parent) : NULL;
}

/* Moves the daemon out of the way. NULL with a reason if that must not or cannot be done. */
static char *make_room(CgroupBase *base, const CgroupHierarchy *hierarchy, const char *own)
{
    g_autofree char *leaf = g_strconcat(strcmp(own, "/") == 0 ? "" : own, LEAF_NAME, NULL);

    if (sd_booted() > 0 && !is_delegated(hierarchy, own)) {
        set_reason(base, g_strdup_printf("the cgroup %s belongs to systemd and is not delegated", own));
        return NULL;
    }
    if (!has_only(hierarchy, own, getpid())) {
        set_reason(base, g_strdup_printf("the cgroup %s has other processes in it", own));
        return NULL;
    }
    int r = cgroup_create(hierarchy, leaf, 0);
    if (r >= 0)
        r = cgroup_attach(hierarchy, leaf, getpid());
    if (r < 0) {
        set_reason(base,
                   g_strdup_printf("no group can be made below the cgroup %s: %s", own, g_strerror(-r)));
        return NULL;
    }
    return g_strdup(own);
}

static char *unified_parent(CgroupBase *base, const CgroupHierarchy *hierarchy, const char *own)
{
    /* Without controllers (they are on v1) groups may be made anywhere. */
    if (!(hierarchy->controllers & CONTROLLERS_ALL) || is_true_root(hierarchy, own))
        return g_strdup(own);
    char *parent = parent_of_leaf(hierarchy, own);
    return parent ? parent : make_room(base, hierarchy, own);
}

/* ---- all hierarchies ---- */

static void prepare_hierarchy(CgroupBase *base, size_t index, const char *membership)
{
    const CgroupHierarchy *hierarchy = cgroup_hierarchy(index);
    g_autofree char *own = cgroup_path_in(membership, hierarchy);
    g_autofree char *parent = NULL;

    if (!own || (!hierarchy->unified && !(hierarchy->controllers & CONTROLLERS_ALL)))
        return;
    parent = hierarchy->unified ? unified_parent(base, hierarchy, own) : g_strdup(own);
    if (!parent)
        return;
    g_autofree char *path = below(parent, BASE_NAME);
    int r = cgroup_create(hierarchy, path, hierarchy->controllers & CONTROLLERS_ALL);
    if (r >= 0)
        base->groups.paths[index] = g_steal_pointer(&path);
    else if (!base->reason)
        set_reason(base,
                   g_strdup_printf("no group can be made below the cgroup %s: %s", own, g_strerror(-r)));
}

void cgroup_base_prepare(CgroupBase *base)
{
    g_autofree char *membership = NULL;

    int r = cgroup_read_membership(getpid(), &membership);
    for (size_t i = 0; r >= 0 && i < cgroup_hierarchy_count(); i++)
        prepare_hierarchy(base, i, membership);
    if (worker_group_path(&base->groups))
        set_reason(base, NULL);
    else if (!base->reason)
        set_reason(base, g_strdup("no cgroup hierarchy is mounted"));
}

/* ---- one worker ---- */

/* A new cpuset of v1 has no CPUs and no memory, and takes no process before it has. */
static void fill_cpuset(const CgroupHierarchy *hierarchy, const char *path, const char *parent)
{
    static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *value = NULL, *has = NULL;
        if (cgroup_read(hierarchy, path, CGROUP_CPUSET, files[i], &has) == 0 && *has)
            continue;
        if (cgroup_read(hierarchy, parent, CGROUP_CPUSET, files[i], &value) == 0)
            (void) !cgroup_write(hierarchy, path, CGROUP_CPUSET, files[i], value);
    }
}

static void fill_cpusets(const CgroupHierarchy *hierarchy, const char *base, const char *path)
{
    g_autofree char *above = g_path_get_dirname(base);

    fill_cpuset(hierarchy, base, above);
    fill_cpuset(hierarchy, path, base);
}

/* What the kernel refuses is left to the read-back to tell. */
static void set_limits(const CgroupHierarchy *hierarchy, const char *path, const WorkerLimits *limits)
{
    g_autoptr(GArray) settings = limit_settings(limits, hierarchy->controllers, hierarchy->unified, false);

    for (guint i = 0; i < settings->len; i++) {
        const LimitSetting *setting = &g_array_index(settings, LimitSetting, i);
        (void) !cgroup_write(hierarchy, path, setting->controller, setting->file, setting->value);
    }
}

static int add_to_hierarchy(const CgroupHierarchy *hierarchy, const char *base, const char *path,
                            const WorkerLimits *limits, int32_t pid)
{
    uint32_t controllers = hierarchy->controllers & (CONTROLLERS_ALWAYS | limit_controllers(limits));

    if (!hierarchy->unified && controllers == 0)
        return -ENOENT; /* nothing to limit here */
    int r = cgroup_create(hierarchy, path,
                          hierarchy->unified ? hierarchy->controllers & CONTROLLERS_ALL : controllers);
    if (r < 0)
        return r;
    if (!hierarchy->unified && (controllers & CGROUP_BIT(CGROUP_CPUSET)))
        fill_cpusets(hierarchy, base, path);
    set_limits(hierarchy, path, limits);
    return cgroup_attach(hierarchy, path, pid);
}

int cgroup_base_add_worker(const CgroupBase *base, const char *id, const WorkerLimits *limits, int32_t pid,
                           WorkerGroup *ret)
{
    g_autofree char *marker = g_strconcat("/" BASE_NAME "/", id, NULL);

    for (size_t i = 0; i < cgroup_hierarchy_count(); i++) {
        const char *parent = base->groups.paths[i];
        if (!parent)
            continue;
        g_autofree char *path = below(parent, id);
        if (add_to_hierarchy(cgroup_hierarchy(i), parent, path, limits, pid) < 0)
            (void) !cgroup_remove(cgroup_hierarchy(i), path);
    }
    return worker_group_find(ret, pid, marker); /* the kernel's word for where it is */
}
