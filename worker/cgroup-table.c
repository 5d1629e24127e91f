/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding one's own cgroups: /proc/self/cgroup names a path within each hierarchy, /proc/self/mountinfo
 * tells where which part of that hierarchy is mounted. The root of the hierarchy counts as none: it
 * belongs to the machine. */
#include "worker/cgroup-table.h"

#include <string.h>

/* Is the word an element of the comma-separated list? */
static bool list_has(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    }
    return false;
}

/* The path in the hierarchy of a v1 controller, or in the unified one (controller NULL). */
static char *find_path(char *const *lines, const char *controller)
{
    for (; *lines; lines++) {
        g_auto(GStrv) fields = g_strsplit(*lines, ":", 3);

        if (g_strv_length(fields) != 3)
            continue;
        if (controller ? list_has(fields[1], controller)
                       : strcmp(fields[0], "0") == 0 && fields[1][0] == '\0')
            return g_strdup(fields[2]);
    }
    return NULL;
}

/* Joins a mount of the part "root" of a hierarchy with a path of the whole; NULL: the path lies outside of
 * that part. */
static char *join_mount(const char *root, const char *mount_point, const char *path)
{
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0'))
        return NULL;
    return g_strconcat(mount_point, path + n, NULL);
}

/* What a line of mountinfo says about a path of a hierarchy; NULL: it mounts something else. */
static char *match_mount(const char *line, const char *controller, const char *path)
{
    g_auto(GStrv) fields = g_strsplit(line, " ", -1);
    guint n = g_strv_length(fields), dash = 6;
    g_autofree char *root = NULL, *mount_point = NULL;

    while (dash < n && strcmp(fields[dash], "-") != 0)
        dash++;
    if (dash + 3 >= n || strcmp(fields[dash + 1], controller ? "cgroup" : "cgroup2") != 0)
        return NULL;
    if (controller && !list_has(fields[dash + 3], controller))
        return NULL;
    root = g_strcompress(fields[3]);
    mount_point = g_strcompress(fields[4]);
    return join_mount(root, mount_point, path);
}

static char *find_directory(char *const *cgroups, char *const *mounts, const char *controller)
{
    g_autofree char *path = find_path(cgroups, controller);

    if (!path || strcmp(path, "/") == 0 || strstr(path, "/.."))
        return NULL;
    for (; *mounts; mounts++) {
        char *directory = match_mount(*mounts, controller, path);

        if (directory)
            return directory;
    }
    return NULL;
}

void cgroup_table_parse(const char *cgroups, const char *mounts, CgroupTable *ret)
{
    g_auto(GStrv) cgroup_lines = g_strsplit(cgroups, "\n", -1);
    g_auto(GStrv) mount_lines = g_strsplit(mounts, "\n", -1);

    *ret = (CgroupTable) {
        .unified = find_directory(cgroup_lines, mount_lines, NULL),
        .memory = find_directory(cgroup_lines, mount_lines, "memory"),
        .cpuacct = find_directory(cgroup_lines, mount_lines, "cpuacct"),
        .freezer = find_directory(cgroup_lines, mount_lines, "freezer"),
        .cpu = find_directory(cgroup_lines, mount_lines, "cpu"),
        .pids = find_directory(cgroup_lines, mount_lines, "pids"),
        .blkio = find_directory(cgroup_lines, mount_lines, "blkio"),
    };
}

void cgroup_table_done(CgroupTable *table)
{
    g_clear_pointer(&table->unified, g_free);
    g_clear_pointer(&table->memory, g_free);
    g_clear_pointer(&table->cpuacct, g_free);
    g_clear_pointer(&table->freezer, g_free);
    g_clear_pointer(&table->cpu, g_free);
    g_clear_pointer(&table->pids, g_free);
    g_clear_pointer(&table->blkio, g_free);
}
