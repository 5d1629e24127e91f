/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* profile.c: the four that are built in, and how many workers they make on which machine. */
#include "policy/profile.h"

#define MIB (UINT64_C(1) << 20)

static void test_built_in(void)
{
    static const struct {
        const char *name;
        uint32_t workers[5]; /* on 0 (not known), 1, 3, 8, 64 cores */
        uint64_t minutes, mib;
        uint32_t ahead;
    } cases[] = {
        { "conservative", { 2, 2, 2, 2, 2 }, 10, 256, 5 },
        { "balanced", { 1, 1, 1, 4, 32 }, 5, 512, 10 },
        { "performance", { 1, 1, 3, 8, 64 }, 3, 1024, 20 },
        { "maximum", { 1, 2, 6, 16, 128 }, 2, 2048, 50 },
    };
    static const uint32_t cores[] = { 0, 1, 3, 8, 64 };
    g_autoptr(GPtrArray) profiles = profiles_new();

    g_assert_cmpuint(profiles->len, ==, G_N_ELEMENTS(cases));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Profile *profile = profile_find(profiles, cases[i].name);
        g_assert_nonnull(profile);
        g_assert_cmpuint(profile->timeout_usec, ==, cases[i].minutes * 60 * USEC_PER_SEC);
        g_assert_cmpuint(profile->memory_max_bytes, ==, cases[i].mib * MIB);
        g_assert_cmpuint(profile->ahead, ==, cases[i].ahead);
        for (size_t j = 0; j < G_N_ELEMENTS(cores); j++)
            g_assert_cmpuint(profile_workers(profile, cores[j]), ==, cases[i].workers[j]);
    }
}

static void test_find(void)
{
    g_autoptr(GPtrArray) profiles = profiles_new();

    g_assert_null(profile_find(profiles, "Balanced"));
    g_assert_null(profile_find(profiles, ""));
    g_assert_null(profile_find(profiles, NULL));
    g_assert_null(profile_find(NULL, "balanced"));
}

static void test_bounds(void)
{
    const Profile vast = { .cores_factor = 1e9 }, fixed = { .workers = 7 }, none = { .workers = 0 };

    g_assert_cmpuint(profile_workers(&vast, 4096), ==, UINT32_MAX);
    g_assert_cmpuint(profile_workers(&fixed, 0), ==, 7);
    g_assert_cmpuint(profile_workers(&none, 64), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/profile/built-in", test_built_in);
    g_test_add_func("/profile/find", test_find);
    g_test_add_func("/profile/bounds", test_bounds);
    return g_test_run();
}
