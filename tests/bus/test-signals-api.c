/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon tells by itself: to all, to subscribers, and how often. */
#include <string.h>

#include "calls.h"
#include "recorder.h"

static bool idle(sd_bus *bus)
{
    return queue_count(bus, "running") == 0 && queue_count(bus, "queued") == 0;
}

/* The result of the n-th BatchFinished. */
static GVariant *batch_result(Harness *h, Recorder *recorder, unsigned n, uint64_t *ret_batch)
{
    GVariant *result;

    HARNESS_WAIT(h, recorder_find(recorder, "BatchFinished", n));
    g_variant_get(recorder_find(recorder, "BatchFinished", n)->body, "(t@a{sv})", ret_batch, &result);
    return result;
}

/* ---- batches */

static void test_batch_of_one(Harness *h)
{
    static const struct {
        const char *task, *shape;
    } cases[] = {
        { "'argv': <[b'sh', b'-c', b'exit 3']>", "exit-status:i" },
        { "'argv': <[b'sh', b'-c', b'kill -9 $$']>", "signal:i" },
        { "'argv': <[b'/nonexistent']>", "errno:i" },
    };
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL);

    manager_do(h->bus, "Subscribe", NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t batch, task = task_submit(h->bus, "%s", cases[i].task);
        g_autoptr(GVariant) result = batch_result(h, recorder, i, &batch);
        g_assert_cmpuint(dict_number(result, "count"), ==, 1);
        g_assert_cmpuint(dict_number(result, "failed"), ==, 1);
        g_assert_cmpuint(dict_number(result, "task"), ==, task);
        g_assert_cmpstr(dict_string(result, "worker"), ==, id);
        g_autofree char *shape = dict_shape(result);
        if (!strstr(shape, cases[i].shape))
            g_error("no %s in %s", cases[i].shape, shape);
        g_assert_true(dict_has(result, "outcome"));
    }
}

static void test_batch_of_many(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    uint64_t batch;

    manager_do(h->bus, "Subscribe", NULL);
    manager_do(
        h->bus, "Submit",
        "([{'argv': <[b'true']>, 'array': <(uint64 0, uint64 4)>}, {'argv': <[b'false']>}, {'argv': <[b'false']>},"
        "{'argv': <[b'true']>, 'name': <'no'>}], @a{sv} {})");
    manager_do(h->bus, "Cancel", "({'name': <'no'>},)");
    g_autofree char *id = worker_add(h->bus, "'slots': <uint32 3>");
    g_autoptr(GVariant) result = batch_result(h, recorder, 0, &batch);
    g_autofree char *shape = dict_shape(result);
    g_assert_cmpuint(batch, ==, 1);
    g_assert_cmpstr(shape, ==, "cancelled:t count:t failed:t skipped:t succeeded:t");
    g_assert_cmpuint(dict_number(result, "count"), ==, 8);
    g_assert_cmpuint(dict_number(result, "succeeded"), ==, 5);
    g_assert_cmpuint(dict_number(result, "failed"), ==, 2);
    g_assert_cmpuint(dict_number(result, "cancelled"), ==, 1);
    harness_pause(h, 200);
    g_assert_cmpuint(recorder_count(recorder, "BatchFinished"), ==, 1);
}

static void test_batch_cancelled(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    uint64_t batch;

    manager_do(h->bus, "Subscribe", NULL);
    manager_do(h->bus, "Submit", "([{'argv': <[b'true']>, 'array': <(uint64 0, uint64 99)>}], @a{sv} {})");
    uint64_t single = task_submit(h->bus, "'argv': <[b'true']>");
    manager_do(h->bus, "Cancel", "({'states': <['queued']>},)");
    g_autoptr(GVariant) first = batch_result(h, recorder, 0, &batch),
                        second = batch_result(h, recorder, 1, &batch);
    GVariant *many = dict_number(first, "count") == 100 ? first : second,
             *one = many == first ? second : first;
    g_assert_cmpuint(dict_number(many, "cancelled"), ==, 100);
    g_assert_cmpuint(dict_number(one, "task"), ==, single);
    g_assert_false(dict_has(one, "outcome")); /* it never ran */
}

