/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hierarchies of this machine, found once at start, and what libcgroup does with groups in them.
 *
 * libcgroup says which controller lives at which mount, makes, removes and fills groups and reads their
 * files. What it does not know (a v2 hierarchy without controllers, name=systemd, bind mounts) or cannot
 * do (v2 without root: it writes to every ancestor; groups without controllers: it makes none and reports
 * success) is done with plain files here and in cgroup-files.c, and its word is not taken for it: each
 * result is checked against the file system. The table is written by cgroups_init() alone, before there
 * are threads. */
#include "engine/cgroup.h"
#include "engine/cgroup-files.h"

#include <fcntl.h>
#include <libcgroup.h>
#include <string.h>
#include <sys/stat.h>

static const char *const cgroup_controller_table[_CGROUP_CONTROLLER_MAX] = {
    [CGROUP_MEMORY] = "memory", [CGROUP_CPU] = "cpu",   [CGROUP_CPUACCT] = "cpuacct",
    [CGROUP_CPUSET] = "cpuset", [CGROUP_PIDS] = "pids", [CGROUP_IO] = "io",
    [CGROUP_FREEZER] = "freezer",
};
DEFINE_STRING_TABLE(cgroup_controller, CgroupController)

#define IO_WORD_V1 "blkio"

static CgroupHierarchy hierarchies[CGROUP_HIERARCHY_MAX];
static size_t n_hierarchies;
static bool libcgroup_works;

const char *cgroup_controller_word(CgroupController controller, bool unified)
{
    return controller == CGROUP_IO && !unified ? IO_WORD_V1 : cgroup_controller_to_string(controller);
}

int cgroup_controller_from_word(const char *word)
{
    return g_strcmp0(word, IO_WORD_V1) == 0 ? CGROUP_IO : cgroup_controller_from_string(word);
}

static int from_libcgroup(int r)
{
    static const struct {
        int code, error;
    } map[] = {
        { ECGROUPNOTEXIST, ENOENT },   { ECGROUPVALUENOTEXIST, ENOENT }, { ECGROUPSUBSYSNOTMOUNTED, ENOENT },
        { ECGROUPNOTMOUNTED, ENOENT }, { ECGROUPNOTOWNER, EPERM },       { ECGROUPNOTALLOWED, EPERM },
    };

    if (r == 0)
        return 0;
    if (r == ECGOTHER) {
        int error = cgroup_get_last_errno();
        return error > 0 ? -error : -EIO;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(map); i++)
        if (map[i].code == r)
            return -map[i].error;
    return -EIO;
}

/* Each controller goes to the hierarchy that is mounted where libcgroup says it lives. */
static void take_controllers(void)
{
    struct cgroup_mount_point point;
    void *handle = NULL;

    int r = cgroup_get_controller_begin(&handle, &point);
    for (; r == 0; r = cgroup_get_controller_next(&handle, &point)) {
        int controller = cgroup_controller_from_word(point.name);
        for (size_t i = 0; controller >= 0 && i < n_hierarchies; i++)
            if (strcmp(hierarchies[i].mount, point.path) == 0)
                hierarchies[i].controllers |= CGROUP_BIT(controller);
    }
    (void) cgroup_get_controller_end(&handle);
}

int cgroups_init(void)
{
    g_autofree char *mountinfo = NULL;

    if (n_hierarchies > 0)
        return 0;
    if (!g_file_get_contents("/proc/self/mountinfo", &mountinfo, NULL, NULL))
        return -ENOENT;
    n_hierarchies = cgroup_parse_mounts(mountinfo, hierarchies, G_N_ELEMENTS(hierarchies));
    if (n_hierarchies == 0)
        return -ENOENT;
    libcgroup_works = cgroup_init() == 0;
    if (libcgroup_works)
        take_controllers();
    return 0;
}

size_t cgroup_hierarchy_count(void)
{
    return n_hierarchies;
}

const CgroupHierarchy *cgroup_hierarchy(size_t index)
{
    g_assert(index < n_hierarchies);
    return &hierarchies[index];
}

int cgroup_hierarchy_of(CgroupController controller)
{
    for (size_t i = 0; i < n_hierarchies; i++)
        if (hierarchies[i].controllers & CGROUP_BIT(controller))
            return (int) i;
    return -ENOENT;
}

int cgroup_hierarchy_unified(void)
{
    for (size_t i = 0; i < n_hierarchies; i++)
        if (hierarchies[i].unified)
            return (int) i;
    return -ENOENT;
}

int cgroup_hierarchy_named(const char *name)
{
    for (size_t i = 0; i < n_hierarchies; i++)
        if (g_strcmp0(hierarchies[i].name, name) == 0)
            return (int) i;
    return -ENOENT;
}

/* libcgroup counts from the mount point, without a slash. NULL: not shown there, or the mount point
 * itself. */
static const char *libcgroup_name(const CgroupHierarchy *hierarchy, const char *directory)
{
    size_t n = strlen(hierarchy->mount);

    return libcgroup_works && directory && directory[n] == '/' && directory[n + 1] ? directory + n + 1 : NULL;
}

