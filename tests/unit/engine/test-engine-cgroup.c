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

/* ---- limits that change ---- */

static bool says(Fixture *fixture, const char *what)
{
    g_auto(GStrv) sentences = fixture->engine->not_enforced(fixture->engine, fixture->number, fixture->base.spec);
    g_autofree char *text = g_strjoinv("\n", sentences);

    return strstr(text, what) != NULL;
}

static void set_limits(Fixture *fixture)
{
    unsigned before = fixture->base.n_limits_set;

    fixture->engine->set_limits(fixture->engine, fixture->number, fixture->base.spec);
    g_assert_cmpuint(fixture->base.n_limits_set, ==, before); /* never from inside the call */
    fixture_run_until(&fixture->base, fixture->base.n_limits_set == before + 1);
}

static void end(Fixture *fixture)
{
    fixture->engine->kill(fixture->engine, fixture->number);
    fixture_run_until(&fixture->base, fixture->base.n_gone == 1);
}

static void test_set_limits(Fixture *fixture, const void *data)
{
    WorkerLimits *limits = &fixture->base.spec->limits;

    if (!have_groups(fixture, data))
        return;
    start(fixture, "while :; do sleep 0.05; done");
    limits->memory_max_bytes = 64 << 20;
    limits->cpu_quota_usec_per_sec = 500000;
    limits->tasks_max = 20;
    set_limits(fixture);
    g_assert_cmpint(fixture->base.r, ==, 0);
    /* whatever the kernel has of these it has taken */
    g_assert_false(says(fixture, "(the kernel has"));

    limits->memory_max_bytes = 32 << 20; /* less and more again: on v1 in the right order */
    set_limits(fixture);
    g_assert_cmpint(fixture->base.r, ==, 0);
    g_assert_false(says(fixture, "(the kernel has"));
    limits->memory_max_bytes = 256 << 20;
    limits->tasks_max = LIMIT_INFINITY;
    set_limits(fixture);
    g_assert_cmpint(fixture->base.r, ==, 0);
    if (!says(fixture, "memory limit: not enforced (no ")) {
        limits->memory_max_bytes = 128 << 20; /* asked only: the kernel still has more */
        g_assert_true(says(fixture, "memory limit: not enforced (the kernel has 256"));
    }
    limits->tasks_max = 30;
    g_assert_true(says(fixture, "task limit: not enforced ("));
    end(fixture);
}

/* More is in use than is to be allowed: cgroup v2 kills, v1 refuses, and then everything is as before. */
static void test_set_limits_in_use(Fixture *fixture, const void *data)
{
    WorkerLimits *limits = &fixture->base.spec->limits;

    if (!have_groups(fixture, data))
        return;
    limits->memory_max_bytes = 512 << 20;
    /* tail keeps what may be its last line */
    start(fixture, "(head -c 100M /dev/zero; echo $$ > full; sleep 100) | tail > /dev/null");
    if (says(fixture, "memory limit: not enforced (no ")) {
        end(fixture);
        g_test_skip("no memory controller here");
        return;
    }
    (void) engine_fixture_read_pid(&fixture->base, "full");
    limits->memory_max_bytes = 8 << 20;
    limits->tasks_max = 90;
    set_limits(fixture);
    if (fixture->base.r < 0) {
        g_assert_cmpint(fixture->base.r, ==, -EBUSY);
        g_assert_nonnull(strstr(fixture->base.why, "more is in use"));
        limits->memory_max_bytes = 512 << 20;
        g_assert_false(says(fixture, "memory limit"));
        g_assert_true(says(fixture, "task limit: not enforced (the kernel has no limit)"));
    }
    limits->memory_max_bytes = 300 << 20; /* that is enough for it */
    set_limits(fixture);
    g_assert_cmpint(fixture->base.r, ==, 0);
    g_assert_false(says(fixture, "(the kernel has"));
    end(fixture);
}

