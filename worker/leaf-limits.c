/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits of a leaf, on v2 and on v1. Owned by the leaf. What is set is remembered, so that a task without limits in a
 * leaf without limits costs nothing. A limit that cannot be set is no reason not to run the task: it is told of. */
#include "worker/leaf-limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "worker/kernel-file.h"

#define NONE UINT64_MAX
#define PERIOD_USEC UINT64_C(100000)
#define PERIODS_PER_SEC (USEC_PER_SEC / PERIOD_USEC)
#define QUOTA_MIN_USEC UINT64_C(1000) /* the kernel's */

bool leaf_limits_any(const LeafLimits *limits)
{
    return limits->memory_max_bytes != NONE || limits->cpu_quota_usec_per_sec != NONE || limits->tasks_max != NONE ||
           limits->io_weight != 0;
}

/* ------------------------------------------------------------------ one file each */

static uint64_t quota_of_period(uint64_t usec_per_sec)
{
    return MAX(usec_per_sec / PERIODS_PER_SEC, QUOTA_MIN_USEC);
}

static int write_cpu_v2(int directory, uint64_t value)
{
    g_autofree char *text =
        value == NONE ? g_strdup("max") : g_strdup_printf("%" PRIu64 " %" PRIu64, quota_of_period(value), PERIOD_USEC);

    return kernel_file_write(directory, "cpu.max", text);
}

/* v1 refuses a quota over that of the parent: then the parent's, which is less, is the one that holds. */
static int write_cpu_v1(int directory, uint64_t value)
{
    g_autofree char *text = value == NONE ? g_strdup("-1") : g_strdup_printf("%" PRIu64, quota_of_period(value));
    int r = kernel_file_write(directory, "cpu.cfs_quota_us", text);

    return r == -EINVAL && value != NONE ? kernel_file_write(directory, "cpu.cfs_quota_us", "-1") : r;
}

static int write_tasks(int directory, uint64_t value)
{
    g_autofree char *text = value == NONE ? g_strdup("max") : g_strdup_printf("%" PRIu64, MIN(value, INT32_MAX));

    return kernel_file_write(directory, "pids.max", text);
}

static int write_number(int directory, const char *name, uint64_t value)
{
    g_autofree char *text = g_strdup_printf("%" PRIu64, value);

    return kernel_file_write(directory, name, text);
}

/* The scheduler BFQ has a scale of its own, 1…1000, where 100 is the default as well. */
static uint64_t bfq_weight(uint64_t weight)
{
    return weight <= 100 ? weight : 100 + (weight - 100) * (1000 - 100) / (10000 - 100);
}

/* Two schedulers, each with a file of its own; one is enough. */
static int write_io_v2(int directory, uint64_t value)
{
    uint64_t weight = value == NONE ? 100 : value;
    int r = write_number(directory, "io.weight", weight), bfq = write_number(directory, "io.bfq.weight", bfq_weight(weight));

    return r >= 0 ? r : bfq;
}

static int write_io_v1(int directory, uint64_t value)
{
    return write_number(directory, "blkio.bfq.weight", bfq_weight(value == NONE ? 100 : value));
}

/* ------------------------------------------------------------------ the three */

static const struct {
    const char *what, *controller_v1, *controller_v2;
    size_t directory_v1; /* in LeafTree */
    int (*write_v1)(int directory, uint64_t value);
    int (*write_v2)(int directory, uint64_t value);
} kinds[_CONTROL_MAX] = {
    [CONTROL_CPU] = { "CPU quota", "cpu", "cpu", offsetof(LeafTree, cpu), write_cpu_v1, write_cpu_v2 },
    [CONTROL_TASKS] = { "tasks limit", "pids", "pids", offsetof(LeafTree, pids), write_tasks, write_tasks },
    [CONTROL_IO] = { "IO weight", "blkio", "io", offsetof(LeafTree, blkio), write_io_v1, write_io_v2 },
};

static int parent_of(const LeafTree *tree, LeafControl kind)
{
    return G_STRUCT_MEMBER(int, tree, kinds[kind].directory_v1);
}

static uint64_t wanted(const LeafLimits *limits, LeafControl kind)
{
    switch (kind) {
    case CONTROL_CPU:
        return limits->cpu_quota_usec_per_sec;
    case CONTROL_TASKS:
        return limits->tasks_max;
    case CONTROL_IO:
        return limits->io_weight == 0 ? NONE : limits->io_weight;
    case _CONTROL_MAX:
        break;
    }
    return NONE;
}

void leaf_controls_init(LeafControls *controls)
{
    for (LeafControl i = 0; i < _CONTROL_MAX; i++) {
        controls->directories[i] = controls->joins[i] = -EBADF;
        controls->set[i] = NONE;
    }
}

