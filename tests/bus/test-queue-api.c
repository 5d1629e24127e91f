/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Steering what waits: Hold, Release, Retry, Edit, Explain, named queues; and what an attempt leaves behind. */
#include <string.h>

#include "calls.h"

static uint32_t counted(GVariant *reply /* taken */)
{
    uint32_t count;

    g_variant_get(reply, "(u)", &count);
    g_variant_unref(reply);
    return count;
}

#define IDS "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},)"

static void task_does(sd_bus *bus, uint64_t task, const char *member)
{
    g_autofree char *path = task_path(task);

    g_variant_unref(bus_call(bus, (Target){ path, TASK, member }, NULL));
}

static char *task_refuses(sd_bus *bus, const char *error, uint64_t task, const char *member)
{
    g_autofree char *path = task_path(task);

    return bus_refusal(bus, error, (Target){ path, TASK, member }, NULL);
}

/* ---- Hold and Release */

static void test_hold(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t held = task_submit(h->bus, "'argv': <[b'true']>, 'hold': <true>");

    harness_pause(h, 100);
    g_assert_true(task_is(h->bus, held, "held"));
    g_assert_cmpuint(counted(manager_call(h->bus, "Hold", IDS, held)), ==, 0); /* it is already */
    harness_restart_daemon(h);
    g_assert_true(task_is(h->bus, held, "held"));
    g_assert_cmpuint(counted(manager_call(h->bus, "Release", IDS, held)), ==, 1);
    task_wait(h, held, "succeeded");
    g_assert_cmpuint(counted(manager_call(h->bus, "Release", IDS, held)), ==, 0);
}

/* What the worker has ahead and not started comes back. */
static void test_hold_ahead(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t running = task_submit_shell(h->bus, "sleep 0.5"), next = task_submit_shell(h->bus, "exit 0");

    task_wait(h, running, "running");
    task_does(h->bus, next, "Hold");
    task_wait(h, next, "held");
    task_wait(h, running, "succeeded");
    harness_pause(h, 100);
    g_assert_true(task_is(h->bus, next, "held"));
    task_does(h->bus, next, "Release");
    task_wait(h, next, "succeeded");
}

static void test_wrong_state(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t done = task_submit_shell(h->bus, "exit 0");

    task_wait(h, done, "succeeded");
    static const struct {
        const char *member, *snippet;
    } cases[] = { { "Hold", "can be held" }, { "Release", "not held" }, { "Retry", "nothing to try again" } };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *sentence = task_refuses(h->bus, ERROR("InvalidState"), done, cases[i].member);
        g_assert_nonnull(strstr(sentence, cases[i].snippet));
        g_assert_cmpuint(counted(manager_call(h->bus, cases[i].member, IDS, done)), ==, 0);
    }
}

static void test_bad_filters(Harness *h)
{
    static const char *const members[] = { "Hold", "Release", "Retry" };

    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        g_autofree char *sentence =
            manager_refusal(h->bus, ERROR("InvalidArgument"), members[i], "(@a{sv} {},)");
        g_assert_nonnull(strstr(sentence, "everything"));
        manager_refuses(h->bus, ERROR("NoSuchTask"), members[i], "({'ids': <[uint64 99]>},)");
        manager_refuses(h->bus, ERROR("NoSuchTask"), members[i], "({'ids': <[uint64 0]>},)");
        manager_refuses(h->bus, ERROR("NoSuchBatch"), members[i], "({'batch': <uint64 99>},)");
        manager_refuses(h->bus, ERROR("UnknownOption"), members[i], "({'colour': <'red'>},)");
        g_free(task_refuses(h->bus, ERROR("NoSuchTask"), 99, members[i]));
    }
    manager_refuses(h->bus, ERROR("InvalidArgument"), "Edit", "(@a{sv} {}, {'priority': <1>})");
}

/* ---- retries */

