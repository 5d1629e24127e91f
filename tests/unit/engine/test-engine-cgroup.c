/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* engine-cgroup.c with real processes: once without any cgroup, once in real ones where they can be made. */
#include "engine/engine-cgroup.h"
#include "engine/proc-file.h"
#include "engine-fixture.h"

#include <signal.h>
#include <string.h>

typedef struct Fixture {
    EngineFixture base;
    EnginePort *engine;
    uint32_t number; /* no other run of this test uses it: the groups are everybody's */
} Fixture;

static void setup(Fixture *fixture, const void *data)
{
    EngineFixture *base = &fixture->base;

    engine_fixture_init(base);
    base->options.processes_only = data == NULL;
    fixture->number = (uint32_t) getpid();
    g_assert_cmpint(engine_cgroup_new(base->event, &base->options, &base->events, &fixture->engine), ==, 0);
}

static void teardown(Fixture *fixture, const void *data)
{
    engine_cgroup_free(fixture->engine);
    engine_fixture_done(&fixture->base);
}

static bool have_groups(Fixture *fixture, const void *data)
{
    if (data == NULL || fixture->engine->delegates(fixture->engine))
        return true;
    g_test_skip("no cgroup can be made here");
    return false;
}

static void start(Fixture *fixture, const char *script)
{
    EngineFixture *base = &fixture->base;

    engine_fixture_program(base, script);
    engine_fixture_start(base, fixture->engine, fixture->number);
    g_assert_cmpuint(base->n_started, ==, 0); /* never from inside the call */
    fixture_run_until(base, base->n_started == 1);
    g_assert_cmpint(base->r, ==, 0);
    g_assert_cmpint(base->process.pid, >, 1);
    g_assert_cmpuint(base->process.start_time, >, 0);
    g_assert_cmpstr(base->process.unit, ==, "");
}

static void expect_gone(Fixture *fixture, const char *why)
{
    EngineFixture *base = &fixture->base;

    fixture_run_until(base, base->n_gone == 1);
    g_assert_cmpstr(base->why, ==, why);
    engine_fixture_run_for(base, 20000);
    g_assert_cmpuint(base->n_gone, ==, 1);
    fixture->engine->release(fixture->engine, fixture->number);
}

static void test_record_arrives(Fixture *fixture, const void *data)
{
    if (!have_groups(fixture, data))
        return;
    start(fixture, "read line <&3; echo \"$1 $line\"; exit 3");
    g_autofree char *why = g_strdup_printf("exited with status 3: w%u the record", fixture->number);
    expect_gone(fixture, why);
    g_autofree char *log = g_strdup_printf("%s/worker/w%u.log", fixture->base.directory, fixture->number);
    g_assert_false(g_file_test(log, G_FILE_TEST_EXISTS));
}

static void test_died_by_signal(Fixture *fixture, const void *data)
{
    if (!have_groups(fixture, data))
        return;
    start(fixture, "kill -SEGV $$");
    expect_gone(fixture, "killed by signal SEGV");
}

/* What its tasks may do to get away: own sessions, lost parents, ignored signals. */
static const char escaping[] = "trap '' TERM HUP INT\n"
                               "setsid sh -c 'echo $$ > one; exec sleep 100' &\n"
                               "(setsid sh -c 'sh -c \"echo \\$\\$ > two; exec sleep 100\" & exit' &)\n";

static void test_kill(Fixture *fixture, const void *data)
{
    g_autofree char *script = g_strconcat(escaping, "while :; do sleep 0.05; done", NULL);

    if (!have_groups(fixture, data))
        return;
    start(fixture, script);
    int32_t one = engine_fixture_read_pid(&fixture->base, "one"), two = engine_fixture_read_pid(&fixture->base, "two");
    g_assert_cmpint(kill(fixture->base.process.pid, SIGSTOP), ==, 0);
    g_assert_true(process_lives(one) && process_lives(two));

    gint64 before = g_get_monotonic_time();
    fixture->engine->kill(fixture->engine, fixture->number);
    g_assert_cmpuint(fixture->base.n_gone, ==, 0);
    expect_gone(fixture, "killed by signal KILL");
    g_assert_cmpint(g_get_monotonic_time() - before, <, 2 * G_USEC_PER_SEC);
    g_assert_false(process_lives(one) || process_lives(two));
}

/* A worker that dies by itself leaves nothing behind either. Only one process deep where there are no cgroups: there
 * the test is the subreaper that the shell is not. */
