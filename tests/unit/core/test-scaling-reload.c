/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scale-wish.c: what counts, the wish or the configuration, when that is read again; and what a profile gives. */
#include "fake-ports.h"

#include <string.h>

#define GIB (UINT64_C(1) << 30)
#define MINUTE (60 * USEC_PER_SEC)

/* Reads a configuration again that has this Active=. */
static void reload(World *world, const char *active)
{
    g_free(world->settings.profile);
    world->settings.profile = g_strdup(active);
    manager_reload(world->manager, &world->settings);
    fake_store_dispatch(&world->store);
}

static void reload_same(World *world)
{
    g_autofree char *active = g_strdup(world->settings.profile);

    reload(world, active);
}

static void scale(World *world, uint32_t target)
{
    g_assert_cmpint(manager_scale(world->manager, target, world_done, world), ==, 0);
    fake_store_dispatch(&world->store);
}

static void use_profile(World *world, const char *name)
{
    g_assert_cmpint(manager_set_profile(world->manager, name, world_done, world), ==, 0);
    fake_store_dispatch(&world->store);
}

static void use_autoscale(World *world, bool automatic)
{
    manager_set_autoscale(world->manager, automatic, world_done, world);
    fake_store_dispatch(&world->store);
}

static const char *wish(World *world, const char *key)
{
    return g_hash_table_lookup(world->store.wishes, key);
}

static uint32_t target(World *world)
{
    return manager_scale_target(world->manager);
}

#define assert_profile(world, name) g_assert_cmpstr(manager_profile((world)->manager), ==, name)

/* Another configuration of the profiles: the built-in ones, and "night" with so many workers (0: not there). */
static void define_night(World *world, uint32_t workers)
{
    g_clear_pointer(&world->settings.profiles, g_ptr_array_unref);
    world->settings.profiles = profiles_new();
    if (workers == 0)
        return;
    Profile *night = g_memdup2(profile_find(world->settings.profiles, "conservative"), sizeof *night);
    night->name = g_strdup("night");
    night->workers = workers;
    g_ptr_array_add(world->settings.profiles, night);
}

/* ---- Active= */

static void test_active(World *world, const void *unused)
{
    unsigned before = world->n_settings_changes;

    world_advance(world, USEC_PER_SEC);
    reload(world, "conservative");
    assert_profile(world, "conservative");
    g_assert_cmpuint(target(world), ==, 2);
    g_assert_cmpuint(manager_settings(world->manager)->limits.memory_max_bytes, ==, GIB / 4);
    g_assert_cmpuint(world->n_settings_changes, >, before);
    assert_log(world->engine_log, "start w1"); /* at once */
    g_assert_null(wish(world, "profile"));
    reload(world, "balanced");
    assert_profile(world, "balanced");
    g_assert_cmpuint(target(world), ==, 4);
    reload(world, NULL);
    assert_profile(world, "");
    g_assert_cmpuint(manager_settings(world->manager)->limits.memory_max_bytes, ==, GIB);
    g_assert_cmpuint(target(world), ==, 4); /* they stay, as with "none" */
    assert_log(world->notes_log, "");
}

/* The configuration says of it what it said before. */
static void test_wishes_stay(World *world, const void *unused)
{
    reload(world, "conservative");
    use_profile(world, "balanced");
    scale(world, 3);
    world->settings.slots = 7;
    reload_same(world);
    assert_profile(world, "balanced");
    g_assert_cmpuint(target(world), ==, 3);
    g_assert_cmpstr(wish(world, "profile"), ==, "balanced");
    g_assert_cmpstr(wish(world, "target"), ==, "3");
    use_profile(world, "");
    reload_same(world);
    assert_profile(world, "");
}

static void test_wishes_end(World *world, const void *unused)
{
    use_profile(world, "balanced");
    scale(world, 3);
    reload(world, "conservative");
    assert_profile(world, "conservative");
    g_assert_cmpuint(target(world), ==, 2);
    g_assert_null(wish(world, "profile"));
    g_assert_null(wish(world, "target"));
    world_restart(world);
    assert_profile(world, "conservative");
    g_assert_cmpuint(target(world), ==, 2);
}

/* ---- [Profile …] */

static void test_profile_gone(World *world, const void *unused)
{
    define_night(world, 5);
    reload(world, "conservative");
    use_profile(world, "night");
    g_assert_cmpuint(target(world), ==, 5);
    define_night(world, 0);
    reload_same(world);
    assert_profile(world, "conservative"); /* as is configured */
    g_assert_null(wish(world, "profile"));
    assert_log(world->notes_log, "The profile \"night\" was active and is not there any more.");
    reload_same(world);
    assert_log(world->notes_log, "");
}

