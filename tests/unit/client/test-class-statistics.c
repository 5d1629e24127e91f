/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon tells in pages is one list: each class once, none missing. */

#include "client/class-statistics.h"

#include <string.h>

#include "dbus/parexec-dbus.h"
#include "tests/unit/client/fake-manager.h"

static void check(unsigned classes, unsigned calls)
{
    Client client = { .quiet = true };
    FakeManager *fake = fake_manager_new(&client, NULL);
    g_autoptr(GPtrArray) rows = class_statistics_new();
    g_autoptr(JsonOutput) json = json_output_new();

    fake->classes = classes;
    json_output_begin_array(json);
    g_assert_cmpint(class_statistics_get(&client, NULL, /* all= */ false, rows, json), ==, 0);
    json_output_end_array(json);
    g_assert_cmpuint(fake->statistics, ==, calls);
    g_assert_cmpuint(rows->len, ==, classes);
    g_autofree char *text = json_output_text(json, /* pretty= */ false);
    const char *at = text;
    for (unsigned i = 0; i < classes; i++) {
        g_autofree char *class = g_strdup_printf("c%u", classes - 1 - i),
                        *object = g_strdup_printf("{\"class\":\"%s\",", class);
        g_assert_cmpstr(((ClassStatistics *) rows->pdata[i])->class, ==, class);
        at = strstr(at, object);
        g_assert_nonnull(at);
    }
    fake_manager_free(fake, &client);
}

static void test_pages(void)
{
    check(0, 1);
    check(3, 1);
    check(PAREXEC_STATISTICS_ROWS_MAX - 1, 1);
    check(PAREXEC_STATISTICS_ROWS_MAX, 2); /* there might be more */
    check(2 * PAREXEC_STATISTICS_ROWS_MAX + 7, 3);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/class-statistics/pages", test_pages);
    return g_test_run();
}
