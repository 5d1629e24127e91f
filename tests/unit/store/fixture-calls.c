/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Synchronous calls on the store of a fixture. */
#include "tests/unit/store/store-fixture.h"

/* ------------------------------------------------------------------ submitting */

static void spec_free(gpointer spec)
{
    task_spec_free(spec);
}

Submission *submission_new(uint32_t uid, bool commit)
{
    Submission *submission = g_new0(Submission, 1);

    submission->tasks = g_ptr_array_new_with_free_func(spec_free);
    submission->uid = uid;
    submission->commit = commit;
    submission->submitted_usec = TEST_NOW;
    submission->boot_usec = TEST_BOOT;
    submission->halt = (BatchHalt){ .max_fails = UINT64_MAX, .max_fails_percent = -1, .max_successes = UINT64_MAX };
    return submission;
}

TaskSpec *add_task(Fixture *f, Submission *submission, const char *name)
{
    TaskSpec *spec = task_spec_new();

    g_free(spec->name);
    spec->name = g_strdup(name);
    spec->argv = g_bytes_new_static("/bin/echo\0\xff\xfe\0", 13);
    spec->context = f->context->uid == submission->uid ? task_context_ref(f->context)
                                                       : fixture_context_new(submission->uid, "/");
    g_ptr_array_add(submission->tasks, spec);
    return spec;
}

static void on_submitted(int r, Submission *submission, void *userdata)
{
    Submitted *submitted = userdata;

    *submitted = (Submitted){ r, submission->batch, submission->first, submission->count, submission->known, "" };
    if (submission->refusal)
        g_strlcpy(submitted->refusal, submission->refusal, sizeof submitted->refusal);
}

Submitted submit(Fixture *f, Submission *submission)
{
    Submitted submitted = { .r = 1 };

    f->port->submit(f->port, submission, on_submitted, &submitted);
    fixture_drain(f);
    g_assert_cmpint(submitted.r, <=, 0);
    return submitted;
}

Submitted submit_tasks(Fixture *f, unsigned n, int32_t priority)
{
    Submission *submission = submission_new(1000, true);
    Submitted submitted;

    for (unsigned i = 0; i < n; i++)
        add_task(f, submission, "")->priority = priority;
    submitted = submit(f, submission);
    g_assert_cmpint(submitted.r, ==, 0);
    return submitted;
}

Submitted submit_array(Fixture *f, uint64_t n, int32_t priority)
{
    Submission *submission = submission_new(1000, true);
    TaskSpec *spec = add_task(f, submission, "array");
    Submitted submitted;

    spec->array_index = 0;
    spec->array_count = n;
    spec->priority = priority;
    submitted = submit(f, submission);
    g_assert_cmpint(submitted.r, ==, 0);
    return submitted;
}

/* ------------------------------------------------------------------ reading */

typedef struct Loaded {
    GPtrArray *tasks;
    bool complete;
} Loaded;

static void on_window(int r, GPtrArray *tasks, bool complete, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
    *(Loaded *) userdata = (Loaded){ tasks, complete };
}

GPtrArray *load_window_after(Fixture *f, uint32_t user, QueuePlace after, size_t limit, bool *ret_complete)
{
    Loaded loaded = { 0 };

    f->port->load_window(f->port, user, f->class, after, limit, on_window, &loaded);
    fixture_drain(f);
    g_assert_nonnull(loaded.tasks);
    *ret_complete = loaded.complete;
    return loaded.tasks;
}

GPtrArray *load_window(Fixture *f, uint32_t user, size_t limit, bool *ret_complete)
{
    return load_window_after(f, user, QUEUE_HEAD, limit, ret_complete);
}

char *window_of(Fixture *f, uint32_t user, size_t limit)
{
    bool complete;
    g_autoptr(GPtrArray) tasks = load_window(f, user, limit, &complete);
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < tasks->len; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "",
                               ((TaskSpec *) tasks->pdata[i])->id);
    if (!complete)
        g_string_append(text, " +");
    return g_string_free(text, FALSE);
}

