/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* autoscale.c: single decisions, and loads of several phases on a clock that is not real, judged by the whole series. */
#include "policy/autoscale.h"

#include <math.h>

#define SECOND USEC_PER_SEC
#pragma GCC diagnostic ignored "-Woverride-init" /* what a case says goes before */

static const AutoScaleSettings usual = {
    .enabled = true,
    .max = 8,
    .up_below_percent = 70,
    .down_above_percent = 85,
    .pressure_percent = 10,
    .idle_timeout_usec = 300 * SECOND,
    .interval_usec = 5 * SECOND,
};

/* ------------------------------------------------------------------ single decisions */

#define FACTS(...) ((AutoScaleFacts){ .now_usec = 1000 * SECOND, .admissible = 64, .max_workers = 64, __VA_ARGS__ })

static void test_decide(void)
{
    static const char wait[] = "tasks wait, and memory and pressure allow it",
                      idle[] = "a worker has been idle for IdleTimeout",
                      memory[] = "memory in use is over ScaleDownAbove";
    const struct {
        AutoScaleFacts facts;
        uint32_t target;
        const char *why;
    } cases[] = {
        { FACTS(.target = 2, .active = 2), 2, "" },
        { FACTS(.target = 2, .active = 2, .waiting = 5), 3, wait },
        { FACTS(.target = 0, .waiting = 1), 1, wait },
        { FACTS(.target = 2, .active = 2, .waiting = 5, .idle = 5), 2, "" }, /* they are about to be taken */
        { FACTS(.target = 2, .active = 1, .waiting = 5), 2, "" }, /* the last one is still starting */
        { FACTS(.target = 8, .active = 8, .waiting = 5), 8, "" },
        { FACTS(.target = 2, .active = 2, .waiting = 5, .admissible = 2), 2, "" },
        { FACTS(.target = 2, .active = 2, .waiting = 5, .memory_percent = 69.9), 3, wait },
        { FACTS(.target = 2, .active = 2, .waiting = 5, .memory_percent = 70), 2, "" },
        { FACTS(.target = 2, .active = 2, .waiting = 5, .memory_percent = 85), 2, "" },
        { FACTS(.target = 2, .active = 2, .waiting = 5, .memory_percent = 85.1), 1, memory },
        { FACTS(.target = 0, .active = 0, .memory_percent = 99), 0, "" },
        { FACTS(.target = 2, .active = 3, .memory_percent = 99), 2, "" }, /* one is being drained */
        { FACTS(.target = 2, .active = 2, .waiting = 5, .pressure_percent = 10), 3, wait },
        { FACTS(.target = 2, .active = 2, .waiting = 5, .pressure_percent = 10.1), 2, "" },
        { FACTS(.target = 2, .active = 2, .waiting = 5, .memory_percent = -1, .pressure_percent = -1), 3,
          wait },
        { FACTS(.target = 2, .active = 2, .idle = 1, .idle_usec = 300 * SECOND - 1), 2, "" },
        { FACTS(.target = 2, .active = 2, .idle = 1, .idle_usec = 300 * SECOND), 1, idle },
        { FACTS(.target = 2, .active = 2, .idle = 1, .idle_usec = 300 * SECOND, .waiting = 1), 2, "" },
        { FACTS(.target = 9, .active = 9), 8, "there are more than Max" },
        { FACTS(.target = 7, .active = 7, .max_workers = 6), 6, "there are more than MaxWorkers leaves" },
        { FACTS(.target = 6, .active = 6, .max_workers = 6, .waiting = 5), 6, "" },
        { FACTS(.target = UINT32_MAX, .active = UINT32_MAX), UINT32_MAX - 1, "there are more than Max" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        AutoScale state = { 0 };
        const char *why = NULL;
        g_test_message("case %zu", i);
        g_assert_cmpuint(autoscale_decide(&usual, &state, &cases[i].facts, &why), ==, cases[i].target);
        g_assert_cmpstr(why, ==, cases[i].why);
        g_assert_cmpuint(state.last_usec, ==, cases[i].target == cases[i].facts.target ? 0 : 1000 * SECOND);
    }
}

static void test_bounds(void)
{
    AutoScaleSettings settings = usual;
    AutoScale state = { 0 };
    const char *why;

    settings.min = 3;
    g_assert_cmpuint(
        autoscale_decide(&settings, &state, &FACTS(.target = 2, .active = 2, .memory_percent = 80), &why), ==,
        3);
    g_assert_cmpstr(why, ==, "there are fewer than Min");
    state = (AutoScale){ 0 };
    g_assert_cmpuint(
        autoscale_decide(&settings, &state, &FACTS(.target = 2, .active = 2, .admissible = 2), &why), ==, 2);
    g_assert_cmpuint(
        autoscale_decide(&settings, &state, &FACTS(.target = 3, .active = 3, .memory_percent = 99), &why), ==,
        3);
    settings.max = 0; /* as many as admission lets in */
    g_assert_cmpuint(
        autoscale_decide(&settings, &state, &FACTS(.target = 63, .active = 63, .waiting = 1), &why), ==, 64);
    state = (AutoScale){ 0 };
    g_assert_cmpuint(
        autoscale_decide(&settings, &state, &FACTS(.target = 64, .active = 64, .waiting = 1), &why), ==, 64);
    settings.enabled = false;
    g_assert_cmpuint(autoscale_decide(&settings, &state, &FACTS(.target = 0, .waiting = 1), &why), ==, 0);
    g_assert_cmpstr(why, ==, "");
}

static void test_shortfall(void)
{
    const struct {
        uint32_t min, max, max_workers, admissible;
        const char *why;
    } cases[] = {
        { 0, 0, 0, 0, NULL },
        { 20, 0, 20, 20, NULL },
        { 30, 0, 20, 64, "Min is 30, which cannot be had: MaxWorkers leaves 20" },
        { 30, 40, 20, 20, "Min is 30, which cannot be had: MaxWorkers leaves 20" },
        { 30, 40, 64, 4, "Min is 30, which cannot be had: admission lets in 4" },
        { 30, 0, 20, 4, "Min is 30, which cannot be had: admission lets in 4" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        AutoScaleSettings settings = usual;
        settings.min = cases[i].min;
        settings.max = cases[i].max;
        const AutoScaleFacts facts = FACTS(.max_workers = cases[i].max_workers, .admissible = cases[i].admissible);
        g_autofree char *why = autoscale_shortfall(&settings, &facts);
        g_assert_cmpstr(why, ==, cases[i].why);
        settings.enabled = false;
        g_assert_null(autoscale_shortfall(&settings, &facts));
    }
}

static void test_check(void)
{
    static const struct {
        uint32_t min, max;
        double up, down, pressure;
        uint64_t interval;
        const char *why; /* NULL: good */
    } cases[] = {
        { 0, 0, 70, 85, 10, 5 * SECOND, NULL },
        { 9, 0, 70, 85, 10, 5 * SECOND, NULL },
        { 3, 3, 80, 80, 100, SECOND / 10, NULL },
        { 4, 3, 70, 85, 10, 5 * SECOND, "Min is 4, more than Max, 3" },
        { 0, 0, 70, 85, 10, 0, "Interval is 0 µs; at least 100 ms" },
        { 0, 0, 70, 85, 10, 99999, "Interval is 99999 µs; at least 100 ms" },
        { 0, 0, 101, 120, 10, SECOND,
          "ScaleUpBelow is 101 %, ScaleDownAbove 120 %, PressureBelow 10 %; from 0 to 100 %" },
        { 0, 0, -1, 85, 10, SECOND,
          "ScaleUpBelow is -1 %, ScaleDownAbove 85 %, PressureBelow 10 %; from 0 to 100 %" },
        { 0, 0, 70, 85, NAN, SECOND,
          "ScaleUpBelow is 70 %, ScaleDownAbove 85 %, PressureBelow nan %; from 0 to 100 %" },
        { 0, 0, 86, 85, 10, SECOND, "ScaleUpBelow is 86 %, more than ScaleDownAbove, 85 %" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        AutoScaleSettings settings = usual;
        g_autofree char *why = NULL;
        settings.min = cases[i].min;
        settings.max = cases[i].max;
        settings.up_below_percent = cases[i].up;
        settings.down_above_percent = cases[i].down;
        settings.pressure_percent = cases[i].pressure;
        settings.interval_usec = cases[i].interval;
        g_assert_cmpint(autoscale_check(&settings, &why), ==, cases[i].why ? -EINVAL : 0);
        g_assert_cmpstr(why, ==, cases[i].why);
    }
}

/* ------------------------------------------------------------------ a machine in motion */

typedef struct Phase {
    unsigned seconds;
    unsigned arriving;      /* tasks per second; a worker does one in a second */
    double memory_per_busy; /* percent of the machine */
} Phase;

#define SERIES_MAX 8192U

typedef struct Series {
    uint32_t target[SERIES_MAX];
    double memory[SERIES_MAX];
    size_t n;
    unsigned steps, turns;
} Series;

/* Workers start within a second, and are drained at the end of the task that they do. */
static void play(const AutoScaleSettings *settings, double base_percent, const Phase *phases, size_t n_phases,
                 Series *ret)
{
    AutoScale state = { 0 };
    uint32_t target = settings->min, active = settings->min;
    uint64_t waiting = 0, now = 50 * SECOND, idle_since = now, last_step = 0;
    int last_way = 0;

    *ret = (Series){ 0 };
    for (size_t p = 0; p < n_phases; p++)
        for (unsigned s = 0; s < phases[p].seconds; s++, now += SECOND) {
            waiting += phases[p].arriving;
            uint32_t busy = (uint32_t) MIN(waiting, active), idle = active - busy;
            waiting -= busy;
            if (idle == 0)
                idle_since = now;
            AutoScaleFacts facts = { .now_usec = now,
                                     .target = target,
                                     .active = active,
                                     .idle = idle,
                                     .waiting = waiting,
                                     .idle_usec = now - idle_since,
                                     .admissible = 64,
                                     .max_workers = 64,
                                     .memory_percent =
                                         MIN(100, base_percent + busy * phases[p].memory_per_busy) };
            const char *why;
            uint32_t next = autoscale_decide(settings, &state, &facts, &why);
            g_assert_true((*why != '\0') == (next != target));
            int way = next > target ? 1 : next < target ? -1 : 0;
            if (way != 0) { /* one at a time, an interval apart; two before a turn */
                g_assert_cmpuint(MAX(next, target) - MIN(next, target), ==, 1);
                g_assert_true(last_way == 0 ||
                              now - last_step >= (way == last_way ? 1 : 2) * settings->interval_usec);
                ret->turns += last_way != 0 && way != last_way;
                ret->steps++;
                last_way = way;
                last_step = now;
            }
            target = next;
            active = target;
            g_assert_cmpuint(ret->n, <, SERIES_MAX);
            ret->target[ret->n] = target;
            ret->memory[ret->n++] = facts.memory_percent;
        }
}

static uint32_t highest(const Series *series, size_t from, size_t to)
{
    uint32_t most = 0;

    for (size_t i = from; i < to; i++)
        most = MAX(most, series->target[i]);
    return most;
}

/* Quiet; a flood; the same of tasks that take much memory; a trickle; quiet. */
static void test_five_phases(void)
{
    static const Phase phases[] = {
        { 60, 0, 0 }, { 120, 20, 3 }, { 300, 20, 12 }, { 600, 1, 3 }, { 600, 0, 0 }
    };
    g_autofree Series *series = g_new(Series, 1);
    AutoScaleSettings settings = usual;

    settings.min = 1;
    play(&settings, 20, phases, G_N_ELEMENTS(phases), series);
    g_assert_cmpuint(highest(series, 0, 60), ==, 1);
    /* up to Max, as fast as it may: seven steps in the first 35 seconds of the flood */
    g_assert_cmpuint(series->target[60 + 36], ==, 8);
    for (size_t i = 96; i < 180; i++)
        g_assert_cmpuint(series->target[i], ==, 8);
    /* 8 × 12 + 20 = 116: down until it is at most 85 (5 workers, 80), and there it stays: up again begins below 70 */
    for (size_t i = 180 + 30; i < 480; i++)
        g_assert_cmpuint(series->target[i], ==, 5);
    /* what has piled up is done by all eight */
    g_assert_cmpuint(highest(series, 480, 1080), ==, 8);
    g_assert_cmpuint(series->target[series->n - 1], ==, 1);
    /* up, down, up, down, and nothing beside: 7 + 3 + 3 + 7 steps */
    g_assert_cmpuint(series->turns, ==, 3);
    g_assert_cmpuint(series->steps, ==, 20);
}

/* With one worker memory is under the one line, with two over the other: it could go to and fro for ever. */
static void test_no_flapping(void)
{
    static const Phase phases[] = { { 7200, 20, 25 } };
    g_autofree Series *series = g_new(Series, 1);
    size_t over = 0;

    play(&usual, 40, phases, 1, series);
    for (size_t i = 0; i < series->n; i++)
        over += series->memory[i] > 85;
    /* 10, 20, 40, 80, 160 seconds and then 320 apart; without the wait there would be 720 */
    g_assert_cmpuint(series->turns, <=, 5 + 7200 / 320);
    g_assert_cmpuint(series->turns, >, 10); /* it does not give up either: the load might have changed */
    for (size_t i = 3600; i < 7200; i++)
        g_assert_true(series->target[i] == 1 || series->target[i] == 2);
    g_assert_cmpuint(over, <, series->n * 6 / 10);
}

/* A load that comes back after a quiet time finds it as quick as at first. */
static void test_recovers(void)
{
    static const Phase phases[] = { { 100, 20, 25 }, { 900, 0, 0 }, { 60, 20, 1 } };
    g_autofree Series *series = g_new(Series, 1);

    play(&usual, 40, phases, G_N_ELEMENTS(phases), series);
    g_assert_cmpuint(series->target[999], <=, 1);
    g_assert_cmpuint(series->target[1059], ==, 8);
}

/* How long the next turn waits: twice as long after each turn, but not after a quiet time or a second step the same way. */
static void test_turns(void)
{
    static const struct {
        uint64_t after; /* seconds since the last step, which was up */
        bool up;
        uint32_t turns, then;
        bool just; /* a microsecond sooner it would have had to wait */
    } cases[] = {
        { 10, false, 0, 1, true },   { 39, false, 0, 1, false },  { 40, false, 0, 0, false },
        { 80, false, 3, 4, true },   { 319, false, 3, 4, false }, { 320, false, 3, 0, false },
        { 320, false, 5, 5, true },  { 5, true, 3, 0, true },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        AutoScale state = { 1000 * SECOND, true, cases[i].turns }, sooner = state;
        AutoScaleFacts facts = { .now_usec = (1000 + cases[i].after) * SECOND - 1, .target = 2, .active = 2,
                                 .admissible = 9, .max_workers = 9, .waiting = 9, .memory_percent = cases[i].up ? 10 : 90 };
        const char *why;
        g_assert_cmpint(autoscale_decide(&usual, &sooner, &facts, &why) == 2, ==, cases[i].just);
        facts.now_usec++;
        g_assert_cmpuint(autoscale_decide(&usual, &state, &facts, &why), ==, cases[i].up ? 3 : 1);
        g_assert_cmpuint(state.turns, ==, cases[i].then);
    }
}

/* A clock that starts at 0, an interval without end, spans whose doubles run over. */
static void test_extremes(void)
{
    AutoScaleSettings settings = usual;
    AutoScale state = { 0 };
    const char *why;

    g_assert_cmpuint(autoscale_decide(&settings, &state, &FACTS(.now_usec = 0, .waiting = 1), &why), ==, 1);
    g_assert_cmpuint(autoscale_decide(&settings, &state,
                                      &FACTS(.now_usec = 1, .target = 1, .active = 1, .waiting = 9), &why),
                     ==, 1);
    settings.interval_usec = UINT64_MAX;
    g_assert_cmpuint(
        autoscale_decide(&settings, &state,
                         &FACTS(.now_usec = UINT64_MAX - 1, .target = 1, .active = 1, .waiting = 9), &why),
        ==, 1);
    settings.interval_usec = UINT64_MAX / 2;
    g_assert_cmpuint(
        autoscale_decide(&settings, &state,
                         &FACTS(.now_usec = UINT64_MAX - 1, .target = 1, .active = 1, .memory_percent = 99),
                         &why),
        ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/autoscale/decide", test_decide);
    g_test_add_func("/autoscale/bounds", test_bounds);
    g_test_add_func("/autoscale/shortfall", test_shortfall);
    g_test_add_func("/autoscale/check", test_check);
    g_test_add_func("/autoscale/five-phases", test_five_phases);
    g_test_add_func("/autoscale/no-flapping", test_no_flapping);
    g_test_add_func("/autoscale/recovers", test_recovers);
    g_test_add_func("/autoscale/turns", test_turns);
    g_test_add_func("/autoscale/extremes", test_extremes);
    return g_test_run();
}
