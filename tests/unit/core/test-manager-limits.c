/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* manager-limits.c and admit.c: limits of what lives already, and the facts that admission is given. */
#include "core/manager-internal.h"
#include "fake-ports.h"

#include <math.h>
#include <string.h>

#define GIB (UINT64_C(1) << 30)

static int set_memory_by(World *world, Worker *worker, uint64_t bytes, bool force, char **ret_why)
{
    WorkerLimits limits = worker->spec->limits;
    g_autofree char *why = NULL;
    int r;

    limits.memory_max_bytes = bytes;
    r = manager_set_worker_limits(world->manager, worker, &limits, force, world_changed, world, &why);
    if (ret_why)
        *ret_why = g_steal_pointer(&why);
    return r;
}

static int set_memory(World *world, Worker *worker, uint64_t bytes, char **ret_why)
{
    return set_memory_by(world, worker, bytes, /* force= */ false, ret_why);
}

static void test_set(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    unsigned n = world->n_worker_changes;

    world->n_done = 0;
    world->not_enforced = "CPUWeight is not enforced";
    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, 0);
    assert_log(world->engine_log, "limits w1 2048");
    g_assert_cmpuint(world->n_done, ==, 0);
    g_assert_cmpint(set_memory(world, worker, 3 * GIB, NULL), ==, -EBUSY);
    world_limits_set(world, 1, 0, NULL);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, ==, 0);
    g_assert_cmpuint(world->n_worker_changes, >, n);
    g_assert_cmpstr(worker->not_enforced[0], ==, "CPUWeight is not enforced");
    fake_store_dispatch(&world->store);
    const WorkerRecord *record = g_hash_table_lookup(world->store.workers, GUINT_TO_POINTER(1));
    g_assert_cmpuint(record->spec->limits.memory_max_bytes, ==, 2 * GIB); /* it outlives the daemon */
    world_limits_set(world, 1, 0, NULL); /* of nobody */
    g_assert_cmpuint(world->n_done, ==, 1);
}

static void test_reverted(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, 0);
    world_limits_set(world, 1, -EIO, "systemd refused");
    g_assert_cmpint(world->done_r, ==, -EIO);
    g_assert_cmpstr(world->answer_reason, ==, "systemd refused");
    g_assert_cmpuint(worker->spec->limits.memory_max_bytes, ==, GIB);
    fake_store_dispatch(&world->store);
    const WorkerRecord *record = g_hash_table_lookup(world->store.workers, GUINT_TO_POINTER(1));
    g_assert_cmpuint(record->spec->limits.memory_max_bytes, ==, GIB);
    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, 0); /* it is free again */
}

static void test_refused(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    g_autofree char *why = NULL;

    world->facts.memory_available_bytes = 3 * GIB; /* 1 kept, 1 still due to this one */
    g_assert_cmpint(set_memory(world, worker, 4 * GIB, &why), ==, -EPERM);
    g_assert_nonnull(strstr(why, "needs 3.0G; 3.0G free, of it 1.0G kept"));
    g_assert_cmpuint(worker->spec->limits.memory_max_bytes, ==, GIB);
    assert_log(world->engine_log, "");
    g_assert_cmpint(set_memory(world, worker, GIB / 2, NULL), ==, 0); /* less is always to be had */
    world_limits_set(world, 1, 0, NULL);
}

