/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task waits for, as the bus has it: conditions, queues, times, keys, halts; and what is refused of it. */
#include <string.h>

#include "calls.h"

typedef struct Submitted {
    uint64_t batch, first;
    uint32_t count;
} Submitted;

/* Tasks without their outer brackets, and options without their braces. */
static Submitted submit(sd_bus *bus, const char *tasks, const char *options)
{
    g_autoptr(GVariant) reply =
        manager_call(bus, "Submit", "([%s], %s{%s})", tasks, *options ? "" : "@a{sv} ", options);
    Submitted s;

    g_variant_get(reply, "(ttu)", &s.batch, &s.first, &s.count);
    return s;
}

static bool has_condition(sd_bus *bus, uint64_t task, const char *wanted)
{
    g_autoptr(GVariant) reply = manager_call(bus, "Explain", "(uint64 %" G_GUINT64_FORMAT ",)", task),
                        conditions = g_variant_get_child_value(reply, 0);

    for (gsize i = 0; i < g_variant_n_children(conditions); i++) {
        g_autoptr(GVariant) condition = g_variant_get_child_value(conditions, i);
        g_assert_cmpuint(strlen(dict_string(condition, "text")), >, 0);
        if (strcmp(dict_string(condition, "condition"), wanted) == 0)
            return true;
    }
    return false;
}

/* ---- conditions */

#define SH(script) "'argv': <[b'sh', b'-c', b'" script "']>"
#define AFTER(kind, position) "'after': <[('" kind "', uint64 " position ", {'local': <true>})]>"

/* One task of each fate, and who may run after it. */
static void test_conditions(Harness *h)
{
    static const char *const states[] = { "succeeded", "failed",    "succeeded", "skipped",
                                          "succeeded", "succeeded", "succeeded", "skipped",
                                          "skipped",   "succeeded", "skipped" };
    Submitted s = submit(
        h->bus,
        "{" SH("exit 0") "}, {" SH(
            "exit 3") "},"
                      "{" SH("exit 0") ", " AFTER("afterok", "0") "}, {" SH("exit 0") ", " AFTER(
                          "afterok",
                          "1") "},"
                               "{" SH("exit 0") ", " AFTER("afternotok", "1") "}, {" SH("exit 0") ", " AFTER(
                                   "afterany",
                                   "1") "},"
                                        "{" SH(
                                            "exit 0") ", 'after': <[('exit', uint64 1, {'local': <true>, 'status': <3>})]>},"
                                                      "{" SH(
                                                          "exit 0") ", 'after': <[('exit', uint64 1, {'local': <true>, 'status': <4>})]>},"
                                                                    "{" SH(
                                                                        "exit 0") ", 'after': <[('afterok', uint64 0, {'local': <true>}),"
                                                                                  "                              ('oom', 1, {'local': <true>})]>},"
                                                                                  "{" SH(
                                                                                      "exit 0") ", 'after': <[('afterok', uint64 1, {'local': <true>, 'clause': <uint32 5>}),"
                                                                                                "                              ('afterok', 0, {'local': <true>, 'clause': <uint32 5>})]>},"
                                                                                                "{" SH("exit 0") ", " AFTER(
                                                                                                    "afterok",
                                                                                                    "3") "}",
        "");
    g_assert_true(task_is(h->bus, s.first + 2, "blocked"));
    g_assert_true(has_condition(h->bus, s.first + 2, "dependency"));
    g_autofree char *id = worker_add(h->bus, NULL), *path = task_path(s.first + 3);

    for (guint i = 0; i < G_N_ELEMENTS(states); i++)
        task_wait(h, s.first + i, states[i]);
    g_autofree char *after = bus_property_string(h->bus, path, TASK, "After"),
                    *reason = bus_property_string(h->bus, path, TASK, "Reason");
    g_autofree char *wanted = g_strdup_printf("afterok:%" G_GUINT64_FORMAT, s.first + 1);
    g_assert_cmpstr(after, ==, wanted);
    g_assert_cmpuint(strlen(reason), >, 0);
}

/* What had ended before counts as if it ended now; a batch stands for all its tasks. */
static void test_ended(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    Submitted two = submit(h->bus, "{" SH("exit 0") "}, {" SH("exit 0") "}", "");

    task_wait(h, two.first, "succeeded");
    task_wait(h, two.first + 1, "succeeded");
    uint64_t of_batch = task_submit(
        h->bus, SH("exit 0") ", 'after': <[('afterok', uint64 %" G_GUINT64_FORMAT ", {'batch': <true>})]>",
        two.batch);
    task_wait(h, of_batch, "succeeded");
    uint64_t never = task_submit(
        h->bus, SH("exit 0") ", 'after': <[('afternotok', uint64 %" G_GUINT64_FORMAT ", @a{sv} {})]>",
        two.first);
    task_wait(h, never, "skipped");
    uint64_t stays = task_submit(h->bus,
                                 SH("exit 0") ", 'after': <[('afternotok', uint64 %" G_GUINT64_FORMAT
                                              ", @a{sv} {})]>, 'keep-unsatisfied': <true>",
                                 two.first);
    harness_pause(h, 100);
    g_assert_true(task_is(h->bus, stays, "blocked"));
}

