/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Auto-scaling: one step at a time. A turn waits longer than a step, and longer each time while turns follow one another: a
 * worker more that brings memory over the one line, and one fewer that brings it under the other, do not take turns for ever. */
#include "policy/autoscale.h"

#define INTERVAL_LEAST (100 * USEC_PER_MSEC)
#define TURNS_MAX 5U /* the wait is doubled no more often */

/* ------------------------------------------------------------------ settings */

static bool is_percentage(double value)
{
    return value >= 0 && value <= 100; /* no to what is not a number */
}

int autoscale_check(const AutoScaleSettings *settings, char **ret_why)
{
    if (settings->max > 0 && settings->min > settings->max)
        *ret_why = g_strdup_printf("Min is %u, more than Max, %u", settings->min, settings->max);
    else if (settings->interval_usec < INTERVAL_LEAST)
        *ret_why =
            g_strdup_printf("Interval is %" G_GUINT64_FORMAT " µs; at least 100 ms", settings->interval_usec);
    else if (!is_percentage(settings->up_below_percent) || !is_percentage(settings->down_above_percent) ||
             !is_percentage(settings->pressure_percent))
        *ret_why = g_strdup_printf(
            "ScaleUpBelow is %g %%, ScaleDownAbove %g %%, PressureBelow %g %%; from 0 to 100 %%",
            settings->up_below_percent, settings->down_above_percent, settings->pressure_percent);
    else if (settings->up_below_percent > settings->down_above_percent)
        *ret_why = g_strdup_printf("ScaleUpBelow is %g %%, more than ScaleDownAbove, %g %%",
                                   settings->up_below_percent, settings->down_above_percent);
    else
        return 0;
    return -EINVAL;
}

/* ------------------------------------------------------------------ one step */

static uint32_t highest(const AutoScaleSettings *settings, const AutoScaleFacts *facts)
{
    return settings->max > 0 ? MIN(settings->max, facts->max_workers) : facts->max_workers;
}

static const char *down_reason(const AutoScaleSettings *settings, const AutoScaleFacts *facts)
{
    /* the step before is not done: a drained worker finishes what it runs */
    if (facts->active > facts->target)
        return NULL;
    if (facts->target > highest(settings, facts))
        return highest(settings, facts) == settings->max ? "there are more than Max"
                                                         : "there are more than MaxWorkers leaves";
    if (facts->target <= settings->min)
        return NULL;
    if (facts->memory_percent > settings->down_above_percent)
        return "memory in use is over ScaleDownAbove";
    if (facts->waiting == 0 && facts->idle > 0 && facts->idle_usec >= settings->idle_timeout_usec)
        return "a worker has been idle for IdleTimeout";
    return NULL;
}

static const char *up_reason(const AutoScaleSettings *settings, const AutoScaleFacts *facts)
{
    if (facts->active < facts->target || facts->target >= facts->admissible ||
        facts->target >= highest(settings, facts))
        return NULL;
    if (facts->target < settings->min)
        return "there are fewer than Min";
    if (facts->waiting > facts->idle && facts->memory_percent < settings->up_below_percent &&
        facts->pressure_percent <= settings->pressure_percent)
        return "tasks wait, and memory and pressure allow it";
    return NULL;
}

static uint64_t times(uint64_t usec, uint64_t n)
{
    return usec > UINT64_MAX / n ? UINT64_MAX : usec * n;
}

static uint64_t turn_wait(const AutoScaleSettings *settings, const AutoScale *state)
{
    return times(settings->interval_usec, UINT64_C(2) << state->turns);
}

static bool may_step(const AutoScaleSettings *settings, const AutoScale *state, uint64_t now, bool up)
{
    if (state->last_usec == 0)
        return true;
    return now - state->last_usec >=
           (up == state->last_up ? settings->interval_usec : turn_wait(settings, state));
}

static void note_step(const AutoScaleSettings *settings, AutoScale *state, uint64_t now, bool up)
{
    bool quiet = now - state->last_usec >= times(turn_wait(settings, state), 4);

    if (state->last_usec == 0 || up == state->last_up || quiet)
        state->turns = 0;
    else
        state->turns = MIN(state->turns + 1, TURNS_MAX);
    state->last_usec = MAX(now, 1);
    state->last_up = up;
}

uint32_t autoscale_decide(const AutoScaleSettings *settings, AutoScale *state, const AutoScaleFacts *facts,
                          const char **ret_why)
{
    *ret_why = "";
    if (!settings->enabled)
        return facts->target;
    const char *down = down_reason(settings, facts), *up = down ? NULL : up_reason(settings, facts);
    if ((!down && !up) || !may_step(settings, state, facts->now_usec, up != NULL))
        return facts->target;
    note_step(settings, state, facts->now_usec, up != NULL);
    *ret_why = up ? up : down;
    return up ? facts->target + 1 : facts->target - 1;
}

char *autoscale_shortfall(const AutoScaleSettings *settings, const AutoScaleFacts *facts)
{
    bool by_number = facts->max_workers <= facts->admissible;
    uint32_t most = MIN(facts->max_workers, facts->admissible);

    if (!settings->enabled || settings->min <= most)
        return NULL;
    return g_strdup_printf("Min is %u, which cannot be had: %s %u", settings->min,
                           by_number ? "MaxWorkers leaves" : "admission lets in", most);
}
