/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fit.c: what a worker has, what is taken, what a task wants. */
#include "policy/fit.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define CPU USEC_PER_SEC
#define NONE UINT64_MAX

static GArray *resources_of(const char *text)
{
    GArray *resources = NULL;
    g_autofree char *why = NULL;

    g_assert_cmpint(resources_parse(text ? text : "", &resources, &why), ==, 0);
    return resources;
}

typedef struct Amounts {
    uint64_t memory, cpu, tasks;
    uint32_t gpus;
    const char *resources;
} Amounts;

static Room room_of(const Amounts *amounts, const GArray *resources)
{
    return (Room){ amounts->memory, amounts->cpu, amounts->tasks, amounts->gpus, resources };
}

static void test_judge(void)
{
    static const struct {
        Amounts whole, taken, wanted;
        FitVerdict verdict;
        const char *why;
    } cases[] = {
        { { NONE, NONE, NONE }, { 0 }, { 0 }, FITS, NULL },
        { { NONE, NONE, NONE }, { NONE - 1, NONE - 1, NONE - 1 }, { NONE - 1, NONE - 1, NONE - 1 }, FITS, NULL },
        { { 2 * GIB, NONE, NONE }, { 0 }, { 2 * GIB }, FITS, NULL },
        { { 2 * GIB, NONE, NONE }, { 1 }, { 2 * GIB }, FITS_LATER,
          "needs 2.0G of memory; of the worker's 2.0G, 1B taken by its other tasks" },
        { { 2 * GIB, NONE, NONE }, { 0 }, { 2 * GIB + 1 }, FITS_NEVER, "needs 2.0G of memory; the worker has 2.0G" },
        { { 8 * GIB, NONE, NONE }, { 6 * GIB }, { 4 * GIB }, FITS_LATER,
          "needs 4.0G of memory; of the worker's 8.0G, 6.0G taken by its other tasks" },
        { { 2 * GIB, NONE, NONE }, { 3 * GIB }, { 0 }, FITS, NULL }, /* it asks for nothing */
        { { 2 * GIB, NONE, NONE }, { 3 * GIB }, { 1 }, FITS_LATER,
          "needs 1B of memory; of the worker's 2.0G, 3.0G taken by its other tasks" }, /* its limit was lowered */
        { { NONE, 2 * CPU, NONE }, { 0, CPU }, { 0, CPU }, FITS, NULL },
        { { NONE, 2 * CPU, NONE }, { 0, CPU + CPU / 2 }, { 0, CPU }, FITS_LATER,
          "needs 1 CPU; of the worker's 2, 1.5 taken by its other tasks" },
        { { NONE, CPU / 2, NONE }, { 0 }, { 0, CPU }, FITS_NEVER, "needs 1 CPU; the worker has 0.5" },
        { { NONE, NONE, 100 }, { 0, 0, 60 }, { 0, 0, 41 }, FITS_LATER,
          "needs 41 processes; of the worker's 100, 60 taken by its other tasks" },
        { { NONE, NONE, NONE, 2 }, { 0, 0, 0, 1 }, { 0, 0, 0, 1 }, FITS, NULL },
        { { NONE, NONE, NONE, 2 }, { 0, 0, 0, 2 }, { 0, 0, 0, 1 }, FITS_LATER,
          "needs 1 GPU; of the worker's 2, 2 taken by its other tasks" },
        { { NONE, NONE, NONE, 0 }, { 0 }, { 0, 0, 0, 1 }, FITS_NEVER, "needs 1 GPU; the worker has 0" },
        { { NONE, NONE, NONE, 0, "licence=3" }, { 0, 0, 0, 0, "licence=1" }, { 0, 0, 0, 0, "licence=2" }, FITS, NULL },
        { { NONE, NONE, NONE, 0, "licence=3" }, { 0, 0, 0, 0, "licence=2" }, { 0, 0, 0, 0, "licence=2" }, FITS_LATER,
          "needs 2 of licence; of the worker's 3, 2 taken by its other tasks" },
        { { NONE, NONE, NONE, 0, "licence=3" }, { 0 }, { 0, 0, 0, 0, "licence=1,tape=1" }, FITS_NEVER,
          "needs 1 of tape; the worker has 0" },
        /* what never fits is told before what does not fit now */
        { { 2 * GIB, NONE, NONE, 0 }, { 2 * GIB }, { GIB, 0, 0, 1 }, FITS_NEVER, "needs 1 GPU; the worker has 0" },
        { { NONE - 1, NONE, NONE }, { NONE - 1 }, { NONE - 1 }, FITS_LATER,
          "needs 16.0E of memory; of the worker's 16.0E, 16.0E taken by its other tasks" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GArray) has = resources_of(cases[i].whole.resources), gone = resources_of(cases[i].taken.resources),
                          asked = resources_of(cases[i].wanted.resources);
        Room whole = room_of(&cases[i].whole, has), taken = room_of(&cases[i].taken, gone),
             wanted = room_of(&cases[i].wanted, asked);
        g_autofree char *why = NULL;
        g_test_message("case %zu", i);
        g_assert_cmpint(fit_judge(&whole, &taken, &wanted, &why), ==, cases[i].verdict);
        g_assert_cmpint(fit_judge(&whole, &taken, &wanted, NULL), ==, cases[i].verdict);
        g_assert_cmpstr(why, ==, cases[i].why);
    }
}

