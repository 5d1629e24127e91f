/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harness.h"

/* The signals of org.parexec that a connection hears, in order. Iterating the harness fills it. */
typedef struct Recorded {
    char *path, *interface, *member;
    GVariant *body;
    gint64 at_usec; /* monotonic */
} Recorded;

typedef struct Recorder {
    GPtrArray *signals; /* Recorded */
    sd_bus_slot *slot;
} Recorder;

Recorder *recorder_new(sd_bus *bus);
void recorder_free(Recorder *recorder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recorder, recorder_free)

void recorder_clear(Recorder *recorder);
unsigned recorder_count(const Recorder *recorder, const char *member);
/* The number n (from 0) with that member; NULL: not yet. */
const Recorded *recorder_find(const Recorder *recorder, const char *member, unsigned n);
/* How many PropertiesChanged of that object name the property. */
unsigned recorder_count_changes(const Recorder *recorder, const char *path, const char *property);
/* The latest value that was announced; NULL: none, or only that it changed. */
GVariant *recorder_last_value(const Recorder *recorder, const char *path, const char *property);
