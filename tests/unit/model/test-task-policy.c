/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* task-policy.c: the text that the store keeps, rules and their causes, signals, and the range of each field. */
#include "model/task-policy.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>

static const struct {
    const char *text, *again; /* NULL: the same */
} texts[] = {
    { "", NULL },
    { "retries=3", NULL },
    { "retries=3 backoff-first=500000 backoff-longest=60000000 backoff-factor=1.5", NULL },
    { "backoff-factor=2.1000000000000001", NULL },
    { "timeout=1000", NULL },
    { "timeout-percent=200", NULL },
    { "stop-signal=2 grace=0", NULL },
    { "timeout=5000000 warn-signal=10 warn=1000000", NULL },
    { "output-max=65536 merge=1", NULL },
    { "output-max=18446744073709551615", NULL },
    { "on=exit=75:fail on=exit=64-78:hold on=exit:retry", NULL },
    { "on=signal=SEGV:fail on=signal:hold on=timeout:fail on=oom:hold on=lost:fail on=spawn-failed:retry", NULL },
    { "on=exit=1-255:fail on=signal=11:fail on=signal=SIGKILL:hold on=exit=7-7:fail",
      "on=exit:fail on=signal=SEGV:fail on=signal=KILL:hold on=exit=7:fail" },
    { "merge=1 retries=2", "retries=2 merge=1" },
    { "retries=0 stop-signal=15 backoff-factor=2", "" }, /* as it is anyway */
    { "retries=1 from-a-later-version=yes", "retries=1" },
    { "  retries=1  ", "retries=1" },
};

static void test_text(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        TaskPolicy policy, again;
        g_autofree char *text = NULL;
        task_policy_init(&policy);
        task_policy_init(&again);
        g_test_message("%s", texts[i].text);
        g_assert_cmpint(task_policy_from_text(texts[i].text, &policy), ==, 0);
        text = task_policy_to_text(&policy);
        g_assert_cmpstr(text, ==, texts[i].again ? texts[i].again : texts[i].text);
        g_assert_cmpint(task_policy_from_text(text, &again), ==, 0);
        g_assert_true(task_policy_equal(&policy, &again));
        task_policy_done(&policy);
        task_policy_done(&again);
    }
}

static void test_values(void)
{
    TaskPolicy policy;

    task_policy_init(&policy);
    g_assert_cmpint(task_policy_from_text("retries=3 backoff-first=4 backoff-longest=5 backoff-factor=6.5 timeout=7 "
                                          "timeout-percent=8 stop-signal=9 grace=10 warn-signal=11 warn=12 "
                                          "output-max=13 merge=1 on=exit=14-15:hold",
                                          &policy),
                    ==, 0);
    g_assert_cmpuint(policy.retries, ==, 3);
    g_assert_cmpuint(policy.backoff_first_usec, ==, 4);
    g_assert_cmpuint(policy.backoff_longest_usec, ==, 5);
    g_assert_cmpfloat(policy.backoff_factor, ==, 6.5);
    g_assert_cmpuint(policy.timeout_usec, ==, 7);
    g_assert_cmpuint(policy.timeout_percent, ==, 8);
    g_assert_cmpint(policy.stop_signal, ==, 9);
    g_assert_cmpuint(policy.grace_usec, ==, 10);
    g_assert_cmpint(policy.warn_signal, ==, 11);
    g_assert_cmpuint(policy.warn_usec, ==, 12);
    g_assert_cmpuint(policy.output_max_bytes, ==, 13);
    g_assert_true(policy.merge);
    g_assert_cmpuint(policy.rules->len, ==, 1);
    RetryRule rule = g_array_index(policy.rules, RetryRule, 0);
    g_assert_cmpint(rule.outcome, ==, OUTCOME_EXITED);
    g_assert_cmpint(rule.first, ==, 14);
    g_assert_cmpint(rule.last, ==, 15);
    g_assert_cmpint(rule.action, ==, RETRY_HOLD);
    task_policy_done(&policy);
}