/* One that is refused takes back those that were not. */
static void test_set_limits_taken_back(Fixture *fixture, const void *data)
{
    WorkerLimits *limits = &fixture->base.spec->limits;

    if (!have_groups(fixture, data))
        return;
    limits->memory_max_bytes = 128 << 20;
    limits->cpu_quota_usec_per_sec = 500000;
    limits->allowed_cpus = g_strdup("0");
    start(fixture, "while :; do sleep 0.05; done");
    if (says(fixture, "allowed CPUs: not enforced") || says(fixture, "memory limit: not enforced (no ")) {
        end(fixture);
        g_test_skip("no cpuset controller here, or CPU 0 may not be used");
        return;
    }
    g_free(limits->allowed_cpus);
    limits->allowed_cpus = g_strdup("8191");
    limits->memory_max_bytes = 256 << 20;
    limits->cpu_quota_usec_per_sec = 700000;
    set_limits(fixture);
    if (fixture->base.r < 0) { /* v2 takes any number and falls back to all */
        g_assert_nonnull(strstr(fixture->base.why, "the kernel does not take \"8191\" for cpuset.cpus: "));
        limits->memory_max_bytes = 128 << 20;
        limits->cpu_quota_usec_per_sec = 500000;
        g_assert_false(says(fixture, "memory limit"));
        g_assert_false(says(fixture, "CPU quota"));
    }
    g_clear_pointer(&limits->allowed_cpus, g_free);
    limits->allowed_memory_nodes = g_strdup("0");
    set_limits(fixture); /* lifted: what the group above has */
    g_assert_cmpint(fixture->base.r, ==, 0);
    end(fixture);
}

/* Somebody else may have stopped it, by either freezer. */
static bool freeze_group(const WorkerGroup *group)
{
    int unified = cgroup_hierarchy_unified(), freezer = cgroup_hierarchy_of(CGROUP_FREEZER);
    bool frozen = false;

    if (unified >= 0 && group->paths[unified])
        frozen = cgroup_write_core(cgroup_hierarchy((size_t) unified), group->paths[unified], "cgroup.freeze", "1") >= 0;
    if (freezer >= 0 && group->paths[freezer])
        frozen = cgroup_write_core(cgroup_hierarchy((size_t) freezer), group->paths[freezer], "freezer.state",
                                   "FROZEN") >= 0 || frozen;
    return frozen;
}

static void test_kill_frozen(Fixture *fixture, const void *data)
{
    g_autofree char *marker = g_strdup_printf("/parexec/w%u", fixture->number);
    WorkerGroup group = { 0 };

    if (!have_groups(fixture, data))
        return;
    start(fixture, "while :; do sleep 0.05; done");
    g_assert_cmpint(worker_group_find(&group, fixture->base.process.pid, marker), ==, 0);
    bool frozen = freeze_group(&group);
    worker_group_done(&group);
    engine_fixture_run_for(&fixture->base, 50000);
    fixture->engine->kill(fixture->engine, fixture->number);
    expect_gone(fixture, "killed by signal KILL");
    if (!frozen)
        g_test_skip("cgroups cannot be frozen here");
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
    g_test_add("/engine-cgroup/group/kill-frozen", Fixture, "group", setup, test_kill_frozen, teardown);
    g_test_add("/engine-cgroup/group/set-limits", Fixture, "group", setup, test_set_limits, teardown);
    g_test_add("/engine-cgroup/group/set-limits-in-use", Fixture, "group", setup, test_set_limits_in_use, teardown);
    g_test_add("/engine-cgroup/group/set-limits-taken-back", Fixture, "group", setup, test_set_limits_taken_back, teardown);
    add("adopt", test_adopt);
    add("adopt-missing", test_adopt_missing);
    g_test_add("/engine-cgroup/process/says-so", Fixture, NULL, setup, test_processes_only_says_so, teardown);
    g_test_add("/engine-cgroup/group/tasks-or-sentence", Fixture, "group", setup, test_tasks_or_sentence, teardown);
    g_test_add("/engine-cgroup/group/memory-or-sentence", Fixture, "group", setup, test_memory_or_sentence, teardown);
    return g_test_run();
}
