/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting and ending what a test plays with. The directory stands below the guardian's; processes are reaped here, so that
 * a worker that lost its daemon is not a zombie for ever. */
#include "harness.h"

#include <fcntl.h>
#include <grp.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guardian.h"

#define STRANGER_UID 65534U
#define START_MSEC 15000U

static const char *top_directory;
static void (*add_tests)(void);
static unsigned n_harnesses;
static GHashTable *ended; /* pid → status */

static const char bus_config[] =
    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\"\n"
    " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
    "<busconfig>\n"
    "  <type>session</type>\n"
    "  <listen>unix:path=%s/bus</listen>\n"
    "  <policy context=\"default\">\n"
    "    <allow user=\"*\"/> <allow own=\"*\"/> <allow send_destination=\"*\"/> <allow receive_sender=\"*\"/>\n"
    "  </policy>\n"
    "  <limit name=\"max_incoming_bytes\">1000000000</limit>\n"
    "  <limit name=\"max_outgoing_bytes\">1000000000</limit>\n"
    "  <limit name=\"max_message_size\">134217728</limit>\n"
    "  <limit name=\"max_replies_per_connection\">50000</limit>\n"
    "  <limit name=\"max_match_rules_per_connection\">5000</limit>\n"
    "  <limit name=\"max_connections_per_user\">1000</limit>\n"
    "</busconfig>\n";

/* ---- processes */

static void reap(void)
{
    int status;

    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        g_hash_table_insert(ended, GINT_TO_POINTER(pid), GINT_TO_POINTER(status));
}

static bool take_status(pid_t pid, int *ret)
{
    gpointer status;

    reap();
    if (!g_hash_table_steal_extended(ended, GINT_TO_POINTER(pid), NULL, &status))
        return false;
    *ret = WIFEXITED(GPOINTER_TO_INT(status)) ? WEXITSTATUS(GPOINTER_TO_INT(status))
                                              : 128 + WTERMSIG(GPOINTER_TO_INT(status));
    return true;
}

int harness_wait_exit(Harness *harness, pid_t pid, unsigned msec)
{
    gint64 until = g_get_monotonic_time() + (gint64) msec * 1000;
    int status;

    while (!take_status(pid, &status)) {
        if (g_get_monotonic_time() > until)
            return -ETIMEDOUT;
        harness_iterate(harness);
    }
    return status;
}

static pid_t spawn(Harness *harness, const char *const *argv, char **environment, const char *log)
{
    g_autofree char *path = harness_path(harness, log);
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;

    (void) posix_spawn_file_actions_init(&actions);
    (void) posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void) posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, path, O_WRONLY | O_CREAT | O_APPEND,
                                            0644);
    (void) posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    int r = posix_spawnp(&pid, argv[0], &actions, NULL, (char **) argv, environment);
    (void) posix_spawn_file_actions_destroy(&actions);
    if (r != 0)
        g_error("cannot run %s: %s", argv[0], g_strerror(r));
    return pid;
}

static char **bus_environment(const Harness *harness)
{
    char **environment = g_get_environ();

    environment = g_environ_unsetenv(environment, "NOTIFY_SOCKET");
    environment = g_environ_unsetenv(environment, "WATCHDOG_USEC");
    environment = g_environ_setenv(environment, "DBUS_SESSION_BUS_ADDRESS", harness->address, TRUE);
    return g_environ_setenv(environment, "DBUS_SYSTEM_BUS_ADDRESS", harness->address, TRUE);
}

static pid_t spawn_on_bus(Harness *harness, const char *program, const char *log)
{
    const char *argv[] = { program, NULL };
    g_auto(GStrv) environment = bus_environment(harness);

    return spawn(harness, argv, environment, log);
}

int harness_run(Harness *harness, const char *const *argv, const char *log)
{
    g_auto(GStrv) environment = bus_environment(harness);
    pid_t pid = spawn(harness, argv, environment, log);

    return harness_wait_exit(harness, pid, START_MSEC);
}