static void test_usual(void)
{
    TaskPolicy policy;
    char *why = NULL;

    task_policy_init(&policy);
    g_assert_cmpuint(policy.retries, ==, 0);
    g_assert_cmpuint(policy.backoff_first_usec, ==, USEC_PER_SEC);
    g_assert_cmpuint(policy.backoff_longest_usec, ==, 300 * USEC_PER_SEC);
    g_assert_cmpfloat(policy.backoff_factor, ==, 2);
    g_assert_cmpuint(policy.timeout_usec, ==, UINT64_MAX);
    g_assert_cmpint(policy.stop_signal, ==, SIGTERM);
    g_assert_cmpuint(policy.grace_usec, ==, 10 * USEC_PER_SEC);
    g_assert_cmpuint(policy.output_max_bytes, ==, UINT64_C(67108864));
    g_assert_false(policy.merge);
    g_assert_cmpint(task_policy_check(&policy, &why), ==, 0);
    g_assert_null(why);
}

static const char *const broken[] = {
    "retries",
    "retries=",
    "retries=x",
    "retries=-1",
    "retries=4294967296",
    "retries=1.5",
    "backoff-factor=",
    "backoff-factor=nan",
    "backoff-factor=inf",
    "backoff-factor=1e999",
    "backoff-factor=2x",
    "timeout=18446744073709551616",
    "stop-signal=2147483648",
    "on=exit",
    "on=exit:",
    "on=exit:never",
    "on=exit=0:fail",
    "on=exit=256:fail",
    "on=exit=9-8:fail",
    "on=nothing:fail",
};

static void test_broken(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        TaskPolicy policy;
        task_policy_init(&policy);
        g_test_message("%s", broken[i]);
        g_assert_cmpint(task_policy_from_text(broken[i], &policy), <, 0);
        task_policy_done(&policy);
    }
}

static const struct {
    const char *cause, *action;
    int r;
    RetryRule rule;
} rules[] = {
    { "exit", "retry", 0, { OUTCOME_EXITED, 1, 255, RETRY_AGAIN } },
    { "exit=75", "fail", 0, { OUTCOME_EXITED, 75, 75, RETRY_FAIL } },
    { "exit=1", "fail", 0, { OUTCOME_EXITED, 1, 1, RETRY_FAIL } },
    { "exit=255", "fail", 0, { OUTCOME_EXITED, 255, 255, RETRY_FAIL } },
    { "exit=64-78", "hold", 0, { OUTCOME_EXITED, 64, 78, RETRY_HOLD } },
    { "signal=SEGV", "fail", 0, { OUTCOME_SIGNALLED, SIGSEGV, SIGSEGV, RETRY_FAIL } },
    { "signal=SIGSEGV", "fail", 0, { OUTCOME_SIGNALLED, SIGSEGV, SIGSEGV, RETRY_FAIL } },
    { "signal=9", "fail", 0, { OUTCOME_SIGNALLED, 9, 9, RETRY_FAIL } },
    { "timeout", "hold", 0, { OUTCOME_TIMEOUT, 0, 0, RETRY_HOLD } },
    { "oom", "fail", 0, { OUTCOME_OOM, 0, 0, RETRY_FAIL } },
    { "lost", "fail", 0, { OUTCOME_LOST, 0, 0, RETRY_FAIL } },
    { "spawn-failed", "retry", 0, { OUTCOME_SPAWN_FAILED, 0, 0, RETRY_AGAIN } },
    { "", "fail", -EINVAL, { 0 } },
    { "exit=", "fail", -EINVAL, { 0 } },
    { "exit=0", "fail", -EINVAL, { 0 } }, /* a success */
    { "exit=0-5", "fail", -EINVAL, { 0 } },
    { "exit=256", "fail", -EINVAL, { 0 } },
    { "exit=5-4", "fail", -EINVAL, { 0 } },
    { "exit=5-", "fail", -EINVAL, { 0 } },
    { "exit=-5", "fail", -EINVAL, { 0 } },
    { "exit=1-2-3", "fail", -EINVAL, { 0 } },
    { "exit=99999999999999999999", "fail", -EINVAL, { 0 } },
    { "signal=", "fail", -EINVAL, { 0 } },
    { "signal=FOO", "fail", -EINVAL, { 0 } },
    { "signal=0", "fail", -EINVAL, { 0 } },
    { "oom=1", "fail", -EINVAL, { 0 } },
    { "aborted", "fail", -EINVAL, { 0 } }, /* not the task's */
    { "exited", "fail", -EINVAL, { 0 } },
    { "exit", "", -EINVAL, { 0 } },
    { "exit", "again", -EINVAL, { 0 } },
};

