/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Retries, time limits, signals, output and credentials of a task: taken as they were said, judged with numbers. */
#include <signal.h>
#include <string.h>

#include "request-fixture.h"
#include "util/strv-blob.h"

static void test_policy(void)
{
    static const struct {
        const char *task, *text;
    } cases[] = {
        { "'priority': <0>", "" },
        { "'retries': <uint32 3>", "retries=3" },
        { "'retries': <uint32 1000000>", "retries=1000000" },
        { "'backoff': <(uint64 2000000, uint64 60000000, 1.5)>",
          "backoff-first=2000000 backoff-longest=60000000 backoff-factor=1.5" },
        { "'backoff': <(uint64 0, uint64 0, 1.0)>", "backoff-first=0 backoff-longest=0 backoff-factor=1" },
        { "'timeout': <uint64 5000000>", "timeout=5000000" },
        { "'timeout': <uint64 18446744073709551615>", "" },
        { "'timeout-percent': <uint32 200>", "timeout-percent=200" },
        { "'stop-signal': <2>", "stop-signal=2" },
        { "'grace': <uint64 0>", "grace=0" },
        { "'warn': <(10, uint64 60000000)>, 'timeout': <uint64 90000000>",
          "timeout=90000000 warn-signal=10 warn=60000000" },
        { "'warn': <(10, uint64 60000000)>, 'timeout-percent': <uint32 150>",
          "timeout-percent=150 warn-signal=10 warn=60000000" },
        { "'output-max': <uint64 65536>", "output-max=65536" },
        { "'merge': <true>", "merge=1" },
        { "'on-failure': <[('exit=75', 'retry'), ('signal=SEGV', 'hold'), ('oom', 'fail')]>",
          "on=exit=75:retry on=signal=SEGV:hold on=oom:fail" },
        { "'on-failure': <@a(ss) []>", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Submission) submission = submission_of(cases[i].task);
        g_autofree char *text = task_policy_to_text(&submission_task(submission, 0)->context->policy);
        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

/* The configuration, then the defaults of the submission, then the task itself: each says only what it says. */
static void test_levels(void)
{
    g_autoptr(Submission) submission = NULL;
    TaskPolicy policy;

    task_policy_init(&policy);
    policy.retries = 7;
    policy.grace_usec = 1;
    g_assert_cmpint(task_policy_add_rule(&policy, "lost", "hold"), ==, 0);
    submission = submission_read(
        &policy,
        "{'name': <'a'>}, {'retries': <uint32 1>}, {'on-failure': <[('oom', 'fail')]>}, {'grace': <uint64 2>},"
        "{'on-failure': <@a(ss) []>}",
        "'defaults': <{'argv': <[b'true']>, 'retries': <uint32 3>, 'timeout': <uint64 9000000>}>");
    static const char *const texts[] = {
        "retries=3 timeout=9000000 grace=1 on=lost:hold",
        "retries=1 timeout=9000000 grace=1 on=lost:hold",
        "retries=3 timeout=9000000 grace=1 on=oom:fail",
        "retries=3 timeout=9000000 grace=2 on=lost:hold",
        "retries=3 timeout=9000000 grace=1",
    };
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *text = task_policy_to_text(&submission_task(submission, i)->context->policy);
        g_assert_cmpstr(text, ==, texts[i]);
    }
    g_assert_cmpuint(policy.rules->len, ==, 1);
    task_policy_done(&policy);
}

static void test_bad_policy(void)
{
    static const struct {
        const char *task, *snippet;
    } cases[] = {
        { "'retries': <uint32 4294967295>", "retries is 4294967295; at most 1000000" },
        { "'retries': <uint32 1000001>", "retries is 1000001" },
        { "'retries': <-1>", "takes the type \"u\"" },
        { "'backoff': <(uint64 1, uint64 2, 0.0)>", "the factor of the backoff is 0" },
        { "'backoff': <(uint64 1, uint64 2, 0.99)>", "0.99" },
        { "'backoff': <(uint64 1, uint64 2, -1.0)>", "-1" },
        { "'backoff': <(uint64 1, uint64 2, 101.0)>", "101" },
        { "'backoff': <(uint64 3, uint64 2, 2.0)>", "longer than its longest" },
        { "'backoff': <(uint64 1, uint64 18446744073709551615, 2.0)>", "over 7 days" },
        { "'backoff': <(uint64 1, uint64 2)>", "takes the type \"(ttd)\"" },
        { "'timeout': <uint64 0>", "below 1 ms" },
        { "'timeout-percent': <uint32 100001>", "100001 %" },
        { "'stop-signal': <0>", "numbered from 1" },
        { "'stop-signal': <-9>", "numbered from 1" },
        { "'stop-signal': <65>", "numbered from 1" },
        { "'grace': <uint64 18446744073709551615>", "over a day" },
        { "'warn': <(10, uint64 1)>", "there is none" },
        { "'warn': <(0, uint64 1)>, 'timeout': <uint64 90000000>", "no signal 0" },
        { "'warn': <(-1, uint64 1)>, 'timeout': <uint64 90000000>", "numbered from 1" },
        { "'warn': <(999, uint64 1)>, 'timeout': <uint64 90000000>", "numbered from 1" },
        { "'output-max': <uint64 65535>", "output-max is 65535" },
        { "'on-failure': <[('exit=0', 'retry')]>", "\"exit=0\"" },
        { "'on-failure': <[('exit=256', 'retry')]>", "\"exit=256\"" },
        { "'on-failure': <[('signal=NONE', 'retry')]>", "\"signal=NONE\"" },
        { "'on-failure': <[('oom=1', 'retry')]>", "\"oom=1\"" },
        { "'on-failure': <[('exit', 'panic')]>", "\"panic\"" },
        { "'on-failure': <[('', '')]>", "\"\" and \"\"" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        task_refused(cases[i].task, "InvalidArgument", cases[i].snippet);
    g_autoptr(GString) rules = g_string_new("'on-failure': <[('oom', 'fail')");
    for (unsigned i = 0; i < RETRY_RULES_MAX; i++)
        g_string_append(rules, ", ('oom', 'fail')");
    g_string_append(rules, "]>");
    task_refused(rules->str, "InvalidArgument", "more than 64 lines");
}

/* GVariant's text has no such numbers. */
static void test_no_number(void)
{
    static const double factors[] = { __builtin_nan(""), __builtin_inf(), -__builtin_inf() };

    for (size_t i = 0; i < G_N_ELEMENTS(factors); i++) {
        GVariantBuilder task, tasks;
        g_variant_builder_init(&task, G_VARIANT_TYPE_VARDICT);
        g_variant_builder_add(&task, "{sv}", "argv", g_variant_new_parsed("[b'true']"));
        g_variant_builder_add(&task, "{sv}", "backoff",
                              g_variant_new("(ttd)", UINT64_C(1), UINT64_C(2), factors[i]));
        g_variant_builder_init(&tasks, G_VARIANT_TYPE("aa{sv}"));
        g_variant_builder_add_value(&tasks, g_variant_builder_end(&task));
        submission_value_refused(g_variant_new("(aa{sv}a{sv})", &tasks, NULL), "InvalidArgument",
                                 "the factor of the backoff is");
    }
}

/* Of a warning and a timeout in either order, from defaults and task. */
static void test_together(void)
{
    g_autoptr(Submission) submission =
        submission_read(NULL, "{'timeout': <uint64 90000000>}",
                        "'defaults': <{'argv': <[b'true']>, 'warn': <(10, uint64 1)>}>");

    g_assert_cmpint(submission_task(submission, 0)->context->policy.warn_signal, ==, 10);
    submission_refused("{'timeout': <uint64 90000000>}, {'name': <'b'>}",
                       "'defaults': <{'argv': <[b'true']>, 'warn': <(10, uint64 1)>}>", "InvalidArgument",
                       "Task 2: a warning goes before a timeout");
}

/* ---- credentials */

static void test_credentials(void)
{
    g_autoptr(Submission) submission =
        submission_of("'credentials': <[b'api.key-1_A=/home/u/key', b'...=/', b'b=/x=y']>");
    GBytes *credentials = submission_task(submission, 0)->context->credentials;
    size_t size;

    g_assert_nonnull(credentials);
    const char *data = g_bytes_get_data(credentials, &size);
    g_assert_cmpuint(strv_blob_count(data, size), ==, 3);
    g_assert_cmpstr(data, ==, "api.key-1_A=/home/u/key");
    g_autoptr(Submission) none = submission_of("'credentials': <@aay []>");
    g_assert_null(submission_task(none, 0)->context->credentials);
}

static void test_bad_credentials(void)
{
    static const char *const bad[] = { "",           "key",       "=/path",         "key=",
                                       "key=path",   ".=/path",   "..=/p",          "a/b=/p",
                                       "../k=/path", "k y=/path", "k\\303\\266=/p", "k\\n=/p" };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *task = g_strdup_printf("'credentials': <[b'ok=/path', b'%s']>", bad[i]);
        task_refused(task, "InvalidArgument", "Credential 2");
    }
    task_refused("'credentials': <[b'a=/p', b'b=/q', b'a=/r']>", "InvalidArgument",
                 "Credential 3 has the name");
    g_autofree char *name = g_strnfill(256, 'n'), *path = g_strnfill(4096, 'p');
    g_autofree char *long_name = g_strdup_printf("'credentials': <[b'%s=/p']>", name),
                    *long_path = g_strdup_printf("'credentials': <[b'n=/%s']>", path);
    task_refused(long_name, "InvalidArgument", "1 to 255");
    task_refused(long_path, "InvalidArgument", "at most 4095 bytes");
    g_autoptr(GString) many = g_string_new("'credentials': <[b'n=/p'");
    for (unsigned i = 0; i < 64; i++)
        g_string_append_printf(many, ", b'n%u=/p'", i);
    g_string_append(many, "]>");
    task_refused(many->str, "InvalidArgument", "at most 64 credentials");
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/policy-request/policy", test_policy);
    g_test_add_func("/policy-request/levels", test_levels);
    g_test_add_func("/policy-request/bad-policy", test_bad_policy);
    g_test_add_func("/policy-request/no-number", test_no_number);
    g_test_add_func("/policy-request/together", test_together);
    g_test_add_func("/policy-request/credentials", test_credentials);
    g_test_add_func("/policy-request/bad-credentials", test_bad_credentials);
    return g_test_run();
}
