/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* limit-check.c: what is written for limits, and what is said when the kernel has something else. */
#include "engine/limit-check.h"

#include <string.h>

/* A kernel: the version of each controller, and its files. */
typedef struct FakeKernel {
    int versions[_CGROUP_CONTROLLER_MAX];
    const char *files[16][2]; /* name, value; "!name": cannot be read */
    bool has_swap;
} FakeKernel;

static int fake_version(CgroupController controller, void *userdata)
{
    return ((FakeKernel *) userdata)->versions[controller];
}

static int fake_read(CgroupController controller, const char *file, char **ret_value, void *userdata)
{
    FakeKernel *kernel = userdata;

    for (size_t i = 0; i < G_N_ELEMENTS(kernel->files) && kernel->files[i][0]; i++) {
        if (strcmp(kernel->files[i][0], file) == 0) {
            *ret_value = g_strdup(kernel->files[i][1]);
            return 0;
        }
        if (kernel->files[i][0][0] == '!' && strcmp(kernel->files[i][0] + 1, file) == 0)
            return -EACCES;
    }
    return -ENOENT;
}

static char *check(const WorkerLimits *limits, FakeKernel *kernel)
{
    LimitSource source = { .version = fake_version, .read = fake_read, .has_swap = kernel->has_swap, .userdata = kernel };
    g_auto(GStrv) sentences = limit_check(limits, &source);

    return g_strjoinv("\n", sentences);
}

#define ALL_VERSIONS(n)                                                                                         \
    {                                                                                                           \
        [CGROUP_MEMORY] = n, [CGROUP_CPU] = n, [CGROUP_CPUSET] = n, [CGROUP_PIDS] = n, [CGROUP_IO] = n                           \
    }

static void init_limits(WorkerLimits *limits)
{
    worker_limits_init(limits);
    limits->memory_max_bytes = UINT64_C(2) << 30;
    limits->memory_high_bytes = UINT64_C(1) << 30;
    limits->cpu_quota_usec_per_sec = 1500000;
    limits->cpu_weight = 200;
    limits->tasks_max = 100;
    limits->allowed_cpus = g_strdup("0-3,8");
}

static void test_v2_holds(void)
{
    FakeKernel kernel = { .versions = ALL_VERSIONS(2),
                          .files = { { "memory.max", "2147483648" }, { "memory.high", "1073741824" },
                                     { "cpu.max", "150000 100000" }, { "cpu.weight", "200" }, { "pids.max", "100" },
                                     { "cpuset.cpus.effective", "0-1" }, { "memory.swap.max", "0" } },
                          .has_swap = true };
    WorkerLimits limits;

    init_limits(&limits);
    g_autofree char *text = check(&limits, &kernel);
    g_assert_cmpstr(text, ==, "");
    worker_limits_done(&limits);
}

static void test_v1_holds_but_for_high(void)
{
    FakeKernel kernel = { .versions = ALL_VERSIONS(1),
                          .files = { { "memory.limit_in_bytes", "2147483648" }, { "cpu.cfs_quota_us", "150000" },
                                     { "cpu.shares", "2048" }, { "pids.max", "100" },
                                     { "cpuset.effective_cpus", "0-3,8" } } };
    WorkerLimits limits;

    init_limits(&limits);
    g_autofree char *text = check(&limits, &kernel);
    g_assert_cmpstr(text, ==, "MemoryHigh: not enforced (cgroup v1 has no memory.high)");
    worker_limits_done(&limits);
}

static void test_nothing_is_there(void)
{
    FakeKernel kernel = { 0 };
    WorkerLimits limits;

    init_limits(&limits);
    g_autofree char *text = check(&limits, &kernel);
    g_assert_cmpstr(text, ==,
                    "memory limit: not enforced (no memory controller in this worker's cgroup)\n"
                    "MemoryHigh: not enforced (no memory controller in this worker's cgroup)\n"
                    "CPU quota: not enforced (no cpu controller in this worker's cgroup)\n"
                    "CPU weight: not enforced (no cpu controller in this worker's cgroup)\n"
                    "allowed CPUs: not enforced (no cpuset controller in this worker's cgroup)\n"
                    "task limit: not enforced (no pids controller in this worker's cgroup)");
    worker_limits_done(&limits);
}

