/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* manager-modify.c, hand-over.c, timeouts.c, explain.c and what else of the manager is about the queue: retries, holding and
 * editing what a worker has, results as inputs, times, classes, giving batches up, history. */
#include <string.h>

#include "fake-ports.h"

static void on_modified(int r, uint64_t count, void *userdata)
{
    World *world = userdata;

    world_done(r, world);
    world->done_count = count;
}

static void modify(World *world, uint64_t first, uint64_t last, TaskAction action, TaskEdit *edit)
{
    manager_modify(world->manager, world_filter_ids(first, last), UID_ANYBODY, action, edit, on_modified, world);
}

static void modify_now(World *world, uint64_t task, TaskAction action, TaskEdit *edit)
{
    modify(world, task, task, action, edit);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world->done_r, ==, 0);
    g_assert_cmpuint(world->done_count, ==, 1);
}

static void give_back(World *world, Worker *worker, uint64_t task)
{
    manager_tasks_given_back(world->manager, worker, &task, 1);
    fake_store_dispatch(&world->store);
}

static void run_one(World *world, Worker *worker, uint64_t task)
{
    world_started(world, worker, task);
    world_finish(world, worker, task, OUTCOME_EXITED, 0); /* after a second, it says */
    fake_store_dispatch(&world->store);
}

static uint64_t submit_policy(World *world, const char *policy)
{
    TaskSpec *spec = world_task(1000, 0);

    g_assert_cmpint(task_policy_from_text(policy, &spec->context->policy), ==, 0);
    return world_submit_one(world, spec);
}

/* ------------------------------------------------------------------ who waits for an end */

/* A slot idles after it and tasks are blocked: they may wait for just this. */
static void test_hurry(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    StoreCounts counts = { .by_state = { [TASK_BLOCKED] = 1 } };

    world_submit(world, 3);
    run_one(world, worker, 1);
    run_one(world, worker, 2);
    g_assert_cmpuint(world->store.n_hurries, ==, 0); /* the slot has the next one */
    world_started(world, worker, 3);
    world->store.events.counts_changed(&counts, world->store.events.userdata);
    world_finish(world, worker, 3, OUTCOME_EXITED, 0);
    g_assert_cmpuint(world->store.n_hurries, ==, 1);
    fake_store_dispatch(&world->store);
}

static void test_no_hurry(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    world_started(world, worker, 1);
    fake_store_dispatch(&world->store);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->store.n_hurries, ==, 0); /* nothing is left */
}

/* ------------------------------------------------------------------ retries */

static void test_retry(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    submit_policy(world, "retries=1 backoff-first=8000000");
    assert_log(world->link_log, "run w1 1.1");
    world_started(world, worker, 1);
    world_finish(world, worker, 1, OUTCOME_EXITED, 1);
    fake_store_dispatch(&world->store);
    assert_log(world->task_log, "1 running w1 #1; 1 waiting w1 #1 exited");
    g_assert_cmpint(world_state(world, 1), ==, TASK_WAITING);
    uint64_t due = world->wake_boot;
    g_assert_cmpuint(due, >=, world->boot + 6 * USEC_PER_SEC);
    g_assert_cmpuint(due, <=, world->boot + 8 * USEC_PER_SEC);
    assert_log(world->link_log, "");
    world->boot = due - 1;
    manager_wake(world->manager);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "");
    world->boot = due;
    manager_wake(world->manager);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "run w1 1.2");
    g_assert_cmpuint(world->wake_boot, ==, UINT64_MAX);
    world_started(world, worker, 1);
    world_finish(world, worker, 1, OUTCOME_EXITED, 1);
    fake_store_dispatch(&world->store);
    assert_log(world->task_log, "1 running w1 #2; 1 failed w1 #2 exited");
    g_assert_cmpuint(fake_store_task(&world->store, 1)->n_attempts, ==, 2);
    modify_now(world, 1, TASK_RETRY, NULL);
    assert_log(world->link_log, "run w1 1.3");
}

