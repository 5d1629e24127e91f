/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* engine-systemd.c, scope-start.c and systemd1.c against a fake systemd: what is asked of it, and what becomes of a
 * worker when it refuses, fails, is late or says nothing. That a scope really comes up is tested at the system level. */
#include "engine/engine-systemd.h"
#include "engine-fixture.h"
#include "fake-systemd1.h"

#include <signal.h>
#include <stdio.h>

#define TIMEOUT_USEC (200 * USEC_PER_MSEC)

typedef struct Fixture {
    EngineFixture base;
    FakeSystemd1 fake;
    EnginePort *engine;
} Fixture;

static void setup(Fixture *fixture, const void *data)
{
    EngineFixture *base = &fixture->base;

    engine_fixture_init(base);
    engine_fixture_program(base, "echo ran");
    base->options.timeout_usec = TIMEOUT_USEC;
    fake_systemd1_init(&fixture->fake, base->event);
    g_assert_cmpint(engine_systemd_new(fixture->fake.client, base->event, &base->options, &base->events, &fixture->engine),
                    ==, 0);
}

static void teardown(Fixture *fixture, const void *data)
{
    engine_systemd_free(fixture->engine);
    fake_systemd1_done(&fixture->fake);
    engine_fixture_done(&fixture->base);
}

/* The child that was launched last. */
static int32_t held_pid(Fixture *fixture)
{
    const char *pid = fake_systemd1_property(&fixture->fake, "PIDs");

    g_assert_nonnull(pid);
    return (int32_t) g_ascii_strtoll(pid, NULL, 10);
}

static void start(Fixture *fixture, uint32_t number)
{
    unsigned before = fixture->fake.n_starts;

    engine_fixture_start(&fixture->base, fixture->engine, number);
    g_assert_cmpuint(fixture->base.n_started, ==, 0); /* never from inside the call */
    fixture_run_until(&fixture->base, fixture->fake.n_starts > before);
}

static void expect_failure(Fixture *fixture, const char *why)
{
    EngineFixture *base = &fixture->base;

    fixture_run_until(base, base->n_started == 1);
    g_assert_cmpint(base->r, <, 0);
    g_assert_cmpstr(base->why, ==, why);
    g_assert_cmpint(base->process.pid, ==, 0);
    g_assert_false(process_lives(held_pid(fixture)));
    engine_fixture_run_for(base, 20000);
    g_assert_cmpuint(base->n_started, ==, 1);
    g_assert_cmpuint(base->n_gone, ==, 0);
}

/* ---- what is asked ---- */

