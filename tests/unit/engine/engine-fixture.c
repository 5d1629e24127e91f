/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the engines have in common. */
#include "engine-fixture.h"
#include "engine/proc-file.h"
#include "util/parse-util.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

static void on_started(uint32_t number, int r, const WorkerProcess *process, const char *why, void *userdata)
{
    EngineFixture *fixture = userdata;

    fixture->n_started++;
    fixture->r = r;
    g_free(fixture->why);
    fixture->why = g_strdup(why);
    worker_process_done(&fixture->process);
    fixture->process = (WorkerProcess) { 0 };
    if (process)
        fixture->process = (WorkerProcess) {
            .pid = process->pid,
            .start_time = process->start_time,
            .unit = g_strdup(process->unit),
            .control_group = g_strdup(process->control_group),
        };
}

static void on_gone(uint32_t number, const char *why, void *userdata)
{
    EngineFixture *fixture = userdata;

    fixture->n_gone++;
    g_free(fixture->why);
    fixture->why = g_strdup(why);
}

static void on_limits_set(uint32_t number, int r, const char *why, void *userdata)
{
    EngineFixture *fixture = userdata;

    fixture->n_limits_set++;
    fixture->r = r;
    g_free(fixture->why);
    fixture->why = g_strdup(why);
}

void engine_fixture_init(EngineFixture *fixture)
{
    *fixture = (EngineFixture) { 0 };
    g_assert_cmpint(sd_event_new(&fixture->event), >=, 0);
    fixture->directory = g_dir_make_tmp("parexec-engine-XXXXXX", NULL);
    g_assert_nonnull(fixture->directory);
    fixture->options = (EngineOptions) { .runtime_directory = fixture->directory, .slice = "parexec.slice" };
    fixture->events = (EngineEvents) {
        .started = on_started,
        .gone = on_gone,
        .limits_set = on_limits_set,
        .userdata = fixture,
    };
    fixture->spec = worker_spec_new();
}

static void remove_tree(const char *path)
{
    GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);

    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *below = g_build_filename(path, name, NULL);
        remove_tree(below);
    }
    if (dir)
        g_dir_close(dir);
    (void) g_remove(path);
}

void engine_fixture_done(EngineFixture *fixture)
{
    remove_tree(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->why);
    worker_process_done(&fixture->process);
    worker_spec_free(fixture->spec);
    sd_event_unref(fixture->event);
    g_unsetenv("PAREXEC_WORKER_PROGRAM");
}

void engine_fixture_program(EngineFixture *fixture, const char *script)
{
    g_autofree char *path = g_build_filename(fixture->directory, "program", NULL);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\ncd '%s'\n%s\n", fixture->directory, script);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, 0755), ==, 0);
    g_setenv("PAREXEC_WORKER_PROGRAM", path, TRUE);
}

void engine_fixture_start(EngineFixture *fixture, EnginePort *engine, uint32_t number)
{
    g_autoptr(GBytes) record = g_bytes_new_static("the record\n", strlen("the record\n"));
    EngineStart start = { .number = number, .spec = fixture->spec, .record = record };

    engine->start(engine, &start);
}

void engine_fixture_run_for(EngineFixture *fixture, uint64_t usec)
{
    gint64 end = g_get_monotonic_time() + (gint64) usec;

    while (g_get_monotonic_time() < end)
        g_assert_cmpint(sd_event_run(fixture->event, 5000), >=, 0);
}

static int32_t read_pid(const char *path)
{
    g_autofree char *text = NULL;
    uint64_t number;

    if (!g_file_get_contents(path, &text, NULL, NULL) || !g_str_has_suffix(text, "\n"))
        return 0;
    return parse_uint64(g_strchomp(text), &number) == 0 ? (int32_t) number : 0;
}

int32_t engine_fixture_read_pid(EngineFixture *fixture, const char *file)
{
    g_autofree char *path = g_build_filename(fixture->directory, file, NULL);
    int32_t pid = 0;

    fixture_run_until(fixture, (pid = read_pid(path)) > 0);
    return pid;
}

bool process_lives(int32_t pid)
{
    ProcStat stat;

    return proc_stat(pid, &stat) == 0 && stat.state != 'Z' && stat.state != 'X';
}

bool process_is_zombie(int32_t pid)
{
    ProcStat stat;

    return proc_stat(pid, &stat) == 0 && stat.state == 'Z';
}
