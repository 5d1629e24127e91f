/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's own cgroups. A hierarchy is used only if the worker is alone in a cgroup of its own there:
 * the manager may have left it in a slice or in the root of some v1 hierarchies, where "slot-0" would
 * belong to everybody. Made once at the start, while no task runs; never changed afterwards. */
#include "worker/leaf-tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "util/log.h"
#include "util/parse-util.h"
#include "worker/cgroup-table.h"
#include "worker/kernel-file.h"

#define RUNTIME_LEAF "runtime"
#define RUNTIME_MEMORY_MIN_BYTES "4194304" /* of at least 8 MiB that a worker has */
#define FULL_SLACK_BYTES (UINT64_C(64) << 10) /* several pages at once may be too many before the last one is */
#define V1_UNLIMITED_BYTES (UINT64_C(1) << 62) /* v1 has no word for no limit */

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

/* The worker itself is spared while the kernel reclaims for the worker's limit. */
static void protect_runtime_leaf(int directory)
{
    int r = kernel_file_write(directory, RUNTIME_LEAF "/memory.min", RUNTIME_MEMORY_MIN_BYTES);

    if (r < 0)
        (void) log_debug_errno(r, "Cannot protect the memory of the worker itself, ignoring: %m");
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
    if (tree->unified_memory)
        protect_runtime_leaf(tree->unified);
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

/* The v1 hierarchies where single tasks are limited, if they want it: no reason to say that one is missing. */
static void open_limiting(LeafTree *tree, const CgroupTable *table)
{
    g_autoptr(GString) why = g_string_new(NULL);

    tree->cpu = open_own("cpu", table->cpu, why);
    tree->pids = open_own("pids", table->pids, why);
    tree->blkio = open_own("blkio", table->blkio, why);
}

void leaf_tree_v1_ask_notice(int directory, int event_fd)
{
    _cleanup_close_ int file = openat(directory, "memory.oom_control", O_RDONLY | O_CLOEXEC);
    g_autofree char *text = g_strdup_printf("%d %d", event_fd, file);

    if (event_fd >= 0 && file >= 0)
        (void) !kernel_file_write(directory, "cgroup.event_control", text);
}

static int open_notice(int directory)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    leaf_tree_v1_ask_notice(directory, fd);
    return fd;
}

static void open_reached(LeafTree *tree)
{
    _cleanup_close_ int parent = -EBADF;

    if (tree->unified_memory) {
        tree->reached = openat(tree->unified, "memory.events.local", O_RDONLY | O_CLOEXEC);
    } else if (tree->memory >= 0) {
        parent = openat(tree->memory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        tree->rung = g_new0(uint64_t, G_N_ELEMENTS(tree->notices));
        tree->notices[0] = open_notice(tree->memory);
        tree->notices[1] = open_notice(parent);
    }
}

static void take_names(LeafTree *tree, const CgroupTable *table)
{
    const char *directory = tree->unified_memory ? table->unified : tree->memory >= 0 ? table->memory : NULL;

    if (tree->unified >= 0)
        tree->unified_path = g_strdup(table->unified);
    if (directory)
        tree->name = g_path_get_basename(directory);
}

int leaf_tree_open(LeafTree **ret, char **ret_why)
{
    g_autoptr(LeafTree) tree = g_new(LeafTree, 1);
    g_auto(CgroupTable) table = { 0 };
    g_autoptr(GString) why = g_string_new(NULL);
    int r;

    *tree = (LeafTree) { .unified = -EBADF, .memory = -EBADF, .cpuacct = -EBADF, .freezer = -EBADF, .cpu = -EBADF,
                         .pids = -EBADF, .blkio = -EBADF, .reached = -EBADF, .notices = { -EBADF, -EBADF } };
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
    open_limiting(tree, &table);
    open_reached(tree);
    take_names(tree, &table);
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
    close_fd(tree->cpu);
    close_fd(tree->pids);
    close_fd(tree->blkio);
    close_fd(tree->reached);
    close_fd(tree->notices[0]);
    close_fd(tree->notices[1]);
    g_free(tree->rung);
    g_free(tree->unified_path);
    g_free(tree->name);
    g_free(tree);
    return NULL;
}

bool leaf_tree_has_memory(const LeafTree *tree)
{
    return tree->unified_memory || tree->memory >= 0;
}

bool leaf_tree_v1_was_full(int directory, uint64_t memory_max_bytes)
{
    g_autofree char *text = NULL;
    uint64_t peak;

    return memory_max_bytes != UINT64_MAX && kernel_file_read(directory, "memory.max_usage_in_bytes", &text) >= 0 &&
           parse_uint64(g_strchomp(text), &peak) >= 0 && peak + FULL_SLACK_BYTES >= memory_max_bytes;
}

uint64_t leaf_tree_reached(const LeafTree *tree)
{
    uint64_t n;

    if (tree->unified_memory)
        return kernel_fd_key(tree->reached, "oom", &n) < 0 ? 0 : n;
    for (size_t i = 0; tree->rung && i < G_N_ELEMENTS(tree->notices); i++)
        if (read(tree->notices[i], &n, sizeof n) == (ssize_t) sizeof n)
            tree->rung[i] += n;
    return tree->rung ? tree->rung[0] - MIN(tree->rung[0], tree->rung[1]) : 0;
}

uint64_t leaf_tree_memory_max(const LeafTree *tree)
{
    g_autofree char *text = NULL;
    uint64_t bytes;
    int r = tree->unified_memory ? kernel_file_read(tree->unified, "memory.max", &text) :
                                   kernel_file_read(tree->memory, "memory.limit_in_bytes", &text);

    if (r < 0 || parse_uint64(g_strchomp(text), &bytes) < 0 || bytes >= V1_UNLIMITED_BYTES)
        return UINT64_MAX;
    return bytes;
}
