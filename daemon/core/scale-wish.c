/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is wanted of the number of workers: a target, a profile, auto-scaling. What somebody has wished for over the bus is
 * remembered and counts more than what is configured, until the configuration of that very thing changes in a reload: then
 * the wish is forgotten. Reaching it is a matter of scaling.c. */
#include <inttypes.h>
#include <string.h>

#include "core/manager-internal.h"
#include "util/parse-util.h"

#define FIRST_USEC (200 * USEC_PER_MSEC) /* after the start: nothing is in a hurry */
#define NO_TARGET "none" /* remembered where the profile would give one otherwise */

const Profile *manager_active_profile(const Manager *manager)
{
    const char *name = manager->scaling.profile;

    return *name ? profile_find(manager_profiles(manager), name) : NULL;
}

const GPtrArray *manager_profiles(const Manager *manager)
{
    return manager->settings.profiles ? manager->settings.profiles : manager->scaling.built_in;
}

uint32_t manager_scale_target(const Manager *manager)
{
    return manager->scaling.target;
}

bool manager_autoscales(const Manager *manager)
{
    return manager->scaling.automatic;
}

const char *manager_profile(const Manager *manager)
{
    return manager->scaling.profile;
}

/* ---- remembering */

static void remember(Manager *manager, const char *key, const char *value, StoreDone done, void *userdata)
{
    manager->ports.store->set_wish(manager->ports.store, key, value, done, userdata);
}

static void forget(Manager *manager, const char *key)
{
    remember(manager, key, NULL, NULL, NULL);
}

static void remember_target(Manager *manager, StoreDone done, void *userdata)
{
    g_autofree char *number = g_strdup_printf("%" PRIu32, manager->scaling.target);
    const char *none = *manager->scaling.profile ? NO_TARGET : NULL;

    remember(manager, "target", manager->scaling.target == SCALE_NONE ? none : number, done, userdata);
}

/* ---- the parts of it */

static uint32_t cores(Manager *manager)
{
    HostFacts host;

    manager->ports.host->facts(manager->ports.host, &host);
    return MAX(1U, manager->settings.use_smt ? host.cpus : host.cores);
}

/* 0: no profile is active. */
static uint32_t number_of_profile(Manager *manager)
{
    const Profile *profile = manager_active_profile(manager);

    return profile ? profile_workers(profile, cores(manager)) : 0;
}

/* Auto-scaling decides on the number, where it is on. True: the target is the profile's. */
static bool take_number_of_profile(Manager *manager)
{
    Scaling *scaling = &manager->scaling;
    uint32_t number = number_of_profile(manager);

    scaling->configured_number = number;
    if (number == 0 || scaling->automatic)
        return false;
    scaling->target = MIN(number, manager->max_workers);
    return true;
}

/* What AddWorker and Submit do not say comes from the profile; where there is none, from the configuration. */
static void apply_profile(Manager *manager)
{
    const Scaling *scaling = &manager->scaling;
    Settings *settings = &manager->settings;
    const Profile *profile = manager_active_profile(manager);

    settings->limits.memory_max_bytes =
        profile ? profile->memory_max_bytes : scaling->configured_memory_bytes;
    settings->policy.timeout_usec = profile ? profile->timeout_usec : scaling->configured_timeout_usec;
}

static void use_profile(Manager *manager, const char *name)
{
    char *copy = g_strdup(name);

    g_free(manager->scaling.profile);
    manager->scaling.profile = copy;
    scaling_forget_failures(manager);
    apply_profile(manager);
}

/* Following begins with what there is. */
static uint32_t where_it_begins(Manager *manager)
{
    uint32_t others = manager_n_live_workers(manager) - manager_n_scaled_workers(manager);
    uint32_t min = manager->settings.autoscale.min,
             max = manager->max_workers - MIN(others, manager->max_workers);

    if (manager->settings.autoscale.max > 0)
        max = MIN(max, manager->settings.autoscale.max);
    return CLAMP(scaling_n_counted(manager), MIN(min, max), max);
}

static void use_autoscale(Manager *manager, bool automatic)
{
    Scaling *scaling = &manager->scaling;

    scaling->automatic = automatic;
    scaling->state = (AutoScale){ 0 };
    scaling_forget_failures(manager);
    g_clear_pointer(&scaling->shortfall, g_free);
    if (automatic && scaling->target == SCALE_NONE)
        scaling->target = where_it_begins(manager);
    if (!automatic) /* it stays where it was followed to */
        remember_target(manager, NULL, NULL);
}

/* ---- somebody wishes */

static void wanted_anew(Manager *manager)
{
    NOTIFY(manager, settings_changed);
    manager_rescale(manager);
}

int manager_scale(Manager *manager, uint32_t target, StoreDone done, void *userdata)
{
    Scaling *scaling = &manager->scaling;

    if (target != SCALE_NONE && target > manager->max_workers)
        return -ERANGE;
    scaling->target = target;
    scaling->automatic = false;
    scaling->next_usec = 0;
    scaling_forget_failures(manager);
    g_clear_pointer(&scaling->shortfall, g_free);
    scaling_set_reason(manager, NULL);
    remember(manager, "autoscale", "no", NULL, NULL); /* whatever the configuration says */
    remember_target(manager, done, userdata);
    wanted_anew(manager);
    return 0;
}

