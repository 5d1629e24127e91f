/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* strv-blob.c: vectors of byte strings, empty ones and empty elements above all. */
#include "util/strv-blob.h"

#include <string.h>

typedef struct Case {
    const char *data;
    size_t size;
    const char *elements[5];
} Case;

#define BLOB(literal) literal, sizeof literal - 1

static const Case cases[] = {
    { NULL, 0, { NULL } },
    { BLOB("a\0"), { "a" } },
    { BLOB("\0"), { "" } },
    { BLOB("\0\0"), { "", "" } },
    { BLOB("a\0bc\0"), { "a", "bc" } },
    { BLOB("a\0\0bc\0\0"), { "a", "", "bc", "" } },
    { BLOB("\xff\xfe\0 \n\0"), { "\xff\xfe", " \n" } },
};

static void test_walk(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        const char *cursor = NULL, *element;
        size_t n = 0;

        g_assert_true(strv_blob_valid(c->data, c->size));
        while ((element = strv_blob_next(c->data, c->size, &cursor)))
            g_assert_cmpstr(element, ==, c->elements[n++]);
        g_assert_null(c->elements[n]);
        g_assert_cmpuint(strv_blob_count(c->data, c->size), ==, n);
    }
}

static void test_round_trip(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        g_autofree char **strv = strv_blob_pointers(c->data, c->size);
        g_autoptr(GBytes) blob = strv_blob_new(strv), original = g_bytes_new(c->data, c->size);

        g_assert_cmpuint(g_strv_length(strv), ==, strv_blob_count(c->data, c->size));
        g_assert_true(g_bytes_equal(blob, original));
    }
}

static void test_valid(void)
{
    g_assert_true(strv_blob_valid(NULL, 0));
    g_assert_false(strv_blob_valid("a", 1));
    g_assert_false(strv_blob_valid("a\0b", 3));
    g_assert_false(strv_blob_valid("\0b", 2));
    g_assert_true(strv_blob_valid("\0b", 1));
}

static void test_getenv(void)
{
    static const char env[] = "A=1\0AB=2\0=bad\0EMPTY=\0NOVALUE\0A=3\0X=a=b";
    size_t size = sizeof env;

    g_assert_cmpstr(strv_blob_getenv(env, size, "A"), ==, "3");
    g_assert_cmpstr(strv_blob_getenv(env, size, "AB"), ==, "2");
    g_assert_cmpstr(strv_blob_getenv(env, size, "EMPTY"), ==, "");
    g_assert_cmpstr(strv_blob_getenv(env, size, "X"), ==, "a=b");
    g_assert_null(strv_blob_getenv(env, size, "NOVALUE"));
    g_assert_null(strv_blob_getenv(env, size, "B"));
    g_assert_null(strv_blob_getenv(env, size, "a"));
    g_assert_null(strv_blob_getenv(NULL, 0, "A"));
}

static void test_long(void)
{
    g_autofree char *element = g_strnfill(3 << 20, 'x');
    char *strv[] = { element, (char *) "", element, NULL };
    g_autoptr(GBytes) blob = strv_blob_new(strv);
    size_t size;
    const void *data = g_bytes_get_data(blob, &size);
    g_autofree char **back = strv_blob_pointers(data, size);

    g_assert_cmpuint(size, ==, 2 * ((3 << 20) + 1) + 1);
    g_assert_cmpuint(g_strv_length(back), ==, 3);
    g_assert_true(strcmp(back[2], element) == 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/strv-blob/walk", test_walk);
    g_test_add_func("/strv-blob/round-trip", test_round_trip);
    g_test_add_func("/strv-blob/valid", test_valid);
    g_test_add_func("/strv-blob/getenv", test_getenv);
    g_test_add_func("/strv-blob/long", test_long);
    return g_test_run();
}
