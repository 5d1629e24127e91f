/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Progress of many tasks. The verb owns it and is asked for the facts; drawing follows a timer alone, so
 * it costs the same however fast tasks end. Rate, time left and layout are pure functions. */

#include "client/progress.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client/output.h"
#include "client/text.h"
#include "util/parse-util.h"

#define DRAW_USEC (125 * USEC_PER_MSEC)
#define LINE_USEC (10 * USEC_PER_SEC)
#define BAR_COLUMNS_MAX 40U
#define BAR_COLUMNS_MIN 8U

struct Progress {
    Client *client;
    void (*facts)(ProgressFacts *ret, void *userdata);
    void *userdata;
    bool terminal;
    bool drawn;
    ProgressRate rate;
    sd_event_source *timer;
};

void progress_rate_add(ProgressRate *rate, uint64_t now_usec, uint64_t done)
{
    unsigned newest = (rate->next + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;

    if (rate->n > 0 && now_usec < rate->times[newest] + USEC_PER_SEC)
        return;
    rate->times[rate->next] = now_usec;
    rate->counts[rate->next] = done;
    rate->next = (rate->next + 1) % PROGRESS_SAMPLES;
    rate->n = MIN(rate->n + 1, PROGRESS_SAMPLES);
}

double progress_rate_per_sec(const ProgressRate *rate, uint64_t now_usec, uint64_t done)
{
    unsigned oldest = (rate->next + PROGRESS_SAMPLES - rate->n) % PROGRESS_SAMPLES;

    if (rate->n == 0 || now_usec < rate->times[oldest] + USEC_PER_SEC / 2 || done < rate->counts[oldest])
        return 0;
    return (double) (done - rate->counts[oldest]) * USEC_PER_SEC / (double) (now_usec - rate->times[oldest]);
}

uint64_t progress_rate_left_usec(const ProgressFacts *facts, double per_sec)
{
    if (facts->done >= facts->total)
        return 0;
    double seconds = per_sec > 0 ? (double) (facts->total - facts->done) / per_sec : -1;
    return seconds < 0 || seconds > 1e9 ? UINT64_MAX : (uint64_t) (seconds * USEC_PER_SEC);
}

char *progress_bar(double fraction, unsigned width, bool unicode)
{
    static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    unsigned filled = (unsigned) (CLAMP(fraction, 0.0, 1.0) * width * 8);
    GString *bar = g_string_new(NULL);

    for (unsigned i = 0; i < width; i++) {
        unsigned part = filled > i * 8 ? MIN(filled - i * 8, 8U) : 0;
        if (!unicode)
            g_string_append_c(bar, part >= 4 ? '#' : '-');
        else if (part == 8)
            g_string_append(bar, "█");
        else
            g_string_append(bar, part > 0 ? eighths[part] : "░");
    }
    return g_string_free(bar, FALSE);
}

static char *progress_text(const ProgressFacts *facts, double per_sec, const char *dot)
{
    GString *text = g_string_new(NULL);
    uint64_t left = progress_rate_left_usec(facts, per_sec);

    g_string_append_printf(text, "%" PRIu64 "/%" PRIu64 "%s", facts->done, facts->total,
                           facts->open ? "+" : "");
    if (facts->failed > 0) {
        g_string_append_printf(text, " %s ", dot);
        g_string_append_printf(text, ngettext("%" PRIu64 " failed", "%" PRIu64 " failed", facts->failed),
                               facts->failed);
    }
    if (per_sec > 0)
        g_string_append_printf(text, per_sec < 10 ? " %s %.1f/s" : " %s %.0f/s", dot, per_sec);
    else if (facts->running > 0) {
        g_string_append_printf(text, " %s ", dot);
        g_string_append_printf(text, ngettext("%" PRIu64 " running", "%" PRIu64 " running", facts->running),
                               facts->running);
    }
    if (!facts->open && left > 0 && left != UINT64_MAX) {
        g_autofree char *span =
            format_timespan(left < USEC_PER_SEC ? USEC_PER_SEC : left - left % USEC_PER_SEC);
        g_string_append_printf(text, " %s ", dot);
        g_string_append_printf(text, _("%s left"), span);
    }
    return g_string_free(text, FALSE);
}

char *progress_line(const ProgressFacts *facts, double per_sec, unsigned columns, bool unicode)
{
    double fraction = facts->total > 0 ? (double) facts->done / (double) facts->total : 0;
    g_autofree char *text = progress_text(facts, per_sec, unicode ? "·" : "-");
    unsigned used = text_width(text) + 8; /* "100 %  " and the last column, which would wrap */

    if (columns < used + BAR_COLUMNS_MIN)
        return text_cut(text, columns > 0 ? columns - 1 : 0);
    g_autofree char *bar = progress_bar(fraction, MIN(columns - used, BAR_COLUMNS_MAX), unicode);
    return g_strdup_printf("%3u %% %s %s", (unsigned) (fraction * 100), bar, text);
}

static uint64_t now(void)
{
    return (uint64_t) g_get_monotonic_time();
}

static void draw(Progress *progress)
{
    ProgressFacts facts = {};
    uint64_t at = now();

    progress->facts(&facts, progress->userdata);
    progress_rate_add(&progress->rate, at, facts.done);
    double per_sec = progress_rate_per_sec(&progress->rate, at, facts.done);
    g_autofree char *line = progress_line(
        &facts, per_sec, progress->terminal ? output_columns(STDERR_FILENO) : 80, output_unicode());
    if (progress->terminal)
        fprintf(stderr, "\r%s\033[K", line);
    else
        fprintf(stderr, "%s\n", line);
    (void) fflush(stderr);
    progress->drawn = true;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    Progress *progress = userdata;

    draw(progress);
    int r = sd_event_source_set_time_relative(source, progress->terminal ? DRAW_USEC : LINE_USEC);
    return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void progress_clear(Progress *progress)
{
    if (!progress || !progress->drawn || !progress->terminal)
        return;
    fputs("\r\033[K", stderr);
    (void) fflush(stderr);
    progress->drawn = false;
}

Progress *progress_free(Progress *progress)
{
    if (!progress)
        return NULL;
    progress_clear(progress);
    progress->timer = sd_event_source_disable_unref(progress->timer);
    g_free(progress);
    return NULL;
}

int progress_new(Client *client, ProgressMode mode, void (*facts)(ProgressFacts *ret, void *userdata),
                 void *userdata, Progress **ret)
{
    g_autoptr(Progress) progress = NULL;
    bool terminal = output_is_terminal(STDERR_FILENO);
    ProgressFacts beginning = {};

    if (mode == PROGRESS_OFF || (mode == PROGRESS_AUTO && (!terminal || client->quiet)))
        return 0;
    progress = g_new0(Progress, 1);
    *progress = (Progress){ .client = client, .facts = facts, .userdata = userdata, .terminal = terminal };
    facts(&beginning, userdata);
    progress_rate_add(&progress->rate, now(), beginning.done);
    int r = sd_event_add_time_relative(client->event, &progress->timer, CLOCK_MONOTONIC,
                                       terminal ? DRAW_USEC : LINE_USEC, 0, on_time, progress);
    if (r < 0)
        return output_failure(client, r, _("cannot set up the event loop: %s"), g_strerror(-r));
    *ret = g_steal_pointer(&progress);
    return 0;
}
