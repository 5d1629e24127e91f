/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of AddWorker: from a stranger's dictionary to a checked WorkerSpec. */
#include "bus/worker-request.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "bus/options.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "util/parse-util.h"
#include "util/sd-bus-util.h"
#include "util/strv-blob.h"

typedef struct Request {
    char *name, *allowed_cpus, *engine, *user;
    WorkerLimits limits; /* without lists: its texts are NULL */
    uint32_t slots;
    bool force;
    GBytes *environment;
    GBytes *exec;
    char *class;
    uint32_t recycle;
    uint64_t recycle_memory;
    bool recycle_given;
    Placement placement;
} Request;

static void request_done(Request *request)
{
    g_free(request->name);
    g_free(request->allowed_cpus);
    g_free(request->engine);
    g_free(request->user);
    g_free(request->class);
    g_clear_pointer(&request->environment, g_bytes_unref);
    g_clear_pointer(&request->exec, g_bytes_unref);
    placement_done(&request->placement);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Request, request_done)

static int read_env(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    Request *request = target;
    g_auto(GStrv) strv = NULL;
    int r = sd_bus_message_read_strv(m, &strv);

    for (char **s = strv; r >= 0 && s && *s; s++)
        if (**s == '=' || !strchr(*s, '='))
            return options_invalid(error, "An element of env is not of the form NAME=value.");
    if (r < 0)
        return r;
    g_clear_pointer(&request->environment, g_bytes_unref);
    request->environment = strv && *strv ? strv_blob_new(strv) : NULL;
    if (request->environment && g_bytes_get_size(request->environment) > PAREXEC_ARGV_BYTES_MAX / 2)
        return options_invalid(error, "env has %zu bytes; a worker takes at most %u.",
                               g_bytes_get_size(request->environment), PAREXEC_ARGV_BYTES_MAX / 2);
    return r;
}

/* Our own 0 means "not set"; from a client it is a mistake. */
static int read_weight(sd_bus_message *m, const char *name, uint64_t *ret, sd_bus_error *error)
{
    int r = sd_bus_message_read_basic(m, 't', ret);

    if (r >= 0 && *ret == 0)
        return options_invalid(error, "%s is 0; it must lie between 1 and 10000.", name);
    return r;
}

static int read_cpu_weight(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    return read_weight(m, name, &((WorkerLimits *) target)->cpu_weight, error);
}

static int read_io_weight(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    return read_weight(m, name, &((WorkerLimits *) target)->io_weight, error);
}

static const Option limit_options[] = {
    { "memory-max", "t", offsetof(WorkerLimits, memory_max_bytes) },
    { "memory-high", "t", offsetof(WorkerLimits, memory_high_bytes) },
    { "cpu-quota", "t", offsetof(WorkerLimits, cpu_quota_usec_per_sec) },
    { "cpu-weight", "t", .read = read_cpu_weight },
    { "io-weight", "t", .read = read_io_weight },
    { "tasks-max", "t", offsetof(WorkerLimits, tasks_max) },
    { "force", "b", offsetof(LimitsRequest, force) },
    { NULL },
};

static int read_numa(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    Placement *placement = &((Request *) target)->placement;
    uint64_t number;
    const char *node;
    int r = sd_bus_message_read_basic(m, 's', &node);

    if (r < 0)
        return r;
    if (strcmp(node, "auto") == 0)
        placement->numa = NUMA_AUTO;
    else if (parse_uint64(node, &number) >= 0 && number <= INT_MAX)
        placement->numa = (int) number;
    else {
        g_autofree char *shown = format_foreign(node);
        return options_invalid(error, "numa is \"%s\"; it is \"auto\" or the number of a node.", shown);
    }
    return r;
}

static int read_resources(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    return options_read_resources(m, &((Request *) target)->placement.resources, error);
}

static int read_exec(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    Request *request = target;
    g_auto(GStrv) strv = NULL;
    int r = sd_bus_message_read_strv(m, &strv);

    if (r < 0)
        return r;
    if (!strv || !*strv || !**strv)
        return options_invalid(error, "exec names no program: it is empty, or its first element is.");
    g_clear_pointer(&request->exec, g_bytes_unref);
    request->exec = strv_blob_new(strv);
    if (g_bytes_get_size(request->exec) > PAREXEC_ARGV_BYTES_MAX / 2)
        return options_invalid(error, "exec has %zu bytes; a worker takes at most %u.",
                               g_bytes_get_size(request->exec), PAREXEC_ARGV_BYTES_MAX / 2);
    return r;
}

