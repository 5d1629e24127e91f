/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of AddWorker that are about programs: which go together, and as whom a program runs. */
#include <string.h>

#include "bus/worker-request.h"
#include "request-fixture.h"
#include "util/strv-blob.h"

static const Peer root = { .uid = 0, .known = true };

static int read_options(const char *options, const Peer *peer, WorkerSpec **ret, sd_bus_error *error)
{
    g_autofree char *arguments = g_strdup_printf("(@a{sv} {%s},)", options);
    g_autoptr(sd_bus_message) m = message_new(arguments);
    Settings settings = { .slots = 1 };

    worker_limits_init(&settings.limits);
    return worker_request_read(m, &settings, NULL, peer, ret, error);
}

static WorkerSpec *worker_of(const char *options, const Peer *peer)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    WorkerSpec *spec = NULL;

    if (read_options(options, peer, &spec, &error) < 0)
        g_error("%s: %s", options, error.message);
    return spec;
}

static void worker_refused(const char *options, const Peer *peer, const char *name, const char *snippet)
{
    g_autofree char *full = g_strdup_printf("org.parexec.Error.%s", name);
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autoptr(WorkerSpec) spec = NULL;

    if (read_options(options, peer, &spec, &error) >= 0)
        g_error("%s was not refused", options);
    g_assert_null(spec);
    g_assert_cmpstr(error.name, ==, full);
    if (!strstr(error.message, snippet))
        g_error("%s: \"%s\" is not in \"%s\"", options, snippet, error.message);
}

static void test_program(void)
{
    g_autoptr(WorkerSpec) spec =
        worker_of("'exec': <['/usr/bin/model', '-x', '']>, 'worker-class': <'model'>,"
                  "'recycle': <uint32 100>, 'recycle-memory': <uint64 1073741824>",
                  &asker);
    size_t size;
    const char *data = g_bytes_get_data(spec->exec, &size);

    g_assert_cmpmem(data, size, "/usr/bin/model\0-x\0", 19);
    g_assert_cmpstr(spec->class, ==, "model");
    g_assert_cmpuint(spec->recycle, ==, 100);
    g_assert_cmpuint(spec->recycle_memory_bytes, ==, 1073741824);
    g_assert_cmpuint(spec->user, ==, 1000);
    g_autoptr(WorkerSpec) usual = worker_of("'exec': <['m']>, 'worker-class': <'c'>", &asker);
    g_assert_cmpuint(usual->recycle, ==, 0);
    g_assert_cmpuint(usual->recycle_memory_bytes, ==, UINT64_MAX);
}

static void test_commands(void)
{
    g_autoptr(WorkerSpec) spec = worker_of("'slots': <uint32 2>", &asker);

    g_assert_null(spec->exec);
    g_assert_null(spec->class);
    g_assert_cmpuint(spec->user, ==, UID_ANYBODY);
}