/* By force each time: that it was forced once is no licence. */
static void test_forced(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world->facts.memory_available_bytes = 4 * GIB;
    g_assert_cmpint(set_memory_by(world, worker, 2 * GIB, true, NULL), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    g_assert_false(worker->spec->forced); /* there was no need */
    g_assert_cmpint(set_memory_by(world, worker, 40 * GIB, true, NULL), ==, 0);
    world_limits_set(world, 1, -EIO, "no");
    g_assert_false(worker->spec->forced);
    g_assert_cmpint(set_memory_by(world, worker, 40 * GIB, true, NULL), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    g_assert_true(worker->spec->forced);
    g_assert_cmpint(set_memory(world, worker, 80 * GIB, NULL), ==, -EPERM);
}

/* A worker without a limit counts as nothing but what it takes: a limit is judged as that of a new one. */
static void test_after_no_limit(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);
    g_autofree char *why = NULL;

    world->facts.memory_available_bytes = 3 * GIB; /* 1 kept */
    g_assert_cmpint(set_memory(world, worker, LIMIT_INFINITY, NULL), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    g_assert_cmpint(set_memory(world, worker, 4 * GIB, &why), ==, -EPERM);
    g_assert_nonnull(strstr(why, "needs 4.0G; 3.0G free, of it 1.0G kept"));
    g_assert_cmpuint(worker->spec->limits.memory_max_bytes, ==, LIMIT_INFINITY);
    world->usage.memory_bytes = 3 * GIB; /* which nobody has to give it */
    g_assert_cmpint(set_memory(world, worker, 4 * GIB, NULL), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    g_assert_cmpuint(worker->spec->limits.memory_max_bytes, ==, 4 * GIB);
}

/* A worker that runs needs no core more to get memory. */
static void test_no_question_of_cores(World *world, const void *unused)
{
    world->group.cpus = world->engine_groups[0].cpus = world->slices[0].cpus = 1;
    world->facts.cores = world->facts.cpus = 1;
    Worker *worker = world_running_worker(world, 1);
    manager_set_max_workers(world->manager, 1);
    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, 0);
}

static void test_vanishes(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world->n_done = 0;
    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, 0);
    world_gone(world, 1, "killed by signal 9");
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(world->done_r, ==, -ECANCELED);
    world_limits_set(world, 1, 0, NULL);
    world_limits_set(world, 7, 0, NULL);
    g_assert_cmpuint(world->n_done, ==, 1);
    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, -EALREADY);
}

/* More room is used at once, by what waits for it. */
static void test_more_room(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    world_submit_limited(world, 600);
    world_submit_limited(world, 600);
    world_forget_logs(world);
    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    assert_log(world->link_log, "run w1 2.1");
}

/* Less than is taken already: nothing more is given, and nothing breaks. */
static void test_less_than_taken(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 3);

    world_submit_limited(world, 900);
    world_forget_logs(world);
    g_assert_cmpint(set_memory(world, worker, GIB / 2, NULL), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    world_submit_limited(world, 100);
    assert_log(world->link_log, "");
    assert_log(world->news_log, "");
    world_submit_limited(world, 600);
    world_end(world, worker, 1, OUTCOME_EXITED);
    assert_log(world->link_log, "run w1 2.1");
    assert_log(world->news_log, "3 unplaceable: needs 600.0M of memory; the worker has 512.0M");
}

/* ---- of tasks */

static void limit_task(World *world, uint64_t task, uint64_t memory_mib)
{
    const TaskLimits limits = { .set_memory = true, .memory_max_bytes = memory_mib << 20 };

    manager_set_task_limits(world->manager, world_filter_ids(task, task), UID_ANYBODY, &limits, world_limited, world);
    fake_store_dispatch(&world->store);
}

static void test_running_task(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);

    world_submit_limited(world, 900);
    world_submit_limited(world, 600);
    world_started(world, worker, 1);
    fake_store_dispatch(&world->store);
    world_forget_logs(world);
    limit_task(world, 1, 400);
    assert_log(world->link_log, "limit w1 1 memory 400");
    manager_task_limited(world->manager, worker, 1, NULL);
    g_assert_cmpuint(world->done_count, ==, 1);
    assert_log(world->link_log, "run w1 2.1"); /* its room is there for others */
    world->store.fail = -ENOSPC;
    limit_task(world, 1, 300);
    g_assert_cmpint(world->done_r, ==, -ENOSPC);
    g_assert_cmpuint(world->done_count, ==, 0);
    assert_log(world->link_log, "");
}

