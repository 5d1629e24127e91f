/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/engine-worker.h"
#include "util/sd-bus-util.h"

/* An engine under test: a loop, a temporary runtime directory, a stand-in for the worker's program, and what was announced. */
typedef struct EngineFixture {
    sd_event *event;
    char *directory;
    EngineOptions options;
    EngineEvents events;
    WorkerSpec *spec;

    /* of the latest announcement */
    unsigned n_started, n_gone, n_limits_set;
    int r;
    WorkerProcess process;
    char *why;
} EngineFixture;

void engine_fixture_init(EngineFixture *fixture);
void engine_fixture_done(EngineFixture *fixture);

/* The stand-in: a shell script, with the launch record at descriptor 3 and its id as $1. */
void engine_fixture_program(EngineFixture *fixture, const char *script);

void engine_fixture_start(EngineFixture *fixture, EnginePort *engine, uint32_t number);

/* Runs the loop until the condition holds; fails the test after 10 s. */
#define fixture_run_until(fixture, condition)                                                                   \
    do {                                                                                                        \
        gint64 deadline_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;                                        \
        while (!(condition)) {                                                                                  \
            g_assert_cmpint(g_get_monotonic_time(), <, deadline_);                                              \
            g_assert_cmpint(sd_event_run((fixture)->event, 20000), >=, 0);                                      \
        }                                                                                                       \
    } while (0)

void engine_fixture_run_for(EngineFixture *fixture, uint64_t usec);

/* The number that the program wrote into FILE below the directory (a pid); waits for it. */
int32_t engine_fixture_read_pid(EngineFixture *fixture, const char *file);
bool process_lives(int32_t pid); /* a zombie does not */
bool process_is_zombie(int32_t pid);
