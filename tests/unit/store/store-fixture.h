/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/store-internal.h"

/* A store in a directory of its own, driven synchronously: each call waits for its answer. What happens is also noted
 * in "log", one word after the other, to test the order. */

typedef struct Fixture {
    char *directory;
    Store *store;
    StorePort *port;
    StoreSnapshot *snapshot;
    StoreCounts counts; /* of the latest event, or the snapshot */
    GArray *ended;      /* BatchEnd, without stderr tails */
    GString *log;
    GString *ready;   /* ids of tasks_ready, "+" for more; taken by take_ready() */
    GString *skipped; /* "4 5-7" */
    GString *halted;  /* "2" or "2!": batches, with what runs */
    uint64_t due_boot, due_real;
    const char *class; /* of the windows that are loaded; NULL: commands */
    bool note_counts; /* in the log, too */
    unsigned n_counts;
    int failing;
    unsigned n_failing;
    TaskContext *context; /* of uid 1000 */
    GMutex gates[2];      /* locked while the store's thread is to wait there */
} Fixture;

#define TEST_NOW UINT64_C(1700000000000000)  /* of submissions: CLOCK_REALTIME */
#define TEST_BOOT UINT64_C(5000000000)      /* and CLOCK_BOOTTIME */

Fixture *fixture_new(void);
void fixture_free(Fixture *f);
void fixture_close(Fixture *f);
void fixture_open(Fixture *f);
void fixture_reopen(Fixture *f); /* as after an orderly exit */

/* Waits until everything that was called so far is answered. */
void fixture_drain(Fixture *f);

/* Holds the store's thread, so that what is called meanwhile becomes one group. */
void fixture_hold(Fixture *f);
void fixture_release(Fixture *f);

/* The parts of it, for what is more intricate: an operation that waits until its gate is opened (fixture_hold() has
 * number 0); and the moment when everything queued is in the hands of the store's thread. */
void fixture_gate(Fixture *f, unsigned gate);
void fixture_open_gate(Fixture *f, unsigned gate);
void fixture_wait_taken(Fixture *f);

/* Lets the database grow to so many pages only; 0: as many as it wants. */
void fixture_set_page_limit(Fixture *f, uint32_t pages);

/* Every write fails from here on, until it is called again. */
void fixture_set_read_only(Fixture *f, bool read_only);

/* With which setting of "synchronous" the group is carried out that this comes into: 1 or 2 (FULL). */
void fixture_ask_synchronous(Fixture *f, unsigned *ret);

/* No statement that was used since the store was opened may walk through a whole table that can be large. Returns how
 * many were looked at. */
unsigned fixture_check_plans(Fixture *f);

/* Closes the store, has every invariant checked on the tables by plain SQL, opens it again. */
void fixture_verify(Fixture *f);

/* The first number that a query on the closed database yields. */
int64_t fixture_query(Fixture *f, const char *sql);

TaskContext *fixture_context_new(uint32_t uid, const char *cwd);

/* ------------------------------------------------------------------ submitting */

/* Adds a task to a submission; returns it, to be changed at will. */
TaskSpec *add_task(Fixture *f, Submission *submission, const char *name);
Submission *submission_new(uint32_t uid, bool commit);

typedef struct Submitted {
    int r;
    uint64_t batch, first, count;
    bool known;
    char refusal[256]; /* "": none */
} Submitted;

Submitted submit(Fixture *f, Submission *submission);
/* n tasks, committed, uid 1000. */
Submitted submit_tasks(Fixture *f, unsigned n, int32_t priority);
Submitted submit_array(Fixture *f, uint64_t n, int32_t priority);

/* ------------------------------------------------------------------ the rest of the port */

/* The ids of the window, separated by blanks, "+" at the end if there are others. */
char *window_of(Fixture *f, uint32_t user, size_t limit);
GPtrArray *load_window_after(Fixture *f, uint32_t user, QueuePlace after, size_t limit, bool *ret_complete);
/* The whole window, read in pieces. */
char *window_by_pieces(Fixture *f, uint32_t user, size_t piece);
GPtrArray *load_window(Fixture *f, uint32_t user, size_t limit, bool *ret_complete);

void assign(Fixture *f, uint64_t task, uint64_t fence, uint32_t worker);
void started(Fixture *f, uint64_t task, uint64_t fence, uint64_t start_usec);
Settlement settlement_of(uint64_t task, uint64_t fence, TaskState next, uint32_t attempts);
int settle(Fixture *f, Settlement settlement);
/* Assigned, started and ended, in its first attempt. */
void run_task(Fixture *f, uint64_t task, TaskState end);