static void test_configured_profile_gone(World *world, const void *unused)
{
    define_night(world, 5);
    reload(world, "night");
    define_night(world, 0);
    reload(world, NULL);
    assert_profile(world, "");
    g_assert_cmpuint(target(world), ==, 5);
    g_assert_cmpuint(manager_settings(world->manager)->limits.memory_max_bytes, ==, GIB);
    assert_log(world->notes_log, "The profile \"night\" was active and is not there any more.");
    world_restart(world);
    assert_profile(world, "");
    g_assert_cmpuint(target(world), ==, 5);
}

static void test_profile_gone_over_restart(World *world, const void *unused)
{
    define_night(world, 5);
    reload(world, "conservative");
    use_profile(world, "night");
    define_night(world, 0);
    world_restart(world);
    assert_profile(world, "conservative");
    fake_store_dispatch(&world->store);
    g_assert_null(wish(world, "profile"));
}

/* Another number of the active one counts more than a target that was wished for before; the same one does not. */
static void test_number_changes(World *world, const void *unused)
{
    define_night(world, 5);
    reload(world, "night");
    scale(world, 3);
    define_night(world, 5);
    reload_same(world);
    g_assert_cmpuint(target(world), ==, 3);
    define_night(world, 6);
    reload_same(world);
    g_assert_cmpuint(target(world), ==, 6);
    g_assert_null(wish(world, "target"));
    define_night(world, 200);
    world->settings.max_workers = 12;
    reload_same(world);
    g_assert_cmpuint(target(world), ==, 12);
}

/* ---- [AutoScale] */

static void test_autoscale(World *world, const void *unused)
{
    scale(world, 3);
    g_assert_cmpstr(wish(world, "autoscale"), ==, "no");
    world->settings.autoscale.enabled = true;
    reload_same(world);
    g_assert_true(manager_autoscales(world->manager));
    g_assert_cmpuint(target(world), ==, 3);
    g_assert_null(wish(world, "autoscale"));
    use_autoscale(world, false);
    reload_same(world);
    g_assert_false(manager_autoscales(world->manager)); /* nothing of it has changed */
    g_assert_cmpstr(wish(world, "autoscale"), ==, "no");
    use_autoscale(world, true);
    world->settings.autoscale.enabled = false;
    reload_same(world);
    g_assert_false(manager_autoscales(world->manager));
    g_assert_null(wish(world, "autoscale"));
    g_assert_cmpuint(target(world), ==, 3); /* where it was followed to */
    world_restart(world);
    g_assert_false(manager_autoscales(world->manager));
    g_assert_cmpuint(target(world), ==, 3);
}

/* The other keys count from now on: Interval= not only when the old one is over. */
static void test_autoscale_keys(World *world, const void *unused)
{
    AutoScaleSettings *settings = &world->settings.autoscale;

    *settings = (AutoScaleSettings){ true, 1, 1, 70, 85, 10, MINUTE, 3600 * USEC_PER_SEC };
    reload_same(world);
    g_assert_cmpuint(target(world), ==, 1);
    world_advance(world, USEC_PER_SEC);
    world_engine_started(world, 1);
    g_assert_cmpint(world_register(world, 1), ==, 0);
    world_submit(world, 50);
    world_advance(world, USEC_PER_SEC);
    settings->max = 4;
    settings->interval_usec = 5 * USEC_PER_SEC;
    reload_same(world);
    world_advance(world, 4 * USEC_PER_SEC);
    g_assert_cmpuint(target(world), ==, 2);
}

/* ---- a profile and auto-scaling */

static void test_profile_while_automatic(World *world, const void *unused)
{
    world->settings.autoscale = (AutoScaleSettings){ false, 1, 0, 70, 85, 10, MINUTE, 5 * USEC_PER_SEC };
    reload_same(world);
    world_running_worker(world, 1);
    use_autoscale(world, true);
    g_assert_cmpuint(target(world), ==, 1);
    use_profile(world, "balanced");
    g_assert_cmpuint(target(world), ==, 1); /* that is decided by the load */
    g_assert_cmpuint(manager_settings(world->manager)->limits.memory_max_bytes, ==, GIB / 2);
    g_assert_cmpuint(manager_settings(world->manager)->policy.timeout_usec, ==, 5 * MINUTE);
    world_advance(world, 2 * USEC_PER_SEC);
    assert_log(world->engine_log, "");
    reload(world, "conservative");
    assert_profile(world, "conservative");
    g_assert_cmpuint(target(world), ==, 1);
    scale(world, 3); /* it ends it, and the profile stays */
    assert_profile(world, "conservative");
    g_assert_cmpuint(target(world), ==, 3);
    use_profile(world, "balanced");
    g_assert_cmpuint(target(world), ==, 4);
}

