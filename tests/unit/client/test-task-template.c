/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Environment and paths of a submission. */

#include "client/task-template.h"

#include <string.h>

static void check_environment(char *const *given, EnvironmentChoice choice, const char *const *expected)
{
    char *const environment[] = { (char *) "HOME=/root",  (char *) "ODD=\xff=x", (char *) "EMPTY=",
                                  (char *) "no-variable", (char *) "=odd",       (char *) "LC_TIME=C",
                                  (char *) "LC_ALL",      (char *) "PATHS=x",    NULL };
    const char *missing = NULL;
    g_auto(GStrv) result = task_environment(environment, given, choice, &missing);

    g_assert_null(missing);
    g_assert_true(g_strv_equal((const char *const *) result, expected));
}

static void test_environment(void)
{
    check_environment(
        NULL, ENVIRONMENT_ALL,
        (const char *const[]){ "HOME=/root", "ODD=\xff=x", "EMPTY=", "LC_TIME=C", "PATHS=x", NULL });
    check_environment(NULL, ENVIRONMENT_SELECTED, (const char *const[]){ "HOME=/root", "LC_TIME=C", NULL });
    check_environment((char *[]){ (char *) "HOME=/x", (char *) "NEW=1", (char *) "PATHS", NULL },
                      ENVIRONMENT_SELECTED,
                      (const char *const[]){ "HOME=/x", "LC_TIME=C", "NEW=1", "PATHS=x", NULL });
    check_environment((char *[]){ (char *) "HOME", NULL }, ENVIRONMENT_NONE,
                      (const char *const[]){ "HOME=/root", NULL });
    check_environment(NULL, ENVIRONMENT_NONE, (const char *const[]){ NULL });
    check_environment((char *[]){ (char *) "A=1", (char *) "A=2", NULL }, ENVIRONMENT_NONE,
                      (const char *const[]){ "A=2", NULL });
}

static void test_missing(void)
{
    char *const environment[] = { (char *) "HOME=/root", NULL };
    const char *missing = NULL;

    g_assert_null(
        task_environment(environment, (char *[]){ (char *) "HOM", NULL }, ENVIRONMENT_ALL, &missing));
    g_assert_cmpstr(missing, ==, "HOM");
    missing = NULL;
    g_assert_null(
        task_environment(environment, (char *[]){ (char *) "=x", NULL }, ENVIRONMENT_ALL, &missing));
    g_assert_cmpstr(missing, ==, "=x");
}

static void test_path(void)
{
    g_autofree char *here = g_get_current_dir(), *expected = g_build_filename(here, "out.txt", NULL);
    g_autofree char *relative = task_template_path("out.txt"), *absolute = task_template_path("/x/y");

    g_assert_cmpstr(relative, ==, expected);
    g_assert_cmpstr(absolute, ==, "/x/y");
    g_assert_null(task_template_path(NULL));
}

static void test_words(void)
{
    g_autoptr(GPtrArray) tags = g_ptr_array_new();
    TaskOptions bad_name = { .name = "a\nb" }, bad_tag = { .tags = tags };
    g_auto(TaskTemplate) one = {}, two = {};
    Client client = {};

    g_assert_cmpint(task_template_init(&one, &client, &bad_name), ==, -EINVAL);
    g_assert_cmpint(client.failure, ==, PARCTL_USAGE);
    g_ptr_array_add(tags, (char *) "");
    g_assert_cmpint(task_template_init(&two, &client, &bad_tag), ==, -EINVAL);
}

static void test_array(void)
{
    static const struct {
        const char *text;
        int r;
        uint64_t first, last;
        uint32_t parallel;
    } cases[] = {
        { "0-99", 0, 0, 99, 0 },
        { "5-5%1", 0, 5, 5, 1 },
        { "0-999%8", 0, 0, 999, 8 },
        { "3-1", -EINVAL, 0, 0, 0 },
        { "0-9%0", -EINVAL, 0, 0, 0 },
        { "0-9%", -EINVAL, 0, 0, 0 },
        { "7", -EINVAL, 0, 0, 0 },
        { "", -EINVAL, 0, 0, 0 },
        { "0-9%1%2", -EINVAL, 0, 0, 0 },
        { "0-9%5000000000", -EINVAL, 0, 0, 0 },
        { "0-100000000", -EINVAL, 0, 0, 0 },
        { "0-18446744073709551615", -EINVAL, 0, 0, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t first = 0, last = 0;
        uint32_t parallel = 0;
        g_test_message("%s", cases[i].text);
        g_assert_cmpint(task_array_parse(cases[i].text, &first, &last, &parallel), ==, cases[i].r);
        g_assert_cmpuint(first, ==, cases[i].first);
        g_assert_cmpuint(last, ==, cases[i].last);
        g_assert_cmpuint(parallel, ==, cases[i].parallel);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-template/environment", test_environment);
    g_test_add_func("/task-template/missing", test_missing);
    g_test_add_func("/task-template/path", test_path);
    g_test_add_func("/task-template/words", test_words);
    g_test_add_func("/task-template/array", test_array);
    return g_test_run();
}
