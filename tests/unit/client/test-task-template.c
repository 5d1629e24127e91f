/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Environment and paths of a submission. */

#include "client/task-template.h"

#include <string.h>

static void check_environment(char *const *given, bool none, const char *const *expected)
{
    char *const environment[] = { (char *) "HOME=/root",  (char *) "ODD=\xff=x", (char *) "EMPTY=",
                                  (char *) "no-variable", (char *) "=odd",       NULL };
    const char *missing = NULL;
    g_auto(GStrv) result = task_environment(environment, given, none, &missing);

    g_assert_null(missing);
    g_assert_true(g_strv_equal((const char *const *) result, expected));
}

static void test_environment(void)
{
    check_environment(NULL, false, (const char *const[]){ "HOME=/root", "ODD=\xff=x", "EMPTY=", NULL });
    check_environment((char *[]){ (char *) "HOME=/x", (char *) "NEW=1", NULL }, false,
                      (const char *const[]){ "HOME=/x", "ODD=\xff=x", "EMPTY=", "NEW=1", NULL });
    check_environment((char *[]){ (char *) "HOME", NULL }, true, (const char *const[]){ "HOME=/root", NULL });
    check_environment(NULL, true, (const char *const[]){ NULL });
    check_environment((char *[]){ (char *) "A=1", (char *) "A=2", NULL }, true,
                      (const char *const[]){ "A=2", NULL });
}

static void test_missing(void)
{
    char *const environment[] = { (char *) "HOME=/root", NULL };
    const char *missing = NULL;

    g_assert_null(task_environment(environment, (char *[]){ (char *) "HOM", NULL }, false, &missing));
    g_assert_cmpstr(missing, ==, "HOM");
    missing = NULL;
    g_assert_null(task_environment(environment, (char *[]){ (char *) "=x", NULL }, false, &missing));
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-template/environment", test_environment);
    g_test_add_func("/task-template/missing", test_missing);
    g_test_add_func("/task-template/path", test_path);
    g_test_add_func("/task-template/words", test_words);
    return g_test_run();
}
