/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles: plain values, owned by the settings; four are built in. */
#include "policy/profile.h"

#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define MINUTE (60 * USEC_PER_SEC)

static void profile_free(gpointer data)
{
    Profile *profile = data;

    g_free(profile->name);
    g_free(profile);
}

GPtrArray *profiles_new(void)
{
    static const struct {
        const char *name;
        Profile profile;
    } built_in[] = {
        { "conservative", { NULL, 2, 0, 10 * MINUTE, 256 * MIB, 5 } },
        { "balanced", { NULL, 0, 0.5, 5 * MINUTE, 512 * MIB, 10 } },
        { "performance", { NULL, 0, 1, 3 * MINUTE, 1024 * MIB, 20 } },
        { "maximum", { NULL, 0, 2, 2 * MINUTE, 2048 * MIB, 50 } },
    };
    GPtrArray *profiles = g_ptr_array_new_with_free_func(profile_free);

    for (size_t i = 0; i < G_N_ELEMENTS(built_in); i++) {
        Profile *profile = g_memdup2(&built_in[i].profile, sizeof *profile);
        profile->name = g_strdup(built_in[i].name);
        g_ptr_array_add(profiles, profile);
    }
    return profiles;
}

Profile *profile_find(const GPtrArray *profiles, const char *name)
{
    for (guint i = 0; profiles && name && i < profiles->len; i++) {
        Profile *profile = profiles->pdata[i];
        if (strcmp(profile->name, name) == 0)
            return profile;
    }
    return NULL;
}

uint32_t profile_workers(const Profile *profile, uint32_t cores)
{
    if (profile->cores_factor == 0)
        return profile->workers;
    return (uint32_t) CLAMP(profile->cores_factor * cores, 1.0, (double) UINT32_MAX);
}