static void test_unlimited_is_silent(void)
{
    FakeKernel kernel = { .has_swap = true };
    WorkerLimits limits;

    worker_limits_init(&limits);
    g_autofree char *text = check(&limits, &kernel);
    g_assert_cmpstr(text, ==, "");
    g_auto(GStrv) none = limit_check_none(&limits, "for no reason");
    g_assert_cmpuint(g_strv_length(none), ==, 0);
    worker_limits_done(&limits);
}

static void test_kernel_has_other(void)
{
    FakeKernel kernel = { .versions = ALL_VERSIONS(2),
                          .files = { { "memory.max", "max" }, { "memory.high", "8589934592" }, { "cpu.max", "max 100000" },
                                     { "cpu.weight", "100" }, { "pids.max", "101" }, { "cpuset.cpus.effective", "0-4" } } };
    WorkerLimits limits;

    init_limits(&limits);
    g_autofree char *text = check(&limits, &kernel);
    g_assert_cmpstr(text, ==,
                    "memory limit: not enforced (the kernel has no limit)\n"
                    "MemoryHigh: not enforced (the kernel has 8.0G, not 1.0G)\n"
                    "CPU quota: not enforced (the kernel has no limit)\n"
                    "CPU weight: not enforced (the kernel has 100, not 200)\n"
                    "allowed CPUs: not enforced (the kernel allows 0-4, not 0-3,8)\n"
                    "task limit: not enforced (the kernel has 101, not 100)");
    worker_limits_done(&limits);
}

static void test_unreadable(void)
{
    FakeKernel kernel = { .versions = ALL_VERSIONS(2), .files = { { "!memory.max", NULL } } };
    WorkerLimits limits;

    worker_limits_init(&limits);
    limits.memory_max_bytes = 1 << 30;
    g_autofree char *text = check(&limits, &kernel);
    g_assert_cmpstr(text, ==, "memory limit: not enforced (memory.max cannot be read: Permission denied)");
    worker_limits_done(&limits);
}

/* Rounding is no deviation: the kernel has pages and microseconds. */
static void test_rounding(void)
{
    static const struct {
        const char *memory, *cpu;
        bool holds;
    } cases[] = {
        { "1073741824", "33333 100000", true },  { "1073737728", "33334 100000", true },
        { "1073745920", "33333 100000", false }, { "1073741824", "33400 100000", false },
        { "1073741824", "66667 200000", true },  { "1073741824", "10 0", false },
        { "1073741824", "-1", false },           { "1073741824", "", false },
    };
    WorkerLimits limits;

    worker_limits_init(&limits);
    limits.memory_max_bytes = 1073741824 + 100;
    limits.cpu_quota_usec_per_sec = 333333;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        FakeKernel kernel = { .versions = ALL_VERSIONS(2),
                              .files = { { "memory.max", cases[i].memory }, { "cpu.max", cases[i].cpu } } };
        g_autofree char *text = check(&limits, &kernel);
        g_assert_cmpint(*text == '\0', ==, cases[i].holds);
    }
    worker_limits_done(&limits);
}

static void test_swap(void)
{
    static const struct {
        int version;
        const char *file, *value, *expected;
    } cases[] = {
        { 2, "memory.swap.max", "0", "" },
        { 2, "memory.swap.max", "max", "memory limit: not enforced for swap (memory.swap.max is max)" },
        { 2, "other", "", "memory limit: not enforced for swap (memory.swap.max is missing)" },
        { 1, "memory.memsw.limit_in_bytes", "1073741824", "" },
        { 1, "memory.memsw.limit_in_bytes", "9223372036854771712",
          "memory limit: not enforced for swap (memory.memsw.limit_in_bytes is 9223372036854771712)" },
    };
    WorkerLimits limits;

    worker_limits_init(&limits);
    limits.memory_max_bytes = 1 << 30;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *max = cases[i].version == 2 ? "memory.max" : "memory.limit_in_bytes";
        FakeKernel kernel = { .versions = { [CGROUP_MEMORY] = cases[i].version },
                              .files = { { max, "1073741824" }, { cases[i].file, cases[i].value } }, .has_swap = true };
        g_autofree char *text = check(&limits, &kernel);
        g_assert_cmpstr(text, ==, cases[i].expected);
        kernel.has_swap = false;
        g_autofree char *without = check(&limits, &kernel);
        g_assert_cmpstr(without, ==, "");
    }
    worker_limits_done(&limits);
}

