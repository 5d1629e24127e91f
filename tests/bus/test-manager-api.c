/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The service as a whole: introspection, properties, Status, Reload, and what is not there. */
#include <signal.h>
#include <string.h>

#include "calls.h"
#include "recorder.h"

#define DBUS_ERROR(name) "org.freedesktop.DBus.Error." name

/* ---- introspection */

static void compare_introspection(Harness *h, const char *path, const char *interface)
{
    g_autofree char *xml = g_strdup_printf(TOP "/dbus/%s.xml", interface);
    const char *argv[] = { TOP "/tests/lib/introspection.py", "session", path, xml, NULL };
    int status = harness_run(h, argv, "introspection.log");
    g_autofree char *text = harness_read(h, "introspection.log");

    if (status != 0 || *text)
        g_error("%s: status %d, %s", interface, status, text);
}

static void test_introspection(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *worker = worker_path(id);
    g_autofree char *task = task_path(task_submit_shell(h->bus, "exit 0"));

    compare_introspection(h, "/org/parexec", MANAGER);
    compare_introspection(h, worker, WORKER);
    compare_introspection(h, task, TASK);
}

static void run_codegen(Harness *h, const char *xml, const char *what)
{
    g_autofree char *base = g_path_get_basename(xml), *name = g_strconcat(base, what, ".c", NULL),
                    *output = harness_path(h, name);
    const char *argv[] = { "gdbus-codegen", what, "--output", output, xml, NULL };
    int status = harness_run(h, argv, "codegen.log");
    g_autofree char *text = harness_read(h, "codegen.log"), *code = harness_read(h, name);

    if (status != 0 || *text)
        g_error("gdbus-codegen %s %s: %s", what, xml, text);
    g_assert_nonnull(strstr(code, strstr(base, "live") ? "org.parexec" : "org_parexec"));
}

/* GLib's own tool makes C of what is published, and of what runs. */
static void test_codegen(Harness *h)
{
    static const char *const published[] = { MANAGER, WORKER, TASK };
    g_autofree char *program = g_find_program_in_path("gdbus-codegen"), *path = harness_path(h, "live.xml");
    const char *text;

    if (!program) {
        g_test_skip("gdbus-codegen is not installed");
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(published); i++) {
        g_autofree char *xml = g_strdup_printf(TOP "/dbus/%s.xml", published[i]);
        run_codegen(h, xml, "--body");
    }
    Target introspect = { "/org/parexec", "org.freedesktop.DBus.Introspectable", "Introspect" };
    g_autoptr(GVariant) reply = bus_call(h->bus, introspect, NULL);
    g_variant_get(reply, "(&s)", &text);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    run_codegen(h, path, "--interface-info-body");
}

static void test_peer(Harness *h)
{
    g_autoptr(GVariant) pong =
        bus_call(h->bus, (Target){ "/org/parexec", "org.freedesktop.DBus.Peer", "Ping" }, NULL);
    g_autoptr(GVariant) id =
        bus_call(h->bus, (Target){ "/org/parexec", "org.freedesktop.DBus.Peer", "GetMachineId" }, NULL);

    g_assert_cmpuint(g_variant_n_children(pong), ==, 0);
    g_assert_cmpstr(g_variant_get_type_string(id), ==, "(s)");
}

/* ---- properties */

static void set_fails(sd_bus *bus, const char *error, const char *property, const char *value)
{
    g_free(bus_refusal(bus, error, (Target){ "/org/parexec", PROPERTIES, "Set" },
                       "('" MANAGER "', '%s', <%s>)", property, value));
}

