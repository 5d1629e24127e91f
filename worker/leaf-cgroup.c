/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cgroup of one slot, in all hierarchies that the tree has open. Owned by the slot. Its files stay
 * open, since each task reads them; between two tasks it is empty, and each task's figures are the
 * differences to those before it.
 *
 * No PID is ever written to cgroup.procs here: from idle that costs an RCU grace period. Tasks are born in
 * the unified leaf, and move themselves, single-threaded, into the v1 ones. */
#include "worker/leaf-cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "worker/kernel-file.h"
#include "worker/leaf-freezer.h"

/* Memory still charged to an empty leaf (page cache of earlier tasks) counts into the next peak. So much
 * is taken off by subtraction; above it the leaf is made anew. */
#define RESIDUE_MAX_BYTES (UINT64_C(8) << 20)
#define NAMES_TRIED_MAX 16
#define MOVES_MAX 100 /* against what forks for ever */
#define LIMIT_NONE UINT64_MAX
#define PRESSURE_FILE "memory.pressure"

struct LeafCgroup {
    const LeafTree *tree;
    uint32_t slot, generation;
    char name[32];
    bool used;          /* a task ran here since it was made */
    bool killed;        /* as a whole, since it was made: no task may be born here any more */
    bool peak_resets;   /* the kernel can set the peak back */
    bool frozen;
    int unified, memory, cpuacct, freezer; /* directories */
    int joins[LEAF_JOINS_MAX];
    size_t n_joins;     /* without those of the controls */
    int kill, events, cpu, peak, usage, oom; /* files */
    int oom_notice;     /* v1: an eventfd, the same for all cgroups of the slot */
    LeafControls controls;
    LeafReclaim reclaim;
    uid_t pressure_uid; /* who may write to its memory.pressure */
    uint64_t memory_max_bytes;               /* as set */
    uint64_t cpu_base, oom_base, residue_bytes;
    uint64_t reached_base, tree_reached_base; /* how often the limits were reached before */
};

static void leaf_forget_fds(LeafCgroup *leaf)
{
    leaf->unified = leaf->memory = leaf->cpuacct = leaf->freezer = -EBADF;
    leaf->kill = leaf->events = leaf->cpu = leaf->peak = leaf->usage = leaf->oom = -EBADF;
    leaf->n_joins = 0;
    leaf->reclaim.directory = -EBADF;
}

static void leaf_close(LeafCgroup *leaf)
{
    const int fds[] = { leaf->unified, leaf->memory, leaf->cpuacct, leaf->freezer, leaf->kill,
                        leaf->events,  leaf->cpu,    leaf->peak,    leaf->usage,   leaf->oom };

    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        close_fd(fds[i]);
    for (size_t i = 0; i < leaf->n_joins; i++)
        close_fd(leaf->joins[i]);
    leaf_controls_close(&leaf->controls);
    leaf_forget_fds(leaf);
}

