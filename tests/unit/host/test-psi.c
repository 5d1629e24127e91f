/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* psi.c: the kernel's text, other texts, and no text. */
#include "host/psi.h"

#include <glib.h>

static void test_parse(void)
{
    static const struct {
        const char *text;
        double percent;
    } cases[] = {
        { "some avg10=0.30 avg60=0.12 avg300=0.05 total=123456\nfull avg10=7.00 avg60=0.00 avg300=0.00 total=0\n", 0.30 },
        { "full avg10=7.00 avg60=0.00\nsome avg10=99.99 avg60=1.00\n", 99.99 },
        { "some avg10=100.00", 100.0 },
        { "some avg60=1.00\nfull avg10=7.00\n", -1.0 },
        { "full avg10=7.00\n", -1.0 },
        { "awesome avg10=7.00\n", -1.0 },
        { "some avg10=\n", -1.0 },
        { "some avg10=nan avg60=1\n", -1.0 },
        { "some avg10=-3 avg60=1\n", -1.0 },
        { "some avg10=1e9 avg60=1\n", -1.0 },
        { "some avg10=1,5 avg60=1\n", -1.0 },
        { "", -1.0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpfloat_with_epsilon(psi_parse_some_avg10(cases[i].text), cases[i].percent, 1e-9);
}

static void test_absent(void)
{
    g_assert_cmpfloat(psi_read("/nonexistent"), <, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/psi/parse", test_parse);
    g_test_add_func("/psi/absent", test_absent);
    return g_test_run();
}