/* Lost attempts cost none of the retries. */
static void test_lost(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    submit_policy(world, "retries=1");
    world_started(world, worker, 1);
    world_gone(world, 1, "killed by signal 9");
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_QUEUED);
    g_assert_cmpuint(fake_store_task(&world->store, 1)->spec->spent, ==, 0);
    g_assert_cmpuint(fake_store_task(&world->store, 1)->spec->lost, ==, 1);
}

static void test_held_by_policy(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    submit_policy(world, "retries=5 on=exit=9:hold");
    world_started(world, worker, 1);
    world_finish(world, worker, 1, OUTCOME_EXITED, 9);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_HELD);
    g_assert_cmpstr(fake_store_task(&world->store, 1)->last.reason, ==, "held after attempt 1, as its policy says");
    world_forget_logs(world);
    modify_now(world, 1, TASK_RELEASE, NULL);
    assert_log(world->link_log, "run w1 1.2");
}

/* ------------------------------------------------------------------ what a worker has */

static void test_hold(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    assert_log(world->link_log, "run w1 1.1");
    modify_now(world, 1, TASK_HOLD, NULL);
    assert_log(world->link_log, "recall w1 1");
    give_back(world, worker, 1);
    g_assert_cmpint(world_state(world, 1), ==, TASK_HELD);
    assert_log(world->task_log, "1 held w1");
    assert_log(world->link_log, "");
    modify_now(world, 1, TASK_RELEASE, NULL);
    assert_log(world->link_log, "run w1 1.2");
}

/* It had started before the worker was asked. */
static void test_hold_late(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 1);
    modify_now(world, 1, TASK_HOLD, NULL);
    world_started(world, worker, 1);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, TASK_SUCCEEDED);
}

static void test_hold_waiting(World *world, const void *unused)
{
    world_submit(world, 3);
    modify_now(world, 2, TASK_HOLD, NULL);
    g_assert_cmpint(world_state(world, 2), ==, TASK_HELD);
    world_running_worker(world, 3);
    g_assert_nonnull(manager_find_active(world->manager, 1));
    g_assert_null(manager_find_active(world->manager, 2));
    g_assert_nonnull(manager_find_active(world->manager, 3));
}

/* Handed out after the question and before the answer: it is stored as held and must not run on. */
static void test_hold_overtaken(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 2);
    assert_log(world->link_log, "run w1 1.1");
    modify(world, 2, 2, TASK_HOLD, NULL);
    world_started(world, worker, 1);
    world_finish(world, worker, 1, OUTCOME_EXITED, 0);
    assert_log(world->link_log, "run w1 2.1");
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "cancel w1 2");
    g_assert_cmpint(world_state(world, 2), ==, TASK_HELD);
    world_finish(world, worker, 2, OUTCOME_ABORTED, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 2), ==, TASK_HELD);
    g_assert_null(manager_find_active(world->manager, 2));
    assert_log(world->link_log, "");
    modify_now(world, 2, TASK_RELEASE, NULL);
    assert_log(world->link_log, "run w1 2.2"); /* another assignment: what is told of the first is not of this one */
}

static TaskEdit *edit_priority(int32_t priority)
{
    TaskEdit *edit = g_new0(TaskEdit, 1);

    edit->set_priority = true;
    edit->priority = priority;
    return edit;
}

static void test_edit(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 3);
    assert_log(world->link_log, "run w1 1.1");
    modify_now(world, 3, TASK_EDIT, edit_priority(9)); /* waits, now in front of the others */
    assert_log(world->link_log, "");
    modify_now(world, 1, TASK_EDIT, edit_priority(-9)); /* with the worker: as it was it must not start */
    assert_log(world->link_log, "recall w1 1");
    give_back(world, worker, 1);
    assert_log(world->link_log, "run w1 3.1");
    run_one(world, worker, 3);
    assert_log(world->link_log, "run w1 2.1");
    run_one(world, worker, 2);
    assert_log(world->link_log, "run w1 1.2");
    g_assert_cmpint(manager_find_active(world->manager, 1)->spec->priority, ==, -9);
}

