/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a batch is given up: the words, and when it has come. */

#include "client/batch-limits.h"

static void test_words(void)
{
    static const struct {
        const char *text;
        int r;
        uint64_t fails;
        double percent;
        uint64_t successes;
        bool now;
    } cases[] = {
        { "now,fail=1", 0, 1, -1, UINT64_MAX, true },
        { "soon,fail=20%", 0, UINT64_MAX, 20, UINT64_MAX, false },
        { "now,success=2", 0, UINT64_MAX, -1, 2, true },
        { "soon", 0, UINT64_MAX, -1, UINT64_MAX, false },
        { "never", 0, UINT64_MAX, -1, UINT64_MAX, false },
        { "", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
        { "later", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
        { "now,fail", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
        { "now,fail=0", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
        { "now,fail=101%", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
        { "now,fail=nan%", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
        { "now,fail=-1%", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
        { "now,success=50%", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
        { "now,done=1", -EINVAL, UINT64_MAX, -1, UINT64_MAX, false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        BatchLimits limits;
        g_test_message("%s", cases[i].text);
        batch_limits_init(&limits);
        g_assert_cmpint(batch_limits_parse_halt(&limits, cases[i].text), ==, cases[i].r);
        g_assert_cmpuint(limits.max_fails, ==, cases[i].fails);
        g_assert_cmpfloat(limits.max_fails_percent, ==, cases[i].percent);
        g_assert_cmpuint(limits.max_successes, ==, cases[i].successes);
        g_assert_cmpint(limits.now, ==, cases[i].now);
    }
}

static void test_reached(void)
{
    BatchLimits limits;

    batch_limits_init(&limits);
    g_assert_false(batch_limits_given(&limits));
    g_assert_false(batch_limits_reached(&limits, 1000, 1000, 1000));
    limits.max_fails = 3;
    g_assert_true(batch_limits_given(&limits));
    g_assert_false(batch_limits_reached(&limits, 2, 9, 0));
    g_assert_true(batch_limits_reached(&limits, 3, 0, 0));
    batch_limits_init(&limits);
    limits.max_fails_percent = 20;
    g_assert_false(batch_limits_reached(&limits, 19, 0, 100));
    g_assert_true(batch_limits_reached(&limits, 20, 0, 100));
    g_assert_false(batch_limits_reached(&limits, 20, 0, 0)); /* of how many, is not known */
    limits.max_fails_percent = 0;
    g_assert_false(batch_limits_reached(&limits, 0, 5, 10));
    g_assert_true(batch_limits_reached(&limits, 1, 5, 10));
    batch_limits_init(&limits);
    limits.max_successes = 1;
    g_assert_false(batch_limits_reached(&limits, 9, 0, 10));
    g_assert_true(batch_limits_reached(&limits, 9, 1, 10));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/batch-limits/words", test_words);
    g_test_add_func("/batch-limits/reached", test_reached);
    return g_test_run();
}