char *window_by_pieces(Fixture *f, uint32_t user, size_t piece)
{
    GString *text = g_string_new(NULL);
    QueuePlace after = QUEUE_HEAD;
    bool complete = false;

    while (!complete) {
        g_autoptr(GPtrArray) tasks = load_window_after(f, user, after, piece, &complete);
        g_assert_cmpuint(tasks->len, <=, piece);
        g_assert_true(complete || tasks->len == piece);
        for (guint i = 0; i < tasks->len; i++) {
            const TaskSpec *spec = tasks->pdata[i];
            g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, text->len > 0 ? " " : "", spec->id);
            after = (QueuePlace){ spec->priority, spec->id };
        }
    }
    return g_string_free(text, FALSE);
}

static void on_row(int r, TaskRow *row, void *userdata)
{
    g_assert_true(r == 0 ? row != NULL : r == -ENOENT && !row);
    *(TaskRow **) userdata = row;
}

TaskRow *get_row(Fixture *f, uint64_t task)
{
    TaskRow *row = NULL;

    f->port->get(f->port, task, on_row, &row);
    fixture_drain(f);
    return row;
}

TaskState get_state(Fixture *f, uint64_t task)
{
    g_autoptr(TaskRow) row = get_row(f, task);

    g_assert_nonnull(row);
    return row->state;
}

typedef struct Page {
    GString *text;
    uint64_t cursor;
} Page;

static void on_rows(int r, GPtrArray *rows, uint64_t cursor, void *userdata)
{
    Page *page = userdata;

    g_assert_cmpint(r, ==, 0);
    for (guint i = 0; i < rows->len; i++) {
        const TaskRow *row = rows->pdata[i];
        g_assert_null(row->attempts);
        g_string_append_printf(page->text, "%s%" G_GUINT64_FORMAT, page->text->len > 0 ? " " : "",
                               row->spec->id);
    }
    page->cursor = cursor;
    g_ptr_array_unref(rows);
}

char *list_ids(Fixture *f, TaskFilter *filter, uint64_t *ret_cursor)
{
    Page page = { .text = g_string_new(NULL), .cursor = UINT64_MAX };

    f->port->list(f->port, filter, on_rows, &page);
    fixture_drain(f);
    g_assert_cmpuint(page.cursor, !=, UINT64_MAX);
    if (ret_cursor)
        *ret_cursor = page.cursor;
    return g_string_free(page.text, FALSE);
}

char *list_all(Fixture *f, TaskFilter *(*make)(void *userdata), void *userdata, uint32_t limit, bool reverse)
{
    Page page = { .text = g_string_new(NULL) };

    do {
        TaskFilter *filter = make(userdata);
        filter->limit = limit;
        filter->reverse = reverse;
        filter->cursor = page.cursor;
        page.cursor = UINT64_MAX;
        f->port->list(f->port, filter, on_rows, &page);
        fixture_drain(f);
        g_assert_cmpuint(page.cursor, !=, UINT64_MAX);
    } while (page.cursor != 0);
    return g_string_free(page.text, FALSE);
}

TaskFilter *filter_ids(const uint64_t *ids, size_t n)
{
    TaskFilter *filter = task_filter_new();

    filter->ids = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_array_append_vals(filter->ids, ids, (guint) n);
    return filter;
}

TaskFilter *filter_batch(uint64_t batch)
{
    TaskFilter *filter = task_filter_new();

    filter->batch = batch;
    return filter;
}

TaskFilter *filter_states(uint32_t states)
{
    TaskFilter *filter = task_filter_new();

    filter->states = states;
    return filter;
}

TaskFilter *filter_all(void)
{
    return task_filter_new();
}

/* ------------------------------------------------------------------ assigning and settling */

