/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the daemon begins and ends: signals, a second one, a database that is not for it, a bus that goes away. */
#include <signal.h>
#include <sqlite3.h>
#include <string.h>

#include "calls.h"

/* ---- the end */

static void test_terminate(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    g_autoptr(sd_bus_message) m = bus_message(h->bus, (Target){ "/org/parexec", MANAGER, "Status" }, NULL);

    task_wait(h, task_submit_shell(h->bus, "sleep 60"), "running");
    manager_do(h->bus, "Subscribe", NULL);
    for (unsigned i = 0; i < 50; i++) /* calls that are under way are no reason to stay */
        g_assert_cmpint(sd_bus_send(h->bus, m, NULL), >=, 0);
    gint64 start = g_get_monotonic_time();
    g_assert_cmpint(harness_stop_daemon(h), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * G_USEC_PER_SEC);
}

/* With AddWorker unanswered, whose worker never comes. */
static void test_terminate_starting(Harness *h)
{
    g_autoptr(Pending) adding = manager_call_later(h->bus, "AddWorker", "(@a{sv} {},)");

    HARNESS_WAIT(h, worker_is(h->bus, "w1", "starting"));
    gint64 start = g_get_monotonic_time();
    (void) kill(h->daemon, SIGINT); /* as good as TERM */
    g_assert_cmpint(harness_wait_exit(h, h->daemon, 2000), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * G_USEC_PER_SEC);
    h->daemon = 0;
    HARNESS_WAIT(h, adding->done);
}

/* What was acknowledged a moment ago is there for the next. */
static void test_terminate_after_submit(Harness *h)
{
    for (unsigned i = 1; i <= 5; i++) {
        task_submit_shell(h->bus, "exit 0");
        g_assert_cmpint(harness_stop_daemon(h), ==, 0);
        harness_start_daemon(h);
        g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, i);
    }
}

/* Without a bus there is nobody to serve: it ends, and its service manager starts another. */
static void test_bus_goes(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);
    pid_t worker = (pid_t) bus_property_number(h->bus, path, WORKER, "Pid");

    (void) kill(h->bus_daemon, SIGKILL);
    harness_forget_bus(h);
    int status = harness_wait_exit(h, h->daemon, 5000);
    g_assert_cmpint(status, >, 0);
    g_assert_cmpint(status, <, 128); /* not by a signal */
    g_assert_cmpint(kill(worker, 0), ==, 0);
    h->daemon = 0;
}

/* ---- a second one */

static void expect_failure(Harness *h, pid_t pid, const char *log, const char *words)
{
    int status = harness_wait_exit(h, pid, 10000);
    g_autofree char *text = harness_read(h, log);

    g_assert_cmpint(status, ==, 1);
    if (!strstr(text, words))
        g_error("no \"%s\" in: %s", words, text);
}

static char *make_directory(Harness *h, const char *name)
{
    g_autofree char *path = harness_path(h, name);

    g_assert_cmpint(g_mkdir_with_parents(path, 0755), ==, 0);
    return g_steal_pointer(&path);
}

static void test_second_same_directory(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "sleep 0.5");
    pid_t second = harness_spawn_daemon(h, h->directory, NULL, "second.log");

    expect_failure(h, second, "second.log", "parexec.db is in use by another process");
    task_wait(h, task, "succeeded"); /* the first goes on as if nothing had been: its socket, too */
    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
    g_autofree char *other = worker_add(h->bus, NULL);
}

static void test_second_same_bus(Harness *h)
{
    g_autofree char *directory = make_directory(h, "second"), *id = worker_add(h->bus, NULL);

    expect_failure(h, harness_spawn_daemon(h, directory, NULL, "second.log"), "second.log",
                   "another process has it");
    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
}

/* ---- the database */

static int keep_number(void *number, int n, char **values, char **names)
{
    *(uint64_t *) number = g_ascii_strtoull(values[0], NULL, 10);
    return 0;
}