static void test_aftercorr(Harness *h)
{
    static const char *const states[] = { "failed", "succeeded", "skipped", "succeeded" };
    g_autofree char *id = worker_add(h->bus, NULL);
    Submitted s = submit(
        h->bus,
        "{" SH(
            "exit $((1 - PAREXEC_ARRAY_INDEX))") ", 'array': <(uint64 0, uint64 1)>},"
                                                 "{" SH("exit 0") ", 'array': <(uint64 0, uint64 1)>, " AFTER(
                                                     "aftercorr", "0") "}",
        "");

    for (guint i = 0; i < G_N_ELEMENTS(states); i++)
        task_wait(h, s.first + i, states[i]);
}

/* The store's refusals have their names, and nothing is added. */
static void test_refusals(Harness *h)
{
    static const struct {
        const char *error, *task;
    } cases[] = {
        { ERROR("NoSuchTask"), "'after': <[('afterok', uint64 0, @a{sv} {})]>" },
        { ERROR("InvalidDependency"), "'after': <[('afterok', uint64 4711, @a{sv} {})]>" }, /* not yet */
        { ERROR("NoSuchTask"), "'after': <[('afterok', uint64 4711, {'batch': <true>})]>" },
        { ERROR("InvalidDependency"), AFTER("afterok", "1") }, /* itself */
        { ERROR("InvalidDependency"), AFTER("afterok", "2") },
        { ERROR("InvalidDependency"), AFTER("afterok", "9223372036854775808") },
        { ERROR("NoSuchQueue"), "'queue': <'nowhere'>" },
        { ERROR("InvalidArgument"), "'after': <[('afterwards', uint64 1, @a{sv} {})]>" },
        { ERROR("InvalidArgument"), "'retries': <uint32 4294967295>" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *sentence =
            manager_refusal(h->bus, cases[i].error, "Submit",
                            "([{'argv': <[b'true']>}, {'argv': <[b'true']>, %s}], @a{sv} {})", cases[i].task);
        g_assert_cmpuint(strlen(sentence), >, 10);
    }
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 0);
}

static void test_foreign(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);
    uint64_t roots = task_submit_shell(h->bus, "exit 0");

    polkit_answer(h, "org.parexec.submit", "yes");
    manager_refuses(stranger, ERROR("InvalidDependency"), "Submit",
                    "([{'argv': <[b'true']>, 'after': <[('afterok', uint64 %" G_GUINT64_FORMAT
                    ", @a{sv} {})]>}], @a{sv} {})",
                    roots);
}

/* ---- one at a time */

/* Fails if another of them runs at the same time. */
#define ALONE(lock) "'argv': <[b'sh', b'-c', b'mkdir %1$s/" lock " && sleep 0.05 && rmdir %1$s/" lock "']>"

static void test_one_at_a_time(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, "'slots': <uint32 4>");
    g_autofree char *array = g_strdup_printf(
        "{" ALONE("array") ", 'array': <(uint64 0, uint64 4)>, 'parallel': <uint32 1>}", h->directory);
    g_autofree char *singleton = g_strdup_printf(
        "{" ALONE("single") ", 'name': <'only'>, 'after': <[('singleton', uint64 0, @a{sv} {})]>}",
        h->directory);
    g_autofree char *queued = g_strdup_printf("{" ALONE("queue") ", 'queue': <'narrow'>}", h->directory);
    uint64_t first[3][3];

    manager_do(h->bus, "SetQueue", "('narrow', {'parallel': <uint32 1>})");
    Submitted s = submit(h->bus, array, "");
    for (size_t i = 0; i < 3; i++) {
        first[0][i] = submit(h->bus, singleton, "").first;
        first[1][i] = submit(h->bus, queued, "").first;
    }
    for (guint i = 0; i < 5; i++)
        task_wait(h, s.first + i, "succeeded");
    for (size_t i = 0; i < 3; i++) {
        task_wait(h, first[0][i], "succeeded");
        task_wait(h, first[1][i], "succeeded");
    }
}

/* ---- times and classes */

