/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limit on what tasks print. Owned by the output store. The task may truncate its file, write into
 * its middle or make holes in it itself: nothing is remembered of a file but how far our hole reached,
 * and that is corrected by its size at each look. One timer looks at all files, the more often the faster
 * one of them grows, and is off when there are none. */
#include "worker/output-cap.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "util/log.h"

#define BLOCK_BYTES UINT64_C(4096)
#define LOOK_OFTEN_USEC (100 * USEC_PER_MSEC)
#define LOOK_RARELY_USEC USEC_PER_SEC
#define FAST_BYTES (UINT64_C(1) << 20) /* since the look before */
#define LIMITS_WITHOUT_HOLES 4 /* so many times its limit a file may take where no holes can be made */

typedef struct OutputWatch {
    int fd;
    uint64_t max_bytes;
    uint64_t size;     /* at the latest look */
    uint64_t hole_end; /* so far our hole reaches; 0: none */
    uint64_t lost;
} OutputWatch;

struct OutputCap {
    GHashTable *watches; /* fd → OutputWatch */
    sd_event_source *timer;
    uint64_t interval_usec;
    bool armed, cannot_punch;
};

static uint64_t head_bytes(const OutputWatch *watch)
{
    return watch->max_bytes / 2 / BLOCK_BYTES * BLOCK_BYTES;
}

static uint64_t tail_bytes(const OutputWatch *watch)
{
    return watch->max_bytes - head_bytes(watch);
}

/* Where data begins again after the head. The descriptor's position is the task's, too. */
static uint64_t watch_find_data(const OutputWatch *watch)
{
    off_t position = lseek(watch->fd, 0, SEEK_CUR),
          data = lseek(watch->fd, (off_t) head_bytes(watch), SEEK_DATA);

    (void) lseek(watch->fd, MAX(position, 0), SEEK_SET);
    return data < 0 ? watch->size : (uint64_t) data;
}

/* The task may have truncated it below the end of the hole, and written on from there. */
static void watch_set_size(OutputWatch *watch, uint64_t size)
{
    watch->size = size;
    if (watch->hole_end > size)
        watch->hole_end = size > head_bytes(watch) ? watch_find_data(watch) : 0;
}

int output_cut_punch(int fd, const OutputCut *cut)
{
    int r;

    if (cut->end <= cut->begin)
        return 0;
    do
        r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t) cut->begin,
                      (off_t) (cut->end - cut->begin));
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* Without holes the end cannot be kept while the file grows: only the beginning is. */
static void watch_truncate(OutputWatch *watch)
{
    if (watch->size / LIMITS_WITHOUT_HOLES < watch->max_bytes ||
        ftruncate(watch->fd, (off_t) head_bytes(watch)) < 0)
        return;
    watch->lost += watch->size - head_bytes(watch);
    watch_set_size(watch, head_bytes(watch));
}

static void cap_reduce(OutputCap *cap, OutputWatch *watch)
{
    /* from the head on each time: what was a hole may have been written to */
    const OutputCut cut = { .begin = head_bytes(watch),
                            .end = (watch->size - tail_bytes(watch)) / BLOCK_BYTES * BLOCK_BYTES };
    int r;

    if (cut.end <= cut.begin)
        return;
    r = output_cut_punch(watch->fd, &cut);
    if (r >= 0) {
        watch->hole_end = cut.end;
        return;
    }
    if (!cap->cannot_punch)
        (void) log_warning_errno(
            r,
            "No holes can be made in the files that tasks print to; of what is over %d times "
            "output-max only the beginning is kept: %m",
            LIMITS_WITHOUT_HOLES);
    cap->cannot_punch = true;
    watch_truncate(watch);
}

static uint64_t cap_look_at(OutputCap *cap, OutputWatch *watch)
{
    uint64_t before = watch->size, size;
    struct stat st;

    if (fstat(watch->fd, &st) < 0 || st.st_size < 0)
        return 0;
    size = (uint64_t) st.st_size;
    watch_set_size(watch, size);
    if (size > watch->max_bytes)
        cap_reduce(cap, watch);
    return size > before ? size - before : 0;
}

uint64_t output_cap_look(OutputCap *cap)
{
    uint64_t growth = 0;
    GHashTableIter iter;
    void *watch;

    g_hash_table_iter_init(&iter, cap->watches);
    while (g_hash_table_iter_next(&iter, NULL, &watch)) {
        uint64_t grown = cap_look_at(cap, watch);

        growth = MAX(growth, grown);
    }
    return growth;
}

static void cap_arm(OutputCap *cap)
{
    cap->armed = cap->timer && sd_event_source_set_time_relative(cap->timer, cap->interval_usec) >= 0 &&
                 sd_event_source_set_enabled(cap->timer, SD_EVENT_ONESHOT) >= 0;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    OutputCap *cap = userdata;

    cap->armed = false;
    if (g_hash_table_size(cap->watches) == 0)
        return 0;
    cap->interval_usec =
        output_cap_look(cap) >= FAST_BYTES ? LOOK_OFTEN_USEC : MIN(2 * cap->interval_usec, LOOK_RARELY_USEC);
    cap_arm(cap);
    return 0;
}

OutputCap *output_cap_new(void)
{
    OutputCap *cap = g_new0(OutputCap, 1);

    cap->watches = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    cap->interval_usec = LOOK_OFTEN_USEC;
    return cap;
}

OutputCap *output_cap_free(OutputCap *cap)
{
    if (!cap)
        return NULL;
    sd_event_source_disable_unref(cap->timer);
    g_hash_table_unref(cap->watches);
    g_free(cap);
    return NULL;
}

int output_cap_attach(OutputCap *cap, sd_event *event)
{
    int r;

    r = sd_event_add_time_relative(event, &cap->timer, CLOCK_MONOTONIC, 0, LOOK_OFTEN_USEC / 10, on_look,
                                   cap);
    return r < 0 ? r : sd_event_source_set_enabled(cap->timer, SD_EVENT_OFF);
}

void output_cap_add(OutputCap *cap, int fd, uint64_t max_bytes)
{
    OutputWatch *watch;

    if (max_bytes == UINT64_MAX)
        return;
    watch = g_new0(OutputWatch, 1);
    *watch = (OutputWatch){ .fd = fd, .max_bytes = MAX(max_bytes, 2 * BLOCK_BYTES) };
    g_hash_table_insert(cap->watches, GINT_TO_POINTER(fd), watch);
    if (cap->armed && cap->interval_usec == LOOK_OFTEN_USEC)
        return;
    cap->interval_usec = LOOK_OFTEN_USEC; /* nobody knows yet how fast this one writes */
    cap_arm(cap);
}

void output_cap_remove(OutputCap *cap, int fd, OutputCut *ret)
{
    OutputWatch *watch = g_hash_table_lookup(cap->watches, GINT_TO_POINTER(fd));
    uint64_t tail_begin;

    *ret = (OutputCut){ 0 };
    if (!watch)
        return;
    (void) cap_look_at(cap, watch);
    ret->lost = watch->lost;
    if (watch->size > watch->max_bytes || watch->hole_end > 0) {
        tail_begin = watch->size > watch->max_bytes ? watch->size - tail_bytes(watch) : 0;
        ret->begin = head_bytes(watch);
        ret->end = MAX(tail_begin, watch->hole_end);
    }
    (void) g_hash_table_remove(cap->watches, GINT_TO_POINTER(fd));
}