static void test_rules(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        TaskPolicy policy;
        task_policy_init(&policy);
        g_test_message("%s:%s", rules[i].cause, rules[i].action);
        g_assert_cmpint(task_policy_add_rule(&policy, rules[i].cause, rules[i].action), ==, rules[i].r);
        g_assert_cmpint(policy.rules ? (int) policy.rules->len : 0, ==, rules[i].r == 0);
        if (rules[i].r == 0) {
            RetryRule rule = g_array_index(policy.rules, RetryRule, 0);
            g_assert_cmpint(rule.outcome, ==, rules[i].rule.outcome);
            g_assert_cmpint(rule.first, ==, rules[i].rule.first);
            g_assert_cmpint(rule.last, ==, rules[i].rule.last);
            g_assert_cmpint(rule.action, ==, rules[i].rule.action);
        }
        task_policy_done(&policy);
    }
}

static void test_many_rules(void)
{
    TaskPolicy policy;

    task_policy_init(&policy);
    for (unsigned i = 0; i < RETRY_RULES_MAX; i++)
        g_assert_cmpint(task_policy_add_rule(&policy, "oom", "fail"), ==, 0);
    g_assert_cmpint(task_policy_add_rule(&policy, "oom", "fail"), ==, -E2BIG);
    g_assert_cmpuint(policy.rules->len, ==, RETRY_RULES_MAX);
    task_policy_done(&policy);
}

/* Each field makes a difference, and a copy shares nothing. */
static void test_equal(void)
{
    static const char *const one_each[] = {
        "retries=1", "backoff-first=1", "backoff-longest=1", "backoff-factor=3", "timeout=1", "timeout-percent=1",
        "stop-signal=1", "grace=1", "warn-signal=1", "warn=1", "output-max=1", "merge=1", "on=oom:fail", "on=oom:hold",
        "on=lost:fail", "on=exit=1:fail", "on=exit=2:fail", "on=exit=1-2:fail",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(one_each); i++) {
        TaskPolicy a, copy;
        task_policy_init(&a);
        task_policy_init(&copy);
        g_assert_cmpint(task_policy_from_text(one_each[i], &a), ==, 0);
        g_assert_false(task_policy_equal(&a, &copy));
        for (size_t k = 0; k < G_N_ELEMENTS(one_each); k++) {
            TaskPolicy b;
            task_policy_init(&b);
            g_assert_cmpint(task_policy_from_text(one_each[k], &b), ==, 0);
            g_assert_cmpint(task_policy_equal(&a, &b), ==, i == k);
            task_policy_done(&b);
        }
        task_policy_copy(&copy, &a);
        g_assert_true(task_policy_equal(&a, &copy));
        g_assert_cmpint(task_policy_add_rule(&copy, "oom", "fail"), ==, 0);
        g_assert_false(task_policy_equal(&a, &copy));
        task_policy_copy(&copy, &a); /* over what it had */
        g_assert_true(task_policy_equal(&a, &copy));
        task_policy_done(&a);
        task_policy_done(&copy);
    }
}

static const struct {
    const char *text;
    const char *why; /* a part; NULL: it is fine */
} ranges[] = {
    { "retries=1000000", NULL },
    { "retries=1000001", "retries is 1000001; at most 1000000" },
    { "retries=4294967295", "retries is 4294967295" },
    { "backoff-factor=1", NULL },
    { "backoff-factor=0.999", "from 1 to 100" },
    { "backoff-factor=0", "the factor of the backoff is 0; from 1 to 100" },
    { "backoff-factor=-2", "from 1 to 100" },
    { "backoff-factor=100", NULL },
    { "backoff-factor=100.5", "from 1 to 100" },
    { "backoff-first=0", NULL },
    { "backoff-first=300000000", NULL },
    { "backoff-first=300000001", "longer than its longest" },
    { "backoff-longest=999999", "longer than its longest" },
    { "backoff-longest=604800000000", NULL },
    { "backoff-longest=604800000001", "over 7 days" },
    { "timeout=1000", NULL },
    { "timeout=999", "below 1 ms" },
    { "timeout=0", "below 1 ms" },
    { "timeout-percent=100000", NULL },
    { "timeout-percent=100001", "100001 % of the median; at most 100000 %" },
    { "stop-signal=0", "signals are numbered from 1 to 64" },
    { "stop-signal=64", NULL },
    { "stop-signal=65", "signals are numbered" },
    { "grace=86400000000", NULL },
    { "grace=86400000001", "over a day" },
    { "warn-signal=10", "there is none" },
    { "warn-signal=10 timeout=5000000", NULL },
    { "warn-signal=10 timeout-percent=200", NULL },
    { "warn-signal=65 timeout=5000000", "signals are numbered" },
    { "output-max=65536", NULL },
    { "output-max=65535", "output-max is 65535 bytes; at least 65536" },
    { "output-max=0", "at least 65536" },
};