/* With a worker and not started: it is asked for back, and goes out with the new limit. */
static void submit_with_cpus(World *world, uint64_t milli)
{
    TaskSpec *spec = world_task(1000, 0);

    spec->context->demand.cpu_quota_usec_per_sec = milli * 1000;
    spec->context->demand.tasks_max = milli;
    world_submit_one(world, spec);
}

/* Of these, too, what it has now is counted. */
static void test_running_task_cpu(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 2);
    const TaskLimits limits = { .set_cpu = true, .set_tasks = true, .cpu_quota_usec_per_sec = 400000, .tasks_max = 400 };

    worker->spec->limits.cpu_quota_usec_per_sec = USEC_PER_SEC;
    worker->spec->limits.tasks_max = 1000;
    submit_with_cpus(world, 900);
    submit_with_cpus(world, 600);
    world_started(world, worker, 1);
    fake_store_dispatch(&world->store);
    world_forget_logs(world);
    manager_set_task_limits(world->manager, world_filter_ids(1, 1), UID_ANYBODY, &limits, world_limited, world);
    fake_store_dispatch(&world->store);
    manager_task_limited(world->manager, worker, 1, NULL);
    g_autofree char *log = world_take(world->link_log);
    g_assert_nonnull(strstr(log, "run w1 2.1"));
}

static void test_task_ahead(World *world, const void *unused)
{
    Worker *worker = world_running_worker(world, 1);

    world_submit_limited(world, 900);
    world_forget_logs(world);
    limit_task(world, 1, 400);
    assert_log(world->link_log, "recall w1 1");
    manager_tasks_given_back(world->manager, worker, &(uint64_t){ 1 }, 1);
    fake_store_dispatch(&world->store);
    assert_log(world->link_log, "run w1 1.2");
    g_assert_cmpuint(task_spec_memory(manager_find_active(world->manager, 1)->spec), ==, 400 << 20);
}

/* ---- the facts of admission */

static void test_committed(World *world, const void *unused)
{
    ManagerStatus status;

    world_running_worker_of(world, 1, 1000);
    g_assert_cmpint(world_add(world, world_spec(1), NULL), ==, ADMITTED);
    world->usage.memory_bytes = GIB / 4;
    manager_status(world->manager, &status);
    g_assert_cmpuint(status.admission.committed_bytes, ==, 2 * (GIB - GIB / 4));
    world->usage.memory_bytes = UINT64_MAX;
    manager_status(world->manager, &status);
    g_assert_cmpuint(status.admission.committed_bytes, ==, 2 * GIB);
    world->usage.memory_bytes = 2 * GIB; /* over its limit: nothing is due to it */
    manager_status(world->manager, &status);
    g_assert_cmpuint(status.admission.committed_bytes, ==, 0);
    g_assert_cmpfloat(status.admission.cores_taken, ==, 2);
}

static void test_user_share(World *world, const void *unused)
{
    g_autofree char *why = NULL;

    world->settings.max_user_workers = 1;
    manager_reload(world->manager, &world->settings);
    world_running_worker_of(world, 1, 1000);
    world_running_worker_of(world, 1, 1001);
    world_running_worker(world, 1);
    WorkerSpec *spec = world_spec(1);
    spec->user = 1000;
    spec->forced = true;
    g_assert_cmpint(world_add(world, spec, &why), ==, REFUSED_USER_SHARE);
    world_running_worker(world, 1);
}

static WorkerSpec *private_spec(uint64_t bytes)
{
    WorkerSpec *spec = world_spec(1);

    spec->user = 1000;
    spec->forced = true;
    spec->limits.memory_max_bytes = bytes;
    return spec;
}