static void test_retry(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "echo no >&2; [ $PAREXEC_ATTEMPT -gt 1 ]"),
             skipped = task_submit(h->bus,
                                   "'argv': <[b'true']>, 'after': <[('afterok', uint64 %" G_GUINT64_FORMAT
                                   ", @a{sv} {})]>",
                                   task);
    g_autofree char *path = task_path(task);

    task_wait(h, task, "failed");
    task_wait(h, skipped, "skipped");
    g_autoptr(GVariant) row = task_row(h->bus, task), tail = bus_property(h->bus, path, TASK, "StderrTail");
    g_assert_true(dict_has(row, "stderr-tail"));
    g_assert_cmpmem(g_variant_get_data(tail), g_variant_get_size(tail), "no\n", 3);
    task_does(h->bus, task, "Retry");
    task_wait(h, task, "succeeded");
    task_wait(h, skipped, "succeeded");
    g_autoptr(GVariant) attempts = bus_property(h->bus, path, TASK, "Attempts"),
                        first = g_variant_get_child_value(attempts, 0);
    g_assert_cmpuint(g_variant_n_children(attempts), ==, 2);
    g_assert_true(dict_has(first, "stderr-tail"));
    g_assert_cmpuint(dict_number(first, "exit-status"), ==, 1);
}

static void test_retries(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit(
                 h->bus, "'argv': <[b'false']>, 'retries': <uint32 2>, 'backoff': <(uint64 1000, uint64 "
                         "1000, 1.0)>, 'on-failure': <[('exit=7', 'hold')]>"),
             held = task_submit(h->bus, "'argv': <[b'sh', b'-c', b'exit 7']>, 'retries': <uint32 2>,"
                                        "'on-failure': <[('exit=7', 'hold')]>");
    g_autofree char *path = task_path(task), *policy = bus_property_string(h->bus, path, TASK, "Policy");

    g_assert_cmpstr(policy, ==,
                    "retries=2 backoff-first=1000 backoff-longest=1000 backoff-factor=1 on=exit=7:hold");
    task_wait(h, task, "failed");
    task_wait(h, held, "held");
    g_autoptr(GVariant) row = task_row(h->bus, task);
    g_assert_cmpuint(dict_number(row, "attempt"), ==, 3);
    g_assert_cmpuint(dict_number(row, "retries-spent"), >=, 2);
}

static void test_timeout(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit(h->bus, "'argv': <[b'sleep', b'60']>, 'timeout': <uint64 200000>,"
                                        "'stop-signal': <2>, 'grace': <uint64 5000000>");

    task_wait(h, task, "failed");
    g_autoptr(GVariant) row = task_row(h->bus, task);
    g_assert_cmpstr(dict_string(row, "outcome"), ==, "timeout");
}

static void test_result(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "printf 42 > $PAREXEC_RESULT");
    g_autofree char *path = task_path(task);

    task_wait(h, task, "succeeded");
    g_autoptr(GVariant) result = bus_property(h->bus, path, TASK, "Result"), row = task_row(h->bus, task);
    g_assert_cmpmem(g_variant_get_data(result), g_variant_get_size(result), "42", 2);
    g_assert_true(dict_has(row, "result"));
}

/* ---- Edit */

static void test_edit(Harness *h)
{
    uint64_t task = task_submit_shell(h->bus, "exit 1"), other = task_submit_shell(h->bus, "exit 0");
    g_autofree char *path = task_path(task);

    manager_do(h->bus, "SetQueue", "('q', @a{sv} {})");
    g_assert_cmpuint(counted(manager_call(h->bus, "Edit",
                                          "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},"
                                          "{'argv': <[b'echo', b'edited']>, 'priority': <7>,"
                                          "'memory-max': <uint64 16777216>, 'queue': <'q'>})",
                                          task)),
                     ==, 1);
    g_assert_cmpuint(bus_property_number(h->bus, path, TASK, "Priority"), ==, 7);
    g_assert_cmpuint(bus_property_number(h->bus, path, TASK, "MemoryMax"), ==, 16777216);
    g_autofree char *queue = bus_property_string(h->bus, path, TASK, "Queue");
    g_assert_cmpstr(queue, ==, "q");
    manager_do(h->bus, "Edit", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>}, {'queue': <''>})", task);
    g_autofree char *none = bus_property_string(h->bus, path, TASK, "Queue");
    g_assert_cmpstr(none, ==, "");
    manager_do(h->bus, "Edit",
               "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>}, {'memory-max': <uint64 18446744073709551615>})",
               task);
    g_autofree char *id = worker_add(h->bus, NULL);
    task_wait(h, task, "succeeded");
    task_wait(h, other, "succeeded");
    g_autofree char *output = task_output(h->bus, task, "stdout");
    g_assert_cmpstr(output, ==, "edited\n");
    g_assert_cmpuint(
        counted(manager_call(h->bus, "Edit", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>}, {'priority': <8>})",
                             task)),
        ==, 0);
}