static char *settings(const WorkerLimits *limits, uint32_t controllers, bool unified, bool lift)
{
    g_autoptr(GArray) array = limit_settings(limits, controllers, unified, lift);
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < array->len; i++) {
        const LimitSetting *setting = &g_array_index(array, LimitSetting, i);
        g_string_append_printf(text, "%s %s=%s\n", cgroup_controller_to_string(setting->controller), setting->file,
                               setting->value);
    }
    return g_string_free(text, FALSE);
}

static void test_settings(void)
{
    WorkerLimits limits;

    init_limits(&limits);
    g_autofree char *v2 = settings(&limits, UINT32_MAX, true, false);
    g_assert_cmpstr(v2, ==,
                    "memory memory.max=2147483648\nmemory memory.high=1073741824\ncpu cpu.max=150000 100000\n"
                    "cpu cpu.weight=200\ncpuset cpuset.cpus=0-3,8\npids pids.max=100\nmemory memory.swap.max=0\n");
    g_autofree char *v1 = settings(&limits, UINT32_MAX, false, false);
    g_assert_cmpstr(v1, ==,
                    "memory memory.limit_in_bytes=2147483648\ncpu cpu.cfs_quota_us=150000\ncpu cpu.shares=2048\n"
                    "cpuset cpuset.cpus=0-3,8\npids pids.max=100\nmemory memory.memsw.limit_in_bytes=2147483648\n");
    g_autofree char *pids = settings(&limits, CGROUP_BIT(CGROUP_PIDS), true, false);
    g_assert_cmpstr(pids, ==, "pids pids.max=100\n");
    limits.cpu_quota_usec_per_sec = 5000; /* below the kernel's millisecond */
    g_autofree char *least = settings(&limits, CGROUP_BIT(CGROUP_CPU), true, false);
    g_assert_cmpstr(least, ==, "cpu cpu.max=1000 100000\ncpu cpu.weight=200\n");
    worker_limits_done(&limits);
}

/* Limits of a group that had others: what is not limited is said, too. */
static void test_settings_lift(void)
{
    WorkerLimits limits;

    worker_limits_init(&limits);
    g_autofree char *v2 = settings(&limits, UINT32_MAX, true, true);
    g_assert_cmpstr(v2, ==,
                    "memory memory.max=max\nmemory memory.high=max\ncpu cpu.max=max 100000\ncpu cpu.weight=100\n"
                    "cpuset cpuset.cpus=\ncpuset cpuset.mems=\npids pids.max=max\nio io.bfq.weight=100\nio io.weight=100\n"
                    "memory memory.swap.max=max\n");
    limits.memory_max_bytes = 1 << 30;
    limits.io_weight = 10000;
    limits.allowed_memory_nodes = g_strdup("1");
    g_autofree char *v1 = settings(&limits, UINT32_MAX, false, true);
    g_assert_cmpstr(v1, ==,
                    "memory memory.memsw.limit_in_bytes=1073741824\nmemory memory.limit_in_bytes=1073741824\n"
                    "cpu cpu.cfs_quota_us=-1\ncpu cpu.shares=1024\ncpuset cpuset.cpus=\ncpuset cpuset.mems=1\npids pids.max=max\n"
                    "io blkio.bfq.weight=1000\nmemory memory.memsw.limit_in_bytes=1073741824\n");
    worker_limits_done(&limits);
}