static int read_recycle(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    Request *request = target;

    request->recycle_given = true;
    return sd_bus_message_read_basic(m, 'u', &request->recycle);
}

static int read_recycle_memory(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    Request *request = target;
    int r = sd_bus_message_read_basic(m, 't', &request->recycle_memory);

    request->recycle_given = true;
    if (r >= 0 && request->recycle_memory == 0)
        return options_invalid(error, "recycle-memory is 0: every program takes more than that.");
    return r;
}

static int read_request_cpu_weight(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    return read_cpu_weight(m, name, &((Request *) target)->limits, error);
}

static int read_request_io_weight(sd_bus_message *m, const char *name, void *target, sd_bus_error *error)
{
    return read_io_weight(m, name, &((Request *) target)->limits, error);
}

static const Option worker_options[] = {
    { "name", "s", offsetof(Request, name) },
    { "memory-max", "t", offsetof(Request, limits.memory_max_bytes) },
    { "memory-high", "t", offsetof(Request, limits.memory_high_bytes) },
    { "cpu-quota", "t", offsetof(Request, limits.cpu_quota_usec_per_sec) },
    { "cpu-weight", "t", .read = read_request_cpu_weight },
    { "io-weight", "t", .read = read_request_io_weight },
    { "allowed-cpus", "s", offsetof(Request, allowed_cpus) },
    { "tasks-max", "t", offsetof(Request, limits.tasks_max) },
    { "pin", "b", offsetof(Request, placement.pin) },
    { "numa", "s", .read = read_numa },
    { "gpus", "u", offsetof(Request, placement.gpus) },
    { "gpus-optional", "b", offsetof(Request, placement.gpus_optional) },
    { "resources", "s", .read = read_resources },
    { "slots", "u", offsetof(Request, slots) },
    { "engine", "s", offsetof(Request, engine) },
    { "user", "s", offsetof(Request, user) },
    { "force", "b", offsetof(Request, force) },
    { "env", "as", .read = read_env },
    { "exec", "as", .read = read_exec },
    { "worker-class", "s", offsetof(Request, class) },
    { "recycle", "u", .read = read_recycle },
    { "recycle-memory", "t", .read = read_recycle_memory },
    { NULL },
};

/* /etc/passwd alone is read: the name services (LDAP, …) may block, and the loop must not. */
static int find_user(const char *user, uint32_t *ret)
{
    uint64_t number;
    char line[1024];

    if (parse_uint64(user, &number) >= 0 && number < UID_ANYBODY) {
        *ret = (uint32_t) number;
        return 0;
    }
    FILE *file = fopen("/etc/passwd", "re");
    int r = -ENOENT;
    while (file && r < 0 && fgets(line, sizeof line, file)) {
        g_auto(GStrv) field = g_strsplit(line, ":", 4);
        if (g_strv_length(field) == 4 && strcmp(field[0], user) == 0 &&
            parse_uint64(field[2], &number) >= 0 && number < UID_ANYBODY) {
            *ret = (uint32_t) number;
            r = 0;
        }
    }
    if (file)
        (void) fclose(file);
    return r;
}

static int apply_user(const Request *request, WorkerSpec *spec, sd_bus_error *error)
{
    if (!request->user || find_user(request->user, &spec->user) >= 0)
        return 0;
    g_autofree char *shown = format_foreign(request->user);
    return sd_bus_error_setf(
        error, PAREXEC_ERROR_NO_SUCH_USER,
        "There is no user \"%s\" in /etc/passwd; a user of another name service can be given by uid.", shown);
}

static int check_limits(const WorkerLimits *limits, sd_bus_error *error)
{
    g_autofree char *why = NULL;

    return worker_limits_check(limits, &why) < 0 ? options_invalid(error, "%s.", why) : 0;
}

static int apply_limits(const Request *request, const Settings *settings, WorkerSpec *spec,
                        sd_bus_error *error)
{
    const char *cpus = request->allowed_cpus ? request->allowed_cpus : settings->limits.allowed_cpus;
    WorkerLimits *limits = &spec->limits;

    worker_limits_copy(limits, &request->limits);
    limits->allowed_cpus = g_strdup(cpus);
    limits->allowed_memory_nodes = g_strdup(settings->limits.allowed_memory_nodes);
    return check_limits(limits, error);
}

