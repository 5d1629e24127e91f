/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ladder that is gone down under pressure and up again after it: a state machine; the manager does what a rung says. */
#include "policy/pressure-ladder.h"

#include "util/string-table.h"

#define SPAN_LEAST (100 * USEC_PER_MSEC)

static const char *const pressure_rung_table[_RUNG_MAX] = {
    [RUNG_CALM] = "calm",     [RUNG_CLOSED] = "closed",   [RUNG_THROTTLE] = "throttle",
    [RUNG_FREEZE] = "freeze", [RUNG_REQUEUE] = "requeue", [RUNG_KILL] = "kill",
};
DEFINE_STRING_TABLE(pressure_rung, PressureRung)

/* ------------------------------------------------------------------ settings */

static bool is_line(double percent)
{
    return percent > 0 && percent <= 100; /* no to what is not a number */
}

int pressure_settings_check(const PressureSettings *settings, char **ret_why)
{
    uint32_t known = ((UINT32_C(1) << _RUNG_MAX) - 1) & ~(UINT32_C(1) << RUNG_CALM);

    if (!is_line(settings->memory_percent) || !is_line(settings->cpu_percent) ||
        !is_line(settings->io_percent))
        *ret_why = g_strdup_printf("Memory is %g %%, CPU %g %%, IO %g %%; more than 0 and at most 100 %%",
                                   settings->memory_percent, settings->cpu_percent, settings->io_percent);
    else if (!(settings->recover_factor > 0 && settings->recover_factor <= 1))
        *ret_why =
            g_strdup_printf("RecoverFactor is %g; more than 0 and at most 1", settings->recover_factor);
    else if (settings->step_usec < SPAN_LEAST || settings->recover_usec < SPAN_LEAST)
        *ret_why = g_strdup_printf("Step is %" G_GUINT64_FORMAT " µs, Recover %" G_GUINT64_FORMAT
                                   " µs; at least 100 ms",
                                   settings->step_usec, settings->recover_usec);
    else if ((settings->rungs & ~known) || !(settings->rungs & (UINT32_C(1) << RUNG_CLOSED)))
        *ret_why = g_strdup_printf("the rungs are %#x; of %#x, with %#x among them", settings->rungs, known,
                                   UINT32_C(1) << RUNG_CLOSED);
    else
        return 0;
    return -EINVAL;
}

/* ------------------------------------------------------------------ where the pressure is */

/* Is any kind over so many times its line? One whose line is 100 counts never. */
static bool is_over(const PressureSettings *settings, const PressureFacts *facts, double factor)
{
    const struct {
        double line, percent;
    } kinds[] = {
        { settings->memory_percent, facts->memory_percent },
        { settings->cpu_percent, facts->cpu_percent },
        { settings->io_percent, facts->io_percent },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (kinds[i].line < 100 && kinds[i].percent > kinds[i].line * factor)
            return true;
    return false;
}

static bool rung_is_on(const PressureSettings *settings, PressureRung rung)
{
    return settings->rungs & (UINT32_C(1) << rung);
}

/* The next that is on; the same if there is none. */
static PressureRung rung_after(const PressureSettings *settings, PressureRung rung)
{
    for (PressureRung next = rung + 1; next < _RUNG_MAX; next++)
        if (rung_is_on(settings, next))
            return next;
    return rung;
}

static PressureRung rung_before(const PressureSettings *settings, PressureRung rung)
{
    for (PressureRung next = rung; next > RUNG_CALM + 1; next--)
        if (rung_is_on(settings, next - 1))
            return next - 1;
    return RUNG_CALM;
}

/* Does it do something each time, to one task more? */
static bool rung_repeats(PressureRung rung)
{
    return rung >= RUNG_FREEZE;
}

/* ------------------------------------------------------------------ the steps */

static bool enter(PressureLadder *ladder, PressureRung rung, uint64_t now)
{
    ladder->rung = rung;
    ladder->changed_usec = now;
    return true;
}

static bool step_up(const PressureSettings *settings, PressureLadder *ladder, uint64_t now, bool *ret_again)
{
    PressureRung next = rung_after(settings, ladder->rung);

    ladder->below_since_usec = 0;
    if (ladder->over_since_usec == 0)
        ladder->over_since_usec = now;
    if (ladder->rung == RUNG_CALM)
        return next != RUNG_CALM && enter(ladder, next, now);
    if (now - MAX(ladder->changed_usec, ladder->over_since_usec) < settings->step_usec)
        return false;
    *ret_again = next == ladder->rung;
    return (next != ladder->rung || rung_repeats(next)) && enter(ladder, next, now);
}

static bool step_down(const PressureSettings *settings, PressureLadder *ladder, uint64_t now)
{
    ladder->over_since_usec = 0;
    if (ladder->below_since_usec == 0)
        ladder->below_since_usec = now;
    if (ladder->rung == RUNG_CALM ||
        now - MAX(ladder->changed_usec, ladder->below_since_usec) < settings->recover_usec)
        return false;
    return enter(ladder, rung_before(settings, ladder->rung), now);
}

/* Pressure is a mean over ten seconds, and a trigger tells when it rises: nothing is missed between two looks. */
static uint64_t next_look(const PressureSettings *settings, const PressureLadder *ladder, uint64_t now)
{
    uint64_t look = usec_add(now, settings->step_usec);

    if (ladder->rung == RUNG_CALM)
        return UINT64_MAX;
    if (ladder->below_since_usec > 0)
        look =
            MIN(look, usec_add(MAX(ladder->changed_usec, ladder->below_since_usec), settings->recover_usec));
    if (ladder->over_since_usec > 0)
        look = MIN(look, usec_add(MAX(ladder->changed_usec, ladder->over_since_usec), settings->step_usec));
    return look > now ? look : usec_add(now, settings->step_usec); /* nothing left to do on the last rung */
}

bool pressure_ladder_step(const PressureSettings *settings, PressureLadder *ladder,
                          const PressureFacts *facts, bool *ret_again, uint64_t *ret_next_usec)
{
    uint64_t now = MAX(facts->now_usec, 1); /* 0 stands for never */
    bool changed = false;

    *ret_again = false;
    if (!settings->enabled) {
        changed = ladder->rung != RUNG_CALM;
        *ladder = (PressureLadder){ .rung = RUNG_CALM, .changed_usec = changed ? now : ladder->changed_usec };
    } else if (is_over(settings, facts, 1)) {
        changed = step_up(settings, ladder, now, ret_again);
    } else if (!is_over(settings, facts, settings->recover_factor)) {
        changed = step_down(settings, ladder, now);
    } else {
        ladder->over_since_usec = ladder->below_since_usec = 0;
    }
    *ret_again = *ret_again && changed;
    *ret_next_usec = next_look(settings, ladder, now);
    return changed;
}