/* "scale off" keeps the profile without its number, also over a restart; "profile none" keeps the number. */
static void test_off(World *world, const void *unused)
{
    use_profile(world, "balanced");
    scale(world, SCALE_NONE);
    assert_profile(world, "balanced");
    world_restart(world);
    assert_profile(world, "balanced");
    g_assert_cmpuint(target(world), ==, SCALE_NONE);
    reload_same(world);
    g_assert_cmpuint(target(world), ==, SCALE_NONE);
    use_profile(world, "");
    g_assert_null(wish(world, "target"));
    use_profile(world, "balanced");
    use_profile(world, "");
    world_restart(world);
    assert_profile(world, "");
    g_assert_cmpuint(target(world), ==, 4);
}

/* ---- what a profile gives to tasks */

static void test_timeout(World *world, const void *unused)
{
    const Settings *settings = manager_settings(world->manager);

    use_profile(world, "balanced"); /* without [Tasks] Timeout= */
    g_assert_cmpuint(settings->policy.timeout_usec, ==, 5 * MINUTE);
    use_profile(world, "");
    g_assert_cmpuint(settings->policy.timeout_usec, ==, UINT64_MAX);
    world->settings.policy.timeout_usec = MINUTE;
    reload_same(world);
    g_assert_cmpuint(settings->policy.timeout_usec, ==, MINUTE);
    use_profile(world, "balanced"); /* with it */
    g_assert_cmpuint(settings->policy.timeout_usec, ==, 5 * MINUTE);
    reload_same(world);
    g_assert_cmpuint(settings->policy.timeout_usec, ==, 5 * MINUTE);
    use_profile(world, "");
    g_assert_cmpuint(settings->policy.timeout_usec, ==, MINUTE);
}

/* How many it is given at once, where so many would pay that there are more than any profile's BatchSize. */
static guint n_given(World *world, const char *profile)
{
    use_profile(world, profile);
    scale(world, SCALE_NONE);
    Worker *worker = world_running_worker(world, 1);
    worker_add_duration(worker, USEC_PER_MSEC);
    world_submit(world, 500);
    guint n = g_hash_table_size(worker->tasks);
    world_gone(world, worker->number, "killed by signal 9");
    fake_store_dispatch(&world->store);
    manager_cancel(world->manager, world_filter_ids(1, 100000), UID_ANYBODY, world_cancelled, world);
    fake_store_dispatch(&world->store);
    return n;
}

static void test_batch_size(World *world, const void *unused)
{
    g_assert_cmpuint(n_given(world, ""), >, 1 + 20);
    g_assert_cmpuint(n_given(world, "conservative"), ==, 1 + 5);
    g_assert_cmpuint(n_given(world, "performance"), ==, 1 + 20);
    g_assert_cmpuint(n_given(world, ""), >, 1 + 20);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    WORLD_TEST("/scaling-reload/active", test_active);
    WORLD_TEST("/scaling-reload/wishes-stay", test_wishes_stay);
    WORLD_TEST("/scaling-reload/wishes-end", test_wishes_end);
    WORLD_TEST("/scaling-reload/profile-gone", test_profile_gone);
    WORLD_TEST("/scaling-reload/configured-profile-gone", test_configured_profile_gone);
    WORLD_TEST("/scaling-reload/profile-gone-over-restart", test_profile_gone_over_restart);
    WORLD_TEST("/scaling-reload/number-changes", test_number_changes);
    WORLD_TEST("/scaling-reload/autoscale", test_autoscale);
    WORLD_TEST("/scaling-reload/autoscale-keys", test_autoscale_keys);
    WORLD_TEST("/scaling-reload/profile-while-automatic", test_profile_while_automatic);
    WORLD_TEST("/scaling-reload/off", test_off);
    WORLD_TEST("/scaling-reload/timeout", test_timeout);
    WORLD_TEST("/scaling-reload/batch-size", test_batch_size);
    return g_test_run();
}
