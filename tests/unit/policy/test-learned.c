/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* learned.c: figures over samples, what is asked for, and the bytes that are kept. */
#include "policy/learned.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define UNKNOWN UINT64_MAX

/* 1 … n, in an order that is not sorted. */
static Learned *learn(uint64_t n)
{
    Learned *learned = learned_new();

    for (uint64_t i = 0; i < n; i++) {
        uint64_t value = (i * 37) % n + 1; /* 37 divides none of the sizes used */
        learned_add(learned, value * MIB, value * USEC_PER_SEC);
    }
    return learned;
}

static void test_figures(void)
{
    static const struct {
        uint64_t n, median, p95;
    } cases[] = {
        { 1, 1, 1 },    { 2, 1, 2 },    { 3, 2, 3 },     { 4, 2, 4 },      { 19, 10, 19 },
        { 20, 10, 19 }, { 21, 11, 20 }, { 100, 50, 95 }, { 128, 64, 122 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Learned) learned = learn(cases[i].n);
        LearnedFigures figures;
        learned_figures(learned, &figures);
        g_assert_cmpuint(figures.count, ==, cases[i].n);
        g_assert_cmpuint(figures.memory_median_bytes, ==, cases[i].median * MIB);
        g_assert_cmpuint(figures.memory_p95_bytes, ==, cases[i].p95 * MIB);
        g_assert_cmpuint(figures.memory_max_bytes, ==, cases[i].n * MIB);
        g_assert_cmpuint(figures.time_median_usec, ==, cases[i].median * USEC_PER_SEC);
        g_assert_cmpuint(figures.time_p95_usec, ==, cases[i].p95 * USEC_PER_SEC);
        g_assert_cmpuint(figures.time_max_usec, ==, cases[i].n * USEC_PER_SEC);
    }
}

static void test_nothing(void)
{
    g_autoptr(Learned) learned = learned_new();
    LearnedFigures figures;

    learned_figures(learned, &figures);
    g_assert_cmpuint(figures.count, ==, 0);
    g_assert_cmpuint(figures.memory_median_bytes, ==, UNKNOWN);
    g_assert_cmpuint(figures.memory_max_bytes, ==, UNKNOWN);
    g_assert_cmpuint(figures.time_p95_usec, ==, 0);
    g_assert_null(learned_free(NULL));
}

static uint64_t memory_of(const Learned *learned, uint64_t default_bytes)
{
    LearnedFigures figures;

    learned_figures(learned, &figures);
    return learned_memory(&figures, default_bytes);
}

/* An attempt whose peak is not known counts for the time alone. */
static void test_unknown_memory(void)
{
    g_autoptr(Learned) learned = learned_new();
    LearnedFigures figures;

    learned_add(learned, UNKNOWN, 5);
    learned_figures(learned, &figures);
    g_assert_cmpuint(figures.memory_p95_bytes, ==, UNKNOWN);
    g_assert_cmpuint(figures.memory_max_bytes, ==, UNKNOWN);
    g_assert_cmpuint(memory_of(learned, 7), ==, 7);
    learned_add(learned, 40 * MIB, 9);
    learned_add(learned, UNKNOWN, 7);
    learned_figures(learned, &figures);
    g_assert_cmpuint(figures.count, ==, 3);
    g_assert_cmpuint(figures.memory_median_bytes, ==, 40 * MIB);
    g_assert_cmpuint(figures.memory_max_bytes, ==, 40 * MIB);
    g_assert_cmpuint(figures.time_median_usec, ==, 7);
}

/* The latest samples count, the maxima and the count forget nothing. */
static void test_forgetting(void)
{
    g_autoptr(Learned) learned = learned_new();
    LearnedFigures figures;

    learned_add(learned, 900 * MIB, 900);
    for (unsigned i = 0; i < LEARNED_SAMPLES_MAX - 1; i++)
        learned_add(learned, 10 * MIB, 10);
    learned_figures(learned, &figures);
    g_assert_cmpuint(figures.memory_p95_bytes, ==, 10 * MIB);
    for (unsigned i = 0; i < LEARNED_SAMPLES_MAX; i++)
        learned_add(learned, 300 * MIB, 300);
    learned_figures(learned, &figures);
    g_assert_cmpuint(figures.count, ==, 2 * LEARNED_SAMPLES_MAX);
    g_assert_cmpuint(figures.memory_median_bytes, ==, 300 * MIB);
    g_assert_cmpuint(figures.time_median_usec, ==, 300);
    g_assert_cmpuint(figures.memory_max_bytes, ==, 900 * MIB);
    g_assert_cmpuint(figures.time_max_usec, ==, 900);
}

