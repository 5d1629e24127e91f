/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has what of the machine, read off the workers. */
#include "bus/worker-share.h"
#include "core/active-task.h"

static Worker *worker_of(uint32_t number, WorkerState state, const char *cpus, const char *gpus,
                         const char *resources)
{
    WorkerSpec *spec = worker_spec_new();
    g_autofree char *why = NULL;

    spec->limits.allowed_cpus = g_strdup(cpus);
    spec->placement.pin = cpus != NULL;
    spec->placement.gpu_list = g_strdup(gpus);
    g_assert_cmpint(resources_parse(resources, &spec->placement.resources, &why), ==, 0);
    Worker *worker = worker_new(number, spec);
    if (state != WORKER_STARTING)
        (void) worker_set_state(worker, state);
    return worker;
}

static void worker_destroy(gpointer worker)
{
    worker_free(worker);
}

static GPtrArray *workers_new(void)
{
    GPtrArray *workers = g_ptr_array_new_with_free_func(worker_destroy);

    g_ptr_array_add(workers, worker_of(1, WORKER_RUNNING, "0-1,8", "0,2", "licence=1"));
    g_ptr_array_add(workers, worker_of(2, WORKER_STARTING, "12", NULL, "licence=2,tape=1"));
    g_ptr_array_add(workers, worker_of(3, WORKER_FAILED, "4", "1", "licence=5"));
    return workers;
}

static void test_cores(void)
{
    g_autoptr(GPtrArray) workers = workers_new();
    static const struct {
        uint32_t cpu;
        const char *worker;
    } cases[] = { { 0, "w1" }, { 1, "w1" }, { 8, "w1" }, { 12, "w2" }, { 2, "" }, { 4, "" }, { 10, "" } };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint32_t cpus[] = { cases[i].cpu, cases[i].cpu + 32 };
        const MachineCore core = { .cpus = cpus, .n_cpus = 2 };
        g_assert_cmpstr(worker_share_of_core(workers, &core), ==, cases[i].worker);
    }
}

/* Kept within some CPUs is not having them alone. */
static void test_not_pinned(void)
{
    g_autoptr(GPtrArray) workers = g_ptr_array_new_with_free_func(worker_destroy);
    uint32_t cpu = 0;
    const MachineCore core = { .cpus = &cpu, .n_cpus = 1 };
    Worker *worker = worker_of(1, WORKER_RUNNING, "0-3", NULL, "");

    worker->spec->placement.pin = false;
    g_ptr_array_add(workers, worker);
    g_assert_cmpstr(worker_share_of_core(workers, &core), ==, "");
}

static void test_gpus_and_resources(void)
{
    g_autoptr(GPtrArray) workers = workers_new();

    g_assert_cmpstr(worker_share_of_gpu(workers, 0), ==, "w1");
    g_assert_cmpstr(worker_share_of_gpu(workers, 2), ==, "w1");
    g_assert_cmpstr(worker_share_of_gpu(workers, 1), ==, ""); /* that of a worker that has failed */
    g_assert_cmpuint(worker_share_taken(workers, "licence"), ==, 3);
    g_assert_cmpuint(worker_share_taken(workers, "tape"), ==, 1);
    g_assert_cmpuint(worker_share_taken(workers, "lic"), ==, 0);
}

static void test_node(void)
{
    g_autoptr(WorkerSpec) spec = worker_spec_new();

    g_assert_cmpint(worker_share_node(spec), ==, NUMA_NONE);
    spec->limits.allowed_memory_nodes = g_strdup("1");
    g_assert_cmpint(worker_share_node(spec), ==, NUMA_NONE);
    spec->placement.numa = NUMA_AUTO;
    g_assert_cmpint(worker_share_node(spec), ==, 1);
}

static TaskSpec *task_of(uint64_t id, uint64_t memory)
{
    TaskSpec *spec = task_spec_new();

    spec->id = id;
    spec->argv = g_bytes_new_static("x", 2);
    spec->context = task_context_new();
    spec->context->memory_max_bytes = memory;
    return spec;
}

/* What runs counts with the limit of its attempt; what waits at the worker, or has none, does not. */
static void test_memory(void)
{
    Worker *worker = worker_of(1, WORKER_RUNNING, NULL, NULL, "");
    ActiveTask *tasks[] = { active_task_new(task_of(1, 100), worker),
                            active_task_new(task_of(2, 100), worker),
                            active_task_new(task_of(3, LIMIT_INFINITY), worker),
                            active_task_new(task_of(4, 1000), worker) };

    tasks[1]->spec->memory_max_bytes = 30;
    for (size_t i = 0; i < 3; i++)
        active_task_set_state(tasks[i], TASK_RUNNING);
    g_assert_cmpuint(worker_share_memory(worker), ==, 130);

    g_autoptr(GPtrArray) workers = g_ptr_array_new();
    g_ptr_array_add(workers, worker);
    g_assert_cmpuint(worker_share_frozen(workers), ==, 0);
    tasks[2]->frozen = tasks[3]->frozen = true; /* the last waits at the worker */
    g_assert_cmpuint(worker_share_frozen(workers), ==, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(tasks); i++)
        active_task_free(tasks[i]);
    worker_free(worker);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker-share/cores", test_cores);
    g_test_add_func("/worker-share/not-pinned", test_not_pinned);
    g_test_add_func("/worker-share/gpus-and-resources", test_gpus_and_resources);
    g_test_add_func("/worker-share/node", test_node);
    g_test_add_func("/worker-share/memory", test_memory);
    return g_test_run();
}
