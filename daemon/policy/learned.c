/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tasks of one class took: a ring of the latest samples, so that the figures are exact and follow a change, and maxima
 * that forget nothing. Owned by the core's table of classes. */
#include "policy/learned.h"

#include <string.h>

#define MAGIC UINT32_C(0x314c5850) /* the first form; another order of bytes does not read as this */
#define MIB (UINT64_C(1) << 20)
#define MEMORY_LEAST (16 * MIB)
#define MEMORY_SANE_MAX (UINT64_C(1) << 61)

typedef struct Sample {
    uint64_t memory_bytes, time_usec; /* UINT64_MAX memory: not known */
} Sample;

struct Learned {
    uint64_t count;
    uint64_t memory_max_bytes, time_max_usec; /* UINT64_MAX memory: never known */
    uint32_t n, next; /* of the samples; the oldest is at next once the ring is full */
    uint32_t room;    /* for so many; most classes have few */
    Sample *samples;
};

typedef struct Header {
    uint32_t magic, n;
    uint64_t count, memory_max_bytes, time_max_usec;
} Header;

Learned *learned_new(void)
{
    Learned *learned = g_new0(Learned, 1);

    learned->memory_max_bytes = UINT64_MAX;
    return learned;
}

Learned *learned_free(Learned *learned)
{
    if (learned)
        g_free(learned->samples);
    g_free(learned);
    return NULL;
}

static void keep_sample(Learned *learned, const Sample *sample)
{
    if (learned->next == learned->room) {
        learned->room = CLAMP(learned->room * 2, 2U, LEARNED_SAMPLES_MAX);
        learned->samples = g_renew(Sample, learned->samples, learned->room);
    }
    learned->samples[learned->next] = *sample;
    learned->next = (learned->next + 1) % LEARNED_SAMPLES_MAX;
    learned->n = MIN(learned->n + 1, LEARNED_SAMPLES_MAX);
}

void learned_add(Learned *learned, uint64_t memory_peak_bytes, uint64_t time_usec)
{
    keep_sample(learned, &(Sample){ memory_peak_bytes, time_usec });
    learned->count += learned->count < UINT64_MAX;
    learned->time_max_usec = MAX(learned->time_max_usec, time_usec);
    if (memory_peak_bytes != UINT64_MAX)
        learned->memory_max_bytes = learned->memory_max_bytes == UINT64_MAX
                                        ? memory_peak_bytes
                                        : MAX(learned->memory_max_bytes, memory_peak_bytes);
}

uint64_t learned_count(const Learned *learned)
{
    return learned->count;
}

/* ------------------------------------------------------------------ figures */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return (x > y) - (x < y);
}

/* The nearest rank: a value that occurred. */
static uint64_t percentile(const uint64_t *sorted, size_t n, size_t percent)
{
    return sorted[(n * percent + 99) / 100 - 1];
}

void learned_figures(const Learned *learned, LearnedFigures *ret)
{
    uint64_t memory[LEARNED_SAMPLES_MAX], time[LEARNED_SAMPLES_MAX];
    size_t n_memory = 0;

    *ret = (LearnedFigures){ .count = learned->count,
                             .memory_median_bytes = UINT64_MAX,
                             .memory_p95_bytes = UINT64_MAX,
                             .memory_max_bytes = learned->memory_max_bytes,
                             .time_max_usec = learned->time_max_usec };
    for (size_t i = 0; i < learned->n; i++) {
        time[i] = learned->samples[i].time_usec;
        if (learned->samples[i].memory_bytes != UINT64_MAX)
            memory[n_memory++] = learned->samples[i].memory_bytes;
    }
    qsort(memory, n_memory, sizeof *memory, compare_numbers);
    qsort(time, learned->n, sizeof *time, compare_numbers);
    if (n_memory > 0) {
        ret->memory_median_bytes = percentile(memory, n_memory, 50);
        ret->memory_p95_bytes = percentile(memory, n_memory, 95);
    }
    if (learned->n > 0) {
        ret->time_median_usec = percentile(time, learned->n, 50);
        ret->time_p95_usec = percentile(time, learned->n, 95);
    }
}

uint64_t learned_memory(const LearnedFigures *figures, uint64_t default_bytes)
{
    if (figures->memory_p95_bytes == UINT64_MAX)
        return default_bytes;
    uint64_t p95 = MIN(figures->memory_p95_bytes, MEMORY_SANE_MAX);
    uint64_t wanted = (p95 + (p95 + 4) / 5 + MIB - 1) / MIB * MIB;
    return MAX(wanted, MEMORY_LEAST);
}

/* ------------------------------------------------------------------ as bytes */

GBytes *learned_serialize(const Learned *learned)
{
    Header header = { MAGIC, learned->n, learned->count, learned->memory_max_bytes, learned->time_max_usec };
    GByteArray *bytes = g_byte_array_new();
    uint32_t oldest = learned->n == LEARNED_SAMPLES_MAX ? learned->next : 0;

    g_byte_array_append(bytes, (const guint8 *) &header, sizeof header);
    for (uint32_t i = 0; i < learned->n; i++)
        g_byte_array_append(bytes, (const guint8 *) &learned->samples[(oldest + i) % LEARNED_SAMPLES_MAX],
                            sizeof(Sample));
    return g_byte_array_free_to_bytes(bytes);
}

static bool header_is_valid(const Header *header, size_t size)
{
    return header->magic == MAGIC && header->n <= LEARNED_SAMPLES_MAX &&
           size == sizeof *header + header->n * sizeof(Sample) &&
           (header->n == LEARNED_SAMPLES_MAX ? header->count >= header->n : header->count == header->n);
}

/* The maxima are over all attempts, these among them. */
static bool sample_is_valid(const Sample *sample, const Header *header)
{
    return sample->time_usec <= header->time_max_usec &&
           (sample->memory_bytes == UINT64_MAX ||
            (header->memory_max_bytes != UINT64_MAX && sample->memory_bytes <= header->memory_max_bytes));
}

int learned_parse(const void *data, size_t size, Learned **ret)
{
    g_autoptr(Learned) learned = learned_new();
    Header header;

    if (size < sizeof header)
        return -EINVAL;
    memcpy(&header, data, sizeof header);
    if (!header_is_valid(&header, size))
        return -EINVAL;
    for (uint32_t i = 0; i < header.n; i++) {
        Sample sample;
        memcpy(&sample, (const char *) data + sizeof header + i * sizeof sample, sizeof sample);
        if (!sample_is_valid(&sample, &header))
            return -EINVAL;
        keep_sample(learned, &sample);
    }
    learned->count = header.count;
    learned->memory_max_bytes = header.memory_max_bytes;
    learned->time_max_usec = header.time_max_usec;
    *ret = g_steal_pointer(&learned);
    return 0;
}
