/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"
#include "util/string-table.h"

/* The cgroup hierarchies of this machine, and single groups in them; a thin layer over libcgroup. A group
 * is named by its path as /proc/PID/cgroup shows it ("/parexec.slice/parexec-w1.scope"). Paths come from
 * the kernel or from the daemon. */

typedef enum CgroupController {
    CGROUP_MEMORY,
    CGROUP_CPU,
    CGROUP_CPUACCT, /* v1 only: v2 accounts in every group */
    CGROUP_CPUSET,
    CGROUP_PIDS,
    CGROUP_IO,      /* "blkio" on v1 */
    CGROUP_FREEZER, /* v1 only */
    _CGROUP_CONTROLLER_MAX,
} CgroupController;
DECLARE_STRING_TABLE(cgroup_controller, CgroupController);

/* The same as the kernel says it, which has two names for one of them. */
const char *cgroup_controller_word(CgroupController controller, bool unified);
int cgroup_controller_from_word(const char *word); /* -EINVAL: none that matters here */

#define CGROUP_BIT(controller) (1U << (controller))
#define CGROUP_HIERARCHY_MAX 16U

typedef struct CgroupHierarchy {
    char *mount;          /* "/sys/fs/cgroup/memory" */
    char *root;           /* the part of the hierarchy that is mounted there, "/" but for bind mounts */
    char *name;           /* "systemd" of name=systemd; else NULL */
    bool unified;         /* v2 */
    uint32_t controllers; /* bits: those of them that this machine has here */
} CgroupHierarchy;

/* Finds the hierarchies; once, before any thread is started, and again is harmless. 0, or negative errno:
 * there are none. */
int cgroups_init(void) _warn_unused_;

size_t cgroup_hierarchy_count(void);
const CgroupHierarchy *cgroup_hierarchy(size_t index);
int cgroup_hierarchy_of(CgroupController controller); /* its index; -ENOENT: not on this machine */
int cgroup_hierarchy_unified(void); /* the index of cgroup v2, with or without controllers; -ENOENT */
int cgroup_hierarchy_named(const char *name); /* the index of name=NAME; -ENOENT */

/* The lines of mountinfo(5) that are cgroup hierarchies, the first mount of each. Controllers are those of
 * the mount options: a v2 mount has none yet. For cgroups_init() and tests. */
size_t cgroup_parse_mounts(const char *mountinfo, CgroupHierarchy *hierarchies, size_t max);
void cgroup_hierarchy_done(CgroupHierarchy *hierarchy);

/* The path of a process in one hierarchy, from the text of /proc/PID/cgroup; NULL: it is in none. */
char *cgroup_path_in(const char *text, const CgroupHierarchy *hierarchy);
/* The text of /proc/PID/cgroup. */
int cgroup_read_membership(int32_t pid, char **ret_text) _warn_unused_;

/* Where a group is in the file system; NULL: this mount does not show it. */
char *cgroup_directory(const CgroupHierarchy *hierarchy, const char *path);

/* Is path the group, or below it? */
bool cgroup_path_is_below(const char *path, const char *group);

/* Makes a group and its parents; on v2 the controllers (bits) are enabled for it. */
int cgroup_create(const CgroupHierarchy *hierarchy, const char *path, uint32_t controllers) _warn_unused_;
/* Removes a group with all that is below it; there must be no processes. */
int cgroup_remove(const CgroupHierarchy *hierarchy, const char *path) _warn_unused_;
int cgroup_attach(const CgroupHierarchy *hierarchy, const char *path, int32_t pid) _warn_unused_;

/* One file of a controller, without the last newline. -ENOENT: the group or the file is not there. */
int cgroup_read(const CgroupHierarchy *hierarchy, const char *path, CgroupController controller,
                const char *file, char **ret_value) _warn_unused_;
int cgroup_write(const CgroupHierarchy *hierarchy, const char *path, CgroupController controller,
                 const char *file, const char *value) _warn_unused_;

/* The files that every group has, whatever its controllers. */
int cgroup_read_core(const CgroupHierarchy *hierarchy, const char *path, const char *file, char **ret_value)
    _warn_unused_;
int cgroup_write_core(const CgroupHierarchy *hierarchy, const char *path, const char *file, const char *value)
    _warn_unused_;
/* The same of the group and of all below it. */
int cgroup_write_tree(const CgroupHierarchy *hierarchy, const char *path, const char *file, const char *value)
    _warn_unused_;

/* The processes of the group and of all below it, appended to pids (of int32_t). -ENOENT: no such group. */
int cgroup_list_pids(const CgroupHierarchy *hierarchy, const char *path, GArray *pids) _warn_unused_;

/* Kills every process of the group and of all below it: at once on v2 (cgroup.kill); where the kernel
 * cannot, those that are found now, so that it has to be repeated until the group is empty. */
int cgroup_kill(const CgroupHierarchy *hierarchy, const char *path) _warn_unused_;

/* 1: no process lives in it or below (or it does not exist), 0: some do. */
int cgroup_is_empty(const CgroupHierarchy *hierarchy, const char *path) _warn_unused_;
