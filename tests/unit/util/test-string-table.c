/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* string-table.h: tables with and without holes. */
#include "util/string-table.h"

typedef enum Colour { COLOUR_RED, COLOUR_HOLE, COLOUR_BLUE, _COLOUR_MAX } Colour;
DECLARE_STRING_TABLE(colour, Colour);

static const char *const colour_table[_COLOUR_MAX] = {
    [COLOUR_RED] = "red",
    [COLOUR_BLUE] = "blue",
};
DEFINE_STRING_TABLE(colour, Colour)

static void test_to_string(void)
{
    g_assert_cmpstr(colour_to_string(COLOUR_RED), ==, "red");
    g_assert_cmpstr(colour_to_string(COLOUR_BLUE), ==, "blue");
    g_assert_null(colour_to_string(COLOUR_HOLE));
    g_assert_null(colour_to_string(_COLOUR_MAX));
    g_assert_null(colour_to_string((Colour) -1));
    g_assert_null(colour_to_string((Colour) 1000000));
}

static void test_from_string(void)
{
    g_assert_cmpint(colour_from_string("red"), ==, COLOUR_RED);
    g_assert_cmpint(colour_from_string("blue"), ==, COLOUR_BLUE);
    g_assert_cmpint(colour_from_string("Red"), ==, -EINVAL);
    g_assert_cmpint(colour_from_string("re"), ==, -EINVAL);
    g_assert_cmpint(colour_from_string("redd"), ==, -EINVAL);
    g_assert_cmpint(colour_from_string(""), ==, -EINVAL);
    g_assert_cmpint(colour_from_string(NULL), ==, -EINVAL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/string-table/to-string", test_to_string);
    g_test_add_func("/string-table/from-string", test_from_string);
    return g_test_run();
}