/* Of a user's workers together, whatever they use; others are not asked, and force does not help. */
static void test_user_memory(World *world, const void *unused)
{
    g_autofree char *why = NULL, *unlimited = NULL, *grown = NULL;

    world->settings.max_user_memory_bytes = 3 * GIB;
    manager_reload(world->manager, &world->settings);
    world->usage.memory_bytes = 0;
    Worker *worker = world_running_worker_with(world, private_spec(GIB));
    world_running_worker_of(world, 1, 1001);
    world_running_worker(world, 1);
    g_assert_cmpint(world_add(world, private_spec(5 * GIB / 2), &why), ==, REFUSED_USER_MEMORY);
    g_assert_cmpstr(why, ==, "needs 2.5G; the private workers of this user may have 3.0G in all, and 1.0G of it is promised");
    g_assert_cmpint(world_add(world, private_spec(LIMIT_INFINITY), &unlimited), ==, REFUSED_USER_MEMORY);
    world_running_worker_with(world, private_spec(GIB));
    g_assert_cmpint(set_memory_by(world, worker, 3 * GIB, true, &grown), ==, -EPERM);
    g_assert_cmpstr(grown, ==, "needs 2.0G; the private workers of this user may have 3.0G in all, and 2.0G of it is promised");
    g_assert_cmpint(set_memory_by(world, worker, LIMIT_INFINITY, true, NULL), ==, -EPERM);
    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, 0);
    world_limits_set(world, 1, 0, NULL);
    worker->spec->limits.memory_max_bytes = LIMIT_INFINITY; /* it was there before there was a cap */
    g_assert_cmpint(set_memory(world, worker, 5 * GIB / 2, NULL), ==, -EPERM);
    g_assert_cmpint(set_memory(world, worker, 2 * GIB, NULL), ==, 0);
}

static void test_cores_sentence(World *world, const void *unused)
{
    g_autofree char *why = NULL, *smt = NULL;

    world->facts.cores = 1;
    world->facts.cpus = 2;
    world_running_worker(world, 1);
    g_assert_cmpint(world_add(world, world_spec(1), &why), ==, REFUSED_CORES);
    g_assert_cmpstr(why, ==, "needs 1 core; of 1 physical core, 1 taken; UseSMT=yes would count 2 hardware threads");
    world->settings.use_smt = true;
    manager_reload(world->manager, &world->settings);
    world_running_worker(world, 1);
    g_assert_cmpint(world_add(world, world_spec(1), &smt), ==, REFUSED_CORES);
    g_assert_cmpstr(smt, ==, "needs 1 core; of 2 hardware threads, 2 taken");
}

static WorkerSpec *spec_of(uint32_t user)
{
    WorkerSpec *spec = world_spec(1);

    spec->user = user;
    return spec;
}

/* What a user's slice has room for is nobody else's, and others do not take it away. */
static void test_slices(World *world, const void *unused)
{
    g_autofree char *memory = NULL, *cpus = NULL, *shared = NULL;

    world->slices[1] = (HostGroup){ .free_bytes = 2 * GIB, .cpus = INFINITY };
    for (unsigned i = 0; i < 3; i++)
        world_running_worker(world, 1);
    world->usage.memory_bytes = GIB / 4;
    world_running_worker_of(world, 1, 1000);
    world_running_worker_of(world, 1, 1001);
    g_assert_cmpint(world_add(world, spec_of(1000), NULL), ==, ADMITTED);
    g_assert_cmpint(world_add(world, spec_of(1000), &memory), ==, REFUSED_MEMORY);
    g_assert_cmpstr(memory, ==, "needs 1.0G; 2.0G free below the limits of the cgroups above the workers, of it 1.5G still "
                                "due to running workers");
    world->slices[1] = (HostGroup){ .free_bytes = UINT64_MAX, .cpus = 1.5 };
    g_assert_cmpint(world_add(world, spec_of(1001), &cpus), ==, REFUSED_CORES);
    g_assert_cmpstr(cpus, ==, "needs 1 core; of the 1.5 that the cgroups above the workers allow, 1 taken");
    g_assert_cmpint(world_add(world, spec_of(1002), NULL), ==, ADMITTED);
    world->slices[0].free_bytes = 2 * GIB;
    g_assert_cmpint(world_add(world, world_spec(1), &shared), ==, REFUSED_MEMORY);
    g_assert_nonnull(strstr(shared, "of it 2.2G still due")); /* to the three shared ones */
}