static void test_orphans(Fixture *fixture, const void *data)
{
    g_autofree char *script = g_strconcat(escaping, "while [ ! -s one ] || [ ! -s two ]; do sleep 0.01; done\nexit 9", NULL);

    if (!have_groups(fixture, data))
        return;
    start(fixture, script);
    expect_gone(fixture, "exited with status 9");
    int32_t one = engine_fixture_read_pid(&fixture->base, "one"), two = engine_fixture_read_pid(&fixture->base, "two");
    g_assert_false(process_lives(one) || process_lives(two));
    /* nor does the daemon collect zombies */
    ProcStat stat;
    if (proc_stat(one, &stat) == 0)
        g_assert_cmpint(stat.parent, !=, getpid());
    if (proc_stat(two, &stat) == 0)
        g_assert_cmpint(stat.parent, !=, getpid());
}

/* Another worker of the same daemon is no orphan. */
static void test_orphans_spare_workers(Fixture *fixture, const void *data)
{
    EngineFixture *base = &fixture->base;
    uint32_t other = fixture->number + 1000000000U;

    if (!have_groups(fixture, data))
        return;
    start(fixture, "echo $$ > long; while :; do sleep 0.05; done");
    int32_t pid = base->process.pid;
    (void) engine_fixture_read_pid(base, "long"); /* else the next script would come under its feet */
    engine_fixture_program(base, "exit 1");
    engine_fixture_start(base, fixture->engine, other);
    fixture_run_until(base, base->n_gone == 1);
    engine_fixture_run_for(base, 20000);
    g_assert_true(process_lives(pid));
    fixture->engine->release(fixture->engine, other);
    fixture->engine->kill(fixture->engine, fixture->number);
    fixture_run_until(base, base->n_gone == 2);
    g_assert_false(process_lives(pid));
}

static void test_kill_before_started(Fixture *fixture, const void *data)
{
    if (!have_groups(fixture, data))
        return;
    engine_fixture_program(&fixture->base, "while :; do sleep 0.05; done");
    engine_fixture_start(&fixture->base, fixture->engine, fixture->number);
    fixture->engine->kill(fixture->engine, fixture->number);
    expect_gone(fixture, "killed by signal KILL");
    g_assert_cmpuint(fixture->base.n_started, ==, 0);
}

static void test_owns(Fixture *fixture, const void *data)
{
    EnginePort *engine = fixture->engine;

    if (!have_groups(fixture, data))
        return;
    start(fixture, "sh -c 'echo $$ > child; exec sleep 100' & wait");
    int32_t child = engine_fixture_read_pid(&fixture->base, "child");
    g_assert_true(engine->owns(engine, fixture->number, fixture->base.process.pid));
    g_assert_true(engine->owns(engine, fixture->number, child));
    g_assert_false(engine->owns(engine, fixture->number, getpid()));
    g_assert_false(engine->owns(engine, fixture->number, 1));
    g_assert_false(engine->owns(engine, fixture->number + 1, child));
    engine->kill(engine, fixture->number);
    expect_gone(fixture, "killed by signal KILL");
    g_assert_false(engine->owns(engine, fixture->number, child));
}

static void reopen(Fixture *fixture)
{
    EngineFixture *base = &fixture->base;

    engine_cgroup_free(fixture->engine);
    g_assert_cmpint(engine_cgroup_new(base->event, &base->options, &base->events, &fixture->engine), ==, 0);
    engine_fixture_run_for(base, 20000);
}

static void test_adopt(Fixture *fixture, const void *data)
{
    EngineFixture *base = &fixture->base;

    if (!have_groups(fixture, data))
        return;
    start(fixture, "echo last words; echo $$ > up; while :; do sleep 0.05; done");
    (void) engine_fixture_read_pid(base, "up");
    reopen(fixture);
    g_assert_true(process_lives(base->process.pid));
    fixture->engine->adopt(fixture->engine, fixture->number, &base->process);
    engine_fixture_run_for(base, 50000);
    g_assert_cmpuint(base->n_gone, ==, 0);
    g_assert_true(fixture->engine->owns(fixture->engine, fixture->number, base->process.pid));
    fixture->engine->kill(fixture->engine, fixture->number);
    expect_gone(fixture, "ended: last words"); /* its status is its parent's to know */
    g_assert_false(process_lives(base->process.pid));
}

static void test_adopt_missing(Fixture *fixture, const void *data)
{
    EngineFixture *base = &fixture->base;

    if (!have_groups(fixture, data))
        return;
    start(fixture, "while :; do sleep 0.05; done");
    reopen(fixture);
    int32_t pid = base->process.pid;
    base->process.start_time++; /* the number is another's now: that one must be left alone … */
    if (data == NULL)
        base->process.pid = getpid();
    fixture->engine->adopt(fixture->engine, fixture->number, &base->process);
    expect_gone(fixture, "not found after the restart of the daemon");
    /* … but for what is in the worker's own group */
    g_assert_cmpint(process_lives(pid), ==, data == NULL);
    (void) kill(pid, SIGKILL);
    fixture_run_until(base, !process_lives(pid));
}