TaskRow *get_row(Fixture *f, uint64_t task); /* NULL: there is none */
TaskState get_state(Fixture *f, uint64_t task);

/* The ids of a page, separated by blanks; takes the filter. */
char *list_ids(Fixture *f, TaskFilter *filter, uint64_t *ret_cursor);
/* The ids of all pages of that size. */
char *list_all(Fixture *f, TaskFilter *(*make)(void *userdata), void *userdata, uint32_t limit, bool reverse);

TaskFilter *filter_ids(const uint64_t *ids, size_t n);
#define FILTER_IDS(...)                                                                                      \
    filter_ids((const uint64_t[]){ __VA_ARGS__ },                                                            \
               sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))
TaskFilter *filter_batch(uint64_t batch);
TaskFilter *filter_states(uint32_t states);
TaskFilter *filter_all(void);

/* "1-3 7 | 9": cancelled, ranges of one batch each, and held after the bar. */
char *cancel(Fixture *f, TaskFilter *filter, uint32_t only_uid);
/* The same as a callback on a GString: "<1-3 7 | 9>". Of very many tasks the answer takes its time. */
void note_cancelled(int r, GArray *cancelled, GArray *held, void *userdata);
void wait_for_cancel(Fixture *f, GString *text);
FilterFacts examine(Fixture *f, TaskFilter *filter, uint32_t uid);

/* ------------------------------------------------------------------ the queue: fixture-queue.c */

/* The spec's gate, made if there is none. */
TaskGate *gate_of(TaskSpec *spec);
/* Adds a task that waits for these: ids, "batch:N", and "pN" for a position in the batch. */
TaskSpec *add_after(Fixture *f, Submission *submission, const char *after);
/* One committed task of uid 1000 that waits; its id. */
uint64_t submit_after(Fixture *f, const char *after);
uint64_t submit_array_after(Fixture *f, uint64_t n, const char *after);

/* The states of tasks that follow one another, a letter each: held blocked queued running waiting Succeeded Failed Cancelled
 * sKipped, "-" there is none. */
char *states_of(Fixture *f, uint64_t first, uint64_t last);
#define assert_states(f, first, last, expected)                                                              \
    do {                                                                                                     \
        g_autofree char *states_ = states_of(f, first, last);                                                \
        g_assert_cmpstr(states_, ==, expected);                                                              \
    } while (0)

/* Another attempt, from the assignment to this end. */
void run_again(Fixture *f, uint64_t task, TaskState end);
void run_outcome(Fixture *f, uint64_t task, Outcome outcome, int exit_status, TaskState end);
/* The next attempt is assigned and started. */
void begin(Fixture *f, uint64_t task);

/* "3: 1-3 | 7": the count, what is unready, what workers have; or "error: …". Takes filter and edit. */
char *modify(Fixture *f, TaskFilter *filter, TaskAction action, TaskEdit *edit);
int set_queue(Fixture *f, const char *name, uint32_t parallel);
int remove_queue(Fixture *f, const char *name);
char *list_queues(Fixture *f);               /* "a 2: 1+3; b 0: 0+0": parallel, active and queued */
char *explain(Fixture *f, uint64_t task);    /* "held: it is held; …", one line each */
unsigned prune(Fixture *f, uint64_t before); /* until there is no more; how often it was called */
void wake(Fixture *f, uint64_t boot_usec, uint64_t realtime_usec);
char *reason_of(Fixture *f, uint64_t task);
char *argv_of(Fixture *f, uint64_t task);
#define assert_text(call, expected)                                                                          \
    do {                                                                                                     \
        g_autofree char *text_ = call;                                                                       \
        g_assert_cmpstr(text_, ==, expected);                                                                \
    } while (0)

/* What was told since the last call: free it. */
char *take_told(GString *told);
#define assert_told(told, expected)                                                                          \
    do {                                                                                                     \
        g_autofree char *told_ = take_told(told);                                                            \
        g_assert_cmpstr(told_, ==, expected);                                                                \
    } while (0)

WorkerRecord *worker_record_for_test(uint32_t number);

/* To be given as callbacks with the fixture as userdata: note "done" or the error. */
void note_done(int r, void *userdata);

#define assert_string(value, expected)                                                                       \
    do {                                                                                                     \
        g_autofree char *assert_string_value = (value);                                                      \
        g_assert_cmpstr(assert_string_value, ==, (expected));                                                \
    } while (0)
