/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Synchronous calls on the store of a fixture, for what the queue does: gates, lanes, waits, changes, forgetting. */
#include <string.h>

#include "tests/unit/store/store-fixture.h"

/* ------------------------------------------------------------------ submitting */

TaskGate *gate_of(TaskSpec *spec)
{
    if (!spec->gate)
        spec->gate = task_gate_new();
    return spec->gate;
}

static int lookup(const char *word, Dependency *dependency, void *userdata)
{
    bool local = word[0] == 'p';

    dependency->target = local ? TARGET_LOCAL : TARGET_TASK;
    dependency->id = g_ascii_strtoull(word + local, NULL, 10);
    return 0;
}

static void set_after(TaskSpec *spec, const char *after)
{
    g_autofree char *why = NULL;
    DependencyList list;

    if (dependency_parse(after, lookup, NULL, &list, &why) < 0)
        g_error("%s: %s", after, why);
    gate_of(spec)->dependencies = list.conditions;
    spec->gate->singleton = list.singleton;
}

TaskSpec *add_after(Fixture *f, Submission *submission, const char *after)
{
    TaskSpec *spec = add_task(f, submission, "");

    set_after(spec, after);
    return spec;
}

static uint64_t submit_well(Fixture *f, Submission *submission)
{
    Submitted submitted = submit(f, submission);

    if (submitted.r < 0)
        g_error("%s: %s", g_strerror(-submitted.r), submitted.refusal);
    return submitted.first;
}

uint64_t submit_after(Fixture *f, const char *after)
{
    Submission *submission = submission_new(1000, true);

    add_after(f, submission, after);
    return submit_well(f, submission);
}

uint64_t submit_array_after(Fixture *f, uint64_t n, const char *after)
{
    Submission *submission = submission_new(1000, true);
    TaskSpec *spec = add_after(f, submission, after);

    spec->array_index = 0;
    spec->array_count = n;
    return submit_well(f, submission);
}

/* ------------------------------------------------------------------ looking */

char *states_of(Fixture *f, uint64_t first, uint64_t last)
{
    static const char letters[_TASK_STATE_MAX + 1] = "hbqrwSFCK";
    GString *text = g_string_new(NULL);

    for (uint64_t id = first; id <= last; id++) {
        g_autoptr(TaskRow) row = get_row(f, id);
        g_string_append_c(text, row ? letters[row->state] : '-');
    }
    return g_string_free(text, FALSE);
}

char *reason_of(Fixture *f, uint64_t task)
{
    g_autoptr(TaskRow) row = get_row(f, task);

    return g_strdup(row->reason);
}

char *argv_of(Fixture *f, uint64_t task)
{
    g_autoptr(TaskRow) row = get_row(f, task);

    return g_strdup(g_bytes_get_data(row->spec->argv, NULL)); /* the first word */
}

/* ------------------------------------------------------------------ running */

static Assignment next_assignment(Fixture *f, uint64_t task, uint32_t *ret_attempts)
{
    g_autoptr(TaskRow) row = get_row(f, task);

    g_assert_nonnull(row);
    *ret_attempts = row->spec->attempts;
    return (Assignment){ .task = task, .fence = row->spec->fence + 1, .worker = 7, .start_usec = TEST_NOW + 10 };
}

void begin(Fixture *f, uint64_t task)
{
    uint32_t attempts;
    Assignment assignment = next_assignment(f, task, &attempts);

    f->port->assign(f->port, &assignment, 1);
    f->port->started(f->port, &assignment, 1);
    fixture_drain(f);
}

static void end(Fixture *f, Settlement settlement)
{
    g_assert_cmpint(settle(f, settlement), ==, 0);
}

void run_again(Fixture *f, uint64_t task, TaskState state)
{
    uint32_t attempts;
    Assignment assignment = next_assignment(f, task, &attempts);
    g_autofree char *before = states_of(f, task, task);

    g_assert_cmpstr(before, ==, "q");
    begin(f, task);
    end(f, settlement_of(task, assignment.fence, state, attempts + 1));
}

