/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* store-park.c, store-wish.c, and what attempts get: tasks that fit no worker, what is remembered over a restart, memory that
 * grows, limits of what runs. */
#include "tests/unit/store/store-fixture.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)

static void finish(Fixture *f)
{
    g_assert_cmpuint(fixture_check_plans(f), >, 0);
    fixture_verify(f);
    fixture_free(f);
}

static void park(Fixture *f, uint64_t task)
{
    f->port->park(f->port, &task, 1);
    fixture_drain(f);
}

static void unpark(Fixture *f)
{
    f->port->unpark(f->port);
    fixture_drain(f);
}

/* ------------------------------------------------------------------ what fits no worker */

static void test_park(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    park(f, 2);
    assert_states(f, 1, 3, "qbq");
    assert_text(window_of(f, UID_ANYBODY, 10), "1 3");
    assert_text(list_ids(f, filter_states(1U << TASK_BLOCKED), NULL), "2");
    g_assert_cmpuint(f->counts.by_state[TASK_BLOCKED], ==, 1);
    fixture_reopen(f);
    assert_states(f, 1, 3, "qbq");
    unpark(f);
    assert_states(f, 1, 3, "qqq");
    assert_text(window_of(f, UID_ANYBODY, 10), "1 2 3");
    g_assert_cmpuint(f->counts.by_state[TASK_BLOCKED], ==, 0);
    finish(f);
}

/* The elements that come after it in one range have the same limits. */
static void test_park_array(void)
{
    Fixture *f = fixture_new();

    submit_array(f, 100000, 0);
    begin(f, 1);
    park(f, 2);
    assert_text(window_of(f, UID_ANYBODY, 10), "");
    g_assert_cmpuint(f->counts.by_state[TASK_BLOCKED], ==, 99999);
    unpark(f);
    assert_text(window_of(f, UID_ANYBODY, 2), "2 3 +");
    finish(f);
}

static void test_park_what_is_not_queued(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 3, 0);
    begin(f, 1);
    run_task(f, 2, TASK_SUCCEEDED);
    g_free(modify(f, FILTER_IDS(3), TASK_HOLD, NULL));
    for (uint64_t task = 1; task <= 4; task++) /* 4 does not exist */
        park(f, task);
    assert_states(f, 1, 4, "rSh-");
    finish(f);
}

static void test_steer_parked(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 4, 0);
    for (uint64_t task = 1; task <= 4; task++)
        park(f, task);
    assert_text(modify(f, FILTER_IDS(1), TASK_HOLD, NULL), "1:");
    assert_text(cancel(f, FILTER_IDS(2), UID_ANYBODY), "2");
    TaskEdit *edit = g_new0(TaskEdit, 1);
    edit->limits = (TaskLimits){ .set_memory = true, .memory_max_bytes = 10 * MIB };
    assert_text(modify(f, FILTER_IDS(3), TASK_EDIT, edit), "1:");
    assert_states(f, 1, 4, "hCqb"); /* with other limits it may fit */
    assert_text(modify(f, FILTER_IDS(1), TASK_RELEASE, NULL), "1:");
    unpark(f);
    assert_states(f, 1, 4, "qCqq");
    finish(f);
}

/* It does not keep others of its queue from going on, and comes back to the end of it. */
static void test_park_in_queue(void)
{
    Fixture *f = fixture_new();
    Submission *submission = submission_new(1000, true);

    set_queue(f, "q", 1);
    for (int i = 0; i < 2; i++)
        gate_of(add_task(f, submission, ""))->queue = g_strdup("q");
    submit(f, submission);
    assert_text(window_of(f, UID_ANYBODY, 10), "1");
    park(f, 1);
    assert_text(window_of(f, UID_ANYBODY, 10), "2");
    unpark(f);
    assert_text(window_of(f, UID_ANYBODY, 10), "2");
    run_task(f, 2, TASK_SUCCEEDED);
    assert_text(window_of(f, UID_ANYBODY, 10), "1");
    finish(f);
}