static void test_bad_edit(Harness *h)
{
    static const struct {
        const char *error, *changes;
    } cases[] = {
        { ERROR("InvalidArgument"), "@a{sv} {}" },
        { ERROR("InvalidArgument"), "{'argv': <@aay []>}" },
        { ERROR("InvalidArgument"), "{'argv': <[b'']>}" },
        { ERROR("InvalidArgument"), "{'memory-max': <uint64 1>}" },
        { ERROR("InvalidArgument"), "{'queue': <'a\\nb'>}" },
        { ERROR("InvalidArgument"), "{'priority': <uint32 1>}" },
        { ERROR("NoSuchQueue"), "{'queue': <'nowhere'>, 'priority': <5>}" },
        { ERROR("UnknownOption"), "{'cwd': <b'/'>}" },
    };
    uint64_t task = task_submit_shell(h->bus, "exit 0");
    g_autofree char *path = task_path(task);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        manager_refuses(h->bus, cases[i].error, "Edit", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>}, %s)",
                        task, cases[i].changes);
    g_assert_cmpuint(bus_property_number(h->bus, path, TASK, "Priority"), ==, 0);
}

/* ---- Explain */

static char *conditions_of(sd_bus *bus, uint64_t task)
{
    g_autoptr(GVariant) reply = manager_call(bus, "Explain", "(uint64 %" G_GUINT64_FORMAT ",)", task);

    return g_variant_print(reply, FALSE);
}

static void test_explain(Harness *h)
{
    uint64_t task = task_submit_shell(h->bus, "exit 0"),
             held = task_submit(h->bus, "'argv': <[b'true']>, 'hold': <true>");
    g_autofree char *without_worker = conditions_of(h->bus, task), *of_held = conditions_of(h->bus, held);

    g_assert_nonnull(strstr(without_worker, "'condition': <'workers'>"));
    g_assert_nonnull(strstr(of_held, "'condition': <'held'>"));
    manager_set(h->bus, "Enabled", "false");
    g_autofree char *disabled = conditions_of(h->bus, task);
    g_assert_nonnull(strstr(disabled, "'condition': <'disabled'>"));
    manager_set(h->bus, "Enabled", "true");
    g_autofree char *id = worker_add(h->bus, NULL);
    task_wait(h, task, "succeeded");
    g_autofree char *ended = conditions_of(h->bus, task);
    g_assert_cmpstr(ended, ==, "([],)");
    manager_refuses(h->bus, ERROR("NoSuchTask"), "Explain", "(uint64 99,)");
    manager_refuses(h->bus, ERROR("NoSuchTask"), "Explain", "(uint64 0,)");
    manager_refuses(h->bus, ERROR("NoSuchTask"), "Explain", "(uint64 18446744073709551615,)");
}

/* ---- queues */

static char *queues_of(sd_bus *bus)
{
    g_autoptr(GVariant) reply = manager_call(bus, "ListQueues", NULL);

    return g_variant_print(reply, FALSE);
}