/* Removes the cgroups of this name; false: something is still in one of them. */
static bool leaf_remove(const LeafCgroup *leaf)
{
    const int parents[] = { leaf->tree->unified, leaf->tree->memory, leaf->tree->cpuacct,
                            leaf->tree->freezer };
    bool gone = leaf_controls_remove(leaf->tree, leaf->name);

    for (size_t i = 0; i < G_N_ELEMENTS(parents); i++)
        if (parents[i] >= 0 && unlinkat(parents[i], leaf->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
            gone = false;
    return gone;
}

static int leaf_open_one(const LeafCgroup *leaf, int parent, int *ret)
{
    int fd;

    if (parent < 0)
        return 0;
    if (mkdirat(parent, leaf->name, 0755) < 0)
        return -errno;
    fd = openat(parent, leaf->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret = fd;
    return 0;
}

static int leaf_open_join(LeafCgroup *leaf, int directory)
{
    int fd;

    if (directory < 0)
        return 0;
    fd = openat(directory, "tasks", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    leaf->joins[leaf->n_joins++] = fd;
    return 0;
}

/* A file of the leaf that need not exist. */
static int leaf_open_file(int directory, const char *name, int flags)
{
    return directory < 0 ? -EBADF : openat(directory, name, flags | O_CLOEXEC);
}

/* v1 kills one process and lets the others be: the slot has to hear of it. The kernel also rings when the cgroup is
 * removed. */
static void leaf_ask_notice(LeafCgroup *leaf)
{
    if (leaf->oom_notice < 0)
        leaf->oom_notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    leaf_tree_v1_ask_notice(leaf->memory, leaf->oom_notice);
}

static void leaf_open_memory(LeafCgroup *leaf)
{
    bool v2 = leaf->tree->unified_memory;
    int directory = v2 ? leaf->unified : leaf->memory;
    const char *peak = v2 ? "memory.peak" : "memory.max_usage_in_bytes";

    /* v1, and v2 since 6.12, can set the peak back; older ones let root open the file all the same */
    leaf->peak = leaf_open_file(directory, peak, O_RDWR);
    leaf->peak_resets = leaf->peak >= 0 && pwrite(leaf->peak, "0", 1, 0) == 1;
    if (leaf->peak < 0)
        leaf->peak = leaf_open_file(directory, peak, O_RDONLY);
    leaf->usage = leaf_open_file(directory, v2 ? "memory.current" : "memory.usage_in_bytes", O_RDONLY);
    leaf->oom = leaf_open_file(directory, v2 ? "memory.events" : "memory.oom_control", O_RDONLY);
    if (v2)
        (void) !kernel_file_write(directory, "memory.oom.group", "1");
    else
        leaf_ask_notice(leaf);
}

static void leaf_open_files(LeafCgroup *leaf)
{
    leaf->kill = leaf_open_file(leaf->unified, "cgroup.kill", O_WRONLY);
    leaf->events = leaf_open_file(leaf->unified, "cgroup.events", O_RDONLY);
    leaf->cpu = leaf->unified >= 0 ? leaf_open_file(leaf->unified, "cpu.stat", O_RDONLY) :
                                     leaf_open_file(leaf->cpuacct, "cpuacct.usage", O_RDONLY);
    if (leaf_tree_has_memory(leaf->tree))
        leaf_open_memory(leaf);
}

static int leaf_make_named(LeafCgroup *leaf)
{
    int r;

    if (leaf->generation == 0)
        (void) snprintf(leaf->name, sizeof leaf->name, "slot-%" PRIu32, leaf->slot);
    else
        (void) snprintf(leaf->name, sizeof leaf->name, "slot-%" PRIu32 ".%" PRIu32, leaf->slot,
                        leaf->generation);
    if ((r = leaf_open_one(leaf, leaf->tree->unified, &leaf->unified)) < 0 ||
        (r = leaf_open_one(leaf, leaf->tree->memory, &leaf->memory)) < 0 ||
        (r = leaf_open_one(leaf, leaf->tree->cpuacct, &leaf->cpuacct)) < 0 ||
        (r = leaf_open_one(leaf, leaf->tree->freezer, &leaf->freezer)) < 0)
        return r;
    if ((r = leaf_open_join(leaf, leaf->memory)) < 0 || (r = leaf_open_join(leaf, leaf->cpuacct)) < 0 ||
        (r = leaf_open_join(leaf, leaf->freezer)) < 0)
        return r;
    leaf_open_files(leaf);
    return 0;
}

/* Makes the cgroups, under the next name if something of an earlier task still holds this one. */
static int leaf_make(LeafCgroup *leaf)
{
    int r = -EEXIST;

    for (int i = 0; i < NAMES_TRIED_MAX && r == -EEXIST; i++) {
        r = leaf_make_named(leaf);
        if (r < 0) {
            leaf_close(leaf);
            (void) leaf_remove(leaf);
            leaf->generation += r == -EEXIST;
        }
    }
    leaf->used = leaf->killed = leaf->frozen = false;
    leaf->pressure_uid = geteuid();
    leaf->memory_max_bytes = LIMIT_NONE;
    leaf->cpu_base = leaf->oom_base = leaf->residue_bytes = 0;
    return r;
}

int leaf_cgroup_new(const LeafTree *tree, uint32_t slot, LeafCgroup **ret)
{
    LeafCgroup *leaf = g_new0(LeafCgroup, 1);
    int r;

    leaf->tree = tree;
    leaf->slot = slot;
    leaf->oom_notice = -EBADF;
    leaf_forget_fds(leaf);
    leaf_controls_init(&leaf->controls);
    r = leaf_make(leaf);
    if (r < 0) {
        close_fd(leaf->oom_notice);
        g_free(leaf);
        return r;
    }
    *ret = leaf;
    return 0;
}

LeafCgroup *leaf_cgroup_free(LeafCgroup *leaf)
{
    if (!leaf)
        return NULL;
    leaf_close(leaf);
    (void) leaf_remove(leaf);
    close_fd(leaf->oom_notice);
    g_free(leaf);
    return NULL;
}

bool leaf_cgroup_is_spoilt(int error)
{
    return error == -EBUSY ||                       /* an earlier task, as root, has made cgroups in it */
           error == -ENODEV || error == -ENOENT ||  /* somebody has removed it while it was empty */
           error == -ENOMEM;                        /* what an earlier task had is still charged to it, up to its limit */
}

int leaf_cgroup_replace(LeafCgroup *leaf)
{
    leaf_close(leaf);
    if (!leaf_remove(leaf))
        leaf->generation++;
    return leaf_make(leaf);
}

static int leaf_memory_directory(const LeafCgroup *leaf)
{
    return leaf->tree->unified_memory ? leaf->unified : leaf->memory;
}

static int leaf_set_memory(LeafCgroup *leaf, uint64_t memory_max_bytes)
{
    int r;

    if (leaf->memory_max_bytes == memory_max_bytes)
        return 0;
    if (!leaf_tree_has_memory(leaf->tree))
        return -EOPNOTSUPP;
    r = leaf_memory_set(leaf->tree, leaf_memory_directory(leaf), leaf->memory_max_bytes, memory_max_bytes);
    if (r >= 0)
        leaf->memory_max_bytes = memory_max_bytes;
    return r;
}

/* Sets all that a task is limited to; what cannot be set goes into why. */
static unsigned leaf_set_limits(LeafCgroup *leaf, const LeafLimits *limits, GString *why)
{
    int r = leaf_set_memory(leaf, limits->memory_max_bytes);

    if (r < 0)
        leaf_memory_tell(why, r);
    return leaf_controls_set(&leaf->controls, leaf->tree, leaf->unified, leaf->name, limits, why);
}

/* The directory that tells who is in the leaf. */
static int leaf_member_directory(const LeafCgroup *leaf)
{
    const int directories[] = { leaf->unified, leaf->freezer, leaf->memory, leaf->cpuacct };

    for (size_t i = 0; i < G_N_ELEMENTS(directories); i++)
        if (directories[i] >= 0)
            return directories[i];
    return -EBADF;
}

/* How often the leaf's own limit was reached; v1 tells only whether it was. */
static uint64_t leaf_count_reached(const LeafCgroup *leaf)
{
    uint64_t n;

    if (leaf->tree->unified_memory)
        return kernel_fd_key(leaf->oom, "oom", &n) < 0 ? 0 : n;
    return leaf_tree_v1_was_full(leaf->memory, leaf->memory_max_bytes);
}

static uint64_t leaf_reached(const LeafCgroup *leaf)
{
    return leaf->memory_max_bytes == LIMIT_NONE ? 0 : leaf_count_reached(leaf);
}

static void leaf_take_bases(LeafCgroup *leaf)
{
    leaf->reached_base = leaf_reached(leaf);
    leaf->tree_reached_base = leaf_tree_reached(leaf->tree);
}

void leaf_cgroup_begin(LeafCgroup *leaf)
{
    LeafUsage usage;

    leaf_cgroup_usage(leaf, &usage);
    leaf_take_bases(leaf);
}

int leaf_cgroup_prepare(LeafCgroup *leaf, const LeafLimits *limits, char **ret_not_enforced)
{
    bool renew = leaf->peak >= 0 && (!leaf->peak_resets || leaf->residue_bytes > RESIDUE_MAX_BYTES);
    g_autoptr(GString) why = g_string_new(NULL);
    int r;

    /* the last: an earlier attempt to replace it failed */
    if ((leaf->used && renew) || leaf->killed || leaf_member_directory(leaf) < 0) {
        r = leaf_cgroup_replace(leaf);
        if (r < 0)
            return r;
    }
    if (leaf->frozen && (r = leaf_cgroup_freeze(leaf, false, false)) < 0)
        return r;
    /* v1: more may be charged here than the limit allows, and cannot be reclaimed */
    if (leaf_set_memory(leaf, limits->memory_max_bytes) == -EBUSY && (r = leaf_cgroup_replace(leaf)) < 0)
        return r;
    (void) leaf_set_limits(leaf, limits, why);
    if (leaf->used && leaf->peak_resets && pwrite(leaf->peak, "0", 1, 0) < 0)
        leaf->peak_resets = false;
    leaf_take_bases(leaf);
    leaf->used = true;
    *ret_not_enforced = why->len > 0 ? g_string_free(g_steal_pointer(&why), FALSE) : NULL;
    return 0;
}

int leaf_cgroup_birth_fd(const LeafCgroup *leaf)
{
    return leaf->unified;
}

const int *leaf_cgroup_join_fds(LeafCgroup *leaf, size_t *ret_n)
{
    *ret_n = leaf->n_joins + leaf_controls_joins(&leaf->controls, leaf->joins + leaf->n_joins);
    return leaf->joins;
}

GArray *leaf_cgroup_members(const LeafCgroup *leaf)
{
    GArray *members = g_array_new(FALSE, FALSE, sizeof(pid_t));
    g_autofree char *text = NULL;
    const char *at;
    char *end;

    if (kernel_file_read(leaf_member_directory(leaf), "cgroup.procs", &text) < 0)
        return members;
    for (at = text; *at; at = *end ? end + 1 : end) {
        uint64_t number = g_ascii_strtoull(at, &end, 10);
        pid_t pid = (pid_t) number;

        if (number > 1 && pid != getpid() && number < INT32_MAX)
            g_array_append_val(members, pid);
    }
    return members;
}

static void leaf_kill_one_by_one(const LeafCgroup *leaf)
{
    g_autoptr(GArray) members = leaf_cgroup_members(leaf);

    for (guint i = 0; i < members->len; i++)
        (void) kill(g_array_index(members, pid_t, i), SIGKILL);
}

/* Writes their PIDs, which from idle takes a grace period of RCU each time: for what is limited while it runs only. */
static void leaf_move_members(const LeafCgroup *leaf, int directory)
{
    g_autoptr(GHashTable) moved = g_hash_table_new(NULL, NULL);
    bool again = true;

    for (int round = 0; again && round < MOVES_MAX; round++) {
        g_autoptr(GArray) members = leaf_cgroup_members(leaf);

        again = false;
        for (guint i = 0; i < members->len; i++) {
            pid_t pid = g_array_index(members, pid_t, i);
            g_autofree char *text = g_strdup_printf("%d", (int) pid);

            if (!g_hash_table_add(moved, GINT_TO_POINTER(pid)))
                continue;
            (void) !kernel_file_write(directory, "cgroup.procs", text);
            again = true; /* it may have forked before it was moved */
        }
    }
}

char *leaf_cgroup_limit(LeafCgroup *leaf, const LeafLimits *limits)
{
    g_autoptr(GString) why = g_string_new(NULL);
    unsigned entered;

    if (leaf->memory_max_bytes == LIMIT_NONE) /* what was counted until now is that of earlier tasks */
        leaf->reached_base = leaf_count_reached(leaf);
    entered = leaf_set_limits(leaf, limits, why);
    for (LeafControl i = 0; i < _CONTROL_MAX; i++)
        if (entered & 1U << i)
            leaf_move_members(leaf, leaf->controls.directories[i]);
    return why->len > 0 ? g_string_free(g_steal_pointer(&why), FALSE) : NULL;
}

int leaf_cgroup_freeze(LeafCgroup *leaf, bool frozen, bool reclaim)
{
    LeafReclaim wanted = { -EBADF, 0 };
    bool limited = leaf->memory_max_bytes != LIMIT_NONE;
    int r;

    if (frozen && reclaim &&
        (r = leaf_reclaim_begin(leaf_memory_directory(leaf), leaf->tree->unified_memory, limited, &wanted)) < 0)
        return r == -EOPNOTSUPP ? -ENOSYS : r;
    r = leaf_freezer_set(leaf->unified, leaf->freezer, frozen);
    if (r < 0)
        return r;
    leaf->frozen = frozen;
    if (!frozen && leaf->reclaim.directory >= 0)
        leaf->reclaim.left_bytes = MIN(leaf->reclaim.left_bytes, 1); /* it ends with the next portion */
    else if (wanted.directory >= 0)
        leaf->reclaim = wanted;
    return 0;
}

bool leaf_cgroup_reclaim_some(LeafCgroup *leaf)
{
    return leaf_reclaim_some(&leaf->reclaim, leaf->memory_max_bytes != LIMIT_NONE);
}

void leaf_cgroup_kill(LeafCgroup *leaf)
{
    if (leaf->kill >= 0 && pwrite(leaf->kill, "1", 1, 0) == 1) {
        /* Recent kernels (seen on 6.18, cgroup_css_set_fork()) compare how often the cgroups of parent and
         * child were killed, and take a child born into one that was killed for one that escaped: it dies. */
        leaf->killed = true;
        return;
    }
    /* without it, what forks fast could outrun us: frozen it cannot */
    if (leaf->freezer >= 0)
        (void) !kernel_file_write(leaf->freezer, "freezer.state", "FROZEN");
    leaf_kill_one_by_one(leaf);
    if (leaf->freezer >= 0)
        (void) !kernel_file_write(leaf->freezer, "freezer.state", "THAWED");
}

bool leaf_cgroup_is_empty(const LeafCgroup *leaf)
{
    g_autofree char *text = NULL;
    uint64_t populated;

    if (leaf->events >= 0 && kernel_fd_key(leaf->events, "populated", &populated) >= 0)
        return populated == 0;
    /* opened anew each time: v1 keeps the list of an open file for a second */
    if (kernel_file_read(leaf_member_directory(leaf), "cgroup.procs", &text) < 0)
        return true;
    return *text == '\0';
}

static uint64_t leaf_read_cpu(const LeafCgroup *leaf)
{
    uint64_t value;

    if (leaf->unified >= 0)
        return kernel_fd_key(leaf->cpu, "usage_usec", &value) < 0 ? UINT64_MAX : value * NSEC_PER_USEC;
    return kernel_fd_number(leaf->cpu, &value) < 0 ? UINT64_MAX : value;
}

void leaf_cgroup_usage(LeafCgroup *leaf, LeafUsage *ret)
{
    LeafUsage usage = { UINT64_MAX, UINT64_MAX, 0 };
    uint64_t cpu = leaf_read_cpu(leaf), oom_kills, peak;

    if (cpu != UINT64_MAX) {
        usage.cpu_nsec = cpu - leaf->cpu_base;
        leaf->cpu_base = cpu;
    }
    if (kernel_fd_key(leaf->oom, "oom_kill", &oom_kills) >= 0) {
        usage.oom_kills = oom_kills - leaf->oom_base;
        leaf->oom_base = oom_kills;
    }
    if (kernel_fd_number(leaf->peak, &peak) >= 0)
        usage.memory_peak_bytes = peak - MIN(peak, leaf->residue_bytes);
    if (kernel_fd_number(leaf->usage, &leaf->residue_bytes) < 0)
        leaf->residue_bytes = 0;
    *ret = usage;
}

/* ------------------------------------------------------------------ out of memory */

int leaf_cgroup_oom_notice(const LeafCgroup *leaf)
{
    return leaf->oom_notice;
}

uint64_t leaf_cgroup_oom_kills(const LeafCgroup *leaf)
{
    uint64_t kills;

    return kernel_fd_key(leaf->oom, "oom_kill", &kills) < 0 ? 0 : kills - leaf->oom_base;
}

OomCause leaf_cgroup_oom_cause(const LeafCgroup *leaf)
{
    if (leaf_reached(leaf) > leaf->reached_base)
        return OOM_TASK;
    return leaf_tree_reached(leaf->tree) > leaf->tree_reached_base ? OOM_WORKER : OOM_HOST;
}

/* systemd-oomd(8) writes it down at what it kills. A mark at the worker's cgroup is recent: the worker is about to die. */
bool leaf_cgroup_was_killed_by_oomd(LeafCgroup *leaf)
{
    static const char *const marks[] = { "user.oomd_kill", "user.oomd_ooms" };
    const int directories[] = { leaf->unified, leaf->tree->unified };

    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++)
        for (size_t j = 0; j < G_N_ELEMENTS(directories); j++)
            if (directories[j] >= 0 && fgetxattr(directories[j], marks[i], NULL, 0) >= 0) {
                leaf->killed = true; /* the mark goes with this cgroup */
                return true;
            }
    return false;
}

uint64_t leaf_cgroup_memory_max(const LeafCgroup *leaf)
{
    return leaf->memory_max_bytes;
}

char *leaf_cgroup_give_pressure(LeafCgroup *leaf, uid_t uid)
{
    if (!leaf->tree->unified_memory || faccessat(leaf->unified, PRESSURE_FILE, F_OK, 0) < 0)
        return NULL;
    if (leaf->pressure_uid != uid && fchownat(leaf->unified, PRESSURE_FILE, uid, (gid_t) -1, 0) < 0)
        return NULL;
    leaf->pressure_uid = uid;
    return g_build_filename(leaf->tree->unified_path, leaf->name, PRESSURE_FILE, NULL);
}

const char *leaf_cgroup_name(const LeafCgroup *leaf)
{
    return leaf->name;
}
