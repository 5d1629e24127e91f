/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rate, time left, and the line that is drawn. */

#include "client/progress.h"

#include <locale.h>
#include <string.h>

#include "client/text.h"

static void test_rate(void)
{
    ProgressRate rate = {};

    g_assert_cmpfloat(progress_rate_per_sec(&rate, 0, 0), ==, 0);
    progress_rate_add(&rate, 0, 0);
    g_assert_cmpfloat(progress_rate_per_sec(&rate, 100000, 50), ==, 0); /* too early to tell */
    g_assert_cmpfloat(progress_rate_per_sec(&rate, USEC_PER_SEC, 50), ==, 50);
    progress_rate_add(&rate, USEC_PER_SEC / 2, 20); /* too close to the one before: not kept */
    g_assert_cmpuint(rate.n, ==, 1);
    for (uint64_t s = 1; s <= 100; s++)
        progress_rate_add(&rate, s * USEC_PER_SEC, s <= 50 ? 0 : (s - 50) * 10);
    /* only the last seconds count: it is 10 a second now, whatever it was in the beginning */
    g_assert_cmpfloat_with_epsilon(progress_rate_per_sec(&rate, 101 * USEC_PER_SEC, 510), 10, 0.01);
    g_assert_cmpfloat(progress_rate_per_sec(&rate, 101 * USEC_PER_SEC, 0), ==, 0); /* counts never go back */
}

static void test_left(void)
{
    ProgressFacts facts = { .total = 1000, .done = 400 };

    g_assert_cmpuint(progress_rate_left_usec(&facts, 60), ==, 10 * USEC_PER_SEC);
    g_assert_cmpuint(progress_rate_left_usec(&facts, 0), ==, UINT64_MAX);
    g_assert_cmpuint(progress_rate_left_usec(&facts, 1e-12), ==, UINT64_MAX);
    facts.done = 1000;
    g_assert_cmpuint(progress_rate_left_usec(&facts, 0), ==, 0);
}

static void check_bar(double fraction, unsigned width, bool unicode, const char *expected)
{
    g_autofree char *bar = progress_bar(fraction, width, unicode);

    g_assert_cmpstr(bar, ==, expected);
    g_assert_cmpuint(text_width(bar), ==, width);
}

static void test_bar(void)
{
    check_bar(0, 4, true, "░░░░");
    check_bar(1, 4, true, "████");
    check_bar(0.5, 4, true, "██░░");
    check_bar(0.5625, 4, true, "██▎░");
    check_bar(0.5, 4, false, "##--");
    check_bar(7, 2, true, "██");
    check_bar(-1, 2, true, "░░");
    check_bar(0.5, 0, true, "");
}

static void test_line(void)
{
    ProgressFacts facts = { .total = 1000, .done = 450, .failed = 2, .running = 4 };
    g_autofree char *line = progress_line(&facts, 55, 80, true);

    g_assert_true(g_str_has_prefix(line, " 45 % ██"));
    g_assert_true(g_str_has_suffix(line, "450/1000 · 2 failed · 55/s · 10s left"));
    for (unsigned columns = 0; columns < 120; columns++) {
        g_autofree char *fits = progress_line(&facts, 55, columns, columns % 2);
        g_assert_cmpuint(text_width(fits), <=, columns > 0 ? columns - 1 : 0);
    }
}

/* Until the input has ended nobody knows how long it will take. */
static void test_open(void)
{
    ProgressFacts facts = { .total = 10, .done = 5, .open = true };
    g_autofree char *line = progress_line(&facts, 1, 80, true), *nothing = NULL;

    g_assert_nonnull(strstr(line, "5/10+"));
    g_assert_null(strstr(line, "left"));
    facts = (ProgressFacts){};
    nothing = progress_line(&facts, 0, 80, true);
    g_assert_nonnull(strstr(nothing, "0/0"));
}

int main(int argc, char **argv)
{
    (void) setlocale(LC_ALL, "C.UTF-8");
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/progress/rate", test_rate);
    g_test_add_func("/progress/left", test_left);
    g_test_add_func("/progress/bar", test_bar);
    g_test_add_func("/progress/line", test_line);
    g_test_add_func("/progress/open", test_open);
    return g_test_run();
}
