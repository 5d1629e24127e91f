/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread that removes old outputs. Owned by main. The loop's side has a timer and the latest limits;
 * it hands each round over whole (what stands in "order" belongs to the thread from then on), and never
 * waits for a disk. The thread rests after each step, and gives way to everything else where the
 * scheduler of the disk knows classes. */
#include "output/output-keeper.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "output/output-sweep.h"
#include "util/log.h"
#include "util/parse-util.h"

#define REST_USEC (5 * G_TIME_SPAN_MILLISECOND)
#define IO_IDLE (3 << 13) /* ioprio_set(2) has no header */
#define IO_THIS_THREAD 1

typedef struct Order {
    uint64_t keep_usec, quota_bytes;
    GArray *active;
} Order;

struct OutputKeeper {
    char *directory;
    OutputKeeperActive active;
    void *userdata;
    uint64_t keep_usec, quota_bytes;
    sd_event_source *timer;
    GThread *thread;

    GMutex mutex; /* over what follows */
    GCond changed;
    Order *order; /* a round to be made; NULL: none */
    bool busy, ending;
};

static void order_free(Order *order)
{
    if (order && order->active)
        g_array_unref(order->active);
    g_free(order);
}

/* ------------------------------------------------------------------ the thread */

static bool on_pause(void *userdata)
{
    OutputKeeper *keeper = userdata;
    gint64 end = g_get_monotonic_time() + REST_USEC;
    bool ending;

    g_mutex_lock(&keeper->mutex);
    while (!keeper->ending && g_cond_wait_until(&keeper->changed, &keeper->mutex, end))
        continue;
    ending = keeper->ending;
    g_mutex_unlock(&keeper->mutex);
    return !ending;
}

static void keeper_round(OutputKeeper *keeper, const Order *order)
{
    const OutputSweep sweep = { .directory = keeper->directory,
                                .now_usec = (uint64_t) g_get_real_time(),
                                .keep_usec = order->keep_usec,
                                .quota_bytes = order->quota_bytes,
                                .active = order->active,
                                .pause = on_pause,
                                .userdata = keeper };
    g_autofree char *removed = NULL, *kept = NULL, *quota = NULL;
    OutputSwept swept;
    int r;

    r = output_sweep_run(&sweep, &swept);
    if (r < 0) {
        if (r != -ECANCELED && r != -ENOENT)
            (void) log_warning_errno(r, "Cannot look for old output in %s: %m", keeper->directory);
        return;
    }
    removed = format_bytes(swept.removed_bytes);
    kept = format_bytes(swept.kept_bytes);
    quota = format_bytes(order->quota_bytes);
    if (swept.removed_files > 0)
        log_info("Removed %" G_GUINT64_FORMAT " old files of output, %s; %s are kept.", swept.removed_files,
                 removed, kept);
    if (swept.kept_bytes > order->quota_bytes)
        log_warning("The output of tasks takes %s in %s, more than %s: all of it is in use.", kept,
                    keeper->directory, quota);
}

static Order *keeper_next_order(OutputKeeper *keeper)
{
    Order *order;

    g_mutex_lock(&keeper->mutex);
    keeper->busy = false;
    while (!keeper->order && !keeper->ending)
        g_cond_wait(&keeper->changed, &keeper->mutex);
    order = keeper->ending ? NULL : g_steal_pointer(&keeper->order);
    keeper->busy = order != NULL;
    g_mutex_unlock(&keeper->mutex);
    return order;
}

static void *keeper_run(void *userdata)
{
    OutputKeeper *keeper = userdata;
    Order *order;

    (void) syscall(SYS_ioprio_set, IO_THIS_THREAD, 0, IO_IDLE);
    while ((order = keeper_next_order(keeper))) {
        keeper_round(keeper, order);
        order_free(order);
    }
    return NULL;
}

/* ------------------------------------------------------------------ the loop's side */

void output_keeper_wake(OutputKeeper *keeper)
{
    Order *order;

    if (keeper->keep_usec == UINT64_MAX && keeper->quota_bytes == UINT64_MAX)
        return;
    order = g_new(Order, 1);
    *order = (Order){ keeper->keep_usec, keeper->quota_bytes,
                      keeper->active ? keeper->active(keeper->userdata) : NULL };
    if (order->active)
        output_sweep_sort(order->active);
    g_mutex_lock(&keeper->mutex);
    if (!keeper->busy && !keeper->order)
        keeper->order = g_steal_pointer(&order);
    g_cond_signal(&keeper->changed);
    g_mutex_unlock(&keeper->mutex);
    order_free(order);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    output_keeper_wake(userdata);
    (void) sd_event_source_set_time_relative(source, OUTPUT_KEEPER_EVERY_USEC);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void output_keeper_set_limits(OutputKeeper *keeper, uint64_t keep_usec, uint64_t quota_bytes)
{
    keeper->keep_usec = keep_usec;
    keeper->quota_bytes = quota_bytes;
}

int output_keeper_new(sd_event *event, const char *directory, OutputKeeperActive active, void *userdata,
                      OutputKeeper **ret)
{
    OutputKeeper *keeper = g_new0(OutputKeeper, 1);
    sigset_t all, before;
    int r;

    keeper->directory = g_strdup(directory);
    keeper->active = active;
    keeper->userdata = userdata;
    keeper->keep_usec = keeper->quota_bytes = UINT64_MAX;
    g_mutex_init(&keeper->mutex);
    g_cond_init(&keeper->changed);
    r = sd_event_add_time_relative(event, &keeper->timer, CLOCK_MONOTONIC, OUTPUT_KEEPER_FIRST_USEC,
                                   USEC_PER_SEC, on_timer, keeper);
    if (r < 0) {
        (void) output_keeper_free(keeper);
        return r;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    keeper->thread = g_thread_new("output-keeper", keeper_run, keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *ret = keeper;
    return 0;
}

OutputKeeper *output_keeper_free(OutputKeeper *keeper)
{
    if (!keeper)
        return NULL;
    sd_event_source_disable_unref(keeper->timer);
    g_mutex_lock(&keeper->mutex);
    keeper->ending = true;
    g_cond_signal(&keeper->changed);
    g_mutex_unlock(&keeper->mutex);
    if (keeper->thread)
        (void) g_thread_join(keeper->thread);
    order_free(keeper->order);
    g_cond_clear(&keeper->changed);
    g_mutex_clear(&keeper->mutex);
    g_free(keeper->directory);
    g_free(keeper);
    return NULL;
}
