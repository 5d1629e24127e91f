/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's main(): options, wiring, loop. The only file that knows everyone.
 *
 * Order of the start: configuration; database (blocking, before the loop); engines; worker socket; the bus's objects; workers
 * and tasks of an earlier daemon; then the name is asked for and READY=1 said: who can call us finds everything in place. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "bus/bus.h"
#include "config/config.h"
#include "config/config-machine.h"
#include "core/manager.h"
#include "engine/engine-cgroup.h"
#include "engine/engine-systemd.h"
#include "host/host.h"
#include "host/pressure-watch.h"
#include "journal/worker-journal.h"
#include "link/link.h"
#include "link/spool-reader.h"
#include "output/output-keeper.h"
#include "parexec-config.h"
#include "store/store.h"
#include "util/log.h"
#include "util/sd-bus-util.h"

typedef struct Clock {
    ClockPort port; /* first */
    sd_event_source *alarm, *boot_alarm, *wall_alarm;
} Clock;

typedef struct Daemon {
    bool user_mode;
    char *state_directory, *runtime_directory, *socket_path, *output_directory, *spool_directory;
    Settings settings;
    sd_event *event;
    sd_bus *bus_connection;
    Clock clock;
    Manager *manager;
    Store *store;
    OutputKeeper *keeper;
    EnginePort *systemd, *cgroup;
    HostPort *host;
    PressureWatch *pressure;
    Link *link;
    Bus *bus;
    WorkerJournal *journal;
} Daemon;

/* ---- clock */

static uint64_t now_of(clockid_t id)
{
    struct timespec t;

    (void) clock_gettime(id, &t);
    return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC;
}

static uint64_t clock_monotonic_usec(ClockPort *clock)
{
    return now_of(CLOCK_MONOTONIC);
}

static uint64_t clock_realtime_usec(ClockPort *clock)
{
    return now_of(CLOCK_REALTIME);
}

