/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pressure-ladder.c: scripts of facts on a clock that is not real, and the rungs that they lead to. */
#include "policy/pressure-ladder.h"

#include <math.h>

#define SECOND USEC_PER_SEC
#define BIT(rung) (UINT32_C(1) << RUNG_##rung)
#define EVERYTHING (BIT(CLOSED) | BIT(THROTTLE) | BIT(FREEZE) | BIT(REQUEUE) | BIT(KILL))

static const PressureSettings usual = {
    .enabled = true,
    .memory_percent = 20,
    .cpu_percent = 100,
    .io_percent = 100,
    .recover_factor = 0.5,
    .step_usec = 5 * SECOND,
    .recover_usec = 10 * SECOND,
    .rungs = BIT(CLOSED) | BIT(THROTTLE) | BIT(FREEZE),
};

typedef struct Step {
    unsigned at; /* seconds */
    double memory;
    const char
        *told;     /* the rung if it has changed, with "+" if the act is to be done once more; "": nothing */
    unsigned next; /* the next look, in seconds; 0: not before a trigger */
} Step;

static void run(const PressureSettings *settings, const Step *steps, size_t n)
{
    PressureLadder ladder = { 0 };

    for (size_t i = 0; i < n; i++) {
        PressureFacts facts = { steps[i].at * SECOND, steps[i].memory, -1, 0 };
        bool again = true;
        uint64_t next = 7;
        bool changed = pressure_ladder_step(settings, &ladder, &facts, &again, &next);
        g_autofree char *told =
            changed ? g_strdup_printf("%s%s", pressure_rung_to_string(ladder.rung), again ? "+" : "")
                    : g_strdup("");
        g_test_message("at %u", steps[i].at);
        g_assert_cmpstr(told, ==, steps[i].told);
        g_assert_true(changed || !again);
        g_assert_cmpuint(next, ==, steps[i].next > 0 ? steps[i].next * SECOND : UINT64_MAX);
    }
}

/* It comes, stays, and goes. */
static void test_down_and_up(void)
{
    static const Step steps[] = {
        { 100, 5, "", 0 },
        { 110, 20, "", 0 }, /* on the line is not over it */
        { 120, 25, "closed", 125 },
        { 122, 30, "", 125 }, /* a trigger between two looks */
        { 125, 40, "throttle", 130 },
        { 130, 60, "freeze", 135 },
        { 135, 60, "freeze+", 140 },
        { 140, 21, "freeze+", 145 },
        { 145, 15, "", 150 }, /* between the lines: it stays as it is */
        { 150, 8, "", 155 },
        { 155, 5, "", 160 },
        { 160, 5, "throttle", 165 }, /* ten seconds since 150 */
        { 165, 5, "", 170 },
        { 170, 5, "closed", 175 },
        { 175, 5, "", 180 },
        { 180, 5, "calm", 0 },
        { 185, 5, "", 0 },
        { 190, 21, "closed", 195 },
    };

    run(&usual, steps, G_N_ELEMENTS(steps));
}

/* To and fro about the line nothing is done but to close; about the lower line nothing is undone. */
static void test_hysteresis(void)
{
    static const Step steps[] = {
        { 100, 25, "closed", 105 },
        { 104, 15, "", 109 },
        { 106, 25, "", 111 }, /* over since 106 only */
        { 110, 25, "", 111 },
        { 111, 15, "", 116 },
        { 120, 25, "", 125 },
        { 125, 25, "throttle", 130 },
        { 127, 9, "", 132 },
        { 132, 12, "", 137 }, /* back between the lines: the ten seconds begin anew */
        { 137, 9, "", 142 },
        { 146, 9, "", 147 },
        { 147, 9, "closed", 152 },
        { 150, 30, "", 155 },
        { 155, 30, "throttle", 160 },
        { 157, 5, "", 162 }, /* what was low before is forgotten */
        { 165, 5, "", 167 },
        { 167, 5, "closed", 172 },
    };

    run(&usual, steps, G_N_ELEMENTS(steps));
}

static void test_whole_ladder(void)
{
    static const Step steps[] = {
        { 100, 99, "closed", 105 },  { 105, 99, "throttle", 110 }, { 110, 99, "freeze", 115 },
        { 115, 99, "requeue", 120 }, { 120, 99, "kill", 125 },     { 125, 99, "kill+", 130 },
        { 130, 99, "kill+", 135 },   { 131, 0, "", 136 },          { 141, 0, "requeue", 146 },
        { 151, 0, "freeze", 156 },   { 161, 0, "throttle", 166 },  { 171, 0, "closed", 176 },
        { 181, 0, "calm", 0 },
    };
    PressureSettings settings = usual;

    settings.rungs = EVERYTHING;
    run(&settings, steps, G_N_ELEMENTS(steps));
}