/* Workers of another engine are not below the group of this one. */
static void test_engine_groups(World *world, const void *unused)
{
    g_autofree char *why = NULL, *other = NULL, *all = NULL;
    WorkerSpec *spec = world_spec(1), *second = world_spec(1);

    world->manager->ports.engines[ENGINE_CGROUP] = &world->engine;
    world->engine_groups[ENGINE_SYSTEMD].free_bytes = world->engine_groups[ENGINE_CGROUP].free_bytes = GIB;
    world->usage.memory_bytes = 0;
    world_running_worker(world, 1);
    g_assert_cmpint(world_add(world, world_spec(1), &why), ==, REFUSED_MEMORY);
    g_assert_nonnull(strstr(why, "of it 1.0G still due"));
    spec->engine = second->engine = ENGINE_CGROUP;
    g_assert_cmpint(world_add(world, spec, NULL), ==, ADMITTED);
    second->user = 1000;
    g_assert_cmpint(world_add(world, second, &other), ==, REFUSED_MEMORY);
    g_assert_nonnull(strstr(other, "1.0G free"));
    g_assert_nonnull(strstr(other, "of it 1.0G still due"));
    world->engine_groups[ENGINE_SYSTEMD].free_bytes = 8 * GIB;
    world->group.free_bytes = 2 * GIB; /* where all of them are */
    g_assert_cmpint(world_add(world, world_spec(1), &all), ==, REFUSED_MEMORY);
    g_assert_nonnull(strstr(all, "of it 2.0G still due"));
    world->group.free_bytes = 3 * GIB;
    g_assert_cmpint(world_add(world, world_spec(1), NULL), ==, ADMITTED);
}

static void test_slice_in_status(World *world, const void *unused)
{
    ManagerStatus status;

    world->slices[0] = (HostGroup){ .free_bytes = 3 * GIB, .cpus = INFINITY };
    world->slices[1] = (HostGroup){ .free_bytes = 0, .cpus = 0.1 };
    manager_status(world->manager, &status);
    g_assert_cmpuint(status.admissible, ==, 3);
    g_assert_cmpstr(status.binding, ==, "cgroup-memory");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/manager-limits/set", test_set);
    WORLD_TEST("/manager-limits/reverted", test_reverted);
    WORLD_TEST("/manager-limits/refused", test_refused);
    WORLD_TEST("/manager-limits/forced", test_forced);
    WORLD_TEST("/manager-limits/after-no-limit", test_after_no_limit);
    WORLD_TEST("/manager-limits/no-question-of-cores", test_no_question_of_cores);
    WORLD_TEST("/manager-limits/vanishes", test_vanishes);
    WORLD_TEST("/manager-limits/more-room", test_more_room);
    WORLD_TEST("/manager-limits/less-than-taken", test_less_than_taken);
    WORLD_TEST("/manager-limits/running-task", test_running_task);
    WORLD_TEST("/manager-limits/running-task-cpu", test_running_task_cpu);
    WORLD_TEST("/manager-limits/task-ahead", test_task_ahead);
    WORLD_TEST("/manager-limits/committed", test_committed);
    WORLD_TEST("/manager-limits/user-share", test_user_share);
    WORLD_TEST("/manager-limits/user-memory", test_user_memory);
    WORLD_TEST("/manager-limits/cores-sentence", test_cores_sentence);
    WORLD_TEST("/manager-limits/slices", test_slices);
    WORLD_TEST("/manager-limits/engine-groups", test_engine_groups);
    WORLD_TEST("/manager-limits/slice-in-status", test_slice_in_status);
    return g_test_run();
}
