/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The systemd engine against a systemd that has its bad days. That a worker really gets into its scope is for the system
 * tests: a fake can move nobody, and the engine looks. */
#include <signal.h>
#include <string.h>

#include "calls.h"
#include "recorder.h"

static char *add_fails(Harness *h, const char *behaviour)
{
    systemd_behave(h, behaviour);
    return manager_refusal(h->bus, ERROR("WorkerStartFailed"), "AddWorker", "(@a{sv} {},)");
}

static void expect_words(const char *sentence, const char *words)
{
    if (!strstr(sentence, words))
        g_error("no \"%s\" in \"%s\"", words, sentence);
}

/* Nothing that was started lives on: neither the child nor, in systemd, its unit. */
static bool has_child(Harness *h)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", h->daemon, h->daemon),
                    *children = NULL;

    return g_file_get_contents(path, &children, NULL, NULL) && *children;
}

static void test_answers(Harness *h)
{
    static const struct {
        const char *behaviour, *words;
    } cases[] = {
        { "refuse", "Nobody may start parexec-w1.scope today" },
        { "failed", "the job ended as \"failed\"" },
        { "timeout", "the job ended as \"timeout\"" },
        { "canceled", "the job ended as \"canceled\"" },
        { "done", "not in it" },
        { "exists", "already loaded" },
        { "no-oom-policy", "the job ended as \"failed\"" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *sentence = add_fails(h, cases[i].behaviour), *id = g_strdup_printf("w%zu", i + 1);
        if (i == 0 || cases[i].words[0] != 'N')
            expect_words(sentence, cases[i].words);
        g_assert_true(worker_is(h->bus, id, "failed"));
        HARNESS_WAIT(h, !has_child(h));
    }
}

static GVariant *property_said(GVariant *properties, const char *name)
{
    GVariantIter iter;
    const char *key;
    GVariant *value;

    g_variant_iter_init(&iter, properties);
    while (g_variant_iter_next(&iter, "(&sv)", &key, &value)) {
        if (strcmp(key, name) == 0)
            return value;
        g_variant_unref(value);
    }
    return NULL;
}

static void test_properties(Harness *h)
{
    static const struct {
        const char *name, *value;
    } wanted[] = {
        { "Slice", "'parexec-shared.slice'" },
        { "Delegate", "true" },
        { "CollectMode", "'inactive-or-failed'" },
        { "OOMPolicy", "'continue'" },
        { "MemoryMax", "uint64 104857600" },
        { "MemoryHigh", "uint64 94371840" },
        { "MemorySwapMax", "uint64 0" },
        { "CPUQuotaPerSecUSec", "uint64 500000" },
        { "CPUWeight", "uint64 50" },
        { "TasksMax", "uint64 100" },
        { "AllowedCPUs", "[byte 0x01]" },
        { "TimeoutStopUSec", "uint64 2000000" },
    };

    systemd_behave(h, "failed");
    manager_refuses(
        h->bus, ERROR("WorkerStartFailed"), "AddWorker",
        "({'memory-max': <uint64 104857600>, 'memory-high': <uint64 94371840>, 'cpu-quota': <uint64 500000>,"
        "'cpu-weight': <uint64 50>, 'tasks-max': <uint64 100>, 'allowed-cpus': <'0'>},)");
    g_autoptr(GVariant) properties = systemd_properties(h), pids = property_said(properties, "PIDs");
    g_assert_true(pids && g_variant_n_children(pids) == 1);
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        g_autoptr(GVariant) value = property_said(properties, wanted[i].name);
        if (!value)
            g_error("%s is not said", wanted[i].name);
        g_autofree char *text = g_variant_print(value, TRUE);
        g_assert_cmpstr(text, ==, wanted[i].value);
    }
    g_assert_true(systemd_was_asked(h, "Subscribe "));
    g_assert_true(systemd_was_asked(h, "StartTransientUnit parexec-w1.scope"));
}