/* Rungs that are off are passed over, both ways. */
static void test_some_rungs(void)
{
    static const Step closed_only[] = {
        { 100, 99, "closed", 105 }, { 105, 99, "", 110 },  { 500, 99, "", 505 },
        { 505, 0, "", 510 },        { 515, 0, "calm", 0 },
    };
    static const Step requeue[] = {
        { 100, 99, "closed", 105 }, { 105, 99, "requeue", 110 }, { 110, 99, "requeue+", 115 },
        { 115, 0, "", 120 },        { 125, 0, "closed", 130 },   { 135, 0, "calm", 0 },
    };
    static const Step throttle[] = {
        { 100, 99, "closed", 105 }, { 105, 99, "throttle", 110 }, { 110, 99, "", 115 }, { 500, 99, "", 505 },
    };
    PressureSettings settings = usual;

    settings.rungs = BIT(CLOSED);
    run(&settings, closed_only, G_N_ELEMENTS(closed_only));
    settings.rungs = BIT(CLOSED) | BIT(THROTTLE); /* there is no more of it to be done */
    run(&settings, throttle, G_N_ELEMENTS(throttle));
    settings.rungs = BIT(CLOSED) | BIT(REQUEUE);
    run(&settings, requeue, G_N_ELEMENTS(requeue));
}

/* What the kernel does not tell, and what is set to 100, is no pressure. */
static void test_kinds(void)
{
    static const struct {
        double memory, cpu, io;
        PressureRung rung;
    } cases[] = {
        { -1, -1, -1, RUNG_CALM },     { 20.1, -1, -1, RUNG_CLOSED }, { 0, 100, 100, RUNG_CALM },
        { 0, 100, 30.1, RUNG_CLOSED }, { 0, 100, 30, RUNG_CALM },     { NAN, NAN, NAN, RUNG_CALM },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        PressureSettings settings = usual;
        PressureLadder ladder = { 0 };
        PressureFacts facts = { SECOND, cases[i].memory, cases[i].cpu, cases[i].io };
        bool again;
        uint64_t next;
        settings.io_percent = i >= 3 ? 30 : 100;
        g_assert_cmpint(pressure_ladder_step(&settings, &ladder, &facts, &again, &next), ==,
                        cases[i].rung != RUNG_CALM);
        g_assert_cmpint(ladder.rung, ==, cases[i].rung);
    }
    /* one kind over its lower line keeps all of it up */
    PressureLadder ladder = { .rung = RUNG_CLOSED, .changed_usec = SECOND };
    PressureSettings settings = usual;
    bool again;
    uint64_t next;
    settings.io_percent = 30;
    for (unsigned s = 2; s < 60; s++) {
        PressureFacts facts = { s * SECOND, 0, 0, 16 };
        g_assert_false(pressure_ladder_step(&settings, &ladder, &facts, &again, &next));
    }
}

/* What never counts does not keep anything up either. */
static void test_off_kind(void)
{
    PressureLadder ladder = { .rung = RUNG_CLOSED, .changed_usec = SECOND };
    PressureFacts facts = { 2 * SECOND, 0, 100, 90 };
    bool again;
    uint64_t next;

    g_assert_false(pressure_ladder_step(&usual, &ladder, &facts, &again, &next));
    facts.now_usec = 12 * SECOND;
    g_assert_true(pressure_ladder_step(&usual, &ladder, &facts, &again, &next));
    g_assert_cmpint(ladder.rung, ==, RUNG_CALM);
}

/* Switched off by a new configuration, everything is undone at once. */
static void test_disabled(void)
{
    PressureLadder ladder = {
        .rung = RUNG_FREEZE, .changed_usec = SECOND, .below_since_usec = 0, .over_since_usec = SECOND
    };
    PressureSettings settings = usual;
    PressureFacts facts = { 3 * SECOND, 90, 90, 90 };
    bool again;
    uint64_t next;

    settings.enabled = false;
    g_assert_true(pressure_ladder_step(&settings, &ladder, &facts, &again, &next));
    g_assert_cmpint(ladder.rung, ==, RUNG_CALM);
    g_assert_false(again);
    g_assert_cmpuint(next, ==, UINT64_MAX);
    g_assert_false(pressure_ladder_step(&settings, &ladder, &facts, &again, &next));
}

