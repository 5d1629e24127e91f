/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* retry.c: the delays, by value and by their bounds, and what is done about each kind of end. */
#include "policy/retry.h"

#include <signal.h>

static TaskPolicy policy_of(const char *text)
{
    TaskPolicy policy;

    task_policy_init(&policy);
    g_assert_cmpint(task_policy_from_text(text, &policy), ==, 0);
    return policy;
}

static const struct {
    const char *policy;
    uint32_t n;
    double random;
    uint64_t delay_usec;
} delays[] = {
    { "", 1, 0, 1000000 }, /* 1 s, twice as long each time, at most 5 min */
    { "", 2, 0, 2000000 },
    { "", 3, 0, 4000000 },
    { "", 9, 0, 256000000 },
    { "", 10, 0, 300000000 },
    { "", 1000000, 0, 300000000 },
    { "", UINT32_MAX, 0, 300000000 },
    { "", 1, 1, 750000 }, /* less a quarter */
    { "", 1, 0.5, 875000 },
    { "", 10, 1, 225000000 },
    { "backoff-factor=1", 1000, 0, 1000000 },
    { "backoff-first=100 backoff-factor=1.5", 3, 0, 225 },
    { "backoff-first=0", 1, 0, 0 }, /* at once */
    { "backoff-first=0", 5, 1, 0 },
    { "backoff-first=0", 100000, 0, 0 }, /* 0 × infinity is 0 here */
    { "backoff-first=0 backoff-longest=0", 7, 0.3, 0 },
    { "backoff-first=604800000000 backoff-longest=604800000000 backoff-factor=100", 1000000, 0, 604800000000 },
};

static void test_delay(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(delays); i++) {
        TaskPolicy policy = policy_of(delays[i].policy);
        g_test_message("%s %u", delays[i].policy, delays[i].n);
        g_assert_cmpuint(retry_delay(&policy, delays[i].n, delays[i].random), ==, delays[i].delay_usec);
    }
}

/* Chance makes it shorter by up to a quarter, never longer; more retries never make it shorter. */
static void test_delay_bounds(void)
{
    TaskPolicy policy = policy_of("backoff-first=3000000 backoff-factor=1.7");
    uint64_t before = 0;

    for (uint32_t n = 1; n < 100; n++) {
        uint64_t whole = retry_delay(&policy, n, 0);
        g_assert_cmpuint(whole, >=, before);
        g_assert_cmpuint(whole, <=, policy.backoff_longest_usec);
        for (double random = 0; random <= 1; random += 0.125) {
            g_assert_cmpuint(retry_delay(&policy, n, random), <=, whole);
            g_assert_cmpuint(retry_delay(&policy, n, random), >=, whole * 3 / 4 - 1);
        }
        before = whole;
    }
}

