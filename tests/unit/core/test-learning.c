/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* learning.c: what tasks took before, and what "memory auto" makes of it. */
#include "fake-ports.h"

#include <string.h>

static TaskSpec *automatic(uint32_t uid, const char *name)
{
    TaskSpec *spec = world_task(uid, 0);

    spec->context->demand.memory_auto = true;
    g_free(spec->name);
    spec->name = g_strdup(name);
    return spec;
}

static GPtrArray *statistics(World *world, uint32_t only_uid, const char *class)
{
    return manager_statistics(world->manager, &(StatisticsFilter){ only_uid, class, UINT64_MAX, UINT32_MAX });
}

static uint64_t asked_mib(World *world, uint64_t task)
{
    return task_spec_memory(manager_find_active(world->manager, task)->spec) >> 20;
}

/* Runs one that takes so much; returns what it was given. */
static uint64_t learn(World *world, Worker *worker, uint32_t uid, const char *name, uint64_t peak_mib)
{
    uint64_t id = world_submit_one(world, automatic(uid, name)), asked = asked_mib(world, id);

    world_end_with_peak(world, worker, id, peak_mib, USEC_PER_SEC);
    return asked;
}

static void test_default_then_p95(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    g_assert_cmpuint(learn(world, worker, 1000, "sim", 100), ==, 256);
    g_assert_cmpuint(learn(world, worker, 1000, "sim", 200), ==, 120); /* a fifth more */
    g_assert_cmpuint(learn(world, worker, 1000, "sim", 200), ==, 240);
    g_assert_cmpuint(learn(world, worker, 1000, "other", 1), ==, 256);
    g_assert_cmpuint(learn(world, worker, 1000, "other", 1), ==, 16); /* the least */
}

static void test_no_more_than_there_is(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    learn(world, worker, 1000, "sim", 1000);
    g_assert_cmpuint(learn(world, worker, 1000, "sim", 1000), ==, 1024);
}

static void test_by_user(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    learn(world, worker, 1000, "sim", 500);
    g_assert_cmpuint(learn(world, worker, 1001, "sim", 10), ==, 256);
    g_assert_cmpuint(learn(world, worker, 1000, "sim", 10), ==, 600);
}

static TaskSpec *program(const char *path)
{
    TaskSpec *spec = automatic(1000, "");

    g_bytes_unref(spec->argv);
    spec->argv = g_bytes_new(path, strlen(path) + 1);
    return spec;
}

/* Without a name its program counts, wherever that lies; what is no text, and what is very long, does no harm. */
static void test_by_program(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    g_autofree char *long_path = g_strnfill(100000, 'x');
    const char *const paths[] = { "/opt/bin/sim", "sim", "/", "a/", "\xff\xfe", long_path };

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        uint64_t id = world_submit_one(world, program(paths[i]));
        world_end_with_peak(world, worker, id, 500, USEC_PER_SEC);
    }
    g_autoptr(GPtrArray) sim = statistics(world, UID_ANYBODY, "sim");
    g_assert_cmpuint(sim->len, ==, 1);
    g_assert_cmpuint(((StatisticsRow *) sim->pdata[0])->figures.count, ==, 2);
    g_autoptr(GPtrArray) all = statistics(world, UID_ANYBODY, NULL);
    g_assert_cmpuint(all->len, ==, 5);
    for (guint i = 0; i < all->len; i++) {
        const StatisticsRow *row = all->pdata[i];
        g_assert_true(g_utf8_validate(row->class, -1, NULL));
        g_assert_cmpuint(strlen(row->class), <=, 256);
    }
}

/* Only what went well says how much is enough. */
static void test_successes_only(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_one(world, automatic(1000, "sim"));
    world_oom(world, worker, 1, OOM_TASK);
    world_submit_one(world, automatic(1000, "sim"));
    world_end(world, worker, 2, OUTCOME_SIGNALLED);
    g_autoptr(GPtrArray) rows = statistics(world, UID_ANYBODY, NULL);
    g_assert_cmpuint(rows->len, ==, 0);
}

/* The first of a class escalate, later ones start right. */
static void test_with_growth(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    TaskSpec *spec = automatic(1000, "sim");

    spec->context->demand.memory_factor = 2;
    world_submit_one(world, spec);
    g_assert_cmpuint(asked_mib(world, 1), ==, 256);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpuint(asked_mib(world, 1), ==, 512);
    world_oom(world, worker, 1, OOM_TASK);
    g_assert_cmpuint(asked_mib(world, 1), ==, 1024);
    world_end_with_peak(world, worker, 1, 700, USEC_PER_SEC);
    g_assert_cmpuint(learn(world, worker, 1000, "sim", 700), ==, 840);
}