static void test_memory(void)
{
    static const struct {
        uint64_t peak, wanted;
    } cases[] = {
        { 0, 16 * MIB },          { 1, 16 * MIB },          { 13 * MIB, 16 * MIB },
        { 14 * MIB, 17 * MIB },   { 100 * MIB, 120 * MIB }, { 100 * MIB + 1, 121 * MIB },
        { 700 * MIB, 840 * MIB },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Learned) learned = learned_new();
        g_assert_cmpuint(memory_of(learned, 256 * MIB), ==, 256 * MIB);
        learned_add(learned, cases[i].peak, 1);
        g_assert_cmpuint(memory_of(learned, 256 * MIB), ==, cases[i].wanted);
    }
    g_autoptr(Learned) vast = learned_new(); /* no sum runs over */
    learned_add(vast, UINT64_MAX - 1, 1);
    g_assert_cmpuint(memory_of(vast, 1), >, UINT64_C(1) << 61);
    g_assert_cmpuint(memory_of(vast, 1), <, UINT64_C(1) << 62);
}

static void check_round_trip(const Learned *learned)
{
    g_autoptr(GBytes) bytes = learned_serialize(learned), again = NULL;
    g_autoptr(Learned) back = NULL;
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);

    g_assert_cmpint(learned_parse(data, size, &back), ==, 0);
    again = learned_serialize(back);
    g_assert_true(g_bytes_equal(bytes, again));
    LearnedFigures a, b;
    learned_figures(learned, &a);
    learned_figures(back, &b);
    g_assert_cmpmem(&a, sizeof a, &b, sizeof b);
    /* it goes on forgetting the oldest first */
    for (unsigned i = 0; i < 100; i++)
        learned_add(back, 1, 1);
    learned_figures(back, &b);
    g_assert_cmpuint(b.count, ==, a.count + 100);
}

static void test_bytes(void)
{
    for (unsigned n = 0; n < 3 * LEARNED_SAMPLES_MAX; n += 31) {
        g_autoptr(Learned) learned = learned_new();
        for (unsigned i = 0; i < n; i++)
            learned_add(learned, i % 5 == 0 ? UNKNOWN : i * MIB, i);
        check_round_trip(learned);
    }
    /* the ring is turned: after 128 + 28 samples, 100 more leave the latest 28 of the old ones */
    g_autoptr(Learned) turned = learned_new(), back = NULL;
    for (unsigned i = 0; i < LEARNED_SAMPLES_MAX + 28; i++)
        learned_add(turned, i < LEARNED_SAMPLES_MAX ? MIB : 500 * MIB, 1);
    g_autoptr(GBytes) bytes = learned_serialize(turned);
    g_assert_cmpint(learned_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &back), ==, 0);
    for (unsigned i = 0; i < 100; i++)
        learned_add(back, MIB, 1);
    LearnedFigures figures;
    learned_figures(back, &figures);
    g_assert_cmpuint(figures.memory_p95_bytes, ==, 500 * MIB);
}

/* What a file that was damaged may hold: each is refused, and nothing is written. */
static void test_bad_bytes(void)
{
    g_autoptr(Learned) learned = learn(5);
    g_autoptr(GBytes) bytes = learned_serialize(learned);
    gsize size = g_bytes_get_size(bytes);
    Learned *untouched = NULL;

    for (gsize n = 0; n < size; n++)
        g_assert_cmpint(learned_parse(g_bytes_get_data(bytes, NULL), n, &untouched), ==, -EINVAL);
    /* magic, n, count, both maxima */
    static const struct {
        size_t offset;
        uint32_t value;
    } bad[] = { { 0, 0 }, { 0, 0x5058 }, { 4, 4 },  { 4, 6 }, { 4, UINT32_MAX },
                { 8, 4 }, { 8, 6 },      { 16, 1 }, { 24, 1 } };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *copy = g_memdup2(g_bytes_get_data(bytes, NULL), size);
        memcpy(copy + bad[i].offset, &bad[i].value, sizeof bad[i].value);
        g_test_message("bytes %zu", bad[i].offset);
        g_assert_cmpint(learned_parse(copy, size, &untouched), ==, -EINVAL);
    }
    g_assert_null(untouched);
    g_autofree char *longer = g_malloc0(size + 16);
    memcpy(longer, g_bytes_get_data(bytes, NULL), size);
    g_assert_cmpint(learned_parse(longer, size + 16, &untouched), ==, -EINVAL);
    g_assert_null(untouched);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/learned/figures", test_figures);
    g_test_add_func("/learned/nothing", test_nothing);
    g_test_add_func("/learned/unknown-memory", test_unknown_memory);
    g_test_add_func("/learned/forgetting", test_forgetting);
    g_test_add_func("/learned/memory", test_memory);
    g_test_add_func("/learned/bytes", test_bytes);
    g_test_add_func("/learned/bad-bytes", test_bad_bytes);
    return g_test_run();
}