void run_outcome(Fixture *f, uint64_t task, Outcome outcome, int exit_status, TaskState state)
{
    uint32_t attempts;
    Assignment assignment = next_assignment(f, task, &attempts);
    Settlement settlement = settlement_of(task, assignment.fence, state, attempts + 1);

    settlement.result.outcome = outcome;
    settlement.result.exit_status = exit_status;
    begin(f, task);
    end(f, settlement);
}

/* ------------------------------------------------------------------ changing */

typedef struct Answer {
    GString *text;
    bool done;
} Answer;

static void append_range(GString *text, uint64_t first, uint64_t last)
{
    g_string_append_printf(text, " %" G_GUINT64_FORMAT, first);
    if (last > first)
        g_string_append_printf(text, "-%" G_GUINT64_FORMAT, last);
}

static void on_modified(int r, const Modified *modified, void *userdata)
{
    Answer *answer = userdata;

    answer->done = true;
    if (r < 0) {
        g_string_printf(answer->text, "error: %s", g_strerror(-r));
        return;
    }
    g_string_printf(answer->text, "%" G_GUINT64_FORMAT ":", modified->count);
    for (guint i = 0; i < modified->unready->len; i++) {
        IdRange range = g_array_index(modified->unready, IdRange, i);
        append_range(answer->text, range.first, range.last);
    }
    for (guint i = 0; i < modified->held->len; i++) {
        if (i == 0)
            g_string_append(answer->text, " |");
        append_range(answer->text, g_array_index(modified->held, uint64_t, i), 0);
    }
}

char *modify(Fixture *f, TaskFilter *filter, TaskAction action, TaskEdit *edit)
{
    Answer answer = { .text = g_string_new(NULL) };

    f->port->modify(f->port, filter, UID_ANYBODY, action, edit, on_modified, &answer);
    fixture_drain(f);
    g_assert_true(answer.done);
    return g_string_free(answer.text, FALSE);
}

static void on_done(int r, void *userdata)
{
    *(int *) userdata = r;
}

int set_queue(Fixture *f, const char *name, uint32_t parallel)
{
    int r = 1;

    f->port->set_queue(f->port, name, parallel, on_done, &r);
    fixture_drain(f);
    return r;
}

int remove_queue(Fixture *f, const char *name)
{
    int r = 1;

    f->port->remove_queue(f->port, name, on_done, &r);
    fixture_drain(f);
    return r;
}

static void on_queues(int r, GPtrArray *queues, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
    for (guint i = 0; i < queues->len; i++) {
        const QueueRow *row = queues->pdata[i];
        g_string_append_printf(userdata, "%s%s %u: %" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT, i > 0 ? "; " : "", row->name,
                               row->parallel, row->active, row->queued);
    }
    g_ptr_array_unref(queues);
}

char *list_queues(Fixture *f)
{
    GString *text = g_string_new(NULL);

    f->port->list_queues(f->port, on_queues, text);
    fixture_drain(f);
    return g_string_free(text, FALSE);
}

static void on_explained(int r, TaskRow *row, GPtrArray *conditions, void *userdata)
{
    GString *text = userdata;

    if (r < 0) {
        g_string_append(text, g_strerror(-r));
        return;
    }
    for (guint i = 0; i < conditions->len; i++) {
        const Condition *condition = conditions->pdata[i];
        g_string_append_printf(text, "%s%s: %s", i > 0 ? "\n" : "", condition->kind, condition->text);
    }
    task_row_free(row);
    g_ptr_array_unref(conditions);
}

char *explain(Fixture *f, uint64_t task)
{
    GString *text = g_string_new(NULL);

    f->port->explain(f->port, task, on_explained, text);
    fixture_drain(f);
    return g_string_free(text, FALSE);
}

static void on_pruned(int r, bool more, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
    *(int *) userdata = more;
}

unsigned prune(Fixture *f, uint64_t before)
{
    unsigned n = 0;
    int more = 1;

    while (more == 1) {
        more = -1;
        f->port->prune(f->port, before, on_pruned, &more);
        fixture_drain(f);
        g_assert_cmpint(more, >=, 0);
        g_assert_cmpuint(++n, <, 1000); /* it gets nowhere */
    }
    return n;
}

void wake(Fixture *f, uint64_t boot_usec, uint64_t realtime_usec)
{
    f->port->wake(f->port, boot_usec, realtime_usec);
    fixture_drain(f);
}