/* What it has grown to is not taken back by what others took. */
static void test_growth_counts_more(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    TaskSpec *spec = automatic(1000, "sim");

    learn(world, worker, 1000, "sim", 100);
    spec->context->demand.memory_factor = 4;
    uint64_t id = world_submit_one(world, spec);
    world_oom(world, worker, id, OOM_TASK);
    g_assert_cmpuint(asked_mib(world, id), ==, 480);
}

static unsigned n_saved(World *world)
{
    return world->store.learned->len;
}

static void test_saved(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    learn(world, worker, 1000, "sim", 100);
    world_advance(world, 5 * USEC_PER_SEC);
    learn(world, worker, 1000, "sim", 100); /* does not put it off */
    world_advance(world, 5 * USEC_PER_SEC - 1);
    g_assert_cmpuint(n_saved(world), ==, 0);
    world_advance(world, 1);
    g_assert_cmpuint(n_saved(world), ==, 1);
    world_advance(world, 100 * USEC_PER_SEC);
    g_assert_cmpuint(n_saved(world), ==, 1); /* nothing has changed */
    learn(world, worker, 1000, "other", 100);
    learn(world, worker, 1000, "once", 100); /* one of its kind: not worth a row */
    learn(world, worker, 1000, "other", 100);
    manager_stop(world->manager);
    g_assert_cmpuint(n_saved(world), ==, 2);
    manager_stop(world->manager);
    g_assert_cmpuint(n_saved(world), ==, 2);
}

static void test_restart(World *world, const void *unused)
{
    LearnedRow *rubbish = g_new(LearnedRow, 1);

    Worker *worker = world_running_worker(world, 1);

    learn(world, worker, 1000, "sim", 100);
    learn(world, worker, 1000, "sim", 100);
    manager_stop(world->manager);
    *rubbish = (LearnedRow){ 1000, g_strdup("bad"), g_bytes_new("rubbish", 7) };
    g_ptr_array_add(world->store.learned, rubbish);
    world_gone(world, 1, "exited with status 0");
    world_restart(world);
    world_running_worker(world, 1);
    world_submit_one(world, automatic(1000, "sim"));
    g_assert_cmpuint(asked_mib(world, 3), ==, 120);
    g_autoptr(GPtrArray) rows = statistics(world, UID_ANYBODY, NULL);
    g_assert_cmpuint(rows->len, ==, 1);
}

/* After a restart it is not known how much a running task was given: it takes what it would get now. */
static void test_room_after_restart(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 8);

    for (int i = 0; i < 4; i++)
        world_started(world, worker, world_submit_one(world, automatic(1000, "sim")));
    world_restart(world);
    worker = world_worker(world, 1);
    HeldReport held[] = { { 1, 1, 1 }, { 2, 1, 1 }, { 3, 1, 1 }, { 4, 1, 1 } };
    g_assert_cmpint(manager_worker_register(world->manager, 1, worker->token, PID_OF(1)), ==, 0);
    manager_worker_reports(world->manager, worker, held, 4, NULL, 0, world_done, world);
    fake_store_dispatch(&world->store);
    world_submit_one(world, automatic(1000, "sim"));
    g_assert_null(manager_find_active(world->manager, 5));
}

static void test_statistics(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    for (uint64_t i = 1; i <= 20; i++) {
        uint64_t id = world_submit_one(world, automatic(1000, "sim"));
        world_end_with_peak(world, worker, id, 10 * i, i * USEC_PER_SEC);
    }
    learn(world, worker, 1001, "sim", 5);
    learn(world, worker, 1000, "another", 5);
    g_autoptr(GPtrArray) rows = statistics(world, 1000, NULL);
    g_assert_cmpuint(rows->len, ==, 2);
    g_assert_cmpstr(((StatisticsRow *) rows->pdata[0])->class, ==, "another");
    const StatisticsRow *row = rows->pdata[1];
    g_assert_cmpuint(row->figures.count, ==, 20);
    g_assert_cmpuint(row->figures.memory_median_bytes >> 20, ==, 100);
    g_assert_cmpuint(row->figures.memory_p95_bytes >> 20, ==, 190);
    g_assert_cmpuint(row->figures.memory_max_bytes >> 20, ==, 200);
    g_assert_cmpuint(row->figures.time_median_usec, ==, 10 * USEC_PER_SEC);
    g_assert_cmpuint(row->next_memory_bytes >> 20, ==, 228);
    g_assert_cmpuint(row->owner, ==, 1000);
    g_autoptr(GPtrArray) both = statistics(world, UID_ANYBODY, "sim");
    g_assert_cmpuint(both->len, ==, 2);
    g_assert_cmpuint(((StatisticsRow *) both->pdata[0])->owner, ==, 1001); /* the later one */
    g_assert_cmpuint(((StatisticsRow *) both->pdata[1])->owner, ==, 1000);
}