static void test_room_of_worker(void)
{
    g_autoptr(WorkerSpec) spec = worker_spec_new();
    Room room = room_of_worker(spec);

    g_assert_cmpuint(room.memory_bytes, ==, NONE);
    g_assert_cmpuint(room.cpu_quota_usec_per_sec, ==, NONE);
    g_assert_cmpuint(room.tasks, ==, NONE);
    g_assert_cmpuint(room.gpus, ==, 0);
    g_assert_null(room.resources);
    spec->limits.memory_max_bytes = GIB;
    spec->limits.tasks_max = 50;
    g_assert_cmpint(placement_from_text("gpus=2 resources=licence=3", &spec->placement), ==, 0);
    room = room_of_worker(spec);
    g_assert_cmpuint(room.memory_bytes, ==, GIB);
    g_assert_cmpuint(room.tasks, ==, 50);
    g_assert_cmpuint(room.gpus, ==, 2);
    g_assert_cmpuint(resources_count(room.resources, "licence"), ==, 3);
}

static void test_room_of_task(void)
{
    g_autoptr(TaskSpec) spec = task_spec_new();

    spec->context = task_context_new();
    Room room = room_of_task(spec);
    g_assert_cmpuint(room.memory_bytes + room.cpu_quota_usec_per_sec + room.tasks + room.gpus, ==, 0);
    spec->context->memory_max_bytes = GIB;
    g_assert_cmpint(task_demand_from_text("cpu-quota=500000 tasks-max=20 gpus=2", &spec->context->demand), ==, 0);
    room = room_of_task(spec);
    g_assert_cmpuint(room.memory_bytes, ==, GIB);
    g_assert_cmpuint(room.cpu_quota_usec_per_sec, ==, 500000);
    g_assert_cmpuint(room.tasks, ==, 20);
    g_assert_cmpuint(room.gpus, ==, 2);
    spec->memory_max_bytes = 3 * GIB; /* of this attempt */
    spec->context->demand.gpus_optional = true;
    room = room_of_task(spec);
    g_assert_cmpuint(room.memory_bytes, ==, 3 * GIB);
    g_assert_cmpuint(room.gpus, ==, 0); /* it would do without */
    spec->gpus = g_strdup("1,3");
    g_assert_cmpuint(room_of_task(spec).gpus, ==, 2);
    *spec->gpus = '\0';
    g_assert_cmpuint(room_of_task(spec).gpus, ==, 0);
}

static void test_covers(void)
{
    g_autoptr(GArray) one = NULL, two = NULL, other = NULL;
    g_autofree char *why = NULL;

    g_assert_cmpint(resources_parse("licence=1", &one, &why), ==, 0);
    g_assert_cmpint(resources_parse("licence=2,tape=1", &two, &why), ==, 0);
    g_assert_cmpint(resources_parse("robot=1", &other, &why), ==, 0);
    const Room base = { GIB, CPU, 10, 1, one }, more_memory = { 2 * GIB, CPU, 10, 1, one },
               more_cpu = { GIB, NONE, 10, 1, one }, more_tasks = { GIB, CPU, 11, 1, one },
               more_gpus = { GIB, CPU, 10, 2, one }, more_things = { GIB, CPU, 10, 1, two },
               other_things = { GIB, CPU, 10, 1, other }, nothing = { 0 };
    const Room *const more[] = { &more_memory, &more_cpu, &more_tasks, &more_gpus, &more_things };

    g_assert_true(room_covers(&base, &base) && room_covers(&base, &nothing) && room_equal(&base, &base));
    g_assert_false(room_covers(&nothing, &base));
    for (size_t i = 0; i < G_N_ELEMENTS(more); i++) {
        g_assert_true(room_covers(more[i], &base));
        g_assert_false(room_covers(&base, more[i]));
        g_assert_false(room_equal(&base, more[i]));
    }
    g_assert_false(room_covers(&base, &other_things) || room_covers(&other_things, &base));
    g_assert_false(room_equal(&base, &other_things));
    Room *copy = room_copy(&base);
    g_assert_true(room_equal(copy, &base));
    room_free(copy);
    room_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fit/judge", test_judge);
    g_test_add_func("/fit/room-of-worker", test_room_of_worker);
    g_test_add_func("/fit/room-of-task", test_room_of_task);
    g_test_add_func("/fit/covers", test_covers);
    return g_test_run();
}
