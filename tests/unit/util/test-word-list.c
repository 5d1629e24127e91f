/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/word-list.h"

#include <string.h>

typedef struct Fields {
    char a[16], b[16];
} Fields;

static int read_a(void *fields, char *value)
{
    g_strlcpy(((Fields *) fields)->a, value, sizeof ((Fields *) fields)->a);
    return 0;
}

static int read_b(void *fields, char *value)
{
    if (strcmp(value, "bad") == 0)
        return -ERANGE;
    g_strlcpy(((Fields *) fields)->b, value, sizeof ((Fields *) fields)->b);
    return 0;
}

static const WordKey keys[] = { { "a", read_a }, { "b", read_b } };

static void test_read(void)
{
    Fields fields = { "", "" };

    g_assert_cmpint(word_list_read("a=1  other=2 flag b=x=y", keys, G_N_ELEMENTS(keys), &fields), ==, 0);
    g_assert_cmpstr(fields.a, ==, "1");
    g_assert_cmpstr(fields.b, ==, "x=y"); /* only the first "=" parts key and value */
    g_assert_cmpint(word_list_read("", keys, G_N_ELEMENTS(keys), &fields), ==, 0);
    g_assert_cmpint(word_list_read("a= aa=3", keys, G_N_ELEMENTS(keys), &fields), ==, 0);
    g_assert_cmpstr(fields.a, ==, "");
}

/* The first that cannot be read ends it. */
static void test_fails(void)
{
    Fields fields = { "", "" };

    g_assert_cmpint(word_list_read("b=bad a=1", keys, G_N_ELEMENTS(keys), &fields), ==, -ERANGE);
    g_assert_cmpstr(fields.a, ==, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/word-list/read", test_read);
    g_test_add_func("/word-list/fails", test_fails);
    return g_test_run();
}
