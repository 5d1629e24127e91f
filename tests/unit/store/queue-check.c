/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares what the store shows with what the model says. Changes neither. */
#include <string.h>

#include "tests/unit/store/queue-trial.h"

typedef struct Seen {
    GString *text;
    uint64_t cursor;
} Seen;

static void on_rows(int r, GPtrArray *rows, uint64_t cursor, void *userdata)
{
    static const char letters[] = "hbqrwSFCK";
    Seen *seen = userdata;

    g_assert_cmpint(r, ==, 0);
    for (guint i = 0; i < rows->len; i++) {
        const TaskRow *row = rows->pdata[i];
        g_string_append_printf(seen->text, "%" G_GUINT64_FORMAT "%c ", row->spec->id, letters[row->state]);
    }
    seen->cursor = cursor;
    g_ptr_array_unref(rows);
}

char *trial_seen_states(Fixture *f)
{
    Seen seen = { .text = g_string_new(NULL) };

    do {
        TaskFilter *filter = task_filter_new();
        filter->cursor = seen.cursor;
        f->port->list(f->port, filter, on_rows, &seen);
        fixture_drain(f);
    } while (seen.cursor != 0);
    return g_string_free(seen.text, FALSE);
}

char *trial_describe(Trial *t, const ModelTask *task)
{
    GString *text = g_string_new(NULL);
    g_autofree char *why = explain(t->f, task->id);

    g_string_printf(text,
                    "task %" G_GUINT64_FORMAT " of batch %" G_GUINT64_FORMAT
                    ", state before %d, queue %u, lane %u, after ",
                    task->id, task->batch, task->before, task->queue, task->lane);
    for (guint i = 0; task->gate && i < task->gate->conditions->len; i++) {
        g_autofree char *word = dependency_format(&g_array_index(task->gate->conditions, Dependency, i));
        g_string_append_printf(text, "%u:%s ", g_array_index(task->gate->conditions, Dependency, i).clause,
                               word);
    }
    g_string_append_printf(text, "%s; store: %s", task->gate && task->gate->keep ? "(kept)" : "", why);
    return g_string_free(text, FALSE);
}

static void explain_difference(Trial *t, const char *seen, const char *states)
{
    g_auto(GStrv) is = g_strsplit(seen, " ", -1), should = g_strsplit(states, " ", -1);

    for (guint i = 0; is[i] && should[i]; i++) {
        g_autofree char *text = NULL;
        if (strcmp(is[i], should[i]) == 0)
            continue;
        text = trial_describe(t, model_task(t->m, g_ascii_strtoull(is[i], NULL, 10)));
        g_printerr("# %s should be %s: %s\n", is[i], should[i], text);
    }
}

void trial_check_states(Trial *t)
{
    g_autofree char *states = model_states(t->m), *seen = trial_seen_states(t->f);
    g_autofree char *window = model_window(t->m), *seen_window = window_of(t->f, UID_ANYBODY, 10000);
    g_autofree char *by_pieces = window_by_pieces(t->f, UID_ANYBODY, 7);
    g_autofree char *queues = model_queues(t->m), *seen_queues = list_queues(t->f);

    explain_difference(t, seen, states);
    g_assert_cmpstr(seen, ==, states);
    g_assert_cmpstr(seen_window, ==, window);
    g_assert_cmpstr(by_pieces, ==, window);
    g_assert_cmpstr(seen_queues, ==, queues);
    g_assert_true(model_is_due(t->m, false, t->f->due_boot));
    g_assert_true(model_is_due(t->m, true, t->f->due_real));
}

void trial_check_counts(Trial *t)
{
    StoreCounts counts = { 0 };

    for (guint i = 0; i < t->m->tasks->len; i++) {
        const ModelTask *task = t->m->tasks->pdata[i];
        if (model_is_visible(t->m, task))
            counts.by_state[task->state == MODEL_GATED ? (int) TASK_QUEUED : task->state]++;
    }
    for (int state = 0; state < _TASK_STATE_MAX; state++)
        g_assert_cmpuint(t->f->counts.by_state[state], ==, counts.by_state[state]);
}

/* ------------------------------------------------------------------ copies */

Trial trial_copy(const Trial *t)
{
    return (Trial){
        .f = t->f, .m = model_copy(t->m), .random = g_rand_copy(t->random), .forgetful = t->forgetful
    };
}

void trial_done(Trial *t)
{
    g_clear_pointer(&t->m, model_free);
    g_clear_pointer(&t->random, g_rand_free);
}

void trial_take(Trial *t, Trial *from)
{
    trial_done(t);
    *t = *from;
}