/* An open batch whose tasks have all been cancelled has not ended; once it is complete, it has. */
static void test_batch_open(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t batch;

    manager_do(h->bus, "Subscribe", NULL);
    manager_do(h->bus, "Submit", "([{'argv': <[b'true']>}], {'commit': <false>})");
    harness_pause(h, 100);
    g_assert_cmpuint(recorder_count(recorder, "BatchFinished"), ==, 0);
    manager_do(h->bus, "Submit", "([{'argv': <[b'false']>}], {'batch': <uint64 1>})");
    g_autoptr(GVariant) result = batch_result(h, recorder, 0, &batch);
    g_assert_cmpuint(dict_number(result, "succeeded"), ==, 1);
    g_assert_cmpuint(dict_number(result, "failed"), ==, 1);
}

/* ---- TasksChanged */

/* What TasksChanged said of a task, all signals together: "running succeeded". */
static char *history(const Recorder *recorder, uint64_t task)
{
    g_autoptr(GString) states = g_string_new(NULL);
    const Recorded *recorded;

    for (unsigned n = 0; (recorded = recorder_find(recorder, "TasksChanged", n)); n++) {
        g_autoptr(GVariantIter) iter = NULL;
        uint64_t id, batch;
        GVariant *row;
        g_variant_get(recorded->body, "(a(tta{sv}))", &iter);
        while (g_variant_iter_next(iter, "(tt@a{sv})", &id, &batch, &row)) {
            if (id == task)
                g_string_append_printf(states, "%s%s", states->len > 0 ? " " : "", dict_string(row, "state"));
            g_assert_cmpuint(batch, >, 0);
            g_assert_false(dict_has(row, "argv") || dict_has(row, "cwd"));
            g_variant_unref(row);
        }
    }
    return g_string_free(g_steal_pointer(&states), FALSE);
}

static bool has_ended(const Recorder *recorder, uint64_t task, const char *state)
{
    g_autofree char *states = history(recorder, task);

    return g_str_has_suffix(states, state);
}

static void test_tasks_changed(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL);

    manager_do(h->bus, "Subscribe", NULL);
    uint64_t task = task_submit_shell(h->bus, "sleep 0.5; exit 1");
    HARNESS_WAIT(h, has_ended(recorder, task, "failed"));
    g_autofree char *states = history(recorder, task);
    g_assert_cmpstr(states, ==, "running failed");
    manager_do(h->bus, "Drain", "('%s',)", id);
    HARNESS_WAIT(h, worker_is(h->bus, id, ""));
    uint64_t unlucky = task_submit_shell(h->bus, "exit 0");
    manager_do(h->bus, "Cancel", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},)", unlucky);
    HARNESS_WAIT(h, has_ended(recorder, unlucky, "cancelled"));
}

static void test_subscribers_only(Harness *h)
{
    sd_bus *listener = harness_connect(h), *subscriber = harness_connect(h), *former = harness_connect(h);
    g_autoptr(Recorder) heard = recorder_new(subscriber), overheard = recorder_new(listener),
                        forgotten = recorder_new(former);
    g_autofree char *id = worker_add(h->bus, NULL);

    manager_do(subscriber, "Subscribe", NULL);
    manager_do(subscriber, "Subscribe", NULL); /* twice is once */
    manager_do(former, "Subscribe", NULL);
    manager_do(former, "Unsubscribe", NULL);
    manager_do(former, "Unsubscribe", NULL);
    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
    HARNESS_WAIT(h, recorder_count(heard, "BatchFinished") == 1);
    harness_pause(h, 200);
    g_assert_cmpuint(recorder_count(heard, "BatchFinished"), ==, 1);
    g_assert_cmpuint(recorder_count(heard, "TasksChanged"), >=, 1);
    g_assert_cmpuint(recorder_count(overheard, "TasksChanged") + recorder_count(overheard, "BatchFinished"),
                     ==, 0);
    g_assert_cmpuint(recorder_count(forgotten, "TasksChanged") + recorder_count(forgotten, "BatchFinished"),
                     ==, 0);
    g_assert_cmpuint(recorder_count(overheard, "WorkerStateChanged"), >=, 1); /* that is for all */
    recorder_free(g_steal_pointer(&heard));
    harness_disconnect(h, subscriber); /* who leaves is forgotten, and nobody minds */
    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
}