static void test_properties(Harness *h)
{
    g_autoptr(GVariant) reply =
        bus_call(h->bus, (Target){ "/org/parexec", PROPERTIES, "GetAll" }, "('" MANAGER "',)");
    g_autoptr(GVariant) all = g_variant_get_child_value(reply, 0);
    g_autofree char *shape = dict_shape(all);

    g_assert_cmpstr(
        shape, ==,
        "AutoScale:b Enabled:b MaxWorkers:u Profile:s QueueLength:t RunningTasks:t ScaleTarget:u Version:s Workers:ao");
    g_assert_cmpuint(dict_number(all, "Enabled"), ==, 1);
    g_assert_cmpuint(dict_number(all, "QueueLength"), ==, 0);
    g_assert_cmpuint(strlen(dict_string(all, "Version")), >, 0);
    set_fails(h->bus, DBUS_ERROR("PropertyReadOnly"), "Version", "'2'");
    set_fails(h->bus, DBUS_ERROR("PropertyReadOnly"), "QueueLength", "uint64 2");
    set_fails(h->bus, DBUS_ERROR("UnknownProperty"), "Nothing", "'2'");
    Target get = { "/org/parexec", PROPERTIES, "Get" }, get_all = { "/org/parexec", PROPERTIES, "GetAll" };
    g_free(bus_refusal(h->bus, DBUS_ERROR("UnknownProperty"), get, "('" MANAGER "', 'Nothing')"));
    g_free(bus_refusal(h->bus, DBUS_ERROR("UnknownInterface"), get_all, "('org.parexec.Nothing1',)"));
}

static void test_max_workers(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL);

    manager_set(h->bus, "MaxWorkers", "uint32 1");
    g_assert_cmpuint(manager_number(h->bus, "MaxWorkers"), ==, 1);
    HARNESS_WAIT(h, recorder_count_changes(recorder, "/org/parexec", "MaxWorkers") == 1);
    g_autofree char *sentence = manager_refusal(h->bus, ERROR("TooManyWorkers"), "AddWorker", "(@a{sv} {},)");
    g_assert_nonnull(strstr(sentence, "1"));
    set_fails(h->bus, ERROR("InvalidArgument"), "MaxWorkers", "'many'");
    set_fails(h->bus, ERROR("InvalidArgument"), "MaxWorkers", "1");
    set_fails(h->bus, ERROR("InvalidArgument"), "MaxWorkers", "uint32 4000000000");
    set_fails(h->bus, ERROR("InvalidArgument"), "MaxWorkers", "uint32 0"); /* as the configuration has it */
    g_assert_cmpuint(manager_number(h->bus, "MaxWorkers"), ==, 1);
    manager_set(h->bus, "MaxWorkers", "uint32 2");
    g_autofree char *second = worker_add(h->bus, NULL);
    g_assert_cmpstr(second, ==, "w2");
    manager_set(h->bus, "MaxWorkers", "uint32 9");
    manager_do(h->bus, "Reload", NULL); /* lasts until then */
    g_assert_cmpuint(manager_number(h->bus, "MaxWorkers"), ==, 7);
    manager_set(h->bus, "MaxWorkers", "uint32 9");
    harness_restart_daemon(h);
    g_assert_cmpuint(manager_number(h->bus, "MaxWorkers"), ==, 7);
}

static void test_enabled(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);
    g_autofree char *id = worker_add(h->bus, NULL);

    manager_set(h->bus, "Enabled", "false");
    g_assert_cmpuint(manager_number(h->bus, "Enabled"), ==, 0);
    HARNESS_WAIT(h, recorder_count_changes(recorder, "/org/parexec", "Enabled") == 1);
    set_fails(h->bus, ERROR("InvalidArgument"), "Enabled", "'no'");
    uint64_t task = task_submit_shell(h->bus, "exit 0");
    harness_pause(h, 200);
    g_assert_true(task_is(h->bus, task, "queued"));
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 1);
    harness_restart_daemon(h);
    g_assert_cmpuint(manager_number(h->bus, "Enabled"), ==, 0);
    HARNESS_WAIT(h, worker_is(h->bus, id, "running"));
    harness_pause(h, 200);
    g_assert_true(task_is(h->bus, task, "queued"));
    manager_set(h->bus, "Enabled", "true");
    task_wait(h, task, "succeeded");
    harness_restart_daemon(h);
    g_assert_cmpuint(manager_number(h->bus, "Enabled"), ==, 1);
}

