/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "util/macro.h"
#include "util/sd-bus-util.h"

/* The stage of a test: a private dbus-daemon, the real parexecd on it, and fakes of systemd and polkit where they are asked
 * for. Everything is below one directory, and everything is gone after harness_free(). A function here that cannot do what
 * it says fails the test. */

typedef struct HarnessOptions {
    bool system;     /* the daemon in system mode: others than root are polkit's to judge */
    bool polkit;     /* a fake polkit is there */
    bool systemd;    /* a fake systemd is there, and the systemd engine; else workers are plain processes */
    bool no_daemon;  /* the test starts it itself */
    bool needs_root; /* skipped otherwise */
    const char *config;         /* lines of parexecd.conf's section [Workers] */
    const char *worker_program; /* instead of the real one */
} HarnessOptions;

typedef struct Harness {
    const HarnessOptions *options;
    char *directory;                           /* with bus, state/, run/, config/, *.log */
    char *address;                             /* of the bus */
    pid_t bus_daemon, daemon, systemd, polkit; /* 0: not there */
    sd_bus *bus;                               /* the test's own connection */
    GPtrArray *connections;                    /* sd_bus: all, the test's own first; owned */
} Harness;

typedef void (*HarnessTest)(Harness *harness);

/* A test program's main(): add calls harness_add() for each test. */
int harness_main(int argc, char *argv[], void (*add)(void));
void harness_add(const char *path, const HarnessOptions *options, HarnessTest test);

/* ---- connections */

/* One more client of the bus. */
sd_bus *harness_connect(Harness *harness);
/* One of another user, which takes root. */
sd_bus *harness_connect_as(Harness *harness, uid_t uid);
/* One whom the daemon does not trust: of user 65534 if we are root, else our own. */
sd_bus *harness_connect_stranger(Harness *harness);
void harness_disconnect(Harness *harness, sd_bus *bus);
/* The bus has been killed: closes all connections; only processes and files can be looked at from now on. */
void harness_forget_bus(Harness *harness);

/* Serves all connections and the children, for at most 10 ms if there is nothing to do. */
void harness_iterate(Harness *harness);

/* Iterates until it is so; fails after 15 s. */
#define HARNESS_WAIT(harness, condition)                                                                     \
    do {                                                                                                     \
        gint64 until_ = g_get_monotonic_time() + 15 * G_USEC_PER_SEC;                                        \
        while (!(condition)) {                                                                               \
            if (g_get_monotonic_time() > until_)                                                             \
                g_error("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #condition);                    \
            harness_iterate(harness);                                                                        \
        }                                                                                                    \
    } while (0)

void harness_pause(Harness *harness, unsigned msec);

/* ---- the daemon */

void harness_start_daemon(Harness *harness);   /* and waits for its name on the bus */
void harness_kill_daemon(Harness *harness);    /* SIGKILL */
int harness_stop_daemon(Harness *harness);     /* SIGTERM; its exit status, 128 + signal */
void harness_restart_daemon(Harness *harness); /* SIGKILL and start */
void harness_write_config(Harness *harness, const char *config);

/* Starts a parexecd beside ours, on a bus of that address, with directories below the one named. */
pid_t harness_spawn_daemon(Harness *harness, const char *directory, const char *const *environment,
                           const char *log);
/* Runs a program to its end; its exit status. Its output goes to a log. */
int harness_run(Harness *harness, const char *const *argv, const char *log);
/* The exit status of a child, 128 + signal; -ETIMEDOUT if it still runs after that time. */
int harness_wait_exit(Harness *harness, pid_t pid, unsigned msec);

char *harness_path(Harness *harness, const char *name); /* below the directory */
char *harness_read(Harness *harness, const char *name); /* what is in that file; "" if there is none */
