/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the worker as a whole share. */
#include "worker-fixture.h"

#include <stdlib.h>
#include <string.h>

#include "dbus/parexec-dbus.h"

bool fixture_in_scope(void)
{
    return getenv("PAREXEC_TEST_SCOPE") != NULL;
}

void fixture_launch(Fixture *f)
{
    static int n;
    g_autofree char *unit = g_strdup_printf("--unit=parexec-test-%d-%d", (int) getpid(), n++);
    char *prefix[] = { (char *) "systemd-run",
                       (char *) "--quiet",
                       (char *) "--scope",
                       (char *) "--property=Delegate=yes",
                       (char *) "--property=MemoryMax=256M",
                       unit,
                       NULL };

    f->fake->record->delegated = fixture_in_scope();
    fake_daemon_start_worker(f->fake, fixture_in_scope() ? prefix : NULL);
}

void fixture_set_up_unstarted(Fixture *f, const void *slots)
{
    f->fake = fake_daemon_new("w1");
    fake_daemon_listen(f->fake);
}

void fixture_set_up(Fixture *f, const void *slots)
{
    fixture_set_up_unstarted(f, slots);
    f->fake->record->slots = GPOINTER_TO_UINT(slots);
    fixture_launch(f);
    fake_daemon_wait(f->fake, fake_has_registrations, 1);
}

static void tear_down(Fixture *f, const void *data)
{
    f->fake = fake_daemon_free(f->fake);
}

const TaskResult *run_one(Fixture *f, uint64_t id, const char *const *argv)
{
    guint n = f->fake->results->len;

    fake_daemon_run_command(f->fake, id, argv);
    fake_daemon_wait(f->fake, fake_has_results, n + 1);
    g_assert_nonnull(fake_daemon_result(f->fake, id));
    return fake_daemon_result(f->fake, id);
}

void run_in(Fixture *f, const FakeContext *context, uint64_t id, const char *const *argv)
{
    const FakeTask task = { .id = id, .argv = argv, .context = context->id };
    guint n = f->fake->results->len;

    fake_daemon_run(f->fake, context, 1, &task, 1);
    fake_daemon_wait(f->fake, fake_has_results, n + 1);
}

void assert_outcome(const TaskResult *result, Outcome outcome, int status, int signal, int error)
{
    g_assert_cmpstr(outcome_to_string(result->outcome), ==, outcome_to_string(outcome));
    g_assert_cmpint(result->exit_status, ==, status);
    g_assert_cmpint(result->signal, ==, signal);
    g_assert_cmpint(result->error, ==, error);
}

void assert_output(Fixture *f, uint64_t id, const char *suffix, const char *expected)
{
    g_autofree char *text = fake_daemon_output(f->fake, id, 1, suffix);

    g_assert_cmpstr(text, ==, expected);
}

void fill_tasks(FakeTask *tasks, size_t n, const char *const *argv)
{
    for (size_t i = 0; i < n; i++)
        tasks[i] = (FakeTask) { .id = i + 1, .argv = argv };
}

bool fixture_is_v2(void)
{
    return access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
}

bool fixture_skip_without_scope(void)
{
    if (!fixture_in_scope())
        g_test_skip("needs PAREXEC_TEST_SCOPE=1, root and systemd");
    return !fixture_in_scope();
}

char *fixture_script(Fixture *f, const char *script)
{
    return g_strdup_printf("cd %s; %s", f->fake->directory, script);
}

void fixture_wait_for_file(Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->fake->directory, name, NULL);

    for (int i = 0; i < 20000 && !g_file_test(path, G_FILE_TEST_EXISTS); i++)
        fake_daemon_pass(f->fake, MSEC);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
}

typedef struct FreezeReply {
    bool answered;
    char *why;
} FreezeReply;

static int on_freeze_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    FreezeReply *reply = userdata;
    const char *why;
    uint64_t task;

    reply->answered = true;
    g_assert_false(sd_bus_message_is_method_error(m, NULL));
    g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(ts)"), >, 0);
    while (sd_bus_message_read(m, "(ts)", &task, &why) > 0) {
        g_free(reply->why);
        reply->why = g_strdup(why);
    }
    return 0;
}

char *fixture_freeze(Fixture *f, uint64_t task, bool frozen, bool reclaim)
{
    FreezeReply reply = { 0 };

    g_assert_cmpint(sd_bus_call_method_async(f->fake->bus, NULL, NULL, PAREXEC_LINK_PATH, PAREXEC_RUNNER_INTERFACE,
                                             "Freeze", on_freeze_reply, &reply, "atbb", 1, task, frozen, reclaim),
                    >=, 0);
    for (int i = 0; i < 20000 && !reply.answered; i++)
        fake_daemon_pass(f->fake, MSEC);
    g_assert_true(reply.answered);
    return reply.why;
}

bool process_lives(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int) pid), *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && !strstr(text, ") Z ");
}

pid_t pid_in(Fixture *f, const char *name)
{
    g_autofree char *path = g_build_filename(f->fake->directory, name, NULL), *text = NULL;
    int64_t pid = 0;

    for (int i = 0; i < 2000 && pid == 0; i++) {
        if (g_file_get_contents(path, &text, NULL, NULL))
            pid = g_ascii_strtoll(text, NULL, 10);
        g_clear_pointer(&text, g_free);
        fake_daemon_pass(f->fake, pid ? 0 : MSEC);
    }
    g_assert_cmpint(pid, >, 1);
    return (pid_t) pid;
}

int fixture_run(int argc, char **argv, const char *prefix, const WorkerTest *tests, size_t n)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < n; i++) {
        g_autofree char *path = g_strdup_printf("/%s/%s", prefix, tests[i].name);

        g_test_add(path, Fixture, GUINT_TO_POINTER(tests[i].slots), tests[i].set_up, tests[i].function,
                   tear_down);
    }
    return g_test_run();
}
