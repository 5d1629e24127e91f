/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's own cgroups. A hierarchy is used only if the worker is alone in a cgroup of its own there:
 * the manager may have left it in a slice or in the root of some v1 hierarchies, where "slot-0" would
 * belong to everybody. Made once at the start, while no task runs; never changed afterwards. */
#include "worker/leaf-tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/log.h"
#include "worker/cgroup-table.h"
#include "worker/kernel-file.h"

#define RUNTIME_LEAF "runtime"

static bool has_children(int directory)
{
    struct stat st;

    /* cgroupfs counts subdirectories in the links of a directory */
    return fstat(directory, &st) < 0 || st.st_nlink > 2;
}

static bool is_alone(int directory)
{
    g_autofree char *processes = NULL, *self = g_strdup_printf("%d\n", (int) getpid());

    return kernel_file_read(directory, "cgroup.procs", &processes) >= 0 && strcmp(processes, self) == 0;
}

/* Opens one's own cgroup of a hierarchy; why gets a part of a sentence if it cannot serve. */
static int open_own(const char *name, const char *path, GString *why)
{
    _cleanup_close_ int fd = -EBADF;
    const char *problem = NULL;

    if (!path) {
        problem = "no cgroup of its own";
    } else if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        problem = g_strerror(errno);
    } else if (faccessat(fd, ".", W_OK, AT_EACCESS) < 0) {
        problem = errno == EROFS ? "mounted read-only" : "not writable";
    } else if (!is_alone(fd) || has_children(fd)) {
        problem = "shared with other processes";
    }
    if (problem) {
        g_string_append_printf(why, "%s%s: %s", why->len ? ", " : "", name, problem);
        return -ENOENT;
    }
    return steal_fd(&fd);
}

/* Turns on what is there, one by one, so that one that is refused does not spoil the others. */
static void enable_controllers(int directory)
{
    static const char *const wanted[] = { "memory", "cpu", "pids", "io" };
    g_autofree char *available = NULL;
    g_auto(GStrv) words = NULL;
    int r;

    r = kernel_file_read(directory, "cgroup.controllers", &available);
    if (r < 0) {
        (void) log_warning_errno(r, "Cannot read cgroup.controllers, ignoring: %m");
        return;
    }
    words = g_strsplit_set(g_strchomp(available), " ", -1);
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        g_autofree char *text = g_strconcat("+", wanted[i], NULL);

        if (!g_strv_contains((const char *const *) words, wanted[i]))
            continue;
        r = kernel_file_write(directory, "cgroup.subtree_control", text);
        if (r < 0)
            (void) log_warning_errno(r, "Cannot turn on the %s controller for tasks, ignoring: %m",
                                     wanted[i]);
    }
}

/* The kernel lets no process stand in a v2 cgroup whose children have controllers: the worker moves aside.
 * This is the one time that a process is moved; tasks are born in their leaves. */
static int enter_runtime_leaf(int directory)
{
    if (mkdirat(directory, RUNTIME_LEAF, 0755) < 0 && errno != EEXIST)
        return -errno;
    return kernel_file_write(directory, RUNTIME_LEAF "/cgroup.procs", "0");
}

static bool has_word(int directory, const char *file, const char *word)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;

    if (kernel_file_read(directory, file, &text) < 0)
        return false;
    words = g_strsplit_set(g_strchomp(text), " ", -1);
    return g_strv_contains((const char *const *) words, word);
}

static int prepare_unified(LeafTree *tree)
{
    g_autofree char *available = NULL;
    int r;

    r = kernel_file_read(tree->unified, "cgroup.controllers", &available);
    if (r < 0)
        return r;
    if (*g_strchomp(available) == '\0') /* hybrid: the controllers are on v1 */
        return 0;
    r = enter_runtime_leaf(tree->unified);
    if (r < 0)
        return r;
    enable_controllers(tree->unified);
    tree->unified_memory = has_word(tree->unified, "cgroup.subtree_control", "memory");
    return 0;
}

/* Does a v2 cgroup have cgroup.kill (kernel 5.14)? One that is not a root has it, if any has. */
static bool kernel_kills_cgroups(const LeafTree *tree)
{
    return tree->unified >= 0 && faccessat(tree->unified, "cgroup.kill", F_OK, 0) >= 0;
}

static int read_own_table(CgroupTable *ret)
{
    g_autofree char *cgroups = NULL, *mounts = NULL;
    int r;

    r = kernel_file_read(AT_FDCWD, "/proc/self/cgroup", &cgroups);
    if (r < 0)
        return r;
    r = kernel_file_read(AT_FDCWD, "/proc/self/mountinfo", &mounts);
    if (r < 0)
        return r;
    cgroup_table_parse(cgroups, mounts, ret);
    return 0;
}

int leaf_tree_open(LeafTree **ret, char **ret_why)
{
    g_autoptr(LeafTree) tree = g_new(LeafTree, 1);
    g_auto(CgroupTable) table = { 0 };
    g_autoptr(GString) why = g_string_new(NULL);
    int r;

    *tree = (LeafTree) { -EBADF, -EBADF, -EBADF, -EBADF, false };
    r = read_own_table(&table);
    if (r < 0) {
        *ret_why = g_strdup_printf("cannot read /proc/self: %s", g_strerror(-r));
        return -ENOENT;
    }
    tree->unified = open_own("unified", table.unified, why);
    if (tree->unified >= 0 && (r = prepare_unified(tree)) < 0) {
        g_string_append_printf(why, "%sunified: %s", why->len ? ", " : "", g_strerror(-r));
        tree->unified = close_fd(tree->unified);
    }
    if (!tree->unified_memory && table.memory)
        tree->memory = open_own("memory", table.memory, why);
    if (tree->unified < 0 && table.cpuacct)
        tree->cpuacct = open_own("cpuacct", table.cpuacct, why);
    if (!kernel_kills_cgroups(tree) && table.freezer)
        tree->freezer = open_own("freezer", table.freezer, why);
    if (tree->unified < 0 && tree->memory < 0 && tree->cpuacct < 0 && tree->freezer < 0) {
        *ret_why = g_string_free(g_steal_pointer(&why), FALSE);
        return -ENOENT;
    }
    *ret = g_steal_pointer(&tree);
    return 0;
}

LeafTree *leaf_tree_free(LeafTree *tree)
{
    if (!tree)
        return NULL;
    close_fd(tree->unified);
    close_fd(tree->memory);
    close_fd(tree->cpuacct);
    close_fd(tree->freezer);
    g_free(tree);
    return NULL;
}

bool leaf_tree_has_memory(const LeafTree *tree)
{
    return tree->unified_memory || tree->memory >= 0;
}