/* A task that others wait for and that is put aside has not ended. */
static void test_parked_parent(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 1, 0);
    submit_after(f, "afterok:1");
    park(f, 1);
    assert_states(f, 1, 2, "bb");
    unpark(f);
    run_task(f, 1, TASK_SUCCEEDED);
    assert_states(f, 1, 2, "Sq");
    finish(f);
}

/* More than one portion, with others' operations in between. */
static void test_unpark_many(void)
{
    Fixture *f = fixture_new();

    submit_tasks(f, 5000, 0);
    for (uint64_t task = 1; task <= 5000; task++)
        f->port->park(f->port, &task, 1);
    fixture_drain(f);
    g_assert_cmpuint(f->counts.by_state[TASK_BLOCKED], ==, 5000);
    f->port->unpark(f->port);
    submit_tasks(f, 1, 0);
    for (int i = 0; i < 10; i++)
        fixture_drain(f);
    g_assert_cmpuint(f->counts.by_state[TASK_BLOCKED], ==, 0);
    finish(f);
}

/* ------------------------------------------------------------------ memory of the next attempt */

static uint64_t memory_of(Fixture *f, uint64_t task)
{
    g_autoptr(TaskRow) row = get_row(f, task);

    return row->spec->memory_max_bytes;
}

static void test_grow(void)
{
    Fixture *f = fixture_new();
    Settlement settlement = settlement_of(1, 1, TASK_QUEUED, 1);

    submit_tasks(f, 2, 0);
    assign(f, 1, 1, 7);
    settlement.memory_max_bytes = 64 * MIB;
    g_assert_cmpint(settle(f, settlement), ==, 0);
    g_assert_cmpuint(memory_of(f, 1), ==, 64 * MIB);
    g_assert_cmpuint(memory_of(f, 2), ==, 0);
    fixture_reopen(f);
    g_assert_cmpuint(memory_of(f, 1), ==, 64 * MIB);
    run_again(f, 1, TASK_FAILED); /* says nothing of memory: it stays */
    g_assert_cmpuint(memory_of(f, 1), ==, 64 * MIB);
    finish(f);
}

static void test_limit(void)
{
    Fixture *f = fixture_new();
    TaskEdit *edit = g_new0(TaskEdit, 1);

    submit_tasks(f, 3, 0);
    begin(f, 1);
    assign(f, 2, 1, 7); /* not started */
    edit->limits = (TaskLimits){ .set_memory = true, .memory_max_bytes = 32 * MIB, .set_cpu = true,
                                 .cpu_quota_usec_per_sec = 500000 };
    assert_text(modify(f, FILTER_IDS(1, 2, 3), TASK_LIMIT, edit), "3: 3 | 2");
    g_assert_cmpuint(memory_of(f, 1), ==, 32 * MIB);
    for (uint64_t task = 2; task <= 3; task++) {
        g_autoptr(TaskRow) row = get_row(f, task);
        g_assert_cmpuint(task_spec_memory(row->spec), ==, 32 * MIB);
        g_assert_cmpuint(row->spec->context->demand.cpu_quota_usec_per_sec, ==, 500000);
    }
    finish(f);
}

/* A limit that somebody sets counts more than one that has grown. */
static void test_edit_grown(void)
{
    Fixture *f = fixture_new();
    Settlement settlement = settlement_of(1, 1, TASK_QUEUED, 1);
    TaskEdit *edit = g_new0(TaskEdit, 1);

    submit_tasks(f, 1, 0);
    assign(f, 1, 1, 7);
    settlement.memory_max_bytes = 64 * MIB;
    g_assert_cmpint(settle(f, settlement), ==, 0);
    edit->limits = (TaskLimits){ .set_memory = true, .memory_max_bytes = 16 * MIB };
    g_free(modify(f, FILTER_IDS(1), TASK_EDIT, edit));
    g_autoptr(TaskRow) row = get_row(f, 1);
    g_assert_cmpuint(task_spec_memory(row->spec), ==, 16 * MIB);
    finish(f);
}

/* ------------------------------------------------------------------ over a restart */

