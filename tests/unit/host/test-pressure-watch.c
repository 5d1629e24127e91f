/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pressure-watch.c against this machine's kernel, and where there is no pressure information. */
#include "host/pressure-watch.h"

#include <fcntl.h>
#include <glib/gstdio.h>

typedef struct Fixture {
    sd_event *event;
    HostEvents events;
    unsigned n[_PRESSURE_MAX];
} Fixture;

static void on_pressure(PressureKind kind, void *userdata)
{
    ((Fixture *) userdata)->n[kind]++;
}

static void setup(Fixture *fixture, const void *data)
{
    g_assert_cmpint(sd_event_new(&fixture->event), >=, 0);
    fixture->events = (HostEvents) { .pressure = on_pressure, .userdata = fixture };
}

static void teardown(Fixture *fixture, const void *data)
{
    g_unsetenv("PAREXEC_PRESSURE_DIRECTORY");
    sd_event_unref(fixture->event);
}

static void run_for(Fixture *fixture, uint64_t usec)
{
    gint64 end = g_get_monotonic_time() + (gint64) usec;

    while (g_get_monotonic_time() < end)
        g_assert_cmpint(sd_event_run(fixture->event, 50000), >=, 0);
}

static bool have_triggers(void)
{
    int fd = open("/proc/pressure/cpu", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    bool have = fd >= 0 && write(fd, "some 500000 2000000", 20) == 20;

    close_fd(fd);
    if (!have)
        g_test_skip("this kernel, or this user, has no pressure triggers");
    return have;
}

static void *spin(void *stop)
{
    while (!g_atomic_int_get((int *) stop))
        ;
    return NULL;
}

/* Two threads on one CPU: one of them always waits. */
static void test_cpu(Fixture *fixture, const void *data)
{
    const double lines[_PRESSURE_MAX] = { PRESSURE_LINE_NONE, 10.0, PRESSURE_LINE_NONE };
    g_autoptr(PressureWatch) watch = NULL;
    GThread *threads[6];
    int stop = 0;

    if (!have_triggers())
        return;
    g_assert_cmpint(pressure_watch_new(fixture->event, lines, &fixture->events, &watch), ==, 0);
    g_assert_true(pressure_watch_watches(watch, PRESSURE_CPU));
    g_assert_false(pressure_watch_watches(watch, PRESSURE_MEMORY));
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("spin", spin, &stop);
    gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    while (fixture->n[PRESSURE_CPU] == 0 && g_get_monotonic_time() < end)
        run_for(fixture, 100000);
    g_atomic_int_set(&stop, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    g_assert_cmpuint(fixture->n[PRESSURE_CPU], >=, 1);
    g_assert_cmpuint(fixture->n[PRESSURE_MEMORY], ==, 0);
}

static void test_lines_change(Fixture *fixture, const void *data)
{
    const double lines[_PRESSURE_MAX] = { 20.0, 300.0, 0.0 }, other[_PRESSURE_MAX] = { -1.0, 60.0, 0.01 };
    g_autoptr(PressureWatch) watch = NULL;

    if (!have_triggers())
        return;
    g_assert_cmpint(pressure_watch_new(fixture->event, lines, &fixture->events, &watch), ==, 0);
    g_assert_true(pressure_watch_watches(watch, PRESSURE_MEMORY));
    g_assert_true(pressure_watch_watches(watch, PRESSURE_CPU)); /* more than all is all */
    g_assert_false(pressure_watch_watches(watch, PRESSURE_IO)); /* none is not watched */
    pressure_watch_set_lines(watch, other);
    g_assert_false(pressure_watch_watches(watch, PRESSURE_MEMORY));
    g_assert_true(pressure_watch_watches(watch, PRESSURE_CPU));
    g_assert_true(pressure_watch_watches(watch, PRESSURE_IO));
}

static void test_no_psi(Fixture *fixture, const void *data)
{
    const double lines[_PRESSURE_MAX] = { 20.0, 20.0, 20.0 };
    g_autoptr(PressureWatch) watch = NULL;

    g_setenv("PAREXEC_PRESSURE_DIRECTORY", "/nonexistent", TRUE);
    g_assert_cmpint(pressure_watch_new(fixture->event, lines, &fixture->events, &watch), ==, 0);
    for (unsigned kind = 0; kind < _PRESSURE_MAX; kind++)
        g_assert_false(pressure_watch_watches(watch, kind));
    pressure_watch_set_lines(watch, lines);
    run_for(fixture, 20000);
}

static void test_refused(Fixture *fixture, const void *data)
{
    const double lines[_PRESSURE_MAX] = { 20.0, PRESSURE_LINE_NONE, PRESSURE_LINE_NONE };
    g_autofree char *directory = g_dir_make_tmp("parexec-pressure-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "memory", NULL);
    g_autoptr(PressureWatch) watch = NULL;

    g_assert_true(g_file_set_contents(path, "", 0, NULL)); /* epoll refuses files */
    g_setenv("PAREXEC_PRESSURE_DIRECTORY", directory, TRUE);
    g_assert_cmpint(pressure_watch_new(fixture->event, lines, &fixture->events, &watch), ==, 0);
    g_assert_false(pressure_watch_watches(watch, PRESSURE_MEMORY));
    g_autofree char *written = NULL;
    gsize size;
    g_assert_true(g_file_get_contents(path, &written, &size, NULL));
    g_assert_cmpuint(size, ==, sizeof "some 400000 2000000"); /* with its NUL */
    g_assert_cmpstr(written, ==, "some 400000 2000000");
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
    g_assert_null(pressure_watch_free(NULL));
}

static void add(const char *path, void (*test)(Fixture *fixture, const void *data))
{
    g_test_add(path, Fixture, NULL, setup, test, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/pressure-watch/lines-change", test_lines_change);
    add("/pressure-watch/no-psi", test_no_psi);
    add("/pressure-watch/refused", test_refused);
    add("/pressure-watch/cpu", test_cpu); /* last: it makes threads, and the others set variables */
    return g_test_run();
}