/* Page by page, each class once, however they are used meanwhile. */
static void test_pages(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    StatisticsFilter filter = { 1000, NULL, UINT64_MAX, 2 };
    static const char *const names[] = { "a", "b", "c", "d", "e" };
    static const char *const pages[] = { "e d", "c b", "a", "" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        learn(world, worker, 1000, names[i], 10);
        learn(world, worker, 1001, names[i], 10);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(pages); i++) {
        g_autoptr(GPtrArray) rows = manager_statistics(world->manager, &filter);
        g_autoptr(GString) page = g_string_new(NULL);
        for (guint j = 0; j < rows->len; j++) {
            const StatisticsRow *row = rows->pdata[j];
            g_string_append_printf(page, "%s%s", j > 0 ? " " : "", row->class);
            g_assert_cmpuint(row->order, <, filter.before);
            filter.before = row->order;
        }
        g_assert_cmpstr(page->str, ==, pages[i]);
        learn(world, worker, 1000, "d", 10); /* which was told already */
    }
    filter.before = UINT64_MAX;
    g_autoptr(GPtrArray) again = manager_statistics(world->manager, &filter);
    g_assert_cmpstr(((StatisticsRow *) again->pdata[0])->class, ==, "d");
    g_assert_cmpuint(((StatisticsRow *) again->pdata[0])->figures.count, ==, 5);
}

#define N_OF_OTHERS 10U

/* The class that was used the longest ago gives way, but not another user's to somebody who has very many. */
static void test_bounded(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    HeldReport held = { 0 };

    world_submit_array(world, 1);
    held = (HeldReport){ 1, 1, 1 };
    manager_tasks_started(world->manager, worker, &held, 1);
    GPtrArray *rows = world->store.learned;
    g_autoptr(Learned) learned = learned_new();
    learned_add(learned, 1 << 20, 1);
    g_autoptr(GBytes) data = learned_serialize(learned);
    for (unsigned i = 0; i < LEARNED_ROWS_MAX; i++) {
        LearnedRow *row = g_new(LearnedRow, 1);
        *row = (LearnedRow){ i < N_OF_OTHERS ? 1001 : 1000, g_strdup_printf("c%u", i), g_bytes_ref(data) };
        g_ptr_array_add(rows, row);
    }
    world_gone(world, 1, "killed by signal 9");
    fake_store_dispatch(&world->store);
    world_restart(world);
    worker = world_running_worker(world, 4);
    learn(world, worker, 1001, "c0", 1);
    learn(world, worker, 1000, "c10", 1);
    g_assert_cmpuint(rows->len, ==, LEARNED_ROWS_MAX);
    learn(world, worker, 1000, "one more", 1);
    g_autoptr(GPtrArray) all = statistics(world, UID_ANYBODY, NULL);
    g_assert_cmpuint(all->len, ==, LEARNED_ROWS_MAX);
    const LearnedRow *forgotten = rows->pdata[rows->len - 1];
    g_assert_cmpstr(forgotten->class, ==, "c11"); /* c10 was used again */
    g_assert_null(forgotten->data);
    learn(world, worker, 1001, "another", 1);
    forgotten = rows->pdata[rows->len - 1];
    g_assert_cmpstr(forgotten->class, ==, "c1"); /* who has few takes the oldest of all */
    g_ptr_array_set_size(rows, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/learning/default-then-p95", test_default_then_p95);
    WORLD_TEST("/learning/no-more-than-there-is", test_no_more_than_there_is);
    WORLD_TEST("/learning/by-user", test_by_user);
    WORLD_TEST("/learning/by-program", test_by_program);
    WORLD_TEST("/learning/successes-only", test_successes_only);
    WORLD_TEST("/learning/with-growth", test_with_growth);
    WORLD_TEST("/learning/growth-counts-more", test_growth_counts_more);
    WORLD_TEST("/learning/saved", test_saved);
    WORLD_TEST("/learning/restart", test_restart);
    WORLD_TEST("/learning/room-after-restart", test_room_after_restart);
    WORLD_TEST("/learning/statistics", test_statistics);
    WORLD_TEST("/learning/pages", test_pages);
    WORLD_TEST("/learning/bounded", test_bounded);
    return g_test_run();
}