static void test_queues(Harness *h)
{
    g_autofree char *none = queues_of(h->bus);

    g_assert_cmpstr(none, ==, "([],)");
    manager_do(h->bus, "SetQueue", "('sims', {'parallel': <uint32 2>})");
    uint64_t task = task_submit(h->bus, "'argv': <[b'true']>, 'queue': <'sims'>");
    g_autofree char *one = queues_of(h->bus);
    g_assert_nonnull(strstr(one, "'name': <'sims'>, 'parallel': <uint32 2>"));
    g_autofree char *sentence = manager_refusal(h->bus, ERROR("InvalidState"), "RemoveQueue", "('sims',)");
    g_assert_nonnull(strstr(sentence, "\"sims\""));
    g_autoptr(GVariant) row = task_row(h->bus, task);
    g_assert_cmpstr(dict_string(row, "queue"), ==, "sims");
    manager_do(h->bus, "SetQueue", "('sims', @a{sv} {})");
    g_autofree char *wide = queues_of(h->bus);
    g_assert_nonnull(strstr(wide, "'parallel': <uint32 0>"));
    g_autofree char *id = worker_add(h->bus, NULL);
    task_wait(h, task, "succeeded");
    manager_do(h->bus, "RemoveQueue", "('sims',)");
    manager_refuses(h->bus, ERROR("NoSuchQueue"), "RemoveQueue", "('sims',)");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "SetQueue", "('', @a{sv} {})");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "SetQueue", "('a\\nb', @a{sv} {})");
    manager_refuses(h->bus, ERROR("UnknownOption"), "SetQueue", "('q', {'limit': <uint32 2>})");
}

/* ---- others */

/* What is done to tasks of others needs leave; what they run needs to be them. */
static void test_foreign(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t failed = task_submit_shell(h->bus, "printf 1 > $PAREXEC_RESULT; echo secret >&2; exit 1"),
             held = task_submit(h->bus, "'argv': <[b'true']>, 'hold': <true>");
    g_autofree char *path = task_path(failed);

    task_wait(h, failed, "failed");
    manager_refuses(stranger, ERROR("NotAuthorized"), "Release", IDS, held);
    manager_refuses(stranger, ERROR("NotAuthorized"), "Retry", IDS, failed);
    manager_refuses(stranger, ERROR("NotAuthorized"), "Edit",
                    "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>}, {'priority': <1>})", held);
    g_free(task_refuses(stranger, ERROR("NotAuthorized"), held, "Release"));
    g_autoptr(GVariant) row = task_row(stranger, failed),
                        tail = bus_property(stranger, path, TASK, "StderrTail"),
                        result = bus_property(stranger, path, TASK, "Result");
    g_assert_false(dict_has(row, "stderr-tail") || dict_has(row, "result"));
    g_assert_cmpuint(g_variant_get_size(tail), ==, 0);
    g_assert_cmpuint(g_variant_get_size(result), ==, 0);
    polkit_answer(h, "org.parexec.manage-tasks", "yes");
    manager_refuses(stranger, ERROR("NotAuthorized"), "Edit",
                    "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>}, {'argv': <[b'id']>})", held);
    g_assert_cmpuint(
        counted(manager_call(stranger, "Edit",
                             "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>}, {'priority': <1>})", held)),
        ==, 1);
    g_assert_cmpuint(counted(manager_call(stranger, "Retry", IDS, failed)), ==, 1);
    task_does(stranger, held, "Release");
    task_wait(h, held, "succeeded");
}

/* Who may manage workers may not thereby be root. */
static void test_program_user(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);

    polkit_answer(h, "org.parexec.manage-workers", "yes");
    manager_refuses(stranger, ERROR("NotAuthorized"), "AddWorker",
                    "({'exec': <['cat']>, 'worker-class': <'c'>, 'user': <'root'>},)");
    manager_refuses(stranger, ERROR("InvalidArgument"), "AddWorker", "({'exec': <['cat']>},)");
}

static void add(void)
{
    static const HarnessOptions two_users = { .needs_root = true, .system = true, .polkit = true };

    harness_add("/queue/hold", NULL, test_hold);
    harness_add("/queue/hold-ahead", NULL, test_hold_ahead);
    harness_add("/queue/wrong-state", NULL, test_wrong_state);
    harness_add("/queue/bad-filters", NULL, test_bad_filters);
    harness_add("/queue/retry", NULL, test_retry);
    harness_add("/queue/retries", NULL, test_retries);
    harness_add("/queue/timeout", NULL, test_timeout);
    harness_add("/queue/result", NULL, test_result);
    harness_add("/queue/edit", NULL, test_edit);
    harness_add("/queue/bad-edit", NULL, test_bad_edit);
    harness_add("/queue/explain", NULL, test_explain);
    harness_add("/queue/queues", NULL, test_queues);
    harness_add("/queue/foreign", &two_users, test_foreign);
    harness_add("/queue/program-user", &two_users, test_program_user);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
