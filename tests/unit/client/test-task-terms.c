/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terms of tasks: each word, what becomes of it in a message, and what goes before what. */

#include "client/task-terms.h"

#include <string.h>

#include "client/json-output.h"
#include "client/task-template.h"
#include "tests/unit/client/fake-manager.h"

/* What a task given these words is told as, in JSON. */
static char *message_of(const TaskTerms *terms)
{
    g_autoptr(sd_bus_message) m = NULL;
    g_autoptr(JsonOutput) json = json_output_new();
    sd_bus *bus = message_bus_new();

    g_assert_cmpint(sd_bus_message_new_signal(bus, &m, "/", "a.b", "C"), >=, 0);
    g_assert_cmpint(sd_bus_message_open_container(m, 'a', "{sv}"), >=, 0);
    g_assert_cmpint(task_terms_append(terms, m), >=, 0);
    g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
    message_seal(m);
    g_assert_cmpint(json_output_message(json, m), >=, 0);
    char *text = json_output_text(json, /* pretty= */ false);
    m = sd_bus_message_unref(m);
    sd_bus_unref(bus);
    return text;
}

static void test_words(void)
{
    static const struct {
        TermKey key;
        const char *word, *expected;
    } cases[] = {
        { TERM_PRIORITY, "-5", "{\"priority\":-5}" },
        { TERM_MEMORY, "1K", "{\"memory-max\":1024}" },
        { TERM_MEMORY, "auto", "{\"memory-auto\":true}" },
        { TERM_RETRY_MEMORY, "2x", "{\"retry-memory\":\"2x\"}" },
        { TERM_RETRY_MEMORY, "1K,2K", "{\"retry-memory\":\"1024,2048\"}" },
        { TERM_CPUS, "0.5", "{\"cpu-quota\":500000}" },
        { TERM_TASKS_MAX, "50", "{\"tasks-max\":50}" },
        { TERM_TASKS_MAX, "infinity", "{\"tasks-max\":null}" },
        { TERM_IO_WEIGHT, "200", "{\"io-weight\":200}" },
        { TERM_GPUS, "2", "{\"gpus\":2,\"gpus-optional\":false}" },
        { TERM_GPUS, "1?", "{\"gpus\":1,\"gpus-optional\":true}" },
        { TERM_RESOURCE, "tape,licence=2", "{\"resources\":\"licence=2,tape=1\"}" },
        { TERM_RETRIES, "3", "{\"retries\":3}" },
        { TERM_RETRIES, "0", "{\"retries\":0}" },
        { TERM_BACKOFF, "2s", "{\"backoff\":[2000000,300000000,2.0]}" },
        { TERM_BACKOFF, "10min", "{\"backoff\":[600000000,600000000,2.0]}" },
        { TERM_BACKOFF, "1s,1min,1.5", "{\"backoff\":[1000000,60000000,1.5]}" },
        { TERM_ON, "exit=64-78:fail", "{\"on-failure\":[[\"exit=64-78\",\"fail\"]]}" },
        { TERM_ON, "signal=SEGV:hold", "{\"on-failure\":[[\"signal=SEGV\",\"hold\"]]}" },
        { TERM_TIMEOUT, "90", "{\"timeout\":90000000}" },
        { TERM_TIMEOUT, "200%", "{\"timeout-percent\":200}" },
        { TERM_TIMEOUT, "infinity", "{\"timeout\":null}" },
        { TERM_SIGNAL, "INT", "{\"stop-signal\":2}" },
        { TERM_GRACE, "0", "{\"grace\":0}" },
        { TERM_WARN, "USR1@60s", "{\"warn\":[10,60000000]}" },
        { TERM_OUTPUT_MAX, "64K", "{\"output-max\":65536}" },
        { TERM_MERGE, "yes", "{\"merge\":true}" },
        { TERM_QUEUE, "sims", "{\"queue\":\"sims\"}" },
        { TERM_WORKER_CLASS, "infer", "{\"worker-class\":\"infer\"}" },
        { TERM_CREDENTIAL, "key=/etc/key", "{\"credentials\":[\"key=/etc/key\"]}" },
        { TERM_BEGIN, "@1700000000", "{\"not-before\":\"2023-11-14T22:13:20.000Z\"}" },
        { TERM_BEGIN, "+30min", "{\"delay\":1800000000}" },
        { TERM_DELAY, "10s", "{\"delay\":10000000}" },
        { TERM_HOLD, "yes", "{\"hold\":true}" },
        { TERM_KEEP_UNSATISFIED, "no", "{\"keep-unsatisfied\":false}" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(TaskTerms) terms;
        task_terms_init(&terms);
        g_test_message("%s %s", term_key_to_string(cases[i].key), cases[i].word);
        g_assert_cmpint(task_terms_set(&terms, cases[i].key, cases[i].word), ==, 0);
        g_autofree char *text = message_of(&terms);
        g_assert_cmpstr(text, ==, cases[i].expected);
        g_assert_cmpuint(terms.given, ==, 1U << cases[i].key);
        g_assert_cmpuint(task_terms_bytes(&terms), >, 0);
    }
}

static const struct {
    TermKey key;
    const char *word;
} refused[] = {
    { TERM_PRIORITY, "2147483648" },
    { TERM_PRIORITY, "x" },
    { TERM_MEMORY, "lots" },
    { TERM_RETRIES, "4294967296" },
    { TERM_RETRIES, "-1" },
    { TERM_BACKOFF, "0s,1s,0" },
    { TERM_BACKOFF, "1s,1s,nan" },
    { TERM_BACKOFF, "1s,1s,inf" },
    { TERM_BACKOFF, "2s,1s" },
    { TERM_BACKOFF, "1s,8d" },
    { TERM_BACKOFF, "" },
    { TERM_BACKOFF, "1s,2s,2,2" },
    { TERM_ON, "exit=0:fail" },
    { TERM_ON, "exit=256:fail" },
    { TERM_ON, "exit" },
    { TERM_ON, "exit:dance" },
    { TERM_ON, "sun:fail" },
    { TERM_TIMEOUT, "0" },
    { TERM_TIMEOUT, "0%" },
    { TERM_TIMEOUT, "100001%" },
    { TERM_TIMEOUT, "x" },
    { TERM_SIGNAL, "0" },
    { TERM_SIGNAL, "999" },
    { TERM_GRACE, "25h" },
    { TERM_GRACE, "infinity" },
    { TERM_WARN, "USR1" },
    { TERM_WARN, "@1s" },
    { TERM_WARN, "USR1@x" },
    { TERM_OUTPUT_MAX, "65535" },
    { TERM_QUEUE, "" },
    { TERM_QUEUE, "a\nb" },
    { TERM_QUEUE, "\xff" },
    { TERM_WORKER_CLASS, "" },
    { TERM_CREDENTIAL, "x" },
    { TERM_CREDENTIAL, "=/x" },
    { TERM_CREDENTIAL, "x=" },
    { TERM_CREDENTIAL, "a/b=/x" },
    { TERM_CREDENTIAL, "..=/x" },
    { TERM_BEGIN, "soon" },
    { TERM_DELAY, "infinity" },
    { TERM_HOLD, "maybe" },
    { TERM_MEMORY, "AUTO" },
    { TERM_RETRY_MEMORY, "1x" },
    { TERM_RETRY_MEMORY, "65x" },
    { TERM_RETRY_MEMORY, "nanx" },
    { TERM_RETRY_MEMORY, "2G,1G" },
    { TERM_RETRY_MEMORY, "" },
    { TERM_CPUS, "0" },
    { TERM_CPUS, "0.001" },
    { TERM_CPUS, "-1" },
    { TERM_TASKS_MAX, "0" },
    { TERM_TASKS_MAX, "4194305" },
    { TERM_IO_WEIGHT, "0" },
    { TERM_IO_WEIGHT, "10001" },
    { TERM_GPUS, "" },
    { TERM_GPUS, "?" },
    { TERM_GPUS, "0?" },
    { TERM_GPUS, "1025" },
    { TERM_GPUS, "2??" },
    { TERM_RESOURCE, "" },
    { TERM_RESOURCE, "a b=1" },
    { TERM_RESOURCE, "a=1,a=2" },
    { TERM_RESOURCE, "a=-1" },
};

static void test_refused(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_auto(TaskTerms) terms;
        task_terms_init(&terms);
        g_test_message("%s \"%s\"", term_key_to_string(refused[i].key), refused[i].word);
        g_assert_cmpint(task_terms_set(&terms, refused[i].key, refused[i].word), ==, -EINVAL);
        g_assert_cmpuint(terms.given, ==, 0);
        g_assert_cmpuint(strlen(task_term_form(refused[i].key)), >, 0);
    }
}

