/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task waits for: every condition, clause and option is taken as it was said, and what makes no sense is refused. */
#include "request-fixture.h"

static const Dependency *dependency(const TaskSpec *spec, guint number)
{
    g_assert_nonnull(spec->gate);
    g_assert_nonnull(spec->gate->dependencies);
    g_assert_cmpuint(number, <, spec->gate->dependencies->len);
    return &g_array_index(spec->gate->dependencies, Dependency, number);
}

static void test_conditions(void)
{
    static const struct {
        const char *condition;
        DependencyKind kind;
        DependencyTarget target;
        uint64_t id;
        int status;
    } cases[] = {
        { "('afterok', uint64 12, @a{sv} {})", DEPENDENCY_AFTER_OK, TARGET_TASK, 12, 0 },
        { "('afternotok', uint64 1, @a{sv} {})", DEPENDENCY_AFTER_NOT_OK, TARGET_TASK, 1, 0 },
        { "('afterany', uint64 3, {'batch': <true>})", DEPENDENCY_AFTER_ANY, TARGET_BATCH, 3, 0 },
        { "('after', uint64 0, {'local': <true>})", DEPENDENCY_AFTER, TARGET_LOCAL, 0, 0 },
        { "('exit', uint64 4, {'status': <255>})", DEPENDENCY_EXIT, TARGET_TASK, 4, 255 },
        { "('exit', uint64 4, {'status': <0>, 'batch': <true>})", DEPENDENCY_EXIT, TARGET_BATCH, 4, 0 },
        { "('oom', uint64 5, {'local': <false>})", DEPENDENCY_OOM, TARGET_TASK, 5, 0 },
        { "('timeout', uint64 9223372036854775807, {'clause': <uint32 0>})", DEPENDENCY_TIMEOUT, TARGET_TASK,
          INT64_MAX, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *task = g_strdup_printf("'after': <[%s]>", cases[i].condition);
        g_autoptr(Submission) submission = submission_of(task);
        const TaskSpec *spec = submission_task(submission, 0);
        const Dependency *d = dependency(spec, 0);
        g_assert_true(spec->has_dependencies);
        g_assert_cmpuint(spec->gate->dependencies->len, ==, 1);
        g_assert_cmpint(d->kind, ==, cases[i].kind);
        g_assert_cmpint(d->target, ==, cases[i].target);
        g_assert_cmpuint(d->id, ==, cases[i].id);
        g_assert_cmpint(d->status, ==, cases[i].status);
        g_assert_cmpuint(d->clause, ==, 0);
    }
}

/* What has no clause gets one of its own, other than all that are given. */
static void test_clauses(void)
{
    g_autoptr(Submission) submission = submission_of(
        "'after': <[('afterok', uint64 1, @a{sv} {}), ('oom', uint64 2, {'clause': <uint32 7>}),"
        "('timeout', uint64 2, {'clause': <uint32 7>}), ('afterok', uint64 3, {'clause': <uint32 0>}),"
        "('afterok', uint64 4, @a{sv} {})]>");
    const TaskSpec *spec = submission_task(submission, 0);
    static const uint32_t clauses[] = { 8, 7, 7, 0, 9 };

    for (guint i = 0; i < G_N_ELEMENTS(clauses); i++)
        g_assert_cmpuint(dependency(spec, i)->clause, ==, clauses[i]);
}

static void test_bad_conditions(void)
{
    static const struct {
        const char *condition, *error, *snippet;
    } cases[] = {
        { "('afterwards', uint64 1, @a{sv} {})", "InvalidArgument", "\"afterwards\" is none of afterok" },
        { "('', uint64 1, @a{sv} {})", "InvalidArgument", "\"\" is none of" },
        { "('AFTEROK', uint64 1, @a{sv} {})", "InvalidArgument", "is none of" },
        { "('afterok', uint64 0, @a{sv} {})", "NoSuchTask", "no task 0" },
        { "('afterok', uint64 0, {'batch': <true>})", "NoSuchTask", "no batch 0" },
        { "('afterok', uint64 18446744073709551615, @a{sv} {})", "NoSuchTask", "18446744073709551615" },
        { "('afterok', uint64 9223372036854775808, {'local': <true>})", "InvalidDependency",
          "9223372036854775808" },
        { "('afterok', uint64 1, {'batch': <true>, 'local': <true>})", "InvalidArgument", "not both" },
        { "('exit', uint64 1, @a{sv} {})", "InvalidArgument", "exit needs a status" },
        { "('exit', uint64 1, {'status': <-1>})", "InvalidArgument", "the status is -1" },
        { "('exit', uint64 1, {'status': <256>})", "InvalidArgument", "the status is 256" },
        { "('afterok', uint64 1, {'status': <1>})", "InvalidArgument", "afterok does not" },
        { "('afterok', uint64 1, {'clause': <uint32 100000>})", "InvalidArgument", "the clause is 100000" },
        { "('afterok', uint64 1, {'clause': <uint32 4294967295>})", "InvalidArgument", "4294967295" },
        { "('afterok', uint64 1, {'claus': <uint32 1>})", "UnknownOption", "\"claus\"" },
        { "('afterok', uint64 1, {'batch': <1>})", "InvalidArgument", "\"batch\" takes the type \"b\"" },
        { "('singleton', uint64 1, @a{sv} {})", "InvalidArgument", "its target is 0" },
        { "('singleton', uint64 0, {'clause': <uint32 1>})", "InvalidArgument", "without options" },
        { "('singleton', uint64 0, @a{sv} {})", "InvalidArgument", "it has no name" },
        { "('aftercorr', uint64 1, @a{sv} {})", "InvalidArgument", "it has no array" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *task = g_strdup_printf("'after': <[%s]>", cases[i].condition);
        task_refused(task, cases[i].error, cases[i].snippet);
    }
    task_refused("'after': <'afterok:1'>", "InvalidArgument", "takes the type \"a(sta{sv})\"");
}

static void test_aftercorr(void)
{
#define ARRAY "'array': <(uint64 0, uint64 9)>, "
    g_autoptr(Submission) submission = submission_of(
        ARRAY
        "'after': <[('aftercorr', uint64 1, {'clause': <uint32 3>}), ('afterok', uint64 2, @a{sv} {})]>");

    g_assert_cmpint(dependency(submission_task(submission, 0), 0)->kind, ==, DEPENDENCY_AFTER_CORR);
    task_refused(ARRAY "'after': <[('aftercorr', uint64 1, {'clause': <uint32 3>}),"
                       "('afterok', uint64 2, {'clause': <uint32 3>})]>",
                 "InvalidArgument", "aftercorr has no alternatives, but clause 3");
    task_refused(ARRAY
                 "'after': <[('afterok', uint64 1, {'clause': <uint32 0>}), ('oom', uint64 7, @a{sv} {}),"
                 "('aftercorr', uint64 2, {'clause': <uint32 0>})]>",
                 "InvalidArgument", "aftercorr has no alternatives, but clause 0");
}

static void test_singleton(void)
{
    g_autoptr(Submission) submission =
        submission_of("'after': <[('singleton', uint64 0, @a{sv} {})]>, 'name': <'only'>");
    const TaskSpec *spec = submission_task(submission, 0);

    g_assert_true(spec->gate->singleton);
    g_assert_null(spec->gate->dependencies);
    g_assert_false(spec->has_dependencies);
}

/* One more than a task takes; and so many are no trouble. */
static void test_many(void)
{
    g_autoptr(GString) task = g_string_new("'after': <[");

    for (unsigned i = 1; i <= DEPENDENCIES_MAX; i++)
        g_string_append_printf(task, "('afterok', %s%u, @a{sv} {}),", i == 1 ? "uint64 " : "", i);
    task->str[task->len - 1] = ']';
    g_string_append(task, ">");
    g_autoptr(Submission) submission = submission_of(task->str);
    const TaskSpec *spec = submission_task(submission, 0);
    g_assert_cmpuint(spec->gate->dependencies->len, ==, DEPENDENCIES_MAX);
    g_assert_cmpuint(dependency(spec, DEPENDENCIES_MAX - 1)->clause, ==, DEPENDENCIES_MAX - 1);
    g_string_truncate(task, task->len - 2);
    g_string_append(task, ",('oom', 1, @a{sv} {})]>");
    task_refused(task->str, "TooLarge", "at most 100000 conditions");
}

static void test_rest(void)
{
    g_autoptr(Submission) submission =
        submission_of("'array': <(uint64 0, uint64 999)>, 'parallel': <uint32 8>, 'queue': <'sims'>,"
                      "'hold': <true>, 'not-before': <uint64 1800000000000000>, 'delay': <uint64 5000000>,"
                      "'after': <[('afterok', uint64 1, @a{sv} {})]>, 'keep-unsatisfied': <true>");
    const TaskGate *gate = submission_task(submission, 0)->gate;

    g_assert_nonnull(gate);
    g_assert_cmpuint(gate->parallel, ==, 8);
    g_assert_cmpstr(gate->queue, ==, "sims");
    g_assert_true(gate->held && gate->keep_unsatisfied && !gate->singleton);
    g_assert_cmpuint(gate->not_before_usec, ==, UINT64_C(1800000000000000));
    g_assert_cmpuint(gate->delay_usec, ==, 5000000);
}

/* Each by itself makes a gate; none, or what says nothing, makes none. */
static void test_needed(void)
{
    static const char *const needed[] = {
        "'hold': <true>",
        "'queue': <'q'>",
        "'delay': <uint64 1>",
        "'not-before': <uint64 1>",
        "'name': <'n'>, 'after': <[('singleton', uint64 0, @a{sv} {})]>",
    };
    static const char *const needless[] = {
        "'hold': <false>", "'delay': <uint64 0>",        "'not-before': <uint64 0>",
        "'name': <'n'>",   "'keep-unsatisfied': <true>", "'after': <@a(sta{sv}) []>",
        "'priority': <1>", "'retries': <uint32 3>",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(needed); i++) {
        g_autoptr(Submission) submission = submission_of(needed[i]);
        g_assert_nonnull(submission_task(submission, 0)->gate);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(needless); i++) {
        g_autoptr(Submission) submission = submission_of(needless[i]);
        g_assert_null(submission_task(submission, 0)->gate);
    }
}

static void test_bad_rest(void)
{
    task_refused("'parallel': <uint32 4>", "InvalidArgument", "it has no array");
    task_refused("'array': <(uint64 0, uint64 9)>, 'parallel': <uint32 0>", "InvalidArgument",
                 "parallel is 0");
    task_refused("'queue': <''>", "InvalidArgument", "queue");
    task_refused("'queue': <'a\\nb'>", "InvalidArgument", "queue");
    task_refused("'queue': <7>", "InvalidArgument", "takes the type \"s\"");
    task_refused("'not-before': <uint64 18446744073709551615>", "InvalidArgument", "18446744073709551615");
    task_refused("'delay': <uint64 18446744073709551615>", "InvalidArgument", "a century");
    task_refused("'delay': <-1>", "InvalidArgument", "takes the type \"t\"");
    task_refused("'hold': <1>", "InvalidArgument", "takes the type \"b\"");
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gate-request/conditions", test_conditions);
    g_test_add_func("/gate-request/clauses", test_clauses);
    g_test_add_func("/gate-request/bad-conditions", test_bad_conditions);
    g_test_add_func("/gate-request/aftercorr", test_aftercorr);
    g_test_add_func("/gate-request/singleton", test_singleton);
    g_test_add_func("/gate-request/many", test_many);
    g_test_add_func("/gate-request/rest", test_rest);
    g_test_add_func("/gate-request/needed", test_needed);
    g_test_add_func("/gate-request/bad-rest", test_bad_rest);
    return g_test_run();
}