static void set_timer(sd_event_source *timer, uint64_t usec)
{
    (void) sd_event_source_set_time(timer, usec);
    (void) sd_event_source_set_enabled(timer, usec == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void clock_set_alarm(ClockPort *port, uint64_t monotonic_usec)
{
    set_timer(((Clock *) port)->alarm, monotonic_usec);
}

static uint64_t clock_boot_usec(ClockPort *clock)
{
    return now_of(CLOCK_BOOTTIME);
}

static void clock_set_wake(ClockPort *port, uint64_t boot_usec, uint64_t realtime_usec)
{
    Clock *clock = (Clock *) port;

    set_timer(clock->boot_alarm, boot_usec);
    set_timer(clock->wall_alarm, realtime_usec);
}

static int on_wake(sd_event_source *source, uint64_t usec, void *userdata)
{
    manager_wake(((Daemon *) userdata)->manager);
    return 0;
}

static int on_alarm(sd_event_source *source, uint64_t usec, void *userdata)
{
    manager_tick(((Daemon *) userdata)->manager);
    return 0;
}

static int add_timer(Daemon *daemon, sd_event_source **ret, clockid_t clock, sd_event_time_handler_t handler)
{
    int r = sd_event_add_time(daemon->event, ret, clock, UINT64_MAX, 10 * USEC_PER_MSEC, handler, daemon);

    return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int clock_init(Daemon *daemon)
{
    Clock *clock = &daemon->clock;

    clock->port = (ClockPort){ .monotonic_usec = clock_monotonic_usec,
                               .realtime_usec = clock_realtime_usec,
                               .boot_usec = clock_boot_usec,
                               .set_alarm = clock_set_alarm,
                               .set_wake = clock_set_wake };
    int r = add_timer(daemon, &clock->alarm, CLOCK_MONOTONIC, on_alarm);
    if (r >= 0)
        r = add_timer(daemon, &clock->boot_alarm, CLOCK_BOOTTIME, on_wake);
    return r < 0 ? r : add_timer(daemon, &clock->wall_alarm, CLOCK_REALTIME, on_wake);
}

/* ---- directories */

/* Where systemd has made one it says so in the environment; a colon-separated list if the unit names several. */
static char *directory_of(const char *variable, const char *of_system, const char *of_user, bool user_mode)
{
    const char *given = g_getenv(variable);

    if (given && *given == '/')
        return g_strndup(given, strcspn(given, ":"));
    return user_mode ? g_build_filename(of_user, "parexec", NULL) : g_strdup(of_system);
}

static int make_directory(const char *path, int mode)
{
    if (g_mkdir_with_parents(path, mode) < 0)
        return log_error_errno(errno, "Cannot make the directory %s: %m", path);
    return 0;
}

static int directories_init(Daemon *daemon)
{
    g_autofree char *user_state = g_build_filename(g_get_home_dir(), ".local", "state", NULL);
    const char *xdg_state = g_getenv("XDG_STATE_HOME");

    daemon->state_directory = directory_of("STATE_DIRECTORY", PAREXEC_STATEDIR,
                                           xdg_state ? xdg_state : user_state, daemon->user_mode);
    daemon->runtime_directory =
        directory_of("RUNTIME_DIRECTORY", PAREXEC_RUNSTATEDIR, g_get_user_runtime_dir(), daemon->user_mode);
    daemon->socket_path = g_build_filename(daemon->runtime_directory, "worker.sock", NULL);
    daemon->output_directory = g_build_filename(daemon->state_directory, "output", NULL);
    daemon->spool_directory = g_build_filename(daemon->state_directory, "spool", NULL);
    int r = make_directory(daemon->state_directory, 0711); /* tasks find their own folders below it */
    if (r >= 0)
        r = make_directory(daemon->output_directory, 0700);
    if (r >= 0)
        r = make_directory(daemon->spool_directory, 0700);
    return r < 0 ? r : make_directory(daemon->runtime_directory, 0700);
}

/* ---- the parts */

static int on_store(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    store_dispatch(((Daemon *) userdata)->store);
    return 0;
}

static int store_init(Daemon *daemon, StoreSnapshot **ret)
{
    StoreEvents events = manager_store_events(daemon->manager);
    int r = store_open(daemon->state_directory, &events, &daemon->store, ret); /* logs */

    return r < 0
               ? r
               : sd_event_add_io(daemon->event, NULL, store_get_fd(daemon->store), EPOLLIN, on_store, daemon);
}

static GArray *on_output_active(void *userdata)
{
    return manager_active_tasks(((Daemon *) userdata)->manager);
}

static void keeper_set_limits(Daemon *daemon)
{
    output_keeper_set_limits(daemon->keeper, daemon->settings.keep_output_usec,
                             daemon->settings.output_quota_bytes);
}

static int keeper_init(Daemon *daemon)
{
    int r = output_keeper_new(daemon->event, daemon->output_directory, on_output_active, daemon, &daemon->keeper);

    if (r < 0)
        return log_error_errno(r, "Cannot look after the output of tasks: %m");
    keeper_set_limits(daemon);
    return 0;
}

static void on_pressure(PressureKind kind, void *userdata)
{
    manager_pressure(((Daemon *) userdata)->manager, kind);
}

static void pressure_lines(const PressureSettings *settings, double ret[_PRESSURE_MAX])
{
    const double percent[_PRESSURE_MAX] = { [PRESSURE_MEMORY] = settings->memory_percent,
                                            [PRESSURE_CPU] = settings->cpu_percent,
                                            [PRESSURE_IO] = settings->io_percent };

    for (PressureKind kind = 0; kind < _PRESSURE_MAX; kind++)
        ret[kind] = settings->enabled && percent[kind] < 100 ? percent[kind] : PRESSURE_LINE_NONE;
}

static int pressure_init(Daemon *daemon)
{
    const HostEvents events = { on_pressure, daemon };
    double lines[_PRESSURE_MAX];

    pressure_lines(&daemon->settings.pressure, lines);
    return pressure_watch_new(daemon->event, lines, &events, &daemon->pressure); /* logs */
}

static int open_bus(Daemon *daemon)
{
    int r = daemon->user_mode ? sd_bus_open_user(&daemon->bus_connection)
                              : sd_bus_open_system(&daemon->bus_connection);

    if (r < 0)
        return log_error_errno(r, "Cannot connect to the %s bus: %m",
                               daemon->user_mode ? "session" : "system");
    r = sd_bus_attach_event(daemon->bus_connection, daemon->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_set_exit_on_disconnect(daemon->bus_connection, 1);
    return r < 0 ? log_error_errno(r, "Cannot use the bus: %m") : 0;
}

/* A machine without systemd can still have the cgroup engine. */
static bool has_systemd(const Daemon *daemon)
{
    g_autofree char *user = g_build_filename(g_get_user_runtime_dir(), "systemd", "private", NULL);
    const char *override =
        g_getenv("PAREXEC_SYSTEMD"); /* "1": it is on this bus, whatever /run says (tests) */

    if (override)
        return strcmp(override, "1") == 0;
    return daemon->user_mode ? access(user, F_OK) == 0 : sd_booted() > 0;
}

static int engines_init(Daemon *daemon)
{
    EngineEvents events = manager_engine_events(daemon->manager);
    EngineOptions options = {
        .runtime_directory = daemon->runtime_directory,
        .slice = "parexec.slice",
        .user_mode = daemon->user_mode,
        .processes_only = g_getenv("PAREXEC_NO_CGROUPS") != NULL,
        .machine = daemon->host->machine(daemon->host),
    };
    int r = engine_cgroup_new(daemon->event, &options, &events, &daemon->cgroup);

    if (r < 0)
        return log_error_errno(r, "Cannot set up the cgroup engine: %m");
    if (!has_systemd(daemon)) {
        daemon->settings.engine = ENGINE_CGROUP;
        return 0;
    }
    r = engine_systemd_new(daemon->bus_connection, daemon->event, &options, &events, &daemon->systemd);
    return r < 0 ? log_error_errno(r, "Cannot talk to systemd: %m") : 0;
}

static int listen_for_workers(Daemon *daemon)
{
    int n = sd_listen_fds(1);

    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++)
        if (sd_is_socket_unix(fd, SOCK_STREAM, 1, daemon->socket_path, 0) > 0)
            return fd;
    return link_listen(daemon->socket_path);
}

static int link_init(Daemon *daemon)
{
    int fd = listen_for_workers(daemon);

    if (fd < 0)
        return log_error_errno(fd, "Cannot listen on %s: %m", daemon->socket_path);
    int r = link_new(daemon->event, daemon->manager, fd, &daemon->link);
    return r < 0 ? log_error_errno(r, "Cannot serve workers: %m") : 0;
}

static void on_reload(void *userdata)
{
    Daemon *daemon = userdata;
    double lines[_PRESSURE_MAX];

    settings_done(&daemon->settings);
    config_load(&daemon->settings, daemon->user_mode);
    config_check_machine(&daemon->settings, daemon->host->machine(daemon->host));
    if (!daemon->systemd)
        daemon->settings.engine = ENGINE_CGROUP;
    manager_reload(daemon->manager, &daemon->settings);
    keeper_set_limits(daemon);
    pressure_lines(&daemon->settings.pressure, lines);
    if (daemon->pressure)
        pressure_watch_set_lines(daemon->pressure, lines);
    log_info("The configuration has been read again.");
}

static int bus_init(Daemon *daemon)
{
    BusOptions options = { daemon->user_mode, daemon->output_directory, on_reload, daemon };
    int r = bus_new(daemon->bus_connection, daemon->manager, &options, &daemon->bus);

    return r < 0 ? log_error_errno(r, "Cannot set up the bus objects: %m") : 0;
}

static void start(Daemon *daemon, StoreSnapshot *snapshot)
{
    ManagerPorts ports = {
        .store = store_port(daemon->store),
        .engines = { [ENGINE_SYSTEMD] = daemon->systemd, [ENGINE_CGROUP] = daemon->cgroup },
        .link = link_port(daemon->link),
        .host = daemon->host,
        .clock = &daemon->clock.port,
        .socket_path = daemon->socket_path,
        .output_directory = daemon->output_directory,
        .spool_directory = daemon->spool_directory,
    };

    daemon->journal = worker_journal_new();
    manager_add_observer(daemon->manager, worker_journal_port(daemon->journal));
    manager_add_observer(daemon->manager, bus_port(daemon->bus));
    manager_start(daemon->manager, &ports, snapshot);
    manager_reload(daemon->manager, &daemon->settings); /* the engines may have changed the default */
    spool_read(daemon->manager, daemon->spool_directory);
}

static int daemon_init(Daemon *daemon)
{
    StoreSnapshot *snapshot = NULL;

    config_load(&daemon->settings, daemon->user_mode);
    daemon->host = host_new();
    config_check_machine(&daemon->settings, daemon->host->machine(daemon->host));
    daemon->manager = manager_new(&daemon->settings);
    int r = directories_init(daemon);
    if (r >= 0)
        r = clock_init(daemon);
    if (r >= 0)
        r = open_bus(daemon);
    if (r >= 0)
        r = engines_init(daemon); /* libcgroup wants to be set up before there are threads */
    if (r >= 0)
        r = store_init(daemon, &snapshot);
    if (r >= 0)
        r = keeper_init(daemon);
    if (r >= 0)
        r = pressure_init(daemon);
    if (r >= 0)
        r = link_init(daemon);
    if (r >= 0)
        r = bus_init(daemon);
    if (r < 0) {
        store_snapshot_free(snapshot);
        return r;
    }
    start(daemon, snapshot);
    r = bus_publish(daemon->bus);
    return r < 0 ? log_error_errno(r, "Cannot ask for the bus name: %m") : 0;
}

/* Workers and their tasks go on without us. The bus goes first, so that no call comes in any more; the store last, so that
 * everything that was decided is written. */
static void daemon_done(Daemon *daemon)
{
    link_free(daemon->link);
    bus_free(daemon->bus);
    if (daemon->store)
        manager_stop(daemon->manager);
    daemon->pressure = pressure_watch_free(daemon->pressure);
    daemon->store = store_free(daemon->store);
    engine_systemd_free(daemon->systemd);
    engine_cgroup_free(daemon->cgroup);
    daemon->keeper = output_keeper_free(daemon->keeper);
    manager_free(daemon->manager);
    worker_journal_free(daemon->journal);
    host_free(daemon->host);
    settings_done(&daemon->settings);
    sd_event_source_disable_unref(daemon->clock.alarm);
    sd_event_source_disable_unref(daemon->clock.boot_alarm);
    sd_event_source_disable_unref(daemon->clock.wall_alarm);
    sd_bus_flush_close_unref(daemon->bus_connection);
    sd_event_unref(daemon->event);
    g_free(daemon->state_directory);
    g_free(daemon->runtime_directory);
    g_free(daemon->socket_path);
    g_free(daemon->output_directory);
    g_free(daemon->spool_directory);
}

/* ---- main */

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    (void) sd_notify(0, "RELOADING=1");
    on_reload(userdata);
    (void) sd_notify(0, "READY=1");
    return 0;
}

static int loop_init(Daemon *daemon)
{
    sigset_t mask;

    (void) sigemptyset(&mask);
    (void) sigaddset(&mask, SIGTERM);
    (void) sigaddset(&mask, SIGINT);
    (void) sigaddset(&mask, SIGHUP);
    (void) sigprocmask(SIG_BLOCK, &mask, NULL);
    (void) sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
    int r = sd_event_default(&daemon->event);
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, NULL, SIGTERM, NULL, NULL); /* leaves the loop */
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, NULL, SIGINT, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, NULL, SIGHUP, on_hangup, daemon);
    if (r >= 0)
        r = sd_event_set_watchdog(daemon->event, 1); /* fed from the loop: a loop that hangs is restarted */
    return r < 0 ? log_error_errno(r, "Cannot set up the event loop: %m") : 0;
}

