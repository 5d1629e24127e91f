/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits that change, what stands still, how many workers are kept, and what is told about the machine. */
#include <string.h>

#include "calls.h"
#include "recorder.h"

#define NO_TARGET UINT64_C(4294967295)

static void worker_do(sd_bus *bus, const char *path, const char *member, const char *arguments)
{
    g_variant_unref(bus_call(bus, (Target){ path, WORKER, member }, arguments, NULL));
}

/* ---- admission */

/* More cores than there are: refused with numbers and risks; forced, it works, and is marked. */
static void test_cores(Harness *h)
{
    g_autoptr(GVariant) reply = manager_call(h->bus, "Topology", NULL),
                        topology = g_variant_get_child_value(reply, 0),
                        cores = g_variant_lookup_value(topology, "cores", NULL);
    gsize n = g_variant_n_children(cores);
    g_autofree char *options =
        g_strdup_printf("'memory-max': <uint64 16777216>, 'cpu-quota': <uint64 %" G_GUINT64_FORMAT ">",
                        (guint64) (n + 1) * USEC_PER_SEC);
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("InsufficientCores"), "AddWorker", "({%s},)", options);

    g_assert_true(g_str_has_prefix(sentence, "No worker was added: needs "));
    g_assert_nonnull(strstr(sentence, "\n- "));
    g_autofree char *id = worker_add(h->bus, "%s, 'force': <true>", options);
    g_autoptr(GVariant) worker = worker_status(h->bus, id);
    g_autofree char *path = worker_path(id);
    g_assert_cmpuint(dict_number(worker, "forced"), ==, 1);
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "Forced"), ==, 1);
}

/* ---- limits of workers */

static void test_worker_limits(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, "'memory-max': <uint64 104857600>"), *path = worker_path(id);

    worker_do(h->bus, path, "SetLimits",
              "({'memory-max': <uint64 52428800>, 'cpu-quota': <uint64 250000>},)");
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "MemoryMax"), ==, 52428800);
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "CPUQuota"), ==, 250000);
    HARNESS_WAIT(h, recorder_count_changes(recorder, path, "MemoryMax") > 0);
    worker_do(h->bus, path, "SetLimits", "({'cpu-quota': <uint64 500000>},)");
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "MemoryMax"), ==, 52428800); /* stays */
}

static void test_bad_worker_limits(Harness *h)
{
    static const struct {
        const char *error, *limits;
    } cases[] = {
        { ERROR("UnknownOption"), "'slots': <uint32 2>" },
        { ERROR("InvalidArgument"), "'memory-max': <uint64 1>" },
        { ERROR("InvalidArgument"), "'memory-max': <'1G'>" },
        { ERROR("InvalidArgument"), "'cpu-quota': <uint64 0>" },
        { ERROR("InvalidArgument"), "'cpu-weight': <uint64 0>" },
        { ERROR("InvalidArgument"), "'io-weight': <uint64 10001>" },
        { ERROR("InvalidArgument"), "'tasks-max': <uint64 1>" },
        { ERROR("InsufficientMemory"), "'memory-max': <uint64 1125899906842624>" },
    };
    g_autofree char *id = worker_add(h->bus, "'memory-max': <uint64 16777216>, 'force': <false>"),
                    *path = worker_path(id);
    Target set = { path, WORKER, "SetLimits" };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_free(bus_refusal(h->bus, cases[i].error, set, "({%s},)", cases[i].limits));
    g_autofree char *nothing = bus_refusal(h->bus, ERROR("InvalidArgument"), set, "(@a{sv} {},)");
    g_assert_nonnull(strstr(nothing, "known are: memory-max, memory-high, cpu-quota"));
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "MemoryMax"), ==, 16777216);
}

/* ---- standing still */

static void test_freeze_worker(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);
    g_autoptr(Recorder) recorder = recorder_new(h->bus);

    worker_do(h->bus, path, "Freeze", "(@a{sv} {},)");
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "Frozen"), ==, 1);
    HARNESS_WAIT(h, recorder_count_changes(recorder, path, "Frozen") > 0);
    uint64_t task = task_submit_shell(h->bus, "exit 0");
    harness_pause(h, 200);
    g_assert_true(task_is(h->bus, task, "queued")); /* it takes nothing new */
    worker_do(h->bus, path, "Thaw", NULL);
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "Frozen"), ==, 0);
    task_wait(h, task, "succeeded");
    g_free(bus_refusal(h->bus, ERROR("UnknownOption"), (Target){ path, WORKER, "Freeze" },
                       "({'hard': <true>},)"));
}