void manager_set_autoscale(Manager *manager, bool automatic, StoreDone done, void *userdata)
{
    use_autoscale(manager, automatic);
    remember(manager, "autoscale", automatic ? "yes" : "no", done, userdata);
    wanted_anew(manager);
}

int manager_set_profile(Manager *manager, const char *name, StoreDone done, void *userdata)
{
    if (*name && !profile_find(manager_profiles(manager), name))
        return -ENOENT;
    use_profile(manager, name);
    take_number_of_profile(manager);
    if (!manager->scaling.automatic)
        remember_target(manager, NULL, NULL);
    remember(manager, "profile", name, done, userdata); /* "": none, whatever the configuration says */
    wanted_anew(manager);
    return 0;
}

/* ---- the configuration */

static const char *configured_profile(const Manager *manager)
{
    return manager->settings.profile ? manager->settings.profile : "";
}

static void note_configured(Manager *manager)
{
    Scaling *scaling = &manager->scaling;

    g_free(scaling->configured_profile);
    scaling->configured_profile = g_strdup(configured_profile(manager));
    scaling->configured_automatic = manager->settings.autoscale.enabled;
}

static void note_limits(Manager *manager)
{
    manager->scaling.configured_memory_bytes = manager->settings.limits.memory_max_bytes;
    manager->scaling.configured_timeout_usec = manager->settings.policy.timeout_usec;
    apply_profile(manager);
}

void scaling_init(Manager *manager)
{
    manager->scaling = (Scaling){ .target = SCALE_NONE, .profile = g_strdup(""), .built_in = profiles_new() };
    note_configured(manager);
    note_limits(manager);
}

static void say_that_it_is_gone(Manager *manager, const char *profile)
{
    g_autofree char *note =
        g_strdup_printf("The profile \"%s\" was active and is not there any more.", profile);

    NOTIFY(manager, noted, note);
}

static void reload_autoscale(Manager *manager)
{
    bool automatic = manager->settings.autoscale.enabled;

    manager->scaling.follow_usec = 0; /* the interval may be another */
    if (automatic == manager->scaling.configured_automatic)
        return;
    forget(manager, "autoscale");
    if (automatic != manager->scaling.automatic)
        use_autoscale(manager, automatic);
}

/* Where the number is the profile's, it is not a wish any more. */
static void reload_profile(Manager *manager)
{
    Scaling *scaling = &manager->scaling;
    bool lost = *scaling->profile && !manager_active_profile(manager),
         changed = strcmp(configured_profile(manager), scaling->configured_profile) != 0;

    if (lost)
        say_that_it_is_gone(manager, scaling->profile);
    if (lost || changed) {
        forget(manager, "profile");
        use_profile(manager, configured_profile(manager));
    } else if (scaling->configured_number == number_of_profile(manager))
        return;
    if (take_number_of_profile(manager))
        forget(manager, "target");
    else if (!scaling->automatic)
        remember_target(manager, NULL, NULL);
}

void scaling_reload(Manager *manager)
{
    note_limits(manager);
    reload_autoscale(manager);
    reload_profile(manager);
    note_configured(manager);
    wanted_anew(manager);
}

/* ---- at the start */

static void load_profile(Manager *manager, const char *wish)
{
    bool lost = wish && *wish && !profile_find(manager_profiles(manager), wish);
    const char *profile = wish && !lost ? wish : configured_profile(manager);

    if (lost) {
        say_that_it_is_gone(manager, wish);
        forget(manager, "profile");
    }
    if (profile_find(manager_profiles(manager), profile))
        use_profile(manager, profile);
}

static void load_target(Manager *manager, const char *wish)
{
    uint64_t number;

    take_number_of_profile(manager);
    if (wish && strcmp(wish, NO_TARGET) == 0)
        manager->scaling.target = SCALE_NONE;
    else if (wish && parse_uint64(wish, &number) >= 0 && number < SCALE_NONE)
        manager->scaling.target = (uint32_t) number;
}

void scaling_load(Manager *manager, GHashTable *wishes)
{
    Scaling *scaling = &manager->scaling;
    const char *target = wishes ? g_hash_table_lookup(wishes, "target") : NULL,
               *automatic = wishes ? g_hash_table_lookup(wishes, "autoscale") : NULL,
               *profile = wishes ? g_hash_table_lookup(wishes, "profile") : NULL;

    note_configured(manager);
    load_profile(manager, profile);
    load_target(manager, target);
    scaling->automatic = automatic ? strcmp(automatic, "yes") == 0 : manager->settings.autoscale.enabled;
    if (scaling->automatic) /* nobody has written down where it was followed to */
        scaling->target = where_it_begins(manager);
    scaling->next_usec = usec_add(manager_now(manager), FIRST_USEC);
}