/* What runs goes on when it is disabled. */
static void test_enabled_running(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "sleep 0.4; exit 0"),
             next = task_submit_shell(h->bus, "exit 0");

    task_wait(h, task, "running");
    manager_set(h->bus, "Enabled", "false");
    task_wait(h, task, "succeeded");
    harness_pause(h, 100);
    g_assert_true(task_is(h->bus, next, "queued"));
}

/* ---- Status */

static void assert_shape(GVariant *dict, const char *key, const char *wanted)
{
    g_autoptr(GVariant) part =
        key ? g_variant_lookup_value(dict, key, G_VARIANT_TYPE_VARDICT) : g_variant_ref(dict);

    g_assert_nonnull(part);
    g_autofree char *shape = dict_shape(part);
    g_assert_cmpstr(shape, ==, wanted);
}

static void test_status(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, "'name': <'one'>");
    uint64_t task = task_submit_shell(h->bus, "sleep 60");
    task_wait(h, task, "running");
    g_autoptr(GVariant) reply = manager_call(h->bus, "Status", NULL),
                        status = g_variant_get_child_value(reply, 0);
    g_autoptr(GVariant) worker = worker_status(h->bus, id),
                        tasks = g_variant_lookup_value(worker, "tasks", NULL);

    assert_shape(
        status, NULL,
        "cpu:a{sv} enabled:b limits:a{sv} memory:a{sv} pressure:a{sv} queue:a{sv} scale:a{sv} started:t version:s "
        "workers:aa{sv}");
    assert_shape(
        status, "limits",
        "active:u admissible:u can_add:b committed:t cores-taken:d cores:d reason:s reserve:t worker-memory:t");
    assert_shape(status, "scale", "alive:u auto:b max:u min:u profile:s reason:s");
    assert_shape(status, "pressure", "cpu:d io:d memory:d rung:s");
    assert_shape(status, "memory", "available:t percent:d pressure:d reserve:t total:t");
    assert_shape(status, "cpu", "count:u percent:d");
    assert_shape(
        status, "queue",
        "blocked:t cancelled:t failed:t held:t queued:t running:t skipped:t succeeded:t throughput:d waiting:t");
    assert_shape(
        worker, NULL,
        "added:t class:s control-group:s cpu-quota:t cpu:d done:t engine:s failed:t forced:b frozen:b gpus:s heartbeat:t "
        "id:s memory-max:t memory-peak:t memory-reserved:t memory:t name:s node:i not-enforced:as pid:u pinned:s reason:s "
        "resources:s slots:u stalled:b state:s tasks:at unit:s user:u");
    g_assert_cmpstr(dict_string(worker, "name"), ==, "one");
    g_assert_cmpuint(g_variant_n_children(tasks), ==, 1);
    g_assert_cmpuint(queue_count(h->bus, "running"), ==, 1);
    g_assert_cmpuint(manager_number(h->bus, "RunningTasks"), ==, 1);
    g_assert_cmpuint(dict_number(status, "started"), >, UINT64_C(1500000000000000));
}

/* ---- what is not there */

