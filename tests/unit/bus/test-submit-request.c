/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of Submit, and what many tasks share. */
#include <string.h>

#include "request-fixture.h"

#define TASK "{'argv': <[b'true']>}"

static void test_usual(void)
{
    g_autoptr(Submission) submission = submission_read(NULL, TASK, "");

    g_assert_cmpuint(submission->uid, ==, 1000);
    g_assert_cmpuint(submission->batch, ==, 0);
    g_assert_true(submission->commit);
    g_assert_null(submission->key);
    g_assert_cmpuint(submission->halt.max_fails, ==, UINT64_MAX);
    g_assert_cmpuint(submission->halt.max_successes, ==, UINT64_MAX);
    g_assert_cmpfloat(submission->halt.max_fails_percent, <, 0);
    g_assert_false(submission->halt.now);
}

static void test_options(void)
{
    g_autoptr(Submission) submission =
        submission_read(NULL, TASK,
                        "'batch': <uint64 7>, 'commit': <false>, 'key': <'nightly'>, 'max-fails': <uint64 3>,"
                        "'max-fails-percent': <2.5>, 'max-successes': <uint64 1>, 'halt': <'now'>");

    g_assert_cmpuint(submission->batch, ==, 7);
    g_assert_false(submission->commit);
    g_assert_cmpstr(submission->key, ==, "nightly");
    g_assert_cmpuint(submission->halt.max_fails, ==, 3);
    g_assert_cmpfloat(submission->halt.max_fails_percent, ==, 2.5);
    g_assert_cmpuint(submission->halt.max_successes, ==, 1);
    g_assert_true(submission->halt.now);
    g_autoptr(Submission) soon = submission_read(NULL, TASK, "'halt': <'soon'>");
    g_assert_false(soon->halt.now);
}

static void test_bad_options(void)
{
    g_autofree char *key = g_strnfill(256, 'k'), *long_key = g_strdup_printf("'key': <'%s'>", key);
    static const struct {
        const char *options, *error, *snippet;
    } cases[] = {
        { "'key': <''>", "InvalidArgument", "key has 0 bytes" },
        { "'max-fails-percent': <-0.1>", "InvalidArgument", "-0.1" },
        { "'max-fails-percent': <100.5>", "InvalidArgument", "100.5" },
        { "'max-fails': <3>", "InvalidArgument", "takes the type \"t\"" },
        { "'halt': <'later'>", "InvalidArgument", "neither" },
        { "'halt': <''>", "InvalidArgument", "neither" },
        { "'max-fail': <uint64 3>", "UnknownOption", "\"max-fail\"" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        submission_refused(TASK, cases[i].options, cases[i].error, cases[i].snippet);
    submission_refused(TASK, long_key, "InvalidArgument", "key has 256 bytes");
    submission_refused("", "'key': <'k'>", "InvalidArgument", "no tasks");
    submission_value_refused(g_variant_new_parsed("([{'argv': <[b'true']>}], {'max-fails-percent': %v})",
                                                  g_variant_new_double(__builtin_nan(""))),
                             "InvalidArgument", "max-fails-percent is nan");
}

static void test_defaults(void)
{
    g_autoptr(Submission) submission = submission_read(
        NULL, "{'name': <'own'>, 'queue': <'other'>, 'hold': <false>}, {'tags': <['t']>}",
        "'defaults': <{'argv': <[b'ls']>, 'name': <'shared'>, 'queue': <'sims'>, 'hold': <true>,"
        "'tags': <['a', 'b']>, 'worker-class': <'model'>, 'credentials': <[b'k=/key']>,"
        "'delay': <uint64 3>, 'not-before': <uint64 4>, 'keep-unsatisfied': <true>}>");
    const TaskSpec *first = submission_task(submission, 0), *second = submission_task(submission, 1);

    g_assert_cmpstr(first->name, ==, "own");
    g_assert_cmpstr(second->name, ==, "shared");
    g_assert_cmpstr(first->tags, ==, "a\nb");
    g_assert_cmpstr(second->tags, ==, "t");
    g_assert_cmpstr(first->class, ==, "model");
    g_assert_cmpstr(first->gate->queue, ==, "other");
    g_assert_cmpstr(second->gate->queue, ==, "sims");
    g_assert_false(first->gate->held);
    g_assert_true(second->gate->held);
    g_assert_cmpuint(first->gate->delay_usec, ==, 3);
    g_assert_cmpuint(second->gate->not_before_usec, ==, 4);
    g_assert_true(first->gate->keep_unsatisfied);
    g_assert_nonnull(first->context->credentials);
    g_assert_true(first->context == second->context);
}

static void test_bad_defaults(void)
{
    static const char *const bad[] = {
        "'array': <(uint64 0, uint64 1)>",
        "'after': <[('afterok', uint64 1, @a{sv} {})]>",
        "'after': <@a(sta{sv}) []>",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *options = g_strdup_printf("'defaults': <{%s}>", bad[i]);
        submission_refused(TASK, options, "InvalidArgument", "defaults take neither");
    }
    submission_refused(TASK, "'defaults': <{'queue': <''>}>", "InvalidArgument", "queue");
    submission_refused(TASK, "'defaults': <{'retries': <uint32 4294967295>}>", "InvalidArgument",
                       "Task 1: retries is 4294967295");
    submission_refused(TASK, "'defaults': <{'after-all': <1>}>", "UnknownOption", "after-all");
}

/* One context, however it comes about that the surroundings are the same; another where they are not. */
static void test_contexts(void)
{
    g_autoptr(Submission) submission = submission_read(
        NULL,
        "{'name': <'a'>}, {'cwd': <b'/tmp'>}, {'cwd': <b'/usr'>}, {'cwd': <b'/usr'>}, {'retries': <uint32 2>},"
        "{'retries': <uint32 2>, 'name': <'b'>}, {'priority': <3>},"
        "{'credentials': <[b'k=/p']>}, {'memory-max': <uint64 16777216>}, {'stdin': <b'/in'>}, {'env': <[b'A=b']>}",
        "'defaults': <{'argv': <[b'ls']>, 'cwd': <b'/tmp'>}>");
    const TaskContext *context[11];

    for (guint i = 0; i < G_N_ELEMENTS(context); i++)
        context[i] = submission_task(submission, i)->context;
    g_assert_true(context[0] == context[1]);
    g_assert_true(context[1] != context[2]);
    g_assert_true(context[2] == context[3]);
    g_assert_true(context[3] != context[4]);
    g_assert_true(context[4] == context[5]);
    g_assert_true(context[6] == context[0]);
    g_assert_true(context[4] != context[0]);
    for (guint i = 7; i < G_N_ELEMENTS(context); i++)
        for (guint k = 0; k < i; k++)
            g_assert_true(context[i] != context[k]);
    g_assert_cmpuint(context[0]->uid, ==, 1000);
    g_assert_cmpuint(context[0]->n_groups, ==, 2);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/submit-request/usual", test_usual);
    g_test_add_func("/submit-request/options", test_options);
    g_test_add_func("/submit-request/bad-options", test_bad_options);
    g_test_add_func("/submit-request/defaults", test_defaults);
    g_test_add_func("/submit-request/bad-defaults", test_bad_defaults);
    g_test_add_func("/submit-request/contexts", test_contexts);
    return g_test_run();
}
