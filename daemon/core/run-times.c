/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Run times by batch: a sorted array of the latest ones, and in which order they came. */
#include "core/run-times.h"

struct RunTimes {
    GHashTable *batches; /* uint64_t* → Samples */
};

typedef struct Samples {
    GArray *sorted;   /* uint64_t */
    GQueue *in_order; /* of pointers to their own copies */
} Samples;

static void samples_free(gpointer data)
{
    Samples *samples = data;

    g_array_unref(samples->sorted);
    g_queue_free_full(samples->in_order, g_free);
    g_free(samples);
}

RunTimes *run_times_new(void)
{
    RunTimes *times = g_new(RunTimes, 1);

    times->batches = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, samples_free);
    return times;
}

void run_times_free(RunTimes *times)
{
    g_hash_table_unref(times->batches);
    g_free(times);
}

/* The first that is not smaller. */
static guint position_of(const GArray *sorted, uint64_t usec)
{
    guint low = 0, high = sorted->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (g_array_index(sorted, uint64_t, middle) < usec)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void run_times_add(RunTimes *times, uint64_t batch, uint64_t usec)
{
    Samples *samples = g_hash_table_lookup(times->batches, &batch);

    if (!samples) {
        samples = g_new(Samples, 1);
        *samples = (Samples){ g_array_new(FALSE, FALSE, sizeof(uint64_t)), g_queue_new() };
        g_hash_table_insert(times->batches, g_memdup2(&batch, sizeof batch), samples);
    }
    if (samples->sorted->len >= RUN_TIMES_KEPT) {
        g_autofree uint64_t *oldest = g_queue_pop_head(samples->in_order);
        g_array_remove_index(samples->sorted, position_of(samples->sorted, *oldest));
    }
    g_array_insert_val(samples->sorted, position_of(samples->sorted, usec), usec);
    g_queue_push_tail(samples->in_order, g_memdup2(&usec, sizeof usec));
}

uint64_t run_times_median(const RunTimes *times, uint64_t batch)
{
    const Samples *samples = g_hash_table_lookup(times->batches, &batch);

    if (!samples || samples->sorted->len < RUN_TIMES_NEEDED)
        return UINT64_MAX;
    return g_array_index(samples->sorted, uint64_t, samples->sorted->len / 2);
}

void run_times_forget(RunTimes *times, uint64_t batch)
{
    g_hash_table_remove(times->batches, &batch);
}