static void test_times(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    gint64 before = g_get_real_time();
    uint64_t delayed = task_submit(h->bus, SH("exit 0") ", 'delay': <uint64 400000>"),
             begun = task_submit(h->bus, SH("exit 0") ", 'not-before': <uint64 %" G_GINT64_FORMAT ">",
                                 before + 400000),
             past = task_submit(h->bus, SH("exit 0") ", 'not-before': <uint64 1>");
    g_autofree char *path = task_path(delayed);

    g_assert_true(task_is(h->bus, delayed, "waiting"));
    g_assert_true(has_condition(h->bus, begun, "time"));
    uint64_t not_before = bus_property_number(h->bus, path, TASK, "NotBefore");
    g_assert_cmpuint(not_before, >=, (uint64_t) before + 400000);
    g_assert_cmpuint(not_before, <, (uint64_t) before + 5 * USEC_PER_SEC);
    task_wait(h, past, "succeeded");
    task_wait(h, delayed, "succeeded");
    task_wait(h, begun, "succeeded");
    g_assert_cmpuint(bus_property_number(h->bus, path, TASK, "StartTimestamp"), >=,
                     (uint64_t) before + 400000);
    g_autoptr(GVariant) row = task_row(h->bus, begun);
    g_assert_cmpuint(dict_number(row, "started"), >=, (uint64_t) before + 400000);
}

static void test_class(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit(h->bus, "'argv': <[b'true']>, 'worker-class': <'model'>");
    g_autofree char *path = task_path(task), *class = bus_property_string(h->bus, path, TASK, "WorkerClass");

    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded");
    g_assert_true(task_is(h->bus, task, "queued"));
    g_assert_cmpstr(class, ==, "model");
    g_autoptr(GVariant) row = task_row(h->bus, task);
    g_assert_cmpstr(dict_string(row, "class"), ==, "model");
    g_assert_true(has_condition(h->bus, task, "class"));
}

/* ---- batches */

static void test_key(Harness *h)
{
    Submitted first = submit(h->bus, "{" SH("exit 0") "}, {" SH("exit 0") "}", "'key': <'nightly'>"),
              again = submit(h->bus, "{" SH("exit 1") "}", "'key': <'nightly'>"),
              other = submit(h->bus, "{" SH("exit 0") "}", "'key': <'hourly'>");

    g_assert_cmpuint(again.batch, ==, first.batch);
    g_assert_cmpuint(again.first, ==, first.first);
    g_assert_cmpuint(again.count, ==, 2);
    g_assert_cmpuint(other.batch, !=, first.batch);
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 3);
    harness_restart_daemon(h);
    again = submit(h->bus, "{" SH("exit 1") "}", "'key': <'nightly'>");
    g_assert_cmpuint(again.batch, ==, first.batch);
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 3);
}

/* Keys are each user's own. */
static void test_key_of_others(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);

    polkit_answer(h, "org.parexec.submit", "yes");
    Submitted ours = submit(h->bus, "{" SH("exit 0") "}", "'key': <'k'>"),
              theirs = submit(stranger, "{" SH("exit 0") "}", "'key': <'k'>");
    g_assert_cmpuint(ours.batch, !=, theirs.batch);
}

static void test_halt(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    Submitted fails = submit(h->bus, "{" SH("exit 1") "}, {" SH("sleep 60") "}, {" SH("sleep 60") "}",
                             "'max-fails': <uint64 1>");

    task_wait(h, fails.first, "failed");
    task_wait(h, fails.first + 2, "cancelled");
    manager_do(h->bus, "Cancel", "({'batch': <uint64 %" G_GUINT64_FORMAT ">},)", fails.batch);
    task_wait(h, fails.first + 1, "cancelled");
    g_autofree char *second = worker_add(h->bus, "'slots': <uint32 2>");
    Submitted wins = submit(h->bus, "{" SH("sleep 60") "}, {" SH("exit 0") "}, {" SH("sleep 60") "}",
                            "'max-successes': <uint64 1>, 'halt': <'now'>");
    task_wait(h, wins.first + 1, "succeeded");
    task_wait(h, wins.first, "cancelled");
    task_wait(h, wins.first + 2, "cancelled");
}

static void add(void)
{
    static const HarnessOptions two_users = { .needs_root = true, .system = true, .polkit = true };

    harness_add("/dependencies/conditions", NULL, test_conditions);
    harness_add("/dependencies/ended", NULL, test_ended);
    harness_add("/dependencies/aftercorr", NULL, test_aftercorr);
    harness_add("/dependencies/refusals", NULL, test_refusals);
    harness_add("/dependencies/foreign", &two_users, test_foreign);
    harness_add("/dependencies/one-at-a-time", NULL, test_one_at_a_time);
    harness_add("/dependencies/times", NULL, test_times);
    harness_add("/dependencies/class", NULL, test_class);
    harness_add("/dependencies/key", NULL, test_key);
    harness_add("/dependencies/key-of-others", &two_users, test_key_of_others);
    harness_add("/dependencies/halt", NULL, test_halt);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
