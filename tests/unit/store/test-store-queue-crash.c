/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A random history of the queue (see test-store-queue-model.c) whose daemon is killed again and again, or whose disk is full.
 * The child says through a pipe how many of its steps were answered; the parent goes the same steps with the model alone:
 * what the next store shows is what is after those, or after one more. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/unit/store/queue-trial.h"

#define SEEDS 12
#define STEPS_MAX 10000
#define HISTORY_STEPS 150

/* ------------------------------------------------------------------ a store that does nothing, for the parent */

static void no_submit(StorePort *port, Submission *submission, StoreSubmitted done, void *userdata)
{
    done(-ECANCELED, submission, userdata);
    submission_free(submission);
}

static void no_discard(StorePort *port, uint64_t batch)
{
}

static void no_assign(StorePort *port, const Assignment *assignments, size_t n)
{
}

static void no_settle(StorePort *port, Settlement *settlements, size_t n, StoreDone done, void *userdata)
{
}

static void no_cancel(StorePort *port, TaskFilter *filter, uint32_t only_uid, uint64_t now_usec,
                      StoreCancelled done, void *userdata)
{
    task_filter_free(filter);
}

static void no_modify(StorePort *port, TaskFilter *filter, uint32_t only_uid, TaskAction action,
                      TaskEdit *edit, StoreModified done, void *userdata)
{
    task_filter_free(filter);
    task_edit_free(edit);
    done(-ECANCELED, NULL, userdata);
}

static void no_wake(StorePort *port, uint64_t boot_usec, uint64_t realtime_usec)
{
}

static void no_set_queue(StorePort *port, const char *name, uint32_t parallel, StoreDone done, void *userdata)
{
}

static StorePort no_store = {
    .submit = no_submit,
    .discard_batch = no_discard,
    .assign = no_assign,
    .started = no_assign,
    .settle = no_settle,
    .cancel = no_cancel,
    .modify = no_modify,
    .wake = no_wake,
    .set_queue = no_set_queue,
};

/* ------------------------------------------------------------------ lives */

static void step(Trial *t)
{
    model_begin_step(t->m);
    trial_step(t)(t);
    model_settle(t->m);
}

static void live(Trial *t, int fd)
{
    fixture_open(t->f);
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        step(t);
        fixture_drain(t->f);
        g_assert_cmpint(write(fd, "", 1), ==, 1);
    }
    _exit(0);
}

/* How many steps were answered. */
static ssize_t live_and_die(Trial *t)
{
    gulong usec = (gulong) trial_dice(t, 60000);
    int fds[2], status;
    ssize_t n = 0;
    char byte;
    pid_t pid;

    g_assert_cmpint(pipe(fds), ==, 0);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0)
        live(t, fds[1]);
    close_fd(fds[1]);
    g_usleep(usec);
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    while (read(fds[0], &byte, 1) == 1)
        n++;
    close_fd(fds[0]);
    return n;
}

/* What was not committed is gone. */
static void forget_open(Trial *t)
{
    for (guint i = 0; i < t->m->batches->len; i++)
        if (model_batch(t->m, i + 1)->phase == MODEL_OPEN)
            model_batch(t->m, i + 1)->phase = MODEL_GONE;
}

static char *seen_by_model(Trial *t)
{
    g_autofree char *states = model_states(t->m), *window = model_window(t->m), *queues = model_queues(t->m);

    return g_strjoin("\n", states, window, queues, NULL);
}

static char *seen_in_store(Trial *t)
{
    g_autofree char *states = trial_seen_states(t->f), *window = window_of(t->f, UID_ANYBODY, 10000);
    g_autofree char *queues = list_queues(t->f);

    return g_strjoin("\n", states, window, queues, NULL);
}

/* Goes as far as the store has come. false: that cannot be told, since the step that was under way changed nothing that is to
 * be seen. */
static bool catch_up(Trial *t, ssize_t answered)
{
    g_autofree char *sure = NULL, *perhaps = NULL, *seen = NULL;
    Trial next;

    t->f->port = &no_store;
    for (ssize_t i = 0; i < answered; i++)
        step(t);
    next = trial_copy(t);
    step(&next);
    forget_open(t);
    forget_open(&next);
    sure = seen_by_model(t);
    perhaps = seen_by_model(&next);
    fixture_open(t->f);
    seen = seen_in_store(t);
    if (strcmp(seen, sure) != 0) {
        g_assert_cmpstr(seen, ==, perhaps);
        trial_take(t, &next);
        return true;
    }
    trial_done(&next);
    return strcmp(sure, perhaps) != 0;
}

/* Returns how many steps were answered. */
static ssize_t run_history(uint32_t seed)
{
    Trial t = { .f = fixture_new(), .m = model_new(), .random = g_rand_new_with_seed(seed) };
    ssize_t sum = 0, answered;
    bool known;

    g_test_message("seed %u", seed);
    do {
        fixture_close(t.f);
        answered = live_and_die(&t);
        sum += answered;
        known = catch_up(&t, answered);
        trial_check_counts(&t);
        fixture_verify(t.f);
    } while (known && sum < HISTORY_STEPS);
    trial_done(&t);
    fixture_free(t.f);
    return sum;
}

static void test_killed(void)
{
    const char *many = g_getenv("PAREXEC_MODEL_SEEDS");
    unsigned n = many ? (unsigned) strtoul(many, NULL, 10) : SEEDS;
    ssize_t sum = 0;

    for (uint32_t seed = 1; seed <= n; seed++)
        sum += run_history(seed);
    g_test_message("%zd steps were answered", sum);
    g_assert_cmpint(sum, >, n);
}

/* ------------------------------------------------------------------ a full disk */

/* What workers bring while nothing can be written is written later, in order, with all that follows from it. */
static void run_full(Trial *t)
{
    fixture_set_page_limit(t->f, 1);
    t->tail_bytes = 64 << 10;
    for (unsigned n = 3 + trial_dice(t, 8); n > 0; n--) {
        trial_kept_step(t)(t);
        model_settle(t->m);
        if (trial_dice(t, 3) == 0)
            fixture_drain(t->f);
    }
    t->tail_bytes = 0;
    fixture_drain(t->f);
    fixture_set_page_limit(t->f, 0);
    do
        fixture_drain(t->f);
    while (t->f->failing < 0);
}

static void test_full(void)
{
    Trial t = { .f = fixture_new(), .m = model_new(), .random = g_rand_new_with_seed(1) };
    unsigned n_failing = 0;

    for (unsigned round = 0; round < 12; round++) {
        for (unsigned i = 0; i < 15; i++) {
            step(&t);
            fixture_drain(t.f);
        }
        model_begin_step(t.m);
        run_full(&t);
        trial_check_states(&t);
        trial_check_counts(&t);
    }
    n_failing = t.f->n_failing;
    fixture_verify(t.f);
    g_test_message("%u times it was full", n_failing / 2);
    g_assert_cmpuint(n_failing, >=, 6);
    trial_done(&t);
    fixture_free(t.f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/queue-crash/killed", test_killed);
    g_test_add_func("/store/queue-crash/full", test_full);
    return g_test_run();
}