static void test_task_filters(Harness *h)
{
    static const char *const methods[][2] = {
        { "Freeze", "@a{sv} {}" },
        { "SetTaskLimits", "{'memory-max': <uint64 104857600>}" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        manager_refuses(h->bus, ERROR("InvalidArgument"), methods[i][0], "(@a{sv} {}, %s)", methods[i][1]);
        manager_refuses(h->bus, ERROR("NoSuchTask"), methods[i][0], "({'ids': <[uint64 99]>}, %s)",
                        methods[i][1]);
        manager_refuses(h->bus, ERROR("NoSuchBatch"), methods[i][0], "({'batch': <uint64 99>}, %s)",
                        methods[i][1]);
    }
    manager_refuses(h->bus, ERROR("NoSuchTask"), "Thaw", "({'ids': <[uint64 99]>},)");
    manager_refuses(h->bus, ERROR("UnknownOption"), "Freeze", "({'ids': <[uint64 1]>}, {'hard': <true>})");
}

/* ---- limits of tasks */

static uint32_t count_of(GVariant *reply /* taken */)
{
    g_autoptr(GVariant) taken = reply;
    uint32_t count;

    g_variant_get(taken, "(u)", &count);
    return count;
}

static void test_task_limits(Harness *h)
{
    uint64_t task =
        task_submit(h->bus, "'argv': <[b'true']>, 'cpu-quota': <uint64 250000>, 'gpus': <uint32 2>,"
                            "'gpus-optional': <true>, 'resources': <'tape=2,licence=1'>,"
                            "'memory-max': <uint64 104857600>, 'retry-memory': <'2x'>");
    g_autofree char *path = task_path(task), *policy = bus_property_string(h->bus, path, TASK, "Policy");
    g_autoptr(GVariant) row = task_row(h->bus, task);

    g_assert_cmpuint(dict_number(row, "memory-max"), ==, 104857600);
    g_assert_cmpuint(dict_number(row, "cpu-quota"), ==, 250000);
    g_assert_cmpuint(dict_number(row, "gpus"), ==, 2);
    g_assert_cmpstr(dict_string(row, "resources"), ==, "licence=1,tape=2");
    g_assert_nonnull(strstr(policy, "retry-memory=2x"));
    g_assert_nonnull(strstr(policy, "gpus=2?"));
    g_assert_cmpuint(
        count_of(manager_call(h->bus, "SetTaskLimits",
                              "({'ids': <[uint64 %" G_GUINT64_FORMAT
                              "]>}, {'memory-max': <uint64 209715200>, 'tasks-max': <uint64 50>})",
                              task)),
        ==, 1);
    g_assert_cmpuint(bus_property_number(h->bus, path, TASK, "MemoryMax"), ==, 209715200);
    g_assert_cmpuint(count_of(manager_call(h->bus, "Edit",
                                           "({'ids': <[uint64 %" G_GUINT64_FORMAT
                                           "]>}, {'memory-max': <uint64 314572800>})",
                                           task)),
                     ==, 1);
    g_assert_cmpuint(bus_property_number(h->bus, path, TASK, "MemoryMax"), ==, 314572800);
}

/* What holds is shown, not what it was submitted with. */
static void test_running_task_limits(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit(h->bus, "'argv': <[b'/bin/sleep', b'60']>, 'cpu-quota': <uint64 500000>"),
             other = task_submit(h->bus, "'argv': <[b'/bin/sleep', b'60']>, 'cpu-quota': <uint64 500000>");
    g_autofree char *path = task_path(task);

    task_wait(h, task, "running");
    g_assert_cmpuint(count_of(manager_call(h->bus, "SetTaskLimits",
                                           "({'ids': <[uint64 %" G_GUINT64_FORMAT
                                           "]>}, {'cpu-quota': <uint64 250000>, 'tasks-max': <uint64 50>,"
                                           " 'io-weight': <uint64 7>})",
                                           task)),
                     ==, 1);
    g_autofree char *policy = bus_property_string(h->bus, path, TASK, "Policy");
    g_assert_nonnull(strstr(policy, "cpu-quota=250000"));
    g_assert_nonnull(strstr(policy, "tasks-max=50"));
    g_assert_nonnull(strstr(policy, "io-weight=7"));
    g_autoptr(GVariant) row = task_row(h->bus, task), unchanged = task_row(h->bus, other);
    g_assert_cmpuint(dict_number(row, "cpu-quota"), ==, 250000);
    g_assert_cmpuint(dict_number(unchanged, "cpu-quota"), ==, 500000);
}

static void test_bad_task_limits(Harness *h)
{
    static const struct {
        const char *error, *limits;
    } cases[] = {
        { ERROR("UnknownOption"), "'gpus': <uint32 2>" },
        { ERROR("InvalidArgument"), "'memory-max': <uint64 1>" },
        { ERROR("InvalidArgument"), "'cpu-quota': <uint64 1>" },
        { ERROR("InvalidArgument"), "'tasks-max': <uint64 0>" },
        { ERROR("InvalidArgument"), "'io-weight': <uint64 0>" },
        { ERROR("InvalidArgument"), "'io-weight': <uint64 4294967296>" },
        { ERROR("InvalidArgument"), "" },
    };
    uint64_t task = task_submit_shell(h->bus, "exit 0");

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        manager_refuses(h->bus, cases[i].error, "SetTaskLimits",
                        "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>}, @a{sv} {%s})", task, cases[i].limits);
}

/* ---- scaling */

static gsize n_workers(Harness *h)
{
    g_autoptr(GVariant) workers = bus_property(h->bus, "/org/parexec", MANAGER, "Workers");

    return g_variant_n_children(workers);
}

static void test_scale(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);

    g_assert_cmpuint(manager_number(h->bus, "ScaleTarget"), ==, NO_TARGET);
    manager_refuses(h->bus, ERROR("TooManyWorkers"), "Scale", "(uint32 5,)");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "Scale", "(uint32 4294967295,)");
    manager_do(h->bus, "Scale", "(uint32 1,)");
    g_assert_cmpuint(manager_number(h->bus, "ScaleTarget"), ==, 1);
    HARNESS_WAIT(h, recorder_count_changes(recorder, "/org/parexec", "ScaleTarget") > 0);
    HARNESS_WAIT(h, n_workers(h) == 1);
    HARNESS_WAIT(h, worker_is(h->bus, "w1", "running"));
    harness_restart_daemon(h); /* it is remembered */
    g_assert_cmpuint(manager_number(h->bus, "ScaleTarget"), ==, 1);
    manager_do(h->bus, "Scale", "(uint32 0,)");
    HARNESS_WAIT(h, n_workers(h) == 0);
    manager_do(h->bus, "Unscale", NULL);
    g_assert_cmpuint(manager_number(h->bus, "ScaleTarget"), ==, NO_TARGET);
}