static const struct {
    const char *policy;
    Outcome outcome;
    int number; /* exit status or signal */
    uint32_t spent;
    RetryAction action;
    uint64_t delay_usec;
} verdicts[] = {
    { "", OUTCOME_EXITED, 1, 1, RETRY_FAIL, 0 },
    { "retries=1", OUTCOME_EXITED, 1, 1, RETRY_AGAIN, 1000000 },
    { "retries=1", OUTCOME_EXITED, 1, 2, RETRY_FAIL, 0 },
    { "retries=3", OUTCOME_TIMEOUT, 0, 3, RETRY_AGAIN, 4000000 },
    { "retries=3", OUTCOME_TIMEOUT, 0, 4, RETRY_FAIL, 0 },
    { "retries=1000000", OUTCOME_OOM, 0, 1000000, RETRY_AGAIN, 300000000 },
    { "retries=1000000", OUTCOME_OOM, 0, 1000001, RETRY_FAIL, 0 },
    { "retries=9 on=exit=75:fail", OUTCOME_EXITED, 75, 1, RETRY_FAIL, 0 },
    { "retries=9 on=exit=75:fail", OUTCOME_EXITED, 74, 1, RETRY_AGAIN, 1000000 },
    { "retries=9 on=exit=64-78:hold", OUTCOME_EXITED, 64, 1, RETRY_HOLD, 0 },
    { "retries=9 on=exit=64-78:hold", OUTCOME_EXITED, 78, 1, RETRY_HOLD, 0 },
    { "retries=9 on=exit=64-78:hold", OUTCOME_EXITED, 63, 1, RETRY_AGAIN, 1000000 },
    { "retries=9 on=exit=64-78:hold", OUTCOME_EXITED, 79, 1, RETRY_AGAIN, 1000000 },
    { "on=exit=75:retry", OUTCOME_EXITED, 75, 1, RETRY_FAIL, 0 }, /* only as long as there are retries */
    { "on=exit:hold", OUTCOME_EXITED, 1, 99, RETRY_HOLD, 0 },     /* holding needs none */
    /* the first that fits */
    { "retries=9 on=exit=75:retry on=exit:fail", OUTCOME_EXITED, 75, 1, RETRY_AGAIN, 1000000 },
    { "retries=9 on=exit=75:retry on=exit:fail", OUTCOME_EXITED, 76, 1, RETRY_FAIL, 0 },
    { "retries=9 on=exit:fail on=exit=75:retry", OUTCOME_EXITED, 75, 1, RETRY_FAIL, 0 },
    { "retries=9 on=signal=SEGV:fail", OUTCOME_SIGNALLED, SIGSEGV, 1, RETRY_FAIL, 0 },
    { "retries=9 on=signal=SEGV:fail", OUTCOME_SIGNALLED, SIGBUS, 1, RETRY_AGAIN, 1000000 },
    { "retries=9 on=signal=SEGV:fail", OUTCOME_EXITED, SIGSEGV, 1, RETRY_AGAIN, 1000000 },
    { "retries=9 on=exit=11:fail", OUTCOME_SIGNALLED, 11, 1, RETRY_AGAIN, 1000000 },
    { "retries=9 on=signal:hold", OUTCOME_SIGNALLED, 64, 1, RETRY_HOLD, 0 },
    { "retries=9 on=oom:fail", OUTCOME_OOM, 0, 1, RETRY_FAIL, 0 },
    { "retries=9 on=oom:fail", OUTCOME_OOM, SIGKILL, 1, RETRY_FAIL, 0 }, /* whatever the signal */
    { "retries=9 on=oom:fail", OUTCOME_TIMEOUT, 0, 1, RETRY_AGAIN, 1000000 },
    { "retries=9 on=timeout:fail", OUTCOME_TIMEOUT, SIGTERM, 1, RETRY_FAIL, 0 },
    { "retries=9 on=spawn-failed:fail", OUTCOME_SPAWN_FAILED, 0, 1, RETRY_FAIL, 0 },
    { "retries=9 on=lost:hold", OUTCOME_LOST, 0, 1, RETRY_HOLD, 0 },
};

static void test_judge(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(verdicts); i++) {
        TaskPolicy policy = policy_of(verdicts[i].policy);
        TaskResult result = { .outcome = verdicts[i].outcome };
        if (result.outcome == OUTCOME_EXITED)
            result.exit_status = verdicts[i].number;
        else
            result.signal = verdicts[i].number;
        RetryVerdict verdict = retry_judge(&policy, &result, verdicts[i].spent, 0);
        g_test_message("%zu: %s", i, verdicts[i].policy);
        g_assert_cmpstr(retry_action_to_string(verdict.action), ==, retry_action_to_string(verdicts[i].action));
        g_assert_cmpuint(verdict.delay_usec, ==, verdicts[i].delay_usec);
        task_policy_done(&policy);
    }
}

static void test_lost(void)
{
    static const struct {
        const char *policy;
        bool forbids;
    } cases[] = {
        { "", false },
        { "retries=0", false }, /* spends none */
        { "on=exit:fail on=oom:fail", false },
        { "on=lost:retry", false },
        { "on=lost:fail", true },
        { "on=lost:hold", true },
        { "on=lost:retry on=lost:fail", false },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        TaskPolicy policy = policy_of(cases[i].policy);
        g_assert_cmpint(retry_forbids_lost(&policy), ==, cases[i].forbids);
        task_policy_done(&policy);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/retry/delay", test_delay);
    g_test_add_func("/retry/delay-bounds", test_delay_bounds);
    g_test_add_func("/retry/judge", test_judge);
    g_test_add_func("/retry/lost", test_lost);
    return g_test_run();
}
