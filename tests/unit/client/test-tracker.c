/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for tasks: by signals, by listing again when they left something out, over a restart of the
 * daemon. */

#include "client/tracker.h"

#include "tests/unit/client/fake-manager.h"

typedef struct World {
    Client client;
    Tracker *tracker;
    unsigned ended, failed;
    int last_status;
    bool was_back;
} World;

static void on_ended(const TaskInfo *info, void *userdata)
{
    World *world = userdata;

    world->ended++;
    world->failed += info->state != TASK_SUCCEEDED;
    world->last_status = info->exit_status;
    if (tracker_all_ended(world->tracker))
        (void) sd_event_exit(world->client.event, 0);
}

static FakeManager *world_begin(World *world, uint64_t tasks,
                                void (*after)(FakeManager *fake, const char *method))
{
    FakeManager *fake;

    *world = (World){ .client = { .quiet = true } };
    fake = fake_manager_new(&world->client, after);
    g_assert_cmpint(tracker_new(&world->client, on_ended, world, &world->tracker), ==, 0);
    tracker_add_new(world->tracker, 1, tasks, /* batch= */ 1);
    g_assert_false(tracker_all_ended(world->tracker));
    return fake;
}

static void world_end(World *world, FakeManager *fake)
{
    world->tracker = tracker_free(world->tracker);
    fake_manager_free(fake, &world->client);
}

static bool is(const char *a, const char *b)
{
    return g_strcmp0(a, b) == 0;
}

static void tell_each(FakeManager *fake, const char *method)
{
    if (!is(method, "Subscribe"))
        return;
    fake_manager_task_changed(fake, 2, 1, TASK_RUNNING, 0);
    fake_manager_task_changed(fake, 2, 1, TASK_FAILED, 3);
    fake_manager_task_changed(fake, 2, 1, TASK_FAILED, 3);  /* told twice, counted once */
    fake_manager_task_changed(fake, 77, 9, TASK_FAILED, 9); /* not ours */
    fake_manager_task_changed(fake, 3, 1, TASK_SUCCEEDED, 0);
    fake_manager_task_changed(fake, 1, 1, TASK_SUCCEEDED, 0);
}

static void test_changes(void)
{
    World world;
    FakeManager *fake = world_begin(&world, 3, tell_each);

    g_assert_cmpint(sd_event_loop(world.client.event), ==, 0);
    g_assert_cmpuint(world.ended, ==, 3);
    g_assert_cmpuint(world.failed, ==, 1);
    g_assert_cmpuint(tracker_counts(world.tracker)->succeeded, ==, 2);
    g_assert_cmpuint(tracker_counts(world.tracker)->running, ==, 0);
    g_assert_cmpuint(fake->lists, ==, 0);
    world_end(&world, fake);
}

static void tell_batch(FakeManager *fake, const char *method)
{
    if (is(method, "Subscribe"))
        fake_manager_batch_finished(fake, 1, 100000, 0);
}

static void test_batch_succeeded(void)
{
    World world;
    FakeManager *fake = world_begin(&world, 100000, tell_batch);

    g_assert_cmpint(sd_event_loop(world.client.event), ==, 0);
    g_assert_cmpuint(tracker_counts(world.tracker)->succeeded, ==, 100000);
    g_assert_cmpuint(fake->lists, ==, 0);
    world_end(&world, fake);
}

static void tell_failed_batch(FakeManager *fake, const char *method)
{
    if (!is(method, "Subscribe"))
        return;
    for (uint64_t id = 1; id <= 2500; id++)
        fake->states[id] = id == 2001 ? TASK_FAILED : TASK_SUCCEEDED;
    fake_manager_batch_finished(fake, 1, 2500, 1);
}

/* The end of the batch is told, but not which of them failed: they are listed, a page at a time. */
static void test_batch_with_failures(void)
{
    World world;
    FakeManager *fake = world_begin(&world, 2500, tell_failed_batch);

    g_assert_cmpint(sd_event_loop(world.client.event), ==, 0);
    g_assert_cmpuint(world.failed, ==, 1);
    g_assert_cmpuint(fake->lists, ==, 3);
    world_end(&world, fake);
}

static void restart(FakeManager *fake, const char *method)
{
    static const char bus[] = "org.freedesktop.DBus";

    if (!is(method, "Subscribe") || fake->subscribes > 1)
        return;
    for (uint64_t id = 1; id <= 3; id++)
        fake->states[id] = TASK_SUCCEEDED;
    fake->unknown[4] = true;
    fake_manager_owner_changed(fake, bus, ":1.1", "");
    fake_manager_owner_changed(fake, bus, "", ":1.1");
}

static void on_back(void *userdata)
{
    ((World *) userdata)->was_back = true;
}

/* Subscribed to again, listed again; a task that the daemon does not know any more has failed. */
static void test_restart(void)
{
    World world;
    FakeManager *fake = world_begin(&world, 4, restart);

    tracker_on_daemon_back(world.tracker, on_back);
    g_assert_cmpint(sd_event_loop(world.client.event), ==, 0);
    g_assert_cmpuint(fake->subscribes, ==, 2);
    g_assert_true(world.was_back);
    g_assert_cmpuint(world.ended, ==, 4);
    g_assert_cmpuint(world.failed, ==, 1);
    world_end(&world, fake);
}

static void forge(FakeManager *fake, const char *method)
{
    if (!is(method, "Subscribe"))
        return;
    fake_manager_forged_change(fake, 1, 1);
    fake_manager_owner_changed(fake, ":1.666", ":1.1", ":1.666");
    fake_manager_task_changed(fake, 1, 1, TASK_SUCCEEDED, 0);
}

/* Anyone can send a signal to a connection: only the daemon's are believed. */
static void test_forged(void)
{
    World world;
    FakeManager *fake = world_begin(&world, 1, forge);

    g_assert_cmpint(sd_event_loop(world.client.event), ==, 0);
    g_assert_cmpuint(world.failed, ==, 0);
    world_end(&world, fake);
}

static void test_listed(void)
{
    World world;
    FakeManager *fake = world_begin(&world, 1, NULL);
    g_auto(TaskInfo) info;

    task_info_init(&info);
    info.id = 50;
    info.state = TASK_CANCELLED;
    tracker_add(world.tracker, &info);
    g_assert_cmpuint(world.ended, ==, 1);
    tracker_add(world.tracker, &info);
    g_assert_cmpuint(tracker_counts(world.tracker)->total, ==, 2);
    g_assert_cmpuint(tracker_counts(world.tracker)->cancelled, ==, 1);
    world_end(&world, fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tracker/changes", test_changes);
    g_test_add_func("/tracker/batch-succeeded", test_batch_succeeded);
    g_test_add_func("/tracker/batch-with-failures", test_batch_with_failures);
    g_test_add_func("/tracker/restart", test_restart);
    g_test_add_func("/tracker/forged", test_forged);
    g_test_add_func("/tracker/listed", test_listed);
    return g_test_run();
}