static void end_process(Harness *harness, pid_t *pid)
{
    if (*pid > 0) {
        (void) kill(*pid, SIGKILL);
        g_assert_cmpint(harness_wait_exit(harness, *pid, START_MSEC), ==, 128 + SIGKILL);
    }
    *pid = 0;
}

/* ---- connections */

static sd_bus *connect_to_bus(const char *address)
{
    sd_bus *bus = NULL;

    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_address(bus, address), >=, 0);
    g_assert_cmpint(sd_bus_set_bus_client(bus, 1), >=, 0);
    g_assert_cmpint(sd_bus_negotiate_fds(bus, 1), >=, 0);
    int r = sd_bus_start(bus);
    if (r < 0)
        g_error("cannot connect to the private bus: %s", g_strerror(-r));
    return bus;
}

sd_bus *harness_connect(Harness *harness)
{
    const char *name;
    sd_bus *bus = connect_to_bus(harness->address);

    g_assert_cmpint(sd_bus_get_unique_name(bus, &name), >=, 0); /* waits until it is connected */
    g_ptr_array_add(harness->connections, bus);
    return bus;
}

/* The bus asks the kernel who we were when we connected. */
sd_bus *harness_connect_as(Harness *harness, uid_t uid)
{
    g_assert_cmpint(setgroups(0, NULL), ==, 0); /* a login of root is in the group of root: a stranger is not */
    g_assert_cmpint(setegid(uid), ==, 0);
    g_assert_cmpint(seteuid(uid), ==, 0);
    sd_bus *bus = connect_to_bus(harness->address);
    g_assert_cmpint(seteuid(0), ==, 0);
    g_assert_cmpint(setegid(0), ==, 0);
    const char *name;
    g_assert_cmpint(sd_bus_get_unique_name(bus, &name), >=, 0);
    g_ptr_array_add(harness->connections, bus);
    return bus;
}

sd_bus *harness_connect_stranger(Harness *harness)
{
    return geteuid() == 0 ? harness_connect_as(harness, STRANGER_UID) : harness_connect(harness);
}

static void connection_free(gpointer bus)
{
    sd_bus_flush_close_unref(bus);
}

void harness_disconnect(Harness *harness, sd_bus *bus)
{
    g_assert_true(g_ptr_array_remove(harness->connections, bus));
}

void harness_forget_bus(Harness *harness)
{
    harness->bus = NULL;
    g_ptr_array_set_size(harness->connections, 0);
    g_assert_cmpint(harness_wait_exit(harness, harness->bus_daemon, START_MSEC), ==, 128 + SIGKILL);
    harness->bus_daemon = 0;
}

void harness_iterate(Harness *harness)
{
    bool busy = false;

    for (guint i = 0; i < harness->connections->len; i++) {
        int r;
        while ((r = sd_bus_process(harness->connections->pdata[i], NULL)) > 0)
            busy = true;
        g_assert_cmpint(r, >=, 0);
    }
    reap();
    if (!busy && harness->bus)
        (void) sd_bus_wait(harness->bus, 10 * USEC_PER_MSEC);
    else if (!busy)
        g_usleep(10 * USEC_PER_MSEC);
}

void harness_pause(Harness *harness, unsigned msec)
{
    gint64 until = g_get_monotonic_time() + (gint64) msec * 1000;

    while (g_get_monotonic_time() < until)
        harness_iterate(harness);
}