void assign(Fixture *f, uint64_t task, uint64_t fence, uint32_t worker)
{
    f->port->assign(f->port, &(Assignment){ .task = task, .fence = fence, .worker = worker }, 1);
    fixture_drain(f);
}

void started(Fixture *f, uint64_t task, uint64_t fence, uint64_t start_usec)
{
    f->port->started(f->port, &(Assignment){ .task = task, .fence = fence, .start_usec = start_usec }, 1);
    fixture_drain(f);
}

Settlement settlement_of(uint64_t task, uint64_t fence, TaskState next, uint32_t attempts)
{
    return (Settlement){
        .result = {
            .task = task,
            .fence = fence,
            .outcome = OUTCOME_EXITED,
            .exit_status = next == TASK_SUCCEEDED ? 0 : 3,
            .start_usec = TEST_NOW + 10,
            .end_usec = TEST_NOW + 20,
            .cpu_nsec = 5000,
            .memory_peak_bytes = MEMORY_UNKNOWN,
        },
        .next = next,
        .attempted = attempts > 0,
        .attempts = attempts,
        .worker = 7,
    };
}

static void on_settled(int r, void *userdata)
{
    *(int *) userdata = r;
}

int settle(Fixture *f, Settlement settlement)
{
    int r = 1;

    f->port->settle(f->port, &settlement, 1, on_settled, &r);
    fixture_drain(f);
    return r;
}

void run_task(Fixture *f, uint64_t task, TaskState end)
{
    assign(f, task, 1, 7);
    started(f, task, 1, TEST_NOW + 10);
    g_assert_cmpint(settle(f, settlement_of(task, 1, end, 1)), ==, 0);
}

/* ------------------------------------------------------------------ cancelling */

void note_cancelled(int r, GArray *cancelled, GArray *held, void *userdata)
{
    GString *text = userdata;

    g_assert_cmpint(r, ==, 0);
    g_string_append_c(text, '<');
    for (guint i = 0; i < cancelled->len; i++) {
        IdRange range = g_array_index(cancelled, IdRange, i);
        g_assert_cmpuint(range.batch, >, 0);
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", range.first);
        if (range.last > range.first)
            g_string_append_printf(text, "-%" G_GUINT64_FORMAT, range.last);
    }
    for (guint i = 0; i < held->len; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : " | ",
                               g_array_index(held, uint64_t, i));
    g_string_append_c(text, '>');
}

void wait_for_cancel(Fixture *f, GString *text)
{
    while (!g_str_has_suffix(text->str, ">"))
        fixture_drain(f);
}

char *cancel(Fixture *f, TaskFilter *filter, uint32_t only_uid)
{
    GString *text = g_string_new(NULL);

    f->port->cancel(f->port, filter, only_uid, TEST_NOW + 99, note_cancelled, text);
    wait_for_cancel(f, text);
    g_string_truncate(text, text->len - 1);
    g_string_erase(text, 0, 1);
    return g_string_free(text, FALSE);
}

static void on_facts(int r, const FilterFacts *facts, void *userdata)
{
    g_assert_cmpint(r, ==, 0);
    *(FilterFacts *) userdata = *facts;
}

FilterFacts examine(Fixture *f, TaskFilter *filter, uint32_t uid)
{
    FilterFacts facts = { .foreign = UINT64_MAX };

    f->port->examine(f->port, filter, uid, on_facts, &facts);
    fixture_drain(f);
    g_assert_cmpuint(facts.foreign, !=, UINT64_MAX);
    return facts;
}

WorkerRecord *worker_record_for_test(uint32_t number)
{
    WorkerRecord *record = g_new0(WorkerRecord, 1);

    record->number = number;
    record->spec = worker_spec_new();
    record->spec->slots = 2;
    record->spec->user = UID_ANYBODY;
    record->state = WORKER_STARTING;
    record->added_usec = TEST_NOW;
    for (size_t i = 0; i < LAUNCH_TOKEN_BYTES; i++)
        record->token[i] = (uint8_t) (number + i);
    return record;
}