/* What is unlimited is not said, so that systemd's own defaults hold; nor is, the second time, what it does not know. */
static void test_unsaid(Harness *h)
{
    static const char *const names[] = { "MemoryMax", "MemoryHigh", "MemorySwapMax", "CPUQuotaPerSecUSec",
                                         "CPUWeight", "TasksMax",   "AllowedCPUs" };

    systemd_behave(h, "no-oom-policy");
    manager_refuses(h->bus, ERROR("WorkerStartFailed"), "AddWorker",
                    "({'memory-max': <uint64 18446744073709551615>},)");
    g_autoptr(GVariant) properties = systemd_properties(h), policy = property_said(properties, "OOMPolicy");
    g_assert_null(policy);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GVariant) value = property_said(properties, names[i]);
        g_assert_null(value);
    }
}

/* A name that is taken by a unit of somebody's is left alone: other names are tried. */
static void test_exists(Harness *h)
{
    g_free(add_fails(h, "exists"));
    g_assert_true(systemd_was_asked(h, "ResetFailedUnit parexec-w1.scope"));
    g_assert_true(systemd_was_asked(h, "StartTransientUnit parexec-w1-2.scope"));
    g_assert_false(systemd_was_asked(h, "StopUnit parexec-w1.scope"));
    g_assert_false(systemd_was_asked(h, "KillUnit parexec-w1.scope"));
}

/* Aborted while systemd has not finished: AddWorker is answered, the child dies at once, the scope when it is up. */
static void test_abort_starting(Harness *h)
{
    g_autoptr(Recorder) recorder = recorder_new(h->bus);

    systemd_behave(h, "never");
    g_autoptr(Pending) adding = manager_call_later(h->bus, "AddWorker", "(@a{sv} {},)");
    HARNESS_WAIT(h, systemd_was_asked(h, "StartTransientUnit parexec-w1.scope"));
    g_assert_true(worker_is(h->bus, "w1", "starting"));
    g_assert_false(adding->done);
    gint64 start = g_get_monotonic_time();
    manager_do(h->bus, "Abort", "('w1',)");
    HARNESS_WAIT(h, adding->done);
    g_assert_cmpstr(adding->error, ==, ERROR("WorkerStartFailed"));
    expect_words(adding->sentence, "aborted");
    HARNESS_WAIT(h, worker_is(h->bus, "w1", ""));
    g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * G_USEC_PER_SEC);
    HARNESS_WAIT(h, recorder_count(recorder, "WorkerRemoved") == 1);
    g_assert_false(systemd_was_asked(h, "StopUnit parexec-w1.scope"));
    systemd_end_jobs(h, "done");
    HARNESS_WAIT(h, systemd_was_asked(h, "StopUnit parexec-w1.scope"));
    HARNESS_WAIT(h, !has_child(h));
}

/* No answer, and no JobRemoved: after ten seconds a worker is given up; what comes after that is stopped. */
static void test_silence(Harness *h)
{
    systemd_behave(h, "mute");
    g_autoptr(Pending) mute = manager_call_later(h->bus, "AddWorker", "(@a{sv} {},)");
    HARNESS_WAIT(h, systemd_was_asked(h, "StartTransientUnit parexec-w1.scope"));
    systemd_behave(h, "never");
    g_autoptr(Pending) never = manager_call_later(h->bus, "AddWorker", "(@a{sv} {},)");
    HARNESS_WAIT(h, systemd_was_asked(h, "StartTransientUnit parexec-w2.scope"));
    for (unsigned i = 0; i < 50; i++) /* nobody waits for systemd but those two */
        manager_do(h->bus, "Status", NULL);
    HARNESS_WAIT(h, mute->done);
    HARNESS_WAIT(h, never->done);
    expect_words(mute->sentence, "did not answer about parexec-w1.scope within 10s");
    expect_words(never->sentence, "did not finish starting parexec-w2.scope within 10s");
    g_assert_true(worker_is(h->bus, "w1", "failed") && worker_is(h->bus, "w2", "failed"));
    systemd_end_jobs(h, "done");
    HARNESS_WAIT(h, systemd_was_asked(h, "StopUnit parexec-w1.scope"));
    HARNESS_WAIT(h, systemd_was_asked(h, "StopUnit parexec-w2.scope"));
    HARNESS_WAIT(h, !has_child(h));
}