/* Handed out after the question and before the answer: it must not start as it was. */
static void test_edit_overtaken(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 2);
    modify(world, 2, 2, TASK_EDIT, edit_priority(7));
    run_one(world, worker, 1); /* the edit is answered after the worker was told of 2 */
    assert_log(world->link_log, "run w1 1.1; run w1 2.1; recall w1 2");
    give_back(world, worker, 2);
    assert_log(world->link_log, "run w1 2.2");
    g_assert_cmpint(manager_find_active(world->manager, 2)->spec->priority, ==, 7);
}

/* ------------------------------------------------------------------ inputs */

static TaskSpec *with_inputs(void)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->has_inputs = true;
    return spec;
}

static void test_inputs(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_one(world, with_inputs());
    assert_log(world->link_log, "run w1 1.1<1");
    g_assert_cmpuint(g_hash_table_size(worker->tasks), ==, 1); /* not twice */
    g_assert_null(manager_find_active(world->manager, 1)->spec->inputs);
}

static void test_inputs_fail(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    TaskSpec *spec = with_inputs();

    manager_set_enabled(world->manager, false, world_done, world);
    fake_store_dispatch(&world->store);
    world_submit_one(world, spec);
    manager_set_enabled(world->manager, true, world_done, world);
    fake_store_dispatch_one(&world->store); /* handed out now */
    world->store.fail = -E2BIG;
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "");
    assert_log(world->task_log, "1 failed w1 #1 spawn-failed");
    g_assert_cmpstr(fake_store_task(&world->store, 1)->last.result.note, ==,
                    "the results it depends on are over 16 MiB together");
    g_assert_cmpuint(g_hash_table_size(worker->tasks), ==, 0);
}

/* ------------------------------------------------------------------ times */

static void test_relative_timeout(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    TaskSpec *spec = world_task(1000, 0);

    spec->context->policy.timeout_percent = 250;
    spec->array_index = 0;
    spec->array_count = 5;
    world_submit_one(world, spec);
    run_one(world, worker, 1);
    run_one(world, worker, 2);
    world_started(world, worker, 3); /* nothing is known yet of how long they take */
    world_forget_logs(world);
    world_advance(world, 3600 * USEC_PER_SEC);
    assert_log(world->link_log, "");
    world_finish(world, worker, 3, OUTCOME_EXITED, 0);
    fake_store_dispatch(&world->store);
    world_started(world, worker, 4);
    world_forget_logs(world);
    manager_worker_heartbeat(world->manager, worker);
    world_advance(world, 2500 * USEC_PER_MSEC - 1);
    assert_log(world->link_log, "");
    world_advance(world, 1);
    assert_log(world->link_log, "timeout w1 4");
    world_advance(world, 10 * USEC_PER_SEC);
    assert_log(world->link_log, ""); /* told once */
    world_finish(world, worker, 4, OUTCOME_TIMEOUT, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 4), ==, TASK_FAILED);
}

static void test_history(World *world, const void *unused)
{
    world->settings.keep_history_usec = 86400 * USEC_PER_SEC;
    manager_reload(world->manager, &world->settings);
    world_advance(world, 59 * USEC_PER_SEC);
    g_assert_cmpuint(world->store.n_prunes, ==, 0);
    world->store.prune_more = true;
    world_advance(world, USEC_PER_SEC);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->store.n_prunes, ==, 1);
    g_assert_cmpuint(world->store.pruned_before_usec, ==, world->real - 86400 * USEC_PER_SEC);
    world->store.prune_more = false;
    world_advance(world, 200 * USEC_PER_MSEC);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->store.n_prunes, ==, 2);
    world_advance(world, 599 * USEC_PER_SEC);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->store.n_prunes, ==, 2);
    world_advance(world, USEC_PER_SEC);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->store.n_prunes, ==, 3);
}