static int parse_arguments(int argc, char *argv[], bool *ret_user_mode)
{
    static const struct option options[] = {
        { "user", no_argument, NULL, 'u' },
        { "system", no_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
        switch (c) {
        case 'u':
            *ret_user_mode = true;
            break;
        case 's':
            *ret_user_mode = false;
            break;
        case 'h':
            printf(
                "parexecd [--system|--user]\n\nRuns heavy work in parallel without taking the machine down; see parexecd(8).\n\n"
                "  --system   on the system bus, for everybody (default)\n"
                "  --user     on the session bus, for this user, with the user's own systemd\n"
                "  --version  show the version\n");
            return 0;
        case 'V':
            printf("parexecd " PAREXEC_VERSION "\n");
            return 0;
        default:
            return -EINVAL;
        }
    if (optind < argc) {
        fprintf(stderr, "parexecd: it takes no arguments, only options\n");
        return -EINVAL;
    }
    return 1;
}

int main(int argc, char *argv[])
{
    Daemon daemon = { 0 };
    int r = parse_arguments(argc, argv, &daemon.user_mode);

    if (r <= 0)
        return r < 0 ? 2 : EXIT_SUCCESS;
    worker_limits_init(&daemon.settings.limits);
    (void) umask(0022);
    r = loop_init(&daemon);
    if (r >= 0)
        r = daemon_init(&daemon);
    if (r >= 0) {
        (void) sd_notify(0, "READY=1");
        r = sd_event_loop(daemon.event);
        (void) sd_notify(0, "STOPPING=1");
    }
    daemon_done(&daemon);
    return r < 0 || r == EXIT_FAILURE ? EXIT_FAILURE : EXIT_SUCCESS;
}