static void test_io_and_nodes(void)
{
    static const struct {
        int version;
        const char *file, *value, *expected;
    } cases[] = {
        { 2, "io.weight", "default 300", "" },
        { 2, "io.weight", "default 300\n8:0 50", "" },
        { 2, "io.weight", "default 100", "IO weight: not enforced (the kernel has 100, not 300)" },
        { 2, "io.bfq.weight", "118", "" }, /* its own scale */
        { 2, "io.max", "", "IO weight: not enforced (the io controller of this kernel has no weights)" },
        { 1, "blkio.bfq.weight", "118", "" },
        { 1, "blkio.weight", "300", "IO weight: not enforced (the blkio controller of this kernel has no weights)" },
        { 0, "io.weight", "default 300", "IO weight: not enforced (no io controller in this worker's cgroup)" },
    };
    FakeKernel nodes = { .versions = ALL_VERSIONS(2), .files = { { "cpuset.mems.effective", "0-1" } } };
    WorkerLimits limits;

    worker_limits_init(&limits);
    limits.io_weight = 300;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        FakeKernel kernel = { .versions = ALL_VERSIONS(cases[i].version), .files = { { cases[i].file, cases[i].value } } };
        g_autofree char *text = check(&limits, &kernel);
        g_assert_cmpstr(text, ==, cases[i].expected);
    }
    limits.io_weight = 0;
    limits.allowed_memory_nodes = g_strdup("0-1,3");
    g_autofree char *within = check(&limits, &nodes);
    g_assert_cmpstr(within, ==, "");
    nodes.files[0][1] = "0-2";
    g_autofree char *beyond = check(&limits, &nodes);
    g_assert_cmpstr(beyond, ==, "memory nodes: not enforced (the kernel allows 0-2, not 0-1,3)");
    worker_limits_done(&limits);
}

static void test_controllers(void)
{
    WorkerLimits limits;

    worker_limits_init(&limits);
    g_assert_cmpuint(limit_controllers(&limits), ==, 0);
    limits.tasks_max = 5;
    limits.cpu_weight = 7;
    g_assert_cmpuint(limit_controllers(&limits), ==, CGROUP_BIT(CGROUP_PIDS) | CGROUP_BIT(CGROUP_CPU));
    worker_limits_done(&limits);
}

static void test_cpu_mask(void)
{
    static const struct {
        const char *list;
        guint size;
        guint8 first, last;
    } good[] = { { "0", 1, 0x01, 0x01 }, { "7,0", 1, 0x81, 0x81 }, { "0-8", 2, 0xff, 0x01 }, { "8,0", 2, 0x01, 0x01 },
                 { "8191", 1024, 0x00, 0x80 } };
    static const char *const bad[] = { "", ",", "0,", "-", "3-1", "8192", "0-8192", "a", "1-2-3", " 1", "+1",
                                       "18446744073709551616" };

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GByteArray) mask = limit_cpu_mask(good[i].list);
        g_assert_nonnull(mask);
        g_assert_cmpuint(mask->len, ==, good[i].size);
        g_assert_cmpuint(mask->data[0], ==, good[i].first);
        g_assert_cmpuint(mask->data[mask->len - 1], ==, good[i].last);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_null(limit_cpu_mask(bad[i]));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/limit-check/v2-holds", test_v2_holds);
    g_test_add_func("/limit-check/v1-holds-but-for-high", test_v1_holds_but_for_high);
    g_test_add_func("/limit-check/nothing-is-there", test_nothing_is_there);
    g_test_add_func("/limit-check/unlimited-is-silent", test_unlimited_is_silent);
    g_test_add_func("/limit-check/kernel-has-other", test_kernel_has_other);
    g_test_add_func("/limit-check/unreadable", test_unreadable);
    g_test_add_func("/limit-check/rounding", test_rounding);
    g_test_add_func("/limit-check/swap", test_swap);
    g_test_add_func("/limit-check/settings", test_settings);
    g_test_add_func("/limit-check/settings-lift", test_settings_lift);
    g_test_add_func("/limit-check/io-and-nodes", test_io_and_nodes);
    g_test_add_func("/limit-check/controllers", test_controllers);
    g_test_add_func("/limit-check/cpu-mask", test_cpu_mask);
    return g_test_run();
}