static void test_wishes(void)
{
    Fixture *f = fixture_new();

    g_assert_cmpuint(g_hash_table_size(f->snapshot->wishes), ==, 0);
    f->port->set_wish(f->port, "target", "3", note_done, f);
    f->port->set_wish(f->port, "profile", "balanced", note_done, f);
    f->port->set_wish(f->port, "target", "4", note_done, f);
    fixture_reopen(f);
    g_assert_cmpstr(g_hash_table_lookup(f->snapshot->wishes, "target"), ==, "4");
    f->port->set_wish(f->port, "target", NULL, note_done, f);
    fixture_reopen(f);
    g_assert_cmpuint(g_hash_table_size(f->snapshot->wishes), ==, 1);
    finish(f);
}

static void learn(Fixture *f, uint32_t uid, const char *class, const char *data)
{
    g_autoptr(GBytes) bytes = data ? g_bytes_new(data, strlen(data)) : NULL;

    f->port->save_learned(f->port, &(LearnedRow){ uid, (char *) class, bytes });
}

static void test_learned(void)
{
    Fixture *f = fixture_new();

    learn(f, 1000, "sim", "one");
    learn(f, 1001, "sim", "two");
    learn(f, 1000, "sim", "three");
    learn(f, 1000, "gone", "four");
    learn(f, 1000, "gone", NULL);
    fixture_reopen(f);
    g_assert_cmpuint(f->snapshot->learned->len, ==, 2);
    for (guint i = 0; i < 2; i++) {
        const LearnedRow *row = f->snapshot->learned->pdata[i];
        g_assert_cmpstr(row->class, ==, "sim");
        g_assert_cmpmem(g_bytes_get_data(row->data, NULL), g_bytes_get_size(row->data),
                        row->uid == 1000 ? "three" : "two", row->uid == 1000 ? 5 : 3);
    }
    finish(f);
}

/* What is rarely said of a worker is kept, and limits that were changed. */
static void test_worker(void)
{
    Fixture *f = fixture_new();
    g_autoptr(WorkerRecord) record = worker_record_for_test(3);
    g_autofree char *why = NULL;

    record->spec->scaled = true;
    record->spec->limits.io_weight = 50;
    record->spec->limits.allowed_memory_nodes = g_strdup("1");
    record->spec->placement.pin = true;
    record->spec->placement.numa = 1;
    record->spec->placement.gpu_list = g_strdup("0,2");
    g_assert_cmpint(resources_parse("licence=2", &record->spec->placement.resources, &why), ==, 0);
    f->port->add_worker(f->port, record, note_done, f);
    record->spec->limits.memory_max_bytes = 77 * MIB;
    f->port->update_worker(f->port, record);
    fixture_reopen(f);
    const WorkerSpec *spec = ((WorkerRecord *) f->snapshot->workers->pdata[0])->spec;
    g_assert_true(spec->scaled && spec->placement.pin);
    g_assert_cmpuint(spec->limits.io_weight, ==, 50);
    g_assert_cmpuint(spec->limits.memory_max_bytes, ==, 77 * MIB);
    g_assert_cmpstr(spec->limits.allowed_memory_nodes, ==, "1");
    g_assert_cmpint(spec->placement.numa, ==, 1);
    g_assert_cmpstr(spec->placement.gpu_list, ==, "0,2");
    g_assert_cmpuint(resources_count(spec->placement.resources, "licence"), ==, 2);
    finish(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store-capacity/park", test_park);
    g_test_add_func("/store-capacity/park-array", test_park_array);
    g_test_add_func("/store-capacity/park-what-is-not-queued", test_park_what_is_not_queued);
    g_test_add_func("/store-capacity/steer-parked", test_steer_parked);
    g_test_add_func("/store-capacity/park-in-queue", test_park_in_queue);
    g_test_add_func("/store-capacity/parked-parent", test_parked_parent);
    g_test_add_func("/store-capacity/unpark-many", test_unpark_many);
    g_test_add_func("/store-capacity/grow", test_grow);
    g_test_add_func("/store-capacity/limit", test_limit);
    g_test_add_func("/store-capacity/edit-grown", test_edit_grown);
    g_test_add_func("/store-capacity/wishes", test_wishes);
    g_test_add_func("/store-capacity/learned", test_learned);
    g_test_add_func("/store-capacity/worker", test_worker);
    return g_test_run();
}
