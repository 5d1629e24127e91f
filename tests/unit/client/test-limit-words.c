/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of parctl set, and who is meant by its arguments. */

#include "client/limit-words.h"

#include <string.h>

#include "client/worker-call.h"

static void test_words(void)
{
    static const struct {
        const char *word, *key;
        bool of_tasks;
        uint64_t value;
    } cases[] = {
        { "memory=6G", "memory-max", true, UINT64_C(6) << 30 },
        { "memory=infinity", "memory-max", true, UINT64_MAX },
        { "memory-high=512M", "memory-high", false, UINT64_C(512) << 20 },
        { "cpu=50%", "cpu-quota", true, 500000 },
        { "cpu=2", "cpu-quota", true, 2000000 },
        { "cpu-weight=10000", "cpu-weight", false, 10000 },
        { "io-weight=1", "io-weight", true, 1 },
        { "tasks-max=50", "tasks-max", true, 50 },
        { "tasks-max=infinity", "tasks-max", true, UINT64_MAX },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *form;
        LimitWord limit;
        g_test_message("%s", cases[i].word);
        g_assert_cmpint(limit_word_parse(cases[i].word, &limit, &form), ==, 0);
        g_assert_cmpstr(limit.key, ==, cases[i].key);
        g_assert_cmpint(limit.of_tasks, ==, cases[i].of_tasks);
        g_assert_cmpuint(limit.value, ==, cases[i].value);
    }
}

static void test_refused(void)
{
    static const struct {
        const char *word;
        int error;
    } cases[] = {
        { "memory", -EINVAL },
        { "memory=", -EINVAL },
        { "memory=much", -EINVAL },
        { "memory=-1", -EINVAL },
        { "cpu=fast", -EINVAL },
        { "cpu-weight=0", -EINVAL },
        { "cpu-weight=10001", -EINVAL },
        { "tasks-max=0", -EINVAL },
        { "io-weight=1.5", -EINVAL },
        { "mem=1G", -ENOKEY },
        { "memory-hig=1G", -ENOKEY },
        { "=1G", -ENOKEY },
        { "", -ENOKEY },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *form = NULL;
        LimitWord limit = { .value = 7 };
        g_test_message("%s", cases[i].word);
        g_assert_cmpint(limit_word_parse(cases[i].word, &limit, &form), ==, cases[i].error);
        g_assert_cmpuint(limit.value, ==, 7);
        g_assert_true((form != NULL) == (cases[i].error == -EINVAL));
    }
}

static void test_targets(void)
{
    char *arguments[] = { (char *) "w1",      (char *) "17", (char *) "w22",
                          (char *) "batch:4", (char *) "wx", NULL };
    g_auto(WorkersAndTasks) targets = {};

    workers_and_tasks_init(&targets, arguments);
    g_autofree char *workers = g_strjoinv(" ", (char **) targets.workers->pdata),
                    *tasks = g_strjoinv(" ", (char **) targets.tasks->pdata);
    g_assert_cmpstr(workers, ==, "w1 w22");
    g_assert_cmpstr(tasks, ==, "17 batch:4 wx");
    g_assert_true(workers_and_tasks_has_tasks(&targets));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/limit-words/words", test_words);
    g_test_add_func("/limit-words/refused", test_refused);
    g_test_add_func("/limit-words/targets", test_targets);
    return g_test_run();
}