static bool has_owner(Harness *harness, const char *name)
{
    g_autoptr(sd_bus_message) reply = NULL;
    int owned = 0;

    g_assert_cmpint(sd_bus_call_method(harness->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s", name),
                    >=, 0);
    g_assert_cmpint(sd_bus_message_read(reply, "b", &owned), >=, 0);
    return owned;
}

static void wait_for_name(Harness *harness, const char *name, pid_t pid)
{
    int status;

    while (!has_owner(harness, name)) {
        if (take_status(pid, &status))
            g_error("the process that should own %s has ended with status %d", name, status);
        harness_pause(harness, 5);
    }
}

/* ---- the daemon */

void harness_write_config(Harness *harness, const char *config)
{
    g_autofree char *path = harness_path(harness, "config/parexecd.conf");
    g_autofree char *text = g_strdup_printf("[Workers]\n%s\n", config ? config : "");

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static char **daemon_environment(Harness *harness, const char *directory)
{
    char **environment = bus_environment(harness);
    g_autofree char *state = g_build_filename(directory, "state", NULL),
                    *run = g_build_filename(directory, "run", NULL);
    g_autofree char *config = g_build_filename(directory, "config", NULL);
    const HarnessOptions *options = harness->options;

    environment = g_environ_setenv(environment, "STATE_DIRECTORY", state, TRUE);
    environment = g_environ_setenv(environment, "RUNTIME_DIRECTORY", run, TRUE);
    environment = g_environ_setenv(environment, "PAREXEC_CONFIG_DIR", config, TRUE);
    environment = g_environ_setenv(environment, "PAREXEC_WORKER_PROGRAM",
                                   options->worker_program ? options->worker_program : HARNESS_WORKER, TRUE);
    environment = g_environ_setenv(environment, "LSAN_OPTIONS",
                                   "suppressions=" TOP "/tests/bus/daemon-leaks.supp", TRUE);
    environment = g_environ_setenv(environment, "PAREXEC_NO_CGROUPS", "1", TRUE);
    environment = g_environ_setenv(environment, "PAREXEC_LOG_LEVEL", "debug", TRUE);
    return g_environ_setenv(environment, "PAREXEC_SYSTEMD", options->systemd ? "1" : "0", TRUE);
}

pid_t harness_spawn_daemon(Harness *harness, const char *directory, const char *const *variables,
                           const char *log)
{
    const char *argv[] = { HARNESS_DAEMON, harness->options->system ? "--system" : "--user", NULL };
    g_auto(GStrv) environment = daemon_environment(harness, directory);

    for (; variables && *variables; variables += 2)
        environment = g_environ_setenv(environment, variables[0], variables[1], TRUE);
    return spawn(harness, argv, environment, log);
}

void harness_start_daemon(Harness *harness)
{
    g_assert_cmpint(harness->daemon, ==, 0);
    harness->daemon = harness_spawn_daemon(harness, harness->directory, NULL, "parexecd.log");
    wait_for_name(harness, "org.parexec", harness->daemon);
}

void harness_kill_daemon(Harness *harness)
{
    g_assert_cmpint(harness->daemon, >, 0);
    end_process(harness, &harness->daemon);
    HARNESS_WAIT(harness, !has_owner(harness, "org.parexec"));
}

int harness_stop_daemon(Harness *harness)
{
    g_assert_cmpint(harness->daemon, >, 0);
    (void) kill(harness->daemon, SIGTERM);
    int status = harness_wait_exit(harness, harness->daemon, START_MSEC);
    g_assert_cmpint(status, !=, -ETIMEDOUT);
    harness->daemon = 0;
    return status;
}

void harness_restart_daemon(Harness *harness)
{
    harness_kill_daemon(harness);
    harness_start_daemon(harness);
}

/* ---- life */

char *harness_path(Harness *harness, const char *name)
{
    return g_build_filename(harness->directory, name, NULL);
}

char *harness_read(Harness *harness, const char *name)
{
    g_autofree char *path = harness_path(harness, name);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static void make_directories(Harness *harness)
{
    static const char *const names[] = { "state", "run", "config" };

    g_assert_cmpint(g_mkdir(harness->directory, 0711), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = harness_path(harness, names[i]);
        g_assert_cmpint(g_mkdir(path, 0711), ==, 0);
    }
}

static bool listens(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof address.sun_path), <, sizeof address.sun_path);
    return connect(fd, (struct sockaddr *) &address, sizeof address) == 0;
}

static void start_bus(Harness *harness)
{
    g_autofree char *config = harness_path(harness, "bus.conf"), *socket = harness_path(harness, "bus");
    g_autofree char *option = g_strconcat("--config-file=", config, NULL);
    g_autofree char *text = g_strdup_printf(bus_config, harness->directory);
    const char *argv[] = { "dbus-daemon", option, "--nofork", "--nopidfile", NULL };
    g_auto(GStrv) environment = g_get_environ();

    g_assert_true(g_file_set_contents(config, text, -1, NULL));
    harness->address = g_strconcat("unix:path=", socket, NULL);
    harness->bus_daemon = spawn(harness, argv, environment, "dbus-daemon.log");
    HARNESS_WAIT(harness, listens(socket));
    (void) chmod(socket, 0777);
    harness->bus = harness_connect(harness);
}

static Harness *harness_new(const HarnessOptions *options)
{
    Harness *harness = g_new0(Harness, 1);

    harness->options = options;
    harness->directory = g_strdup_printf("%s/%u", top_directory, ++n_harnesses);
    harness->connections = g_ptr_array_new_with_free_func(connection_free);
    make_directories(harness);
    harness_write_config(harness, options->config);
    start_bus(harness);
    if (options->systemd) {
        harness->systemd = spawn_on_bus(harness, HARNESS_FAKE_SYSTEMD, "fake-systemd.log");
        wait_for_name(harness, "org.freedesktop.systemd1", harness->systemd);
    }
    if (options->polkit) {
        harness->polkit = spawn_on_bus(harness, HARNESS_FAKE_POLKIT, "fake-polkit.log");
        wait_for_name(harness, "org.freedesktop.PolicyKit1", harness->polkit);
    }
    if (!options->no_daemon)
        harness_start_daemon(harness);
    return harness;
}

/* However a test went by: the daemon must end well. */
static void harness_free(Harness *harness)
{
    if (harness->daemon > 0)
        g_assert_cmpint(harness_stop_daemon(harness), ==, 0);
    end_process(harness, &harness->systemd);
    end_process(harness, &harness->polkit);
    harness->bus = NULL;
    g_ptr_array_set_size(harness->connections, 0);
    end_process(harness, &harness->bus_daemon);
    guardian_kill_children();
    g_hash_table_remove_all(ended);
    guardian_remove(harness->directory);
    g_ptr_array_unref(harness->connections);
    g_free(harness->directory);
    g_free(harness->address);
    g_free(harness);
}

/* ---- the program */

typedef struct Case {
    const HarnessOptions *options;
    HarnessTest test;
} Case;

static void run_case(gconstpointer data)
{
    static const HarnessOptions plain = { 0 };
    const Case *c = data;
    const HarnessOptions *options = c->options ? c->options : &plain;

    if (options->needs_root && geteuid() != 0) {
        g_test_skip("needs root, to be a second user");
        return;
    }
    Harness *harness = harness_new(options);
    c->test(harness);
    harness_free(harness);
}

void harness_add(const char *path, const HarnessOptions *options, HarnessTest test)
{
    Case *c = g_new(Case, 1);

    *c = (Case){ options, test };
    g_test_add_data_func_full(path, c, run_case, g_free);
}

static int run(const char *directory, int argc, char *argv[])
{
    top_directory = directory;
    ended = g_hash_table_new(NULL, NULL);
    g_test_init(&argc, &argv, NULL);
    add_tests();
    int result = g_test_run();
    g_hash_table_unref(ended);
    return result;
}

int harness_main(int argc, char *argv[], void (*add)(void))
{
    g_autofree char *program = g_find_program_in_path("dbus-daemon");

    if (!program) {
        printf("1..0 # SKIP dbus-daemon is not installed\n");
        return 0;
    }
    add_tests = add;
    return guardian_run(run, argc, argv);
}