/* Which of it there is, the core finds out. */
static int apply_placement(const Request *request, WorkerSpec *spec, sd_bus_error *error)
{
    if (request->placement.gpus_optional && request->placement.gpus == 0)
        return options_invalid(error, "gpus-optional is for a worker that is to have GPUs: gpus is missing.");
    if (request->placement.gpus > WORKER_SLOTS_MAX)
        return options_invalid(error, "gpus is %u; it may be at most %u.", request->placement.gpus,
                               WORKER_SLOTS_MAX);
    placement_copy(&spec->placement, &request->placement);
    return 0;
}

/* A program runs as one user, and not as one that its caller could not be: managing workers is not being root. */
static int check_program_user(const WorkerSpec *spec, const Peer *peer, sd_bus_error *error)
{
    if (peer->uid == 0 || spec->user == peer->uid)
        return 0;
    return sd_bus_error_setf(error, PAREXEC_ERROR_NOT_AUTHORIZED,
                             "User %u may not have a program run as user %u; only root may.", peer->uid,
                             spec->user);
}

static int apply_program(Request *request, const Peer *peer, WorkerSpec *spec, sd_bus_error *error)
{
    if (!request->exec && request->class)
        return options_invalid(error, "worker-class is for a worker that has a program: exec is missing.");
    if (!request->exec && request->recycle_given)
        return options_invalid(error,
                               "recycle and recycle-memory are for a worker that has a program: exec is "
                               "missing.");
    if (!request->exec)
        return 0;
    if (!request->class || !*request->class || !name_is_valid(request->class))
        return options_invalid(
            error, "exec needs a worker-class: the tasks that it does, 1 to %u bytes on one line.",
            PAREXEC_NAME_BYTES_MAX);
    spec->exec = g_steal_pointer(&request->exec);
    spec->class = g_steal_pointer(&request->class);
    spec->recycle = request->recycle;
    spec->recycle_memory_bytes = request->recycle_memory;
    if (!request->user)
        spec->user = peer->uid;
    return check_program_user(spec, peer, error);
}

static int apply(Request *request, const Settings *settings, const Peer *peer, WorkerSpec *spec,
                 sd_bus_error *error)
{
    if (request->name && !name_is_valid(request->name))
        return options_invalid(
            error, "name has %zu bytes or a control character in it; it takes at most %u bytes on one line.",
            strlen(request->name), PAREXEC_NAME_BYTES_MAX);
    if (request->slots == 0 || request->slots > WORKER_SLOTS_MAX)
        return options_invalid(error, "slots is %u; a worker has from 1 to %u.", request->slots,
                               WORKER_SLOTS_MAX);
    int engine = request->engine ? engine_kind_from_string(request->engine) : (int) settings->engine;
    if (engine < 0)
        return options_invalid(error, "engine is not one of systemd, cgroup.");
    if (request->name) {
        g_free(spec->name);
        spec->name = g_steal_pointer(&request->name);
    }
    spec->slots = request->slots;
    spec->engine = (EngineKind) engine;
    spec->forced = request->force;
    spec->environment = g_steal_pointer(&request->environment);
    int r = apply_user(request, spec, error);
    if (r >= 0)
        r = apply_program(request, peer, spec, error);
    if (r >= 0)
        r = apply_placement(request, spec, error);
    return r < 0 ? r : apply_limits(request, settings, spec, error);
}

int worker_request_read_limits(sd_bus_message *m, LimitsRequest *request, sd_bus_error *error)
{
    int r = options_read_changes(m, limit_options, request, error);

    return r < 0 ? r : check_limits(&request->limits, error);
}

int worker_request_read(sd_bus_message *m, const Settings *settings, const Profile *profile, const Peer *peer,
                        WorkerSpec **ret, sd_bus_error *error)
{
    g_auto(Request) request = {
        .limits = settings->limits,
        .slots = settings->slots,
        .recycle_memory = LIMIT_INFINITY,
    };
    g_autoptr(WorkerSpec) spec = worker_spec_new();

    request.limits.allowed_cpus = request.limits.allowed_memory_nodes = NULL;
    if (profile)
        request.limits.memory_max_bytes = profile->memory_max_bytes;
    placement_init(&request.placement);
    int r = options_read(m, worker_options, &request, error);
    if (r >= 0)
        r = apply(&request, settings, peer, spec, error);
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&spec);
    return 0;
}