void leaf_controls_close(LeafControls *controls)
{
    for (LeafControl i = 0; i < _CONTROL_MAX; i++) {
        close_fd(controls->directories[i]);
        close_fd(controls->joins[i]);
    }
    leaf_controls_init(controls);
}

bool leaf_controls_remove(const LeafTree *tree, const char *name)
{
    bool gone = true;

    for (LeafControl i = 0; i < _CONTROL_MAX; i++)
        if (parent_of(tree, i) >= 0 && unlinkat(parent_of(tree, i), name, AT_REMOVEDIR) < 0 && errno != ENOENT)
            gone = false;
    return gone;
}

static void tell(GString *why, const char *what, const char *controller, int error)
{
    bool missing = error == -ENOENT || error == -EOPNOTSUPP;

    g_string_append_printf(why, "%s%s: not enforced (", why->len > 0 ? "; " : "", what);
    if (missing)
        g_string_append_printf(why, "no %s controller in the worker's cgroup)", controller);
    else /* v1 does not set a limit below what is in use */
        g_string_append_printf(why, "%s)", error == -EBUSY ? "more is in use" : g_strerror(-error));
}

/* ------------------------------------------------------------------ v1 */

/* It may be there: two controllers may share a hierarchy. */
static int make_v1(LeafControls *controls, const LeafTree *tree, const char *name, LeafControl kind)
{
    _cleanup_close_ int directory = -EBADF;
    int parent = parent_of(tree, kind), joins;

    if (controls->directories[kind] >= 0)
        return 0;
    if (parent < 0)
        return -EOPNOTSUPP;
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    joins = directory < 0 ? -EBADF : openat(directory, "tasks", O_WRONLY | O_CLOEXEC);
    if (joins < 0)
        return -errno;
    controls->joins[kind] = joins;
    controls->directories[kind] = steal_fd(&directory);
    return 0;
}

static int set_v1(LeafControls *controls, const LeafTree *tree, const char *name, LeafControl kind, uint64_t value)
{
    int r = make_v1(controls, tree, name, kind);

    return r < 0 ? r : kinds[kind].write_v1(controls->directories[kind], value);
}

size_t leaf_controls_joins(const LeafControls *controls, int joins[static _CONTROL_MAX])
{
    size_t n = 0;

    for (LeafControl i = 0; i < _CONTROL_MAX; i++)
        if (controls->joins[i] >= 0 && controls->set[i] != NONE)
            joins[n++] = controls->joins[i];
    return n;
}

/* ------------------------------------------------------------------ setting them */

unsigned leaf_controls_set(LeafControls *controls, const LeafTree *tree, int unified, const char *name,
                           const LeafLimits *limits, GString *why)
{
    unsigned entered = 0;

    for (LeafControl i = 0; i < _CONTROL_MAX; i++) {
        uint64_t value = wanted(limits, i);
        bool v1 = parent_of(tree, i) >= 0;
        int r;

        if (controls->set[i] == value)
            continue;
        r = v1            ? set_v1(controls, tree, name, i, value) :
            unified >= 0  ? kinds[i].write_v2(unified, value) :
                            -EOPNOTSUPP;
        if (r < 0) {
            tell(why, kinds[i].what, unified >= 0 && tree->unified_memory ? kinds[i].controller_v2 : kinds[i].controller_v1,
                 r);
            continue;
        }
        if (v1 && controls->set[i] == NONE)
            entered |= 1U << i;
        controls->set[i] = value;
    }
    return entered;
}

/* v1 has a second limit on memory and swap together, which may not lie below the first: it is lifted
 * before and set after. It is missing where the kernel does not account swap. */
static int set_memory_v1(int directory, const char *old, const char *text)
{
    int r;

    (void) !kernel_file_write(directory, "memory.memsw.limit_in_bytes", "-1");
    r = kernel_file_write(directory, "memory.limit_in_bytes", text);
    (void) !kernel_file_write(directory, "memory.memsw.limit_in_bytes", r < 0 ? old : text);
    return r;
}

static char *bytes_text(uint64_t bytes, const char *none)
{
    return bytes == NONE ? g_strdup(none) : g_strdup_printf("%" PRIu64, bytes);
}

int leaf_memory_set(const LeafTree *tree, int directory, uint64_t old, uint64_t memory_max_bytes)
{
    const char *none = tree->unified_memory ? "max" : "-1";
    g_autofree char *text = bytes_text(memory_max_bytes, none), *old_text = bytes_text(old, none);
    int r;

    if (!tree->unified_memory)
        return set_memory_v1(directory, old_text, text);
    r = kernel_file_write(directory, "memory.max", text);
    if (r >= 0)
        (void) !kernel_file_write(directory, "memory.swap.max", memory_max_bytes == NONE ? "max" : "0");
    return r;
}

void leaf_memory_tell(GString *why, int error)
{
    tell(why, "memory limit", "memory", error);
}