static void test_ranges(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ranges); i++) {
        TaskPolicy policy;
        g_autofree char *why = NULL;
        task_policy_init(&policy);
        g_assert_cmpint(task_policy_from_text(ranges[i].text, &policy), ==, 0);
        g_test_message("%s", ranges[i].text);
        g_assert_cmpint(task_policy_check(&policy, &why), ==, ranges[i].why ? -EINVAL : 0);
        g_assert_cmpint(why != NULL, ==, ranges[i].why != NULL);
        if (why)
            g_assert_nonnull(strstr(why, ranges[i].why));
    }
}

static void test_not_finite(void)
{
    static const double numbers[] = { NAN, -NAN, INFINITY, -INFINITY };

    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        TaskPolicy policy;
        g_autofree char *why = NULL;
        task_policy_init(&policy);
        policy.backoff_factor = numbers[i];
        g_assert_cmpint(task_policy_check(&policy, &why), ==, -EINVAL);
        g_assert_nonnull(strstr(why, "factor of the backoff"));
    }
}

static const struct {
    const char *word;
    int number;
    const char *shown;
} signal_words[] = {
    { "TERM", 15, "TERM" },       { "SIGTERM", 15, "TERM" }, { "15", 15, "TERM" },      { "KILL", 9, "KILL" },
    { "USR1", 10, "USR1" },       { "1", 1, "HUP" },         { "64", 64, "RTMIN+30" },  { "RTMIN+3", 37, "RTMIN+3" },
    { "SIGRTMIN+0", 34, "RTMIN+0" }, { "RTMIN+30", 64, "RTMIN+30" }, { "RTMIN+31", -EINVAL, NULL },
    { "65", -EINVAL, NULL },      { "0", -EINVAL, NULL },    { "-9", -EINVAL, NULL },   { "", -EINVAL, NULL },
    { "SIG", -EINVAL, NULL },     { "term", -EINVAL, NULL }, { " 15", -EINVAL, NULL },  { "15 ", -EINVAL, NULL },
    { "RTMIN+", -EINVAL, NULL },  { "RTMIN-1", -EINVAL, NULL }, { "4294967311", -EINVAL, NULL }, { "SIG15", -EINVAL, NULL },
};

static void test_signals(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(signal_words); i++) {
        int number = signal_parse(signal_words[i].word);
        g_test_message("%s", signal_words[i].word);
        g_assert_cmpint(number, ==, signal_words[i].number);
        g_autofree char *shown = number > 0 ? signal_format(number) : NULL;
        g_assert_cmpstr(shown, ==, signal_words[i].shown);
    }
    for (int number = 1; number <= SIGRTMAX; number++) {
        g_autofree char *word = signal_format(number);
        g_assert_cmpint(signal_parse(word), ==, number);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-policy/text", test_text);
    g_test_add_func("/task-policy/values", test_values);
    g_test_add_func("/task-policy/usual", test_usual);
    g_test_add_func("/task-policy/broken", test_broken);
    g_test_add_func("/task-policy/rules", test_rules);
    g_test_add_func("/task-policy/many-rules", test_many_rules);
    g_test_add_func("/task-policy/equal", test_equal);
    g_test_add_func("/task-policy/ranges", test_ranges);
    g_test_add_func("/task-policy/not-finite", test_not_finite);
    g_test_add_func("/task-policy/signals", test_signals);
    return g_test_run();
}
