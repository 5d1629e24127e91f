/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* How far many tasks are: a bar on stderr if it is a terminal, else (when asked for) a plain line every
 * ten seconds. */

typedef enum ProgressMode {
    PROGRESS_AUTO, /* a bar on a terminal, else nothing */
    PROGRESS_ON,   /* a bar on a terminal, else lines */
    PROGRESS_OFF,
} ProgressMode;

typedef struct ProgressFacts {
    uint64_t total, done, failed, running;
    bool open; /* total may still grow */
} ProgressFacts;

#define PROGRESS_SAMPLES 16U

/* The rate over the last seconds; pure. */
typedef struct ProgressRate {
    uint64_t times[PROGRESS_SAMPLES], counts[PROGRESS_SAMPLES]; /* a ring, a second or more apart */
    unsigned n, next;
} ProgressRate;

void progress_rate_add(ProgressRate *rate, uint64_t now_usec, uint64_t done);
double progress_rate_per_sec(const ProgressRate *rate, uint64_t now_usec,
                             uint64_t done); /* 0: not known yet */
/* How long the rest will take; UINT64_MAX: not known. */
uint64_t progress_rate_left_usec(const ProgressFacts *facts, double per_sec);

/* "▌███▌   " of that many columns; '#' and '-' where the locale is not UTF-8. */
char *progress_bar(double fraction, unsigned width, bool unicode);
/* " 45 % ████▌     450/1000 · 2 failed · 85.3/s · 12s left", never wider than the columns. */
char *progress_line(const ProgressFacts *facts, double per_sec, unsigned columns, bool unicode);

typedef struct Progress Progress;
/* facts() is asked whenever something is to be shown. Needs client->event; NULL in *ret: nothing is shown. */
int progress_new(Client *client, ProgressMode mode, void (*facts)(ProgressFacts *ret, void *userdata),
                 void *userdata, Progress **ret);
Progress *progress_free(Progress *progress); /* takes the bar away */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)
/* Takes the bar away before something else is printed to the terminal; it comes back by itself. NULL is
 * allowed. */
void progress_clear(Progress *progress);