/* ------------------------------------------------------------------ what the store tells */

static void test_skipped(World *world, const void *unused)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(IdRange));
    IdRange few = { 5, 6, 2 }, many = { 10, 1000000, 3 };

    g_array_append_val(ranges, few);
    world->store.events.tasks_skipped(ranges, world->store.events.userdata);
    assert_log(world->task_log, "5 skipped; 6 skipped");
    g_array_append_val(ranges, many);
    world->store.events.tasks_skipped(ranges, world->store.events.userdata);
    g_assert_cmpuint(world->task_log->len, <, 20000); /* of very many their batches tell */
}

static void test_halted(World *world, const void *now)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit(world, 3);
    world_started(world, worker, 1);
    fake_store_dispatch(&world->store);
    world_forget_logs(world);
    world->store.events.batch_halted(1, now != NULL, world->store.events.userdata);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, now ? "cancel w1 1" : "");
    assert_log(world->task_log, "2 cancelled; 3 cancelled");
    world_finish(world, worker, 1, OUTCOME_ABORTED, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpint(world_state(world, 1), ==, now ? TASK_CANCELLED : TASK_QUEUED);
}

static void test_gated(World *world, const void *unused)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->gate = task_gate_new();
    spec->gate->held = true;
    world_running_worker(world, 2);
    world_submit_one(world, spec);
    assert_log(world->link_log, "");
    spec = world_task(1000, 0);
    spec->gate = task_gate_new();
    world_submit_one(world, spec); /* nothing keeps it back: the store says so */
    assert_log(world->link_log, "run w1 2.1");
    modify_now(world, 1, TASK_RELEASE, NULL);
    assert_log(world->link_log, "run w1 1.1");
}

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

static void test_known(World *world, const void *unused)
{
    Submission *submission = g_new0(Submission, 1);

    world_running_worker(world, 1);
    world->store.known_key = "nightly";
    world->store.known_batch = 77;
    submission->tasks = g_ptr_array_new_with_free_func(spec_free);
    g_ptr_array_add(submission->tasks, world_task(1000, 0));
    submission->uid = 1000;
    submission->commit = true;
    submission->key = g_strdup("nightly");
    g_assert_cmpint(manager_submit(world->manager, submission, world_submitted, world), ==, 0);
    fake_store_dispatch(&world->store);
    g_assert_cmpuint(world->done_batch, ==, 77);
    assert_log(world->link_log, ""); /* nothing is new */
}

/* ------------------------------------------------------------------ classes */

static Worker *add_class(World *world, const char *class)
{
    WorkerSpec *spec = world_spec(1);

    spec->class = g_strdup(class);
    g_assert_cmpint(world_add(world, spec, NULL), ==, ADMITTED);
    const GPtrArray *workers = manager_workers(world->manager);
    uint32_t number = ((Worker *) workers->pdata[workers->len - 1])->number;
    fake_store_dispatch(&world->store);
    world_engine_started(world, number);
    g_assert_cmpint(world_register(world, number), ==, 0);
    fake_store_dispatch(&world->store);
    world_forget_logs(world);
    return world_worker(world, number);
}

static uint64_t submit_class(World *world, const char *class)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->class = g_strdup(class);
    return world_submit_one(world, spec);
}

static void test_class(World *world, const void *unused)
{
    add_class(world, "python");
    world_running_worker(world, 1);
    submit_class(world, "r");
    assert_log(world->link_log, "");
    world_submit(world, 1);
    assert_log(world->link_log, "run w2 2.1");
    submit_class(world, "python");
    assert_log(world->link_log, "run w1 3.1");
    add_class(world, "r");
    g_assert_nonnull(manager_find_active(world->manager, 1));
}

/* ------------------------------------------------------------------ why */