/* The daemon is killed while systemd works: the child ends by itself, and the next daemon clears up. */
static void test_daemon_killed(Harness *h)
{
    g_autofree char *file = g_strdup_printf("/proc/%d/task/%d/children", h->daemon, h->daemon),
                    *children = NULL;

    systemd_behave(h, "never");
    g_autoptr(Pending) adding = manager_call_later(h->bus, "AddWorker", "(@a{sv} {},)");
    HARNESS_WAIT(h, systemd_was_asked(h, "StartTransientUnit parexec-w1.scope"));
    g_assert_true(g_file_get_contents(file, &children, NULL, NULL));
    pid_t child = (pid_t) strtol(children, NULL, 10);
    g_assert_cmpint(child, >, 1);
    harness_kill_daemon(h);
    HARNESS_WAIT(h, adding->done && kill(child, 0) < 0);
    harness_start_daemon(h);
    HARNESS_WAIT(h, worker_is(h->bus, "w1", "failed") || worker_is(h->bus, "w1", ""));
    systemd_behave(h, "failed");
    g_autofree char *sentence =
        manager_refusal(h->bus, ERROR("WorkerStartFailed"), "AddWorker", "(@a{sv} {},)");
    expect_words(sentence, "w2");
}

/* To the daemon alone, which passes the bus's match rules by. */
static void forge_job_removed(Harness *h)
{
    g_autoptr(sd_bus_message) m = NULL;

    g_assert_cmpint(sd_bus_message_new_signal(h->bus, &m, "/org/freedesktop/systemd1",
                                              "org.freedesktop.systemd1.Manager", "JobRemoved"),
                    >=, 0);
    g_assert_cmpint(
        sd_bus_message_append(m, "uoss", 1, "/org/freedesktop/systemd1/job/1", "parexec-w1.scope", "failed"),
        >=, 0);
    g_assert_cmpint(sd_bus_message_set_destination(m, "org.parexec"), >=, 0);
    g_assert_cmpint(sd_bus_send(h->bus, m, NULL), >=, 0);
}

/* Others' signals say nothing about our jobs. */
static void test_forged_signal(Harness *h)
{
    systemd_behave(h, "never");
    g_autoptr(Pending) adding = manager_call_later(h->bus, "AddWorker", "(@a{sv} {},)");
    HARNESS_WAIT(h, systemd_was_asked(h, "StartTransientUnit parexec-w1.scope"));
    forge_job_removed(h);
    harness_pause(h, 300);
    g_assert_false(adding->done);
    g_assert_true(worker_is(h->bus, "w1", "starting"));
    systemd_end_jobs(h, "failed");
    HARNESS_WAIT(h, adding->done);
}

/* The cgroup engine works beside. */
static void test_other_engine(Harness *h)
{
    systemd_behave(h, "refuse");
    g_autofree char *id = worker_add(h->bus, "'engine': <'cgroup'>");

    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
    g_autofree char *path = worker_path(id), *unit = bus_property_string(h->bus, path, WORKER, "Unit");
    g_assert_cmpstr(unit, ==, "");
}

static void add(void)
{
    static const HarnessOptions systemd = { .systemd = true };

    harness_add("/start/answers", &systemd, test_answers);
    harness_add("/start/properties", &systemd, test_properties);
    harness_add("/start/unsaid", &systemd, test_unsaid);
    harness_add("/start/exists", &systemd, test_exists);
    harness_add("/start/abort-starting", &systemd, test_abort_starting);
    harness_add("/start/silence", &systemd, test_silence);
    harness_add("/start/daemon-killed", &systemd, test_daemon_killed);
    harness_add("/start/forged-signal", &systemd, test_forged_signal);
    harness_add("/start/other-engine", &systemd, test_other_engine);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