static void test_check(void)
{
    g_auto(TaskTerms) terms;
    g_autofree char *why = NULL;

    task_terms_init(&terms);
    g_assert_cmpint(task_terms_set(&terms, TERM_WARN, "USR1@1s"), ==, 0);
    g_assert_cmpint(task_terms_check(&terms, &why), ==, 0); /* the timeout may be the configuration's */
    g_assert_cmpint(task_terms_set(&terms, TERM_BEGIN, "+1s"), ==, 0);
    g_assert_cmpint(task_terms_set(&terms, TERM_DELAY, "1s"), ==, 0);
    g_assert_cmpint(task_terms_check(&terms, &why), ==, -EINVAL);
    g_assert_nonnull(strstr(why, "begin"));
}

/* Each --resource adds to the list; what one task says of its memory replaces all that the defaults say. */
static void test_demand(void)
{
    g_auto(TaskTerms) own, defaults;

    task_terms_init(&own);
    task_terms_init(&defaults);
    g_assert_cmpint(task_terms_set(&defaults, TERM_RESOURCE, "tape"), ==, 0);
    g_assert_cmpint(task_terms_set(&defaults, TERM_RESOURCE, "licence=2"), ==, 0);
    g_assert_cmpint(task_terms_set(&defaults, TERM_RESOURCE, "tape=3"), ==, -EINVAL);
    g_assert_cmpint(task_terms_set(&defaults, TERM_MEMORY, "auto"), ==, 0);
    g_assert_cmpint(task_terms_set(&defaults, TERM_CPUS, "2"), ==, 0);
    g_assert_cmpint(task_terms_set(&own, TERM_MEMORY, "1K"), ==, 0);
    task_terms_merge(&own, &defaults, TERM_BITS_ALL);
    g_autofree char *merged = message_of(&own);
    g_assert_cmpstr(merged, ==,
                    "{\"memory-max\":1024,\"cpu-quota\":2000000,\"resources\":\"licence=2,tape=1\"}");
    g_assert_cmpuint(TERM_BITS_JOINED & 1U << TERM_MEMORY, !=, 0);
    task_terms_drop(&own, 1U << TERM_RESOURCE | 1U << TERM_CPUS);
    g_autofree char *dropped = message_of(&own);
    g_assert_cmpstr(dropped, ==, "{\"memory-max\":1024}");
}