static void test_autoscale(Harness *h)
{
    manager_set(h->bus, "AutoScale", "true");
    g_assert_cmpuint(manager_number(h->bus, "AutoScale"), ==, 1);
    harness_restart_daemon(h);
    g_assert_cmpuint(manager_number(h->bus, "AutoScale"), ==, 1);
    manager_do(h->bus, "Scale", "(uint32 0,)"); /* ends it */
    g_assert_cmpuint(manager_number(h->bus, "AutoScale"), ==, 0);
    g_free(bus_refusal(h->bus, ERROR("InvalidArgument"), (Target){ "/org/parexec", PROPERTIES, "Set" },
                       "('" MANAGER "', 'AutoScale', <'yes'>)"));
}

static void test_profiles(Harness *h)
{
    g_autoptr(GVariant) reply = manager_call(h->bus, "ListProfiles", NULL),
                        profiles = g_variant_get_child_value(reply, 0);
    Target set = { "/org/parexec", PROPERTIES, "Set" };

    g_assert_cmpuint(g_variant_n_children(profiles), >=, 4);
    g_autoptr(GVariant) first = g_variant_get_child_value(profiles, 0);
    g_autofree char *shape = dict_shape(first);
    g_assert_cmpstr(shape, ==, "active:b batch-size:u memory-max:t name:s timeout:t workers:u");
    g_free(bus_refusal(h->bus, ERROR("NoSuchProfile"), set, "('" MANAGER "', 'Profile', <'reckless'>)"));
    g_free(bus_refusal(h->bus, ERROR("InvalidArgument"), set, "('" MANAGER "', 'Profile', <1>)"));
    manager_set(h->bus, "Profile", "'conservative'");
    g_autofree char *active = bus_property_string(h->bus, "/org/parexec", MANAGER, "Profile");
    g_assert_cmpstr(active, ==, "conservative");
    g_assert_cmpuint(manager_number(h->bus, "ScaleTarget"), ==, 2);
    manager_do(h->bus, "Unscale", NULL);
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "MemoryMax"), ==, UINT64_C(256) << 20);
    manager_set(h->bus, "Profile", "''");
    g_autofree char *none = bus_property_string(h->bus, "/org/parexec", MANAGER, "Profile");
    g_assert_cmpstr(none, ==, "");
}

/* ---- what is told */