static void test_properties(Fixture *fixture, const void *data)
{
    WorkerLimits *limits = &fixture->base.spec->limits;
    const struct {
        const char *name, *value;
    } expected[] = {
        { "Description", "parexec worker w5" }, { "Slice", "parexec-shared.slice" },
        { "Delegate", "yes" },                  { "CollectMode", "inactive-or-failed" },
        { "TimeoutStopUSec", "2000000" },       { "OOMPolicy", "continue" },
        { "MemoryMax", "268435456" },           { "MemorySwapMax", "0" },
        { "MemoryHigh", "201326592" },          { "CPUQuotaPerSecUSec", "1500000" },
        { "CPUWeight", "50" },                  { "TasksMax", "99" },
        { "AllowedCPUs", "0d01" },              { "AllowedMemoryNodes", "02" },
        { "IOWeight", "300" },
    };

    limits->memory_max_bytes = UINT64_C(256) << 20;
    limits->memory_high_bytes = UINT64_C(192) << 20;
    limits->cpu_quota_usec_per_sec = 1500000;
    limits->cpu_weight = 50;
    limits->tasks_max = 99;
    limits->allowed_cpus = g_strdup("0,2-3,8");
    limits->allowed_memory_nodes = g_strdup("1");
    limits->io_weight = 300;
    start(fixture, 5);
    g_assert_cmpstr(fixture->fake.unit, ==, "parexec-w5.scope");
    g_assert_cmpuint(fixture->fake.n_subscribes, ==, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_cmpstr(fake_systemd1_property(&fixture->fake, expected[i].name), ==, expected[i].value);
    g_assert_true(process_lives(held_pid(fixture)));
    g_assert_cmpuint(g_hash_table_size(fixture->fake.properties), ==, G_N_ELEMENTS(expected) + 1 /* PIDs */);
}

static void test_unlimited(Fixture *fixture, const void *data)
{
    start(fixture, 5);
    /* Description, Slice, PIDs, Delegate, CollectMode, TimeoutStopUSec, OOMPolicy */
    g_assert_cmpuint(g_hash_table_size(fixture->fake.properties), ==, 7);
}

static void test_slice_of_user(Fixture *fixture, const void *data)
{
    fixture->base.spec->user = 1000;
    start(fixture, 5);
    g_assert_cmpstr(fake_systemd1_property(&fixture->fake, "Slice"), ==, "parexec-u1000.slice");
}

/* ---- limits that change ---- */

static void set_limits(Fixture *fixture, uint32_t number)
{
    unsigned before = fixture->base.n_limits_set;

    fixture->engine->set_limits(fixture->engine, number, fixture->base.spec);
    g_assert_cmpuint(fixture->base.n_limits_set, ==, before); /* never from inside the call */
    fixture_run_until(&fixture->base, fixture->base.n_limits_set > before);
}

static void expect_properties(Fixture *fixture, const char *const (*expected)[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        g_assert_cmpstr(fake_systemd1_property(&fixture->fake, expected[i][0]), ==, expected[i][1]);
    g_assert_cmpuint(g_hash_table_size(fixture->fake.properties), ==, n);
}

static void test_set_limits(Fixture *fixture, const void *data)
{
    WorkerLimits *limits = &fixture->base.spec->limits;
    static const char *const changed[][2] = {
        { "MemoryMax", "134217728" }, { "MemorySwapMax", "0" }, { "CPUWeight", "18446744073709551615" },
        { "AllowedCPUs", "" },        { "TasksMax", "70" },
    };
    static const char *const lifted[][2] = {
        { "MemoryMax", "18446744073709551615" },
        { "MemorySwapMax", "18446744073709551615" },
        { "TasksMax", "18446744073709551615" },
    };

    limits->memory_max_bytes = UINT64_C(256) << 20;
    limits->cpu_weight = 50;
    limits->allowed_cpus = g_strdup("0");
    start(fixture, 5);
    limits->memory_max_bytes = UINT64_C(128) << 20;
    limits->cpu_weight = 0;
    limits->tasks_max = 70;
    g_clear_pointer(&limits->allowed_cpus, g_free);
    set_limits(fixture, 5);
    g_assert_true(fake_systemd1_was_asked(&fixture->fake, "SetUnitProperties parexec-w5.scope"));
    g_assert_cmpint(fixture->base.r, ==, 0);
    g_assert_null(fixture->base.why);
    expect_properties(fixture, changed, G_N_ELEMENTS(changed)); /* what never was limited is not said */

    worker_limits_done(limits);
    worker_limits_init(limits);
    set_limits(fixture, 5);
    expect_properties(fixture, lifted, G_N_ELEMENTS(lifted));
    set_limits(fixture, 5);
    g_assert_cmpuint(g_hash_table_size(fixture->fake.properties), ==, 0);
}

static void test_set_limits_refused(Fixture *fixture, const void *data)
{
    static const char *const lifted[][2] = { { "TasksMax", "18446744073709551615" } };

    fixture->base.spec->limits.tasks_max = 60;
    start(fixture, 5);
    fixture->base.spec->limits.tasks_max = LIMIT_INFINITY;
    fixture->fake.set_refusal = "Value specified in TasksMax is out of range";
    set_limits(fixture, 5);
    g_assert_cmpint(fixture->base.r, <, 0);
    g_assert_cmpstr(fixture->base.why, ==, "systemd refused to set the limits of parexec-w5.scope: "
                                           "Value specified in TasksMax is out of range");
    fixture->fake.set_refusal = NULL;
    set_limits(fixture, 5); /* it had them still */
    expect_properties(fixture, lifted, G_N_ELEMENTS(lifted));
}

/* Two calls at once: the second is not to build upon what the first may or may not have done. */
static void test_set_limits_twice(Fixture *fixture, const void *data)
{
    start(fixture, 5);
    fixture->base.spec->limits.tasks_max = 60;
    fixture->engine->set_limits(fixture->engine, 5, fixture->base.spec);
    fixture->base.spec->limits.tasks_max = LIMIT_INFINITY;
    set_limits(fixture, 5);
    g_assert_cmpstr(fake_systemd1_property(&fixture->fake, "TasksMax"), ==, "18446744073709551615");
    engine_fixture_run_for(&fixture->base, 20000);
    g_assert_cmpuint(fixture->base.n_limits_set, ==, 1); /* answered as one */
    g_assert_cmpint(fixture->base.r, ==, 0);
}

/* ---- what can go wrong ---- */

static void test_refused(Fixture *fixture, const void *data)
{
    fixture->fake.refusal = "Interactive authentication required.";
    start(fixture, 1);
    expect_failure(fixture, "systemd refused to start parexec-w1.scope: Interactive authentication required.");
    g_assert_false(process_is_zombie(held_pid(fixture)));
}

static void test_job_failed(Fixture *fixture, const void *data)
{
    start(fixture, 1);
    fake_systemd1_job_removed(&fixture->fake, "failed");
    expect_failure(fixture, "systemd could not start parexec-w1.scope: the job ended as \"failed\"");
    g_assert_false(process_is_zombie(held_pid(fixture)));
}

/* The fake cannot move a process: that it is elsewhere must be seen. */
static void test_not_in_scope(Fixture *fixture, const void *data)
{
    start(fixture, 1);
    fake_systemd1_job_removed(&fixture->fake, "done");
    expect_failure(fixture, "systemd says that parexec-w1.scope is up, but the worker's process is not in it");
    fixture_run_until(&fixture->base, fake_systemd1_was_asked(&fixture->fake, "StopUnit parexec-w1.scope"));
}

static void test_other_job(Fixture *fixture, const void *data)
{
    start(fixture, 1);
    fixture->fake.n_starts += 100; /* someone else's job, even for this unit */
    fake_systemd1_job_removed(&fixture->fake, "failed");
    engine_fixture_run_for(&fixture->base, 50000);
    g_assert_cmpuint(fixture->base.n_started, ==, 0);
    g_assert_true(process_lives(held_pid(fixture)));
}

static void test_dies_before_job(Fixture *fixture, const void *data)
{
    start(fixture, 1);
    g_assert_cmpint(kill(held_pid(fixture), SIGTERM), ==, 0);
    expect_failure(fixture, "the worker's process ended before parexec-w1.scope was ready: killed by signal TERM");

    /* systemd says "done" of a dead process: its scope would stay for ever */
    g_assert_false(fake_systemd1_was_asked(&fixture->fake, "StopUnit parexec-w1.scope"));
    g_assert_true(process_is_zombie(held_pid(fixture)));
    fake_systemd1_job_removed(&fixture->fake, "done");
    fixture_run_until(&fixture->base, fake_systemd1_was_asked(&fixture->fake, "StopUnit parexec-w1.scope"));
    g_assert_false(process_is_zombie(held_pid(fixture)));
}

static void test_no_answer(Fixture *fixture, const void *data)
{
    fixture->fake.mute = true;
    start(fixture, 1);
    expect_failure(fixture, "systemd did not answer about parexec-w1.scope within 200ms");

    /* the number must not become another's while systemd may still look at it */
    g_assert_true(process_is_zombie(held_pid(fixture)));
    fake_systemd1_answer(&fixture->fake);
    fake_systemd1_job_removed(&fixture->fake, "done");
    fixture_run_until(&fixture->base, !process_is_zombie(held_pid(fixture)));
    fixture_run_until(&fixture->base, fake_systemd1_was_asked(&fixture->fake, "StopUnit parexec-w1.scope"));
}

static void test_no_job_end(Fixture *fixture, const void *data)
{
    start(fixture, 1);
    expect_failure(fixture, "systemd did not finish starting parexec-w1.scope within 200ms");
    g_assert_true(process_is_zombie(held_pid(fixture)));
    fake_systemd1_job_removed(&fixture->fake, "done");
    fixture_run_until(&fixture->base, !process_is_zombie(held_pid(fixture)));
}

/* ---- names that are taken, properties that are not known ---- */

static void test_failed_unit_exists(Fixture *fixture, const void *data)
{
    g_hash_table_add(fixture->fake.taken, g_strdup("parexec-w1.scope"));
    fixture->fake.failed_are_freed = true;
    start(fixture, 1);
    fixture_run_until(&fixture->base, fixture->fake.n_starts == 2);
    g_assert_true(fake_systemd1_was_asked(&fixture->fake, "ResetFailedUnit parexec-w1.scope"));
    g_assert_cmpstr(fixture->fake.unit, ==, "parexec-w1.scope");
    g_assert_true(process_lives(held_pid(fixture)));
}

static void test_live_unit_exists(Fixture *fixture, const void *data)
{
    g_hash_table_add(fixture->fake.taken, g_strdup("parexec-w1.scope"));
    g_hash_table_add(fixture->fake.taken, g_strdup("parexec-w1-2.scope"));
    start(fixture, 1);
    fixture_run_until(&fixture->base, fixture->fake.n_starts == 4);
    g_assert_cmpstr(fixture->fake.unit, ==, "parexec-w1-3.scope");
    engine_fixture_run_for(&fixture->base, 20000); /* the reply */
    fake_systemd1_job_removed(&fixture->fake, "done");
    expect_failure(fixture, "systemd says that parexec-w1-3.scope is up, but the worker's process is not in it");
    g_assert_false(fake_systemd1_was_asked(&fixture->fake, "StopUnit parexec-w1.scope"));
}

static void test_every_name_taken(Fixture *fixture, const void *data)
{
    for (unsigned i = 1; i <= 20; i++) {
        g_autofree char *suffix = i == 1 ? g_strdup("") : g_strdup_printf("-%u", i);
        g_hash_table_add(fixture->fake.taken, g_strdup_printf("parexec-w1%s.scope", suffix));
    }
    start(fixture, 1);
    expect_failure(fixture, "systemd refused to start parexec-w1-10.scope: Unit parexec-w1-10.scope already exists.");
}

static void test_oom_policy_unknown(Fixture *fixture, const void *data)
{
    fixture->fake.knows_oom_policy = false;
    start(fixture, 1);
    fixture_run_until(&fixture->base, fixture->fake.n_starts == 2);
    g_assert_null(fake_systemd1_property(&fixture->fake, "OOMPolicy"));
    g_assert_nonnull(fake_systemd1_property(&fixture->fake, "Delegate"));
    engine_fixture_run_for(&fixture->base, 20000); /* the reply, which is remembered */

    start(fixture, 2);
    engine_fixture_run_for(&fixture->base, 20000);
    g_assert_cmpuint(fixture->fake.n_starts, ==, 3);
    g_assert_cmpstr(fixture->fake.unit, ==, "parexec-w2.scope");
}

/* ---- kill ---- */

static void expect_gone(Fixture *fixture, const char *why)
{
    EngineFixture *base = &fixture->base;

    g_assert_cmpuint(base->n_gone, ==, 0);
    fixture_run_until(base, base->n_gone == 1);
    g_assert_cmpstr(base->why, ==, why);
    engine_fixture_run_for(base, 20000);
    g_assert_cmpuint(base->n_gone, ==, 1);
    g_assert_cmpuint(base->n_started, ==, 0);
}

static void test_kill_without_answer(Fixture *fixture, const void *data)
{
    fixture->fake.mute = true;
    start(fixture, 1);
    fixture->engine->kill(fixture->engine, 1);
    expect_gone(fixture, "killed by signal KILL");
    fixture->engine->release(fixture->engine, 1);

    g_assert_true(process_is_zombie(held_pid(fixture)));
    fake_systemd1_answer(&fixture->fake);
    fake_systemd1_job_removed(&fixture->fake, "done");
    fixture_run_until(&fixture->base, fake_systemd1_was_asked(&fixture->fake, "StopUnit parexec-w1.scope"));
    g_assert_false(process_is_zombie(held_pid(fixture)));
}

static void test_kill_before_job(Fixture *fixture, const void *data)
{
    start(fixture, 1);
    fixture->engine->kill(fixture->engine, 1);
    fixture->engine->kill(fixture->engine, 1);
    expect_gone(fixture, "killed by signal KILL");
    fake_systemd1_job_removed(&fixture->fake, "failed");
    engine_fixture_run_for(&fixture->base, 20000);
    g_assert_cmpuint(fixture->base.n_started, ==, 0);
    g_assert_false(process_is_zombie(held_pid(fixture)));
}

/* The engine goes while a worker is only starting: the child is not to stay. */
static void test_freed_while_starting(Fixture *fixture, const void *data)
{
    start(fixture, 1);
    int32_t pid = held_pid(fixture);
    g_assert_true(process_lives(pid));
    fixture->engine = engine_systemd_free(fixture->engine);
    fixture_run_until(&fixture->base, !process_lives(pid));
}

static void test_no_log_directory(Fixture *fixture, const void *data)
{
    g_autofree char *path = g_build_filename(fixture->base.directory, "worker", NULL);

    g_assert_true(g_file_set_contents(path, "a file is in the way", -1, NULL));
    engine_fixture_start(&fixture->base, fixture->engine, 1);
    g_assert_cmpuint(fixture->base.n_started, ==, 0);
    fixture_run_until(&fixture->base, fixture->base.n_started == 1);
    g_assert_cmpint(fixture->base.r, ==, -ENOTDIR);
    g_assert_cmpstr(fixture->base.why, ==, "cannot make the worker's process: Not a directory");
}

/* ---- adopt ---- */

static void test_adopt_missing(Fixture *fixture, const void *data)
{
    WorkerProcess process = { .pid = getpid(), .start_time = 1 }; /* a number that is another's */

    fixture->engine->adopt(fixture->engine, 3, &process);
    expect_gone(fixture, "not found after the restart of the daemon");
    g_assert_true(fake_systemd1_was_asked(&fixture->fake, "Get /org/freedesktop/systemd1/unit/parexec_2dw3_2escope"));
}

static void test_adopt_without_group(Fixture *fixture, const void *data)
{
    WorkerProcess process = { .pid = 1, .start_time = 1, .unit = (char *) "parexec-w3-2.scope",
                              .control_group = (char *) "/parexec.slice/parexec-w3-2.scope" };

    fixture->engine->adopt(fixture->engine, 3, &process);
    expect_gone(fixture, "not found after the restart of the daemon");
    g_assert_true(fake_systemd1_was_asked(&fixture->fake, "StopUnit parexec-w3-2.scope"));
}

/* What a record or systemd says of a group is only believed where it ends in the unit's name. */
static void test_adopt_foreign_group(Fixture *fixture, const void *data)
{
    WorkerProcess process = { 0 };

    fixture->fake.control_group = g_strdup("/");
    fixture->engine->adopt(fixture->engine, 3, &process);
    expect_gone(fixture, "not found after the restart of the daemon");
}

static void test_unknown_worker(Fixture *fixture, const void *data)
{
    EngineUsage usage;

    fixture->engine->kill(fixture->engine, 9);
    fixture->engine->release(fixture->engine, 9);
    g_assert_false(fixture->engine->owns(fixture->engine, 9, getpid()));
    fixture->engine->usage(fixture->engine, 9, &usage);
    g_assert_cmpuint(usage.memory_bytes, ==, UINT64_MAX);
    fixture->engine->set_limits(fixture->engine, 9, fixture->base.spec);
    g_auto(GStrv) sentences = fixture->engine->not_enforced(fixture->engine, 9, fixture->base.spec);
    g_assert_cmpuint(g_strv_length(sentences), ==, 0);
}

static void add(const char *path, void (*test)(Fixture *fixture, const void *data))
{
    g_test_add(path, Fixture, NULL, setup, test, teardown);
}

int main(int argc, char **argv)
{
    if (cgroups_init() < 0) {
        puts("1..0 # SKIP no cgroup hierarchy is mounted");
        return 0;
    }
    g_test_init(&argc, &argv, NULL);
    add("/engine-systemd/properties", test_properties);
    add("/engine-systemd/unlimited", test_unlimited);
    add("/engine-systemd/slice-of-user", test_slice_of_user);
    add("/engine-systemd/set-limits", test_set_limits);
    add("/engine-systemd/set-limits-refused", test_set_limits_refused);
    add("/engine-systemd/set-limits-twice", test_set_limits_twice);
    add("/engine-systemd/refused", test_refused);
    add("/engine-systemd/job-failed", test_job_failed);
    add("/engine-systemd/not-in-scope", test_not_in_scope);
    add("/engine-systemd/other-job", test_other_job);
    add("/engine-systemd/dies-before-job", test_dies_before_job);
    add("/engine-systemd/no-answer", test_no_answer);
    add("/engine-systemd/no-job-end", test_no_job_end);
    add("/engine-systemd/failed-unit-exists", test_failed_unit_exists);
    add("/engine-systemd/live-unit-exists", test_live_unit_exists);
    add("/engine-systemd/every-name-taken", test_every_name_taken);
    add("/engine-systemd/oom-policy-unknown", test_oom_policy_unknown);
    add("/engine-systemd/kill-without-answer", test_kill_without_answer);
    add("/engine-systemd/kill-before-job", test_kill_before_job);
    add("/engine-systemd/freed-while-starting", test_freed_while_starting);
    add("/engine-systemd/no-log-directory", test_no_log_directory);
    add("/engine-systemd/adopt-missing", test_adopt_missing);
    add("/engine-systemd/adopt-without-group", test_adopt_without_group);
    add("/engine-systemd/adopt-foreign-group", test_adopt_foreign_group);
    add("/engine-systemd/unknown-worker", test_unknown_worker);
    return g_test_run();
}