/* The number that it answers last; 0: none. */
static uint64_t run_sql(Harness *h, const char *sql)
{
    g_autofree char *path = harness_path(h, "state/parexec.db");
    uint64_t number = 0;
    sqlite3 *database;

    g_assert_cmpint(sqlite3_open(path, &database), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(database, sql, keep_number, &number, NULL), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_close(database), ==, SQLITE_OK);
    return number;
}

static void test_newer_database(Harness *h)
{
    task_submit_shell(h->bus, "exit 0");
    g_assert_cmpint(harness_stop_daemon(h), ==, 0);
    g_autofree char *restore =
        g_strdup_printf("PRAGMA user_version = %" G_GUINT64_FORMAT, run_sql(h, "PRAGMA user_version"));
    run_sql(h, "PRAGMA user_version = 1000");
    g_autofree char *before = harness_read(h, "state/parexec.db");
    expect_failure(h, harness_spawn_daemon(h, h->directory, NULL, "newer.log"), "newer.log",
                   "The database is of version 1000");
    run_sql(h, restore); /* and nothing was changed */
    harness_start_daemon(h);
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 1);
}

static void test_foreign_database(Harness *h)
{
    g_autofree char *path = harness_path(h, "state/parexec.db");

    g_assert_true(g_file_set_contents(
        path, "These are the notes of somebody who likes this name for a file, too.\n", -1, NULL));
    expect_failure(h, harness_spawn_daemon(h, h->directory, NULL, "foreign.log"), "foreign.log",
                   "parexec.db");
    g_autofree char *text = harness_read(h, "state/parexec.db");
    g_assert_true(g_str_has_prefix(text, "These are the notes"));
}

/* ---- what it is told */

static void test_options(Harness *h)
{
    static const struct {
        const char *option;
        int status;
        const char *words;
    } cases[] = {
        { "--version", 0, "parexecd " },
        { "--help", 0, "--user" },
        { "--colour", 2, "unrecognized option" },
        { "something", 2, "it takes no arguments" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *log = g_strdup_printf("options-%zu.log", i);
        const char *argv[] = { HARNESS_DAEMON, cases[i].option, NULL };
        g_assert_cmpint(harness_run(h, argv, log), ==, cases[i].status);
        g_autofree char *text = harness_read(h, log);
        g_assert_nonnull(strstr(text, cases[i].words));
    }
}

static void test_no_bus(Harness *h)
{
    static const char *const nowhere[] = { "DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus", NULL };

    expect_failure(h, harness_spawn_daemon(h, h->directory, nowhere, "no-bus.log"), "no-bus.log",
                   "Cannot connect to the session bus");
}

static void test_no_directory(Harness *h)
{
    static const char *const nowhere[] = { "STATE_DIRECTORY", "/proc/nonexistent", NULL };

    expect_failure(h, harness_spawn_daemon(h, h->directory, nowhere, "no-directory.log"), "no-directory.log",
                   "Cannot make the directory");
}

static void add(void)
{
    static const HarnessOptions silent = { .worker_program = TOP "/tests/bus/silent-worker" },
                                none = { .no_daemon = true };

    harness_add("/daemon/terminate", NULL, test_terminate);
    harness_add("/daemon/terminate-starting", &silent, test_terminate_starting);
    harness_add("/daemon/terminate-after-submit", NULL, test_terminate_after_submit);
    harness_add("/daemon/bus-goes", NULL, test_bus_goes);
    harness_add("/daemon/second-same-directory", NULL, test_second_same_directory);
    harness_add("/daemon/second-same-bus", NULL, test_second_same_bus);
    harness_add("/daemon/newer-database", NULL, test_newer_database);
    harness_add("/daemon/foreign-database", &none, test_foreign_database);
    harness_add("/daemon/options", &none, test_options);
    harness_add("/daemon/no-bus", &none, test_no_bus);
    harness_add("/daemon/no-directory", &none, test_no_directory);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