static void test_bad_program(void)
{
    static const struct {
        const char *options, *snippet;
    } cases[] = {
        { "'exec': <['m']>", "exec needs a worker-class" },
        { "'exec': <['m']>, 'worker-class': <''>", "exec needs a worker-class" },
        { "'exec': <['m']>, 'worker-class': <'a\\nb'>", "exec needs a worker-class" },
        { "'worker-class': <'c'>", "exec is missing" },
        { "'recycle': <uint32 1>", "exec is missing" },
        { "'recycle-memory': <uint64 1>", "exec is missing" },
        { "'exec': <@as []>, 'worker-class': <'c'>", "names no program" },
        { "'exec': <['', 'x']>, 'worker-class': <'c'>", "names no program" },
        { "'exec': <'m'>, 'worker-class': <'c'>", "takes the type \"as\"" },
        { "'exec': <['m']>, 'worker-class': <'c'>, 'recycle-memory': <uint64 0>", "recycle-memory is 0" },
        { "'slots': <uint32 1>, 'exec': <['m']>, 'slots': <uint32 1>", "slots stands twice." },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        worker_refused(cases[i].options, &asker, "InvalidArgument", cases[i].snippet);
    g_autofree char *word = g_strnfill(1024 * 1024, 'x');
    g_autofree char *options = g_strdup_printf("'exec': <['%s']>, 'worker-class': <'c'>", word);
    worker_refused(options, &asker, "InvalidArgument", "exec has 1048577 bytes");
}

/* Managing workers is not being root: a program runs as its caller, unless that is root. */
static void test_user(void)
{
#define PROGRAM "'exec': <['m']>, 'worker-class': <'c'>"
    g_autoptr(WorkerSpec) own = worker_of(PROGRAM ", 'user': <'1000'>", &asker);
    g_autoptr(WorkerSpec) given = worker_of(PROGRAM ", 'user': <'1234'>", &root);
    g_autoptr(WorkerSpec) roots = worker_of(PROGRAM, &root);

    g_assert_cmpuint(own->user, ==, 1000);
    g_assert_cmpuint(given->user, ==, 1234);
    g_assert_cmpuint(roots->user, ==, 0);
    worker_refused(PROGRAM ", 'user': <'root'>", &asker, "NotAuthorized", "as user 0");
    worker_refused(PROGRAM ", 'user': <'1001'>", &asker, "NotAuthorized", "User 1000");
    g_autoptr(WorkerSpec) commands = worker_of("'user': <'root'>", &asker);
    g_assert_cmpuint(commands->user, ==, 0);
}

/* ---- where it is, and what is its own */

static void test_placement(void)
{
    g_autoptr(WorkerSpec) spec = worker_of(
        "'pin': <true>, 'numa': <'1'>, 'gpus': <uint32 2>, 'gpus-optional': <true>, 'resources': <'tape=1'>,"
        "'io-weight': <uint64 300>",
        &asker);
    g_autoptr(WorkerSpec) usual = worker_of("", &asker), automatic = worker_of("'numa': <'auto'>", &asker);

    g_assert_true(spec->placement.pin);
    g_assert_cmpint(spec->placement.numa, ==, 1);
    g_assert_cmpuint(spec->placement.gpus, ==, 2);
    g_assert_true(spec->placement.gpus_optional);
    g_assert_cmpuint(resources_count(spec->placement.resources, "tape"), ==, 1);
    g_assert_cmpuint(spec->limits.io_weight, ==, 300);
    g_assert_false(usual->placement.pin);
    g_assert_cmpint(usual->placement.numa, ==, NUMA_NONE);
    g_assert_cmpint(automatic->placement.numa, ==, NUMA_AUTO);
}

static void test_bad_placement(void)
{
    worker_refused("'numa': <'first'>", &asker, "InvalidArgument", "numa is \"first\"");
    worker_refused("'numa': <'-1'>", &asker, "InvalidArgument", "numa");
    worker_refused("'gpus-optional': <true>", &asker, "InvalidArgument", "gpus is missing");
    worker_refused("'gpus': <uint32 1025>", &asker, "InvalidArgument", "gpus is 1025");
    worker_refused("'resources': <'=1'>", &asker, "InvalidArgument", "resources: ");
    worker_refused("'io-weight': <uint64 0>", &asker, "InvalidArgument", "io-weight is 0");
}

/* What is not said is the profile's, and what that does not say the configuration's. */
static void test_profile(void)
{
    Profile profile = { .name = (char *) "p", .workers = 1, .memory_max_bytes = 333 << 20 };
    Settings settings = { .slots = 1 };
    const char *const calls[] = { "(@a{sv} {},)", "({'memory-max': <uint64 16777216>},)" };
    const uint64_t wanted[] = { 333 << 20, 16 << 20 };

    worker_limits_init(&settings.limits);
    settings.limits.memory_max_bytes = 1 << 30;
    settings.limits.tasks_max = 77;
    for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
        g_autoptr(sd_bus_message) m = message_new(calls[i]);
        g_autoptr(WorkerSpec) spec = NULL;
        g_assert_cmpint(worker_request_read(m, &settings, &profile, &asker, &spec, NULL), >=, 0);
        g_assert_cmpuint(spec->limits.memory_max_bytes, ==, wanted[i]);
        g_assert_cmpuint(spec->limits.tasks_max, ==, 77);
    }
}

/* SetLimits changes what is named; the rest stays. */
static void test_limits(void)
{
    g_autoptr(sd_bus_message) good = message_new("({'cpu-quota': <uint64 250000>, 'force': <true>},)"),
                              bad = message_new("({'memory-high': <uint64 1>},)"),
                              empty = message_new("(@a{sv} {},)");
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL, nothing = SD_BUS_ERROR_NULL;
    LimitsRequest request = { .force = false };

    worker_limits_init(&request.limits);
    request.limits.memory_max_bytes = 64 << 20;
    g_assert_cmpint(worker_request_read_limits(good, &request, &error), >=, 0);
    g_assert_cmpuint(request.limits.cpu_quota_usec_per_sec, ==, 250000);
    g_assert_cmpuint(request.limits.memory_max_bytes, ==, 64 << 20);
    g_assert_true(request.force);
    g_assert_cmpint(worker_request_read_limits(bad, &request, &error), <, 0);
    g_assert_nonnull(strstr(error.message, "memory-high"));
    g_assert_cmpint(worker_request_read_limits(empty, &request, &nothing), <, 0);
    g_assert_cmpstr(nothing.name, ==, "org.parexec.Error.InvalidArgument");
    g_assert_cmpstr(nothing.message, ==,
                    "Nothing is to be changed; known are: memory-max, memory-high, cpu-quota, cpu-weight, io-weight, "
                    "tasks-max, force.");
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker-request/program", test_program);
    g_test_add_func("/worker-request/commands", test_commands);
    g_test_add_func("/worker-request/bad-program", test_bad_program);
    g_test_add_func("/worker-request/user", test_user);
    g_test_add_func("/worker-request/placement", test_placement);
    g_test_add_func("/worker-request/bad-placement", test_bad_placement);
    g_test_add_func("/worker-request/profile", test_profile);
    g_test_add_func("/worker-request/limits", test_limits);
    return g_test_run();
}