static void on_explained(int r, TaskRow *row, GPtrArray *conditions, void *userdata)
{
    GString *text = userdata;

    g_assert_cmpint(r, ==, 0);
    for (guint i = 0; i < conditions->len; i++) {
        const Condition *condition = conditions->pdata[i];
        g_string_append_printf(text, "%s%s: %s", i > 0 ? "\n" : "", condition->kind, condition->text);
    }
    task_row_free(row);
    g_ptr_array_unref(conditions);
}

static void assert_why(World *world, uint64_t task, const char *expected)
{
    g_autoptr(GString) text = g_string_new(NULL);

    manager_explain(world->manager, task, on_explained, text);
    fake_store_dispatch(&world->store);
    g_assert_cmpstr(text->str, ==, expected);
}

static void test_explain(World *world, const void *unused)
{
    world_submit(world, 1);
    submit_class(world, "python"); /* 2 */
    world_advance(world, 10 * USEC_PER_SEC); /* nobody is waited for any more */
    assert_why(world, 1, "workers: there is no worker for it; parctl add-worker adds one");
    assert_why(world, 2, "class: no worker does tasks of class python; parctl add-worker --worker-class python --exec PROGRAM "
                         "adds one");
    manager_set_enabled(world->manager, false, world_done, world);
    fake_store_dispatch(&world->store);
    assert_why(world, 1, "disabled: the queue is disabled: nothing new starts; parctl enable ends that\n"
                         "workers: there is no worker for it; parctl add-worker adds one");
    manager_set_enabled(world->manager, true, world_done, world);
    fake_store_dispatch(&world->store);
    Worker *worker = world_running_worker(world, 1);
    assert_why(world, 1, "workers: worker w1 has it and starts it when what runs there has ended");
    world_started(world, worker, 1);
    fake_store_dispatch(&world->store);
    assert_why(world, 1, "");
    world_submit(world, 1);
    assert_why(world, 3, "workers: the one slot that there is for it is taken; it starts when one falls free, parctl add-worker adds more");
    g_assert_cmpint(manager_drain(world->manager, worker), ==, 0);
    assert_why(world, 3, "workers: the one worker that may run it takes no tasks now: it starts, drains, stands still (parctl thaw lets it go on) or is not connected");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/manager-queue/hurry", test_hurry);
    WORLD_TEST("/manager-queue/no-hurry", test_no_hurry);
    WORLD_TEST("/manager-queue/retry", test_retry);
    WORLD_TEST("/manager-queue/lost", test_lost);
    WORLD_TEST("/manager-queue/held-by-policy", test_held_by_policy);
    WORLD_TEST("/manager-queue/hold/with-worker", test_hold);
    WORLD_TEST("/manager-queue/hold/late", test_hold_late);
    WORLD_TEST("/manager-queue/hold/waiting", test_hold_waiting);
    WORLD_TEST("/manager-queue/hold/overtaken", test_hold_overtaken);
    WORLD_TEST("/manager-queue/edit/order", test_edit);
    WORLD_TEST("/manager-queue/edit/overtaken", test_edit_overtaken);
    WORLD_TEST("/manager-queue/inputs/sent", test_inputs);
    WORLD_TEST("/manager-queue/inputs/fail", test_inputs_fail);
    WORLD_TEST("/manager-queue/relative-timeout", test_relative_timeout);
    WORLD_TEST("/manager-queue/history", test_history);
    WORLD_TEST("/manager-queue/skipped", test_skipped);
    g_test_add("/manager-queue/halted/soon", World, NULL, world_setup, test_halted, world_teardown);
    g_test_add("/manager-queue/halted/now", World, "now", world_setup, test_halted, world_teardown);
    WORLD_TEST("/manager-queue/gated", test_gated);
    WORLD_TEST("/manager-queue/known", test_known);
    WORLD_TEST("/manager-queue/class", test_class);
    WORLD_TEST("/manager-queue/explain", test_explain);
    return g_test_run();
}