static void test_processes_only_says_so(Fixture *fixture, const void *data)
{
    WorkerLimits *limits = &fixture->base.spec->limits;
    EngineUsage usage;

    limits->memory_max_bytes = 1 << 30;
    limits->tasks_max = 50;
    start(fixture, "while :; do sleep 0.05; done");
    g_assert_cmpstr(fixture->base.process.control_group, ==, "");
    g_assert_false(fixture->engine->delegates(fixture->engine));
    g_auto(GStrv) sentences = fixture->engine->not_enforced(fixture->engine, fixture->number, fixture->base.spec);
    g_autofree char *text = g_strjoinv("\n", sentences);
    g_assert_cmpstr(text, ==, "memory limit: not enforced (cgroups are not used)\n"
                              "task limit: not enforced (cgroups are not used)");
    fixture->engine->usage(fixture->engine, fixture->number, &usage);
    g_assert_cmpuint(usage.memory_bytes, ==, UINT64_MAX);
    fixture->engine->kill(fixture->engine, fixture->number);
    expect_gone(fixture, "killed by signal KILL");
}

/* Whatever the machine's layout: a limit is enforced, or there is a sentence about it. */
static void test_tasks_or_sentence(Fixture *fixture, const void *data)
{
    if (!have_groups(fixture, data))
        return;
    fixture->base.spec->limits.tasks_max = 20;
    start(fixture, "i=0; while [ $i -lt 40 ]; do sleep 100 & i=$((i+1)); done; wait");
    g_assert_cmpstr(fixture->base.process.control_group, !=, "");
    g_auto(GStrv) sentences = fixture->engine->not_enforced(fixture->engine, fixture->number, fixture->base.spec);
    g_autofree char *text = g_strjoinv("\n", sentences);
    if (!strstr(text, "task limit")) { /* a shell that cannot fork gives up */
        fixture_run_until(&fixture->base, fixture->base.n_gone == 1);
        g_assert_nonnull(strstr(fixture->base.why, "fork"));
        return;
    }
    fixture->engine->kill(fixture->engine, fixture->number);
    expect_gone(fixture, "killed by signal KILL");
}

static void test_memory_or_sentence(Fixture *fixture, const void *data)
{
    EngineUsage usage;

    if (!have_groups(fixture, data))
        return;
    fixture->base.spec->limits.memory_max_bytes = 64 << 20;
    start(fixture, "dd if=/dev/zero of=/dev/null bs=300M count=1; echo $? > status; while :; do sleep 0.05; done");
    g_auto(GStrv) sentences = fixture->engine->not_enforced(fixture->engine, fixture->number, fixture->base.spec);
    g_autofree char *text = g_strjoinv("\n", sentences);
    int32_t status = engine_fixture_read_pid(&fixture->base, "status");
    fixture->engine->usage(fixture->engine, fixture->number, &usage);
    if (!strstr(text, "memory limit: not enforced (")) {
        g_assert_cmpint(status, ==, 128 + SIGKILL);
        g_assert_cmpuint(usage.memory_bytes, <=, 64 << 20);
        g_assert_cmpuint(usage.memory_peak_bytes, <=, 64 << 20);
    }
    fixture->engine->kill(fixture->engine, fixture->number);
    fixture_run_until(&fixture->base, fixture->base.n_gone == 1);
}

static void add(const char *name, void (*test)(Fixture *fixture, const void *data))
{
    g_autofree char *process = g_strconcat("/engine-cgroup/process/", name, NULL);
    g_autofree char *group = g_strconcat("/engine-cgroup/group/", name, NULL);

    g_test_add(process, Fixture, NULL, setup, test, teardown);
    g_test_add(group, Fixture, "group", setup, test, teardown);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("record-arrives", test_record_arrives);
    add("died-by-signal", test_died_by_signal);
    add("kill", test_kill);
    add("orphans", test_orphans);
    add("orphans-spare-workers", test_orphans_spare_workers);
    add("kill-before-started", test_kill_before_started);
    add("owns", test_owns);
    add("adopt", test_adopt);
    add("adopt-missing", test_adopt_missing);
    g_test_add("/engine-cgroup/process/says-so", Fixture, NULL, setup, test_processes_only_says_so, teardown);
    g_test_add("/engine-cgroup/group/tasks-or-sentence", Fixture, "group", setup, test_tasks_or_sentence, teardown);
    g_test_add("/engine-cgroup/group/memory-or-sentence", Fixture, "group", setup, test_memory_or_sentence, teardown);
    return g_test_run();
}