/* ---- how often */

/* The most signals that arrived within any second; those of a burst that waited in a socket count as one instant. */
static unsigned most_per_second(const Recorder *recorder, const char *member, const char *path,
                                const char *property)
{
    unsigned most = 0;

    for (guint i = 0; i < recorder->signals->len; i++) {
        const Recorded *first = recorder->signals->pdata[i];
        unsigned n = 0;
        for (guint j = i; j < recorder->signals->len; j++) {
            const Recorded *other = recorder->signals->pdata[j];
            if (other->at_usec - first->at_usec >= G_USEC_PER_SEC)
                break;
            if (strcmp(other->member, member) != 0 || strcmp(other->path, path) != 0)
                continue;
            g_autofree char *text = g_variant_print(other->body, FALSE);
            n += !property || strstr(text, property);
        }
        most = MAX(most, n);
    }
    return most;
}

static void test_rates(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, "'slots': <uint32 4>"), *path = worker_path(id);

    manager_do(h->bus, "Subscribe", NULL);
    manager_do(h->bus, "Submit",
               "([{'argv': <[b'sh', b'-c', b'sleep 0.01']>, 'array': <(uint64 0, uint64 799)>}], @a{sv} {})");
    HARNESS_WAIT(h, recorder_count(recorder, "BatchFinished") == 1);
    harness_pause(h, 600); /* what was gathered comes out */
    /* 4 and 10 a second; one more, since a window may begin with one that was late */
    g_assert_cmpuint(most_per_second(recorder, "PropertiesChanged", "/org/parexec", "RunningTasks"), <=, 5);
    g_assert_cmpuint(most_per_second(recorder, "PropertiesChanged", path, "TasksDone"), <=, 5);
    g_assert_cmpuint(most_per_second(recorder, "TasksChanged", "/org/parexec", NULL), <=,
                     12); /* BatchFinished brings one forward */
    g_assert_cmpuint(recorder_count(recorder, "TasksChanged"), >=, 3);
    g_autoptr(GVariant) done = recorder_last_value(recorder, path, "TasksDone"),
                        queued = recorder_last_value(recorder, "/org/parexec", "QueueLength");
    g_assert_cmpuint(g_variant_get_uint64(done), ==, 800); /* the last that is told is the truth */
    g_assert_cmpuint(g_variant_get_uint64(queued), ==, 0);
    g_assert_true(idle(h->bus));
}

/* The first change after a quiet time is told at once. */
static void test_promptness(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL);

    manager_do(h->bus, "Subscribe", NULL);
    harness_pause(h, 600);
    recorder_clear(recorder);
    gint64 start = g_get_monotonic_time();
    manager_do(h->bus, "Submit", "([{'argv': <[b'true']>}], @a{sv} {})");
    HARNESS_WAIT(h, recorder_count(recorder, "BatchFinished") == 1);
    g_assert_cmpint(g_get_monotonic_time() - start, <, G_USEC_PER_SEC);
    HARNESS_WAIT(h, recorder_count_changes(recorder, "/org/parexec", "QueueLength") > 0);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * G_USEC_PER_SEC);
}

static void add(void)
{
    harness_add("/signals/batch-of-one", NULL, test_batch_of_one);
    harness_add("/signals/batch-of-many", NULL, test_batch_of_many);
    harness_add("/signals/batch-cancelled", NULL, test_batch_cancelled);
    harness_add("/signals/batch-open", NULL, test_batch_open);
    harness_add("/signals/tasks-changed", NULL, test_tasks_changed);
    harness_add("/signals/subscribers-only", NULL, test_subscribers_only);
    harness_add("/signals/rates", NULL, test_rates);
    harness_add("/signals/promptness", NULL, test_promptness);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