static void test_unknown(Harness *h)
{
    static const struct {
        const char *error, *path, *interface, *member;
    } cases[] = {
        { DBUS_ERROR("UnknownMethod"), "/org/parexec", MANAGER, "Explode" },
        { DBUS_ERROR("UnknownMethod"), "/org/parexec", "org.parexec.Manager2", "Status" },
        { DBUS_ERROR("UnknownObject"), "/", MANAGER, "Status" },
        { DBUS_ERROR("UnknownObject"), "/org/parexec/nothing", MANAGER, "Status" },
        { DBUS_ERROR("UnknownObject"), "/org/parexec/worker/w99", WORKER, "Drain" },
        { DBUS_ERROR("UnknownObject"), "/org/parexec/worker/x", WORKER, "Drain" },
        { DBUS_ERROR("UnknownObject"), "/org/parexec/worker/w99/deeper", WORKER, "Drain" },
        { DBUS_ERROR("UnknownMethod"), "/org/parexec/task/words", TASK, "Cancel" },
        { ERROR("NoSuchTask"), "/org/parexec/task/_399999", TASK, "Cancel" },
        { DBUS_ERROR("UnknownMethod"), "/org/parexec/worker/w1", WORKER, "Explode" },
    };
    g_autofree char *id = worker_add(h->bus, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_free(bus_refusal(h->bus, cases[i].error,
                           (Target){ cases[i].path, cases[i].interface, cases[i].member }, NULL));
    Target get_task = { "/org/parexec/task/_399999", PROPERTIES, "GetAll" },
           get_worker = { "/org/parexec/worker/w99", PROPERTIES, "GetAll" };
    g_free(bus_refusal(h->bus, ERROR("NoSuchTask"), get_task, "('" TASK "',)"));
    g_free(bus_refusal(h->bus, DBUS_ERROR("UnknownObject"), get_worker, "('" WORKER "',)"));
}

/* Arguments of the wrong type. */
static void test_signatures(Harness *h)
{
    static const char *const methods[] = { "AddWorker", "Drain",       "Abort",  "Status",
                                           "Submit",    "ListTasks",   "Cancel", "OpenOutput",
                                           "Subscribe", "Unsubscribe", "Reload", "SetTaskLimits",
                                           "Freeze",    "Thaw",        "Scale",  "Statistics" };

    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
        manager_refuses(h->bus, DBUS_ERROR("InvalidArgs"), methods[i], "(1, 2, 3)");
        if (!g_str_has_suffix(methods[i], "ubscribe") && strcmp(methods[i], "Status") != 0 &&
            strcmp(methods[i], "Reload") != 0)
            manager_refuses(h->bus, DBUS_ERROR("InvalidArgs"), methods[i], NULL);
    }
}

/* ---- configuration */

static void test_reload(Harness *h)
{
    g_assert_cmpuint(manager_number(h->bus, "MaxWorkers"), ==, 7);
    harness_write_config(h, "MaxWorkers=5\nSlots=3");
    manager_do(h->bus, "Reload", NULL);
    g_assert_cmpuint(manager_number(h->bus, "MaxWorkers"), ==, 5);
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "Slots"), ==, 3);
    harness_write_config(h, "MaxWorkers=6\nSlots=many\nColour=red");
    (void) kill(h->daemon, SIGHUP);
    HARNESS_WAIT(h, manager_number(h->bus, "MaxWorkers") == 6);
    g_autofree char *log = harness_read(h, "parexecd.log");
    g_assert_nonnull(strstr(log, "parexecd.conf:3: Slots= does not take \"many\""));
    g_assert_nonnull(strstr(log, "parexecd.conf:4: unknown key Colour="));
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "Slots"), ==,
                     3); /* it keeps what it was started with */
    g_autofree char *next = worker_add(h->bus, NULL), *next_path = worker_path(next);
    g_assert_cmpuint(bus_property_number(h->bus, next_path, WORKER, "Slots"), ==, 1);
}

static void add(void)
{
    static const HarnessOptions seven = { .config = "MaxWorkers=7" };

    harness_add("/manager/introspection", NULL, test_introspection);
    harness_add("/manager/codegen", NULL, test_codegen);
    harness_add("/manager/peer", NULL, test_peer);
    harness_add("/manager/properties", NULL, test_properties);
    harness_add("/manager/max-workers", &seven, test_max_workers);
    harness_add("/manager/enabled", NULL, test_enabled);
    harness_add("/manager/enabled-running", NULL, test_enabled_running);
    harness_add("/manager/status", NULL, test_status);
    harness_add("/manager/unknown", NULL, test_unknown);
    harness_add("/manager/signatures", NULL, test_signatures);
    harness_add("/manager/reload", &seven, test_reload);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