static struct cgroup *libcgroup_group(const char *name, uint32_t controllers, bool unified)
{
    struct cgroup *group = cgroup_new_cgroup(name);

    for (unsigned c = 0; group && c < _CGROUP_CONTROLLER_MAX; c++)
        if ((controllers & CGROUP_BIT(c)) && !cgroup_add_controller(group, cgroup_controller_word(c, unified)))
            cgroup_free(&group);
    return group;
}

static void libcgroup_create(const char *name, uint32_t controllers, bool unified)
{
    struct cgroup *group = libcgroup_group(name, controllers, unified);

    if (!group)
        return;
    (void) cgroup_create_cgroup(group, /* ignore_ownership= */ 1);
    cgroup_free(&group);
}

int cgroup_create(const CgroupHierarchy *hierarchy, const char *path, uint32_t controllers)
{
    g_autofree char *directory = cgroup_directory(hierarchy, path);
    const char *name = libcgroup_name(hierarchy, directory);

    if (!directory)
        return -ENOENT;
    controllers &= hierarchy->controllers;
    if (name && controllers && geteuid() == 0)
        libcgroup_create(name, controllers, hierarchy->unified);
    int r = cgroup_files_make(directory, strlen(hierarchy->mount));
    if (r < 0)
        return r;
    if (hierarchy->unified)
        cgroup_files_enable(directory, strlen(hierarchy->mount), controllers);
    return 0;
}

int cgroup_remove(const CgroupHierarchy *hierarchy, const char *path)
{
    g_autofree char *directory = cgroup_directory(hierarchy, path);
    const char *name = libcgroup_name(hierarchy, directory);

    if (!directory)
        return -ENOENT;
    if (name && hierarchy->controllers && geteuid() == 0) {
        struct cgroup *group = libcgroup_group(name, hierarchy->controllers, hierarchy->unified);
        if (group) {
            (void) cgroup_delete_cgroup_ext(group, CGFLAG_DELETE_RECURSIVE);
            cgroup_free(&group);
        }
    }
    return cgroup_files_remove(directory);
}

int cgroup_attach(const CgroupHierarchy *hierarchy, const char *path, int32_t pid)
{
    g_autofree char *directory = cgroup_directory(hierarchy, path);
    const char *name = libcgroup_name(hierarchy, directory);
    char number[16];

    if (name && !hierarchy->unified && hierarchy->controllers) {
        struct cgroup *group = libcgroup_group(name, hierarchy->controllers, hierarchy->unified);
        if (group) {
            int r = from_libcgroup(cgroup_attach_task_pid(group, pid));
            cgroup_free(&group);
            return r;
        }
    }
    (void) g_snprintf(number, sizeof number, "%d", pid);
    return cgroup_write_core(hierarchy, path, "cgroup.procs", number);
}

static int libcgroup_read(const char *name, const char *controller, const char *file, char **ret_value)
{
    g_autoptr(GString) value = g_string_new(NULL);
    g_autofree char *own_file = g_strdup(file); /* the library's parameter is not const */
    char buffer[1024];
    void *handle = NULL;

    int r = cgroup_read_value_begin(controller, name, own_file, &handle, buffer,
                                    sizeof buffer);
    if (r != 0 && r != ECGEOF)
        return from_libcgroup(r);
    for (; r == 0; r = cgroup_read_value_next(&handle, buffer, sizeof buffer))
        g_string_append(value, buffer);
    (void) cgroup_read_value_end(&handle);
    *ret_value = g_strchomp(g_string_free(g_steal_pointer(&value), FALSE));
    return 0;
}

int cgroup_read(const CgroupHierarchy *hierarchy, const char *path, CgroupController controller,
                const char *file, char **ret_value)
{
    g_autofree char *directory = cgroup_directory(hierarchy, path);
    const char *name = libcgroup_name(hierarchy, directory);

    if (name && (hierarchy->controllers & CGROUP_BIT(controller)))
        return libcgroup_read(name, cgroup_controller_word(controller, hierarchy->unified), file, ret_value);
    return cgroup_read_core(hierarchy, path, file, ret_value);
}

int cgroup_write(const CgroupHierarchy *hierarchy, const char *path, CgroupController controller,
                 const char *file, const char *value)
{
    g_autofree char *directory = cgroup_directory(hierarchy, path);
    const char *name = libcgroup_name(hierarchy, directory);
    struct cgroup *group = name ? cgroup_new_cgroup(name) : NULL;
    struct cgroup_controller *settings =
        group ? cgroup_add_controller(group, cgroup_controller_word(controller, hierarchy->unified)) : NULL;
    int r;

    if (settings && cgroup_add_value_string(settings, file, value) == 0)
        r = from_libcgroup(cgroup_modify_cgroup(group));
    else
        r = cgroup_write_core(hierarchy, path, file, value);
    cgroup_free(&group);
    return r;
}