static void test_too_many_rules(void)
{
    g_auto(TaskTerms) terms;

    task_terms_init(&terms);
    for (unsigned i = 0; i < RETRY_RULES_MAX; i++)
        g_assert_cmpint(task_terms_set(&terms, TERM_ON, "oom:fail"), ==, 0);
    g_assert_cmpint(task_terms_set(&terms, TERM_ON, "oom:fail"), ==, -EINVAL);
}

static void test_merge(void)
{
    g_auto(TaskTerms) own, defaults;

    task_terms_init(&own);
    task_terms_init(&defaults);
    g_assert_cmpint(task_terms_set(&own, TERM_RETRIES, "1"), ==, 0);
    g_assert_cmpint(task_terms_set(&own, TERM_DELAY, "1s"), ==, 0);
    g_assert_cmpint(task_terms_set(&defaults, TERM_RETRIES, "9"), ==, 0);
    g_assert_cmpint(task_terms_set(&defaults, TERM_BEGIN, "@1700000000"), ==, 0);
    g_assert_cmpint(task_terms_set(&defaults, TERM_ON, "oom:fail"), ==, 0);
    g_assert_cmpint(task_terms_set(&defaults, TERM_QUEUE, "q"), ==, 0);
    g_assert_cmpint(task_terms_set(&defaults, TERM_CREDENTIAL, "a=/b"), ==, 0);
    task_terms_merge(&own, &defaults, TERM_BITS_ALL & ~(1U << TERM_CREDENTIAL));
    g_autofree char *merged = message_of(&own);
    g_assert_cmpstr(merged, ==,
                    "{\"queue\":\"q\",\"delay\":1000000,\"retries\":1,\"on-failure\":[[\"oom\",\"fail\"]]}");
    task_terms_drop(&own, 1U << TERM_QUEUE | TERM_BITS_BEGIN);
    g_autofree char *dropped = message_of(&own);
    g_assert_cmpstr(dropped, ==, "{\"retries\":1,\"on-failure\":[[\"oom\",\"fail\"]]}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-terms/words", test_words);
    g_test_add_func("/task-terms/refused", test_refused);
    g_test_add_func("/task-terms/check", test_check);
    g_test_add_func("/task-terms/too-many-rules", test_too_many_rules);
    g_test_add_func("/task-terms/merge", test_merge);
    g_test_add_func("/task-terms/demand", test_demand);
    return g_test_run();
}