static void test_statistics(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit(h->bus, "'argv': <[b'/bin/sh', b'-c', b'exit 0']>, 'name': <'simulate'>"),
             other = task_submit(h->bus, "'argv': <[b'/bin/true']>");

    task_wait(h, task, "succeeded");
    task_wait(h, other, "succeeded");
    g_autoptr(GVariant) reply = manager_call(h->bus, "Statistics", "({'name': <'simulate'>},)"),
                        rows = g_variant_get_child_value(reply, 0);
    g_assert_cmpuint(g_variant_n_children(rows), ==, 1);
    g_autoptr(GVariant) row = g_variant_get_child_value(rows, 0);
    g_autofree char *shape = dict_shape(row);
    g_assert_cmpstr(
        shape, ==,
        "class:s count:t memory-max:t memory-median:t memory-p95:t next-memory:t order:t owner:u time-max:t "
        "time-median:t time-p95:t");
    g_assert_cmpuint(dict_number(row, "count"), ==, 1);
    g_assert_cmpuint(dict_number(row, "owner"), ==, geteuid());
    g_autoptr(GVariant) all = manager_call(h->bus, "Statistics", "(@a{sv} {},)"),
                        both = g_variant_get_child_value(all, 0);
    g_assert_cmpuint(g_variant_n_children(both), ==, 2);
    g_autoptr(GVariant) first_page = manager_call(h->bus, "Statistics", "({'limit': <uint32 1>},)"),
                        first_rows = g_variant_get_child_value(first_page, 0),
                        first = g_variant_get_child_value(first_rows, 0);
    g_assert_cmpuint(g_variant_n_children(first_rows), ==, 1);
    g_autoptr(GVariant) second_page = manager_call(h->bus, "Statistics", "({'before': <uint64 %" G_GUINT64_FORMAT ">},)",
                                                   dict_number(first, "order")),
                        second_rows = g_variant_get_child_value(second_page, 0),
                        second = g_variant_get_child_value(second_rows, 0);
    g_assert_cmpuint(g_variant_n_children(second_rows), ==, 1);
    g_assert_cmpstr(dict_string(first, "class"), !=, dict_string(second, "class"));
    g_assert_cmpuint(dict_number(second, "order"), <, dict_number(first, "order"));
    manager_refuses(h->bus, ERROR("UnknownOption"), "Statistics", "({'colour': <'red'>},)");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "Statistics", "({'limit': <uint32 0>},)");
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("InvalidArgument"), "Statistics", "({'limit': <uint32 501>},)");
    g_assert_cmpstr(sentence, ==, "limit is 501; one call answers from 1 to 500 classes.");
}

static void test_topology(Harness *h)
{
    g_autoptr(GVariant) reply = manager_call(h->bus, "Topology", NULL),
                        topology = g_variant_get_child_value(reply, 0);
    g_autofree char *shape = dict_shape(topology);
    g_autoptr(GVariant) cores = g_variant_lookup_value(topology, "cores", NULL);

    g_assert_cmpstr(shape, ==, "cores:aa{sv} gpus:aa{sv} nodes:aa{sv} resources:aa{sv}");
    g_assert_cmpuint(g_variant_n_children(cores), >, 0);
    g_autofree char *id = worker_add(h->bus, "'pin': <true>, 'cpu-quota': <uint64 1000000>"),
                    *path = worker_path(id);
    g_autofree char *cpus = bus_property_string(h->bus, path, WORKER, "AllowedCPUs");
    g_assert_cmpuint(strlen(cpus), >, 0);
    g_autoptr(GVariant) now = manager_call(h->bus, "Topology", NULL),
                        later = g_variant_get_child_value(now, 0),
                        placed = g_variant_lookup_value(later, "cores", NULL);
    unsigned taken = 0;
    for (gsize i = 0; i < g_variant_n_children(placed); i++) {
        g_autoptr(GVariant) core = g_variant_get_child_value(placed, i);
        taken += strcmp(dict_string(core, "worker"), id) == 0;
    }
    g_assert_cmpuint(taken, ==, 1);
    g_autoptr(GVariant) worker = worker_status(h->bus, id);
    g_assert_cmpstr(dict_string(worker, "pinned"), ==, cpus);
}

static void add(void)
{
    static const HarnessOptions four = { .config = "MaxWorkers=4\nMemoryMax=16M\nMemoryReserve=0" };

    harness_add("/capacity/cores", NULL, test_cores);
    harness_add("/capacity/worker-limits", NULL, test_worker_limits);
    harness_add("/capacity/bad-worker-limits", NULL, test_bad_worker_limits);
    harness_add("/capacity/freeze-worker", NULL, test_freeze_worker);
    harness_add("/capacity/task-filters", NULL, test_task_filters);
    harness_add("/capacity/task-limits", NULL, test_task_limits);
    harness_add("/capacity/running-task-limits", NULL, test_running_task_limits);
    harness_add("/capacity/bad-task-limits", NULL, test_bad_task_limits);
    harness_add("/capacity/scale", &four, test_scale);
    harness_add("/capacity/autoscale", &four, test_autoscale);
    harness_add("/capacity/profiles", &four, test_profiles);
    harness_add("/capacity/statistics", NULL, test_statistics);
    harness_add("/capacity/topology", NULL, test_topology);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