/* Whatever comes, in whatever order: never two rungs at once, never sooner than it may, never left without a next look. */
static void test_random(void)
{
    PressureLadder ladder = { 0 };
    PressureSettings settings = usual;
    uint64_t now = SECOND, changed_at = 0, n_changes = 0;

    settings.rungs = EVERYTHING;
    for (unsigned i = 0; i < 200000; i++) {
        PressureRung before = ladder.rung;
        PressureFacts facts = {
            now, i / 100 % 2 ? g_test_rand_double_range(0, 15) : g_test_rand_double_range(5, 60), -1, -1
        };
        bool again;
        uint64_t next;
        bool changed = pressure_ladder_step(&settings, &ladder, &facts, &again, &next);
        g_assert_true(changed || ladder.rung == before);
        g_assert_true((next == UINT64_MAX) == (ladder.rung == RUNG_CALM));
        g_assert_cmpuint(next, >, now);
        if (changed) {
            g_assert_cmpint(ABS((int) ladder.rung - (int) before), ==, again ? 0 : 1);
            if (before != RUNG_CALM)
                g_assert_cmpuint(now - changed_at, >=,
                                 ladder.rung < before ? settings.recover_usec : settings.step_usec);
            changed_at = now;
            n_changes++;
        }
        now += (uint64_t) g_test_rand_int_range(1, 3 * USEC_PER_SEC);
    }
    g_assert_cmpuint(n_changes, >, 1000);
}

static void test_check(void)
{
    static const struct {
        double memory, cpu, io, factor;
        uint64_t step, recover;
        uint32_t rungs;
        const char *why;
    } cases[] = {
        { 20, 100, 100, 0.5, SECOND, SECOND, BIT(CLOSED), NULL },
        { 0.1, 1, 100, 1, SECOND / 10, SECOND / 10, EVERYTHING, NULL },
        { 0, 100, 100, 0.5, SECOND, SECOND, BIT(CLOSED),
          "Memory is 0 %, CPU 100 %, IO 100 %; more than 0 and at most 100 %" },
        { 20, 101, 100, 0.5, SECOND, SECOND, BIT(CLOSED),
          "Memory is 20 %, CPU 101 %, IO 100 %; more than 0 and at most 100 %" },
        { 20, 100, NAN, 0.5, SECOND, SECOND, BIT(CLOSED),
          "Memory is 20 %, CPU 100 %, IO nan %; more than 0 and at most 100 %" },
        { 20, 100, 100, 0, SECOND, SECOND, BIT(CLOSED), "RecoverFactor is 0; more than 0 and at most 1" },
        { 20, 100, 100, 1.5, SECOND, SECOND, BIT(CLOSED), "RecoverFactor is 1.5; more than 0 and at most 1" },
        { 20, 100, 100, 0.5, 0, SECOND, BIT(CLOSED), "Step is 0 µs, Recover 1000000 µs; at least 100 ms" },
        { 20, 100, 100, 0.5, SECOND, 99999, BIT(CLOSED),
          "Step is 1000000 µs, Recover 99999 µs; at least 100 ms" },
        { 20, 100, 100, 0.5, SECOND, SECOND, BIT(FREEZE), "the rungs are 0x8; of 0x3e, with 0x2 among them" },
        { 20, 100, 100, 0.5, SECOND, SECOND, BIT(CLOSED) | BIT(CALM),
          "the rungs are 0x3; of 0x3e, with 0x2 among them" },
        { 20, 100, 100, 0.5, SECOND, SECOND, BIT(CLOSED) | 64,
          "the rungs are 0x42; of 0x3e, with 0x2 among them" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        PressureSettings settings = {
            true,          cases[i].memory,  cases[i].cpu,  cases[i].io, cases[i].factor,
            cases[i].step, cases[i].recover, cases[i].rungs
        };
        g_autofree char *why = NULL;
        g_assert_cmpint(pressure_settings_check(&settings, &why), ==, cases[i].why ? -EINVAL : 0);
        g_assert_cmpstr(why, ==, cases[i].why);
    }
}

static void test_words(void)
{
    for (PressureRung rung = RUNG_CALM; rung < _RUNG_MAX; rung++)
        g_assert_cmpint(pressure_rung_from_string(pressure_rung_to_string(rung)), ==, rung);
    g_assert_cmpstr(pressure_rung_to_string(RUNG_REQUEUE), ==, "requeue");
    g_assert_cmpint(pressure_rung_from_string("Freeze"), ==, -EINVAL);
    g_assert_null(pressure_rung_to_string(_RUNG_MAX));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pressure-ladder/down-and-up", test_down_and_up);
    g_test_add_func("/pressure-ladder/hysteresis", test_hysteresis);
    g_test_add_func("/pressure-ladder/whole-ladder", test_whole_ladder);
    g_test_add_func("/pressure-ladder/some-rungs", test_some_rungs);
    g_test_add_func("/pressure-ladder/kinds", test_kinds);
    g_test_add_func("/pressure-ladder/off-kind", test_off_kind);
    g_test_add_func("/pressure-ladder/disabled", test_disabled);
    g_test_add_func("/pressure-ladder/random", test_random);
    g_test_add_func("/pressure-ladder/check", test_check);
    g_test_add_func("/pressure-ladder/words", test_words);
    return g_test_run();
}
