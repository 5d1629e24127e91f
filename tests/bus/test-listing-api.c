/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ListTasks, Cancel and Task1: filters, pages, rows, and who is killed. */
#include <string.h>

#include "calls.h"

#define SLEEPER "'argv': <[b'sleep', b'60']>"

/* The ids on a page, as "3 4 5"; the cursor. */
static char *page(sd_bus *bus, const char *filter, uint64_t *ret_cursor)
{
    g_autoptr(GVariant) reply = manager_call(bus, "ListTasks", "(@a{sv} {%s},)", filter), rows = NULL;
    g_autoptr(GString) ids = g_string_new(NULL);
    uint64_t cursor;

    g_variant_get(reply, "(@aa{sv}t)", &rows, &cursor);
    for (gsize i = 0; i < g_variant_n_children(rows); i++) {
        g_autoptr(GVariant) row = g_variant_get_child_value(rows, i);
        g_string_append_printf(ids, "%s%" G_GUINT64_FORMAT, i > 0 ? " " : "", dict_number(row, "id"));
    }
    if (ret_cursor)
        *ret_cursor = cursor;
    return g_string_free(g_steal_pointer(&ids), FALSE);
}

static void expect_ids(sd_bus *bus, const char *filter, const char *wanted)
{
    g_autofree char *ids = page(bus, filter, NULL);

    if (strcmp(ids, wanted) != 0)
        g_error("{%s}: wanted %s, got %s", filter, wanted, ids);
}

static uint64_t cancel(sd_bus *bus, const char *filter)
{
    g_autoptr(GVariant) reply = manager_call(bus, "Cancel", "({%s},)", filter);
    uint32_t count;

    g_variant_get(reply, "(u)", &count);
    return count;
}

/* Tasks 1 to 8: batch 1 is 1 to 5 (an array), then three of one each, the last of which has ended. */
static void fill(Harness *h)
{
    manager_do(h->bus, "Submit",
               "([{" SLEEPER
               ", 'array': <(uint64 0, uint64 4)>, 'name': <'many'>, 'tags': <['a', 'b']>}], @a{sv} {})");
    g_assert_cmpuint(task_submit(h->bus, SLEEPER ", 'name': <'one'>, 'tags': <['b']>"), ==, 6);
    g_assert_cmpuint(task_submit(h->bus, SLEEPER ", 'name': <'two'>"), ==, 7);
    g_assert_cmpuint(task_submit(h->bus, SLEEPER ", 'name': <'two'>, 'tags': <['ab']>"), ==, 8);
    g_assert_cmpuint(cancel(h->bus, "'ids': <[uint64 8]>"), ==, 1);
}

/* ---- ListTasks */

static void test_filters(Harness *h)
{
    g_autofree char *mine = g_strdup_printf("'owner': <uint32 %u>", geteuid());

    fill(h);
    expect_ids(h->bus, "", "1 2 3 4 5 6 7 8");
    expect_ids(h->bus, "'ids': <[uint64 7, 2, 2, 99]>", "2 7");
    expect_ids(h->bus, "'ids': <@at []>", "");
    expect_ids(h->bus, "'batch': <uint64 1>", "1 2 3 4 5");
    expect_ids(h->bus, "'batch': <uint64 99>", "");
    expect_ids(h->bus, "'states': <['cancelled']>", "8");
    expect_ids(h->bus, "'states': <['cancelled', 'queued', 'queued']>", "1 2 3 4 5 6 7 8");
    expect_ids(h->bus, "'states': <['running']>", "");
    expect_ids(h->bus, "'name': <'two'>", "7 8");
    expect_ids(h->bus, "'name': <'tw'>", "");
    expect_ids(h->bus, "'tag': <'b'>", "1 2 3 4 5 6");
    expect_ids(h->bus, "'tag': <'a'>", "1 2 3 4 5");
    expect_ids(h->bus, "'tag': <'%'>", "");
    expect_ids(h->bus, mine, "1 2 3 4 5 6 7 8");
    expect_ids(h->bus, "'owner': <uint32 4294967294>", "");
    expect_ids(h->bus, "'name': <'two'>, 'states': <['queued']>", "7");
    expect_ids(h->bus, "'batch': <uint64 1>, 'ids': <[uint64 3, 6]>", "3");
    expect_ids(h->bus, "'reverse': <true>", "8 7 6 5 4 3 2 1");
    expect_ids(h->bus, "'reverse': <true>, 'tag': <'b'>, 'limit': <uint32 3>", "6 5 4");
    expect_ids(h->bus, "'cursor': <uint64 5>", "6 7 8");
    expect_ids(h->bus, "'cursor': <uint64 18446744073709551615>", "");
}

static void walk(Harness *h, const char *filter, unsigned limit, const char *wanted)
{
    g_autoptr(GString) all = g_string_new(NULL);
    uint64_t cursor = 0;
    unsigned pages = 0;

    do {
        g_autofree char *text = g_strdup_printf(
            "%s, 'limit': <uint32 %u>, 'cursor': <uint64 %" G_GUINT64_FORMAT ">", filter, limit, cursor);
        g_autofree char *ids = page(h->bus, text, &cursor);
        if (*ids) /* what is behind the cursor need not match */
            g_string_append_printf(all, "%s%s", all->len > 0 ? " " : "", ids);
        g_assert_cmpuint(++pages, <=, 9);
    } while (cursor != 0);
    g_assert_cmpstr(all->str, ==, wanted);
}

static void test_pages(Harness *h)
{
    fill(h);
    for (unsigned limit = 1; limit <= 9; limit++) {
        walk(h, "'states': <['queued', 'cancelled']>", limit, "1 2 3 4 5 6 7 8");
        walk(h, "'tag': <'b'>", limit, "1 2 3 4 5 6");
        walk(h, "'reverse': <true>", limit, "8 7 6 5 4 3 2 1");
        walk(h, "'ids': <[uint64 8, 1, 4]>", limit, "1 4 8");
        walk(h, "'ids': <[uint64 8, 1, 4]>, 'reverse': <true>", limit, "8 4 1");
        walk(h, "'batch': <uint64 1>, 'reverse': <true>", limit, "5 4 3 2 1");
    }
}

/* A page has a thousand rows; pages are the same over a restart. */
static void test_long_list(Harness *h)
{
    uint64_t cursor, seen = 0, pages = 0;

    manager_do(h->bus, "Submit", "([{" SLEEPER ", 'array': <(uint64 0, uint64 2499)>}], @a{sv} {})");
    g_free(page(h->bus, "", &cursor));
    g_assert_cmpuint(cursor, ==, 1000);
    harness_restart_daemon(h);
    for (cursor = 0; pages == 0 || cursor != 0; pages++) {
        g_autofree char *filter = g_strdup_printf("'cursor': <uint64 %" G_GUINT64_FORMAT ">", cursor),
                        *ids = page(h->bus, filter, &cursor);
        g_auto(GStrv) list = g_strsplit(ids, " ", -1);
        for (char **id = list; *id; id++)
            g_assert_cmpuint(g_ascii_strtoull(*id, NULL, 10), ==, ++seen);
    }
    g_assert_cmpuint(seen, ==, 2500);
    g_assert_cmpuint(pages, ==, 3);
}

static void test_bad_filters(Harness *h)
{
    static const struct {
        const char *error, *filter;
    } cases[] = {
        { ERROR("UnknownOption"), "'colour': <'red'>" },
        { ERROR("InvalidArgument"), "'ids': <[1, 2]>" },
        { ERROR("InvalidArgument"), "'ids': <uint64 1>" },
        { ERROR("InvalidArgument"), "'batch': <1>" },
        { ERROR("InvalidArgument"), "'states': <['sleepy']>" },
        { ERROR("InvalidArgument"), "'states': <'queued'>" },
        { ERROR("InvalidArgument"), "'states': <['']>" },
        { ERROR("InvalidArgument"), "'name': <b'x'>" },
        { ERROR("InvalidArgument"), "'owner': <'root'>" },
        { ERROR("InvalidArgument"), "'tag': <1>" },
        { ERROR("InvalidArgument"), "'batch': <uint64 0>" },
    };

    fill(h);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        manager_refuses(h->bus, cases[i].error, "ListTasks", "({%s},)", cases[i].filter);
        manager_refuses(h->bus, cases[i].error, "Cancel", "({%s},)", cases[i].filter);
    }
    manager_refuses(h->bus, ERROR("InvalidArgument"), "ListTasks", "({'limit': <uint32 0>},)");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "ListTasks", "({'limit': <uint32 1001>},)");
    manager_refuses(h->bus, ERROR("InvalidArgument"), "ListTasks", "({'reverse': <1>},)");
    manager_refuses(h->bus, ERROR("UnknownOption"), "Cancel",
                    "({'limit': <uint32 1>},)"); /* that is of listing alone */
    g_assert_cmpuint(queue_count(h->bus, "queued"), ==, 7);
}

/* ---- rows */

static void expect_shape(GVariant *row, const char *wanted)
{
    g_autofree char *shape = dict_shape(row);

    g_assert_cmpstr(shape, ==, wanted);
}

static void test_rows(Harness *h)
{
    uint64_t task = task_submit(
        h->bus, "'argv': <[b'sh', b'-c', b'exit 7']>, 'name': <'n'>, 'tags': <['x', 'y']>, 'priority': <-2>");
    g_autoptr(GVariant) queued = task_row(h->bus, task);

    expect_shape(queued,
                 "argv:aay batch:t cwd:ay id:t name:s owner:u priority:i state:s submitted:t tags:as");
    g_assert_cmpuint(dict_number(queued, "owner"), ==, geteuid());
    g_autofree char *id = worker_add(h->bus, NULL);
    task_wait(h, task, "failed");
    g_autoptr(GVariant) ended = task_row(h->bus, task);
    expect_shape(
        ended,
        "argv:aay attempt:u batch:t cpu-usage-nsec:t cwd:ay exit-status:i finished:t id:t memory-peak:t name:s outcome:s "
        "owner:u priority:i started:t state:s submitted:t tags:as worker:s");
    g_assert_cmpuint(dict_number(ended, "submitted"), <=, dict_number(ended, "started"));
    g_assert_cmpuint(dict_number(ended, "started"), <=, dict_number(ended, "finished"));
    g_assert_cmpint((int32_t) dict_number(ended, "priority"), ==, -2);
}

static void test_task_object(Harness *h)
{
    uint64_t task =
        task_submit(h->bus, "'argv': <[b'sh', b'-c', b'exit 7']>, 'name': <'n'>, 'cwd': <b'/usr'>");
    g_autofree char *path = task_path(task), *id = worker_add(h->bus, NULL);

    task_wait(h, task, "failed");
    g_autoptr(GVariant) reply = bus_call(h->bus, (Target){ path, PROPERTIES, "GetAll" }, "('" TASK "',)");
    g_autoptr(GVariant) all = g_variant_get_child_value(reply, 0),
                        attempts = g_variant_lookup_value(all, "Attempts", NULL);
    expect_shape(
        all,
        "After:s Argv:aay ArrayIndex:t Attempt:u Attempts:aa{sv} Batch:t CPUUsageNSec:t Environment:aay Errno:i ExitStatus:i "
        "FinishTimestamp:t Id:t MemoryMax:t MemoryPeak:t Name:s NotBefore:t Outcome:s Owner:u Policy:s Priority:i "
        "Queue:s Reason:s Result:ay Signal:i StartTimestamp:t State:s StderrTail:ay SubmitTimestamp:t Tags:as "
        "Worker:s WorkerClass:s WorkingDirectory:ay");
    g_assert_cmpstr(path, ==, "/org/parexec/task/_31");
    g_assert_cmpuint(dict_number(all, "ExitStatus"), ==, 7);
    g_assert_cmpstr(dict_string(all, "Outcome"), ==, "exited");
    g_assert_cmpstr(dict_string(all, "Worker"), ==, id);
    g_assert_cmpuint(dict_number(all, "ArrayIndex"), ==, UINT64_MAX);
    g_assert_cmpuint(dict_number(all, "MemoryMax"), ==, UINT64_MAX);
    g_autoptr(GVariant) attempt = g_variant_get_child_value(attempts, 0);
    expect_shape(
        attempt,
        "attempt:u cpu-usage-nsec:t exit-status:i finished:t memory-peak:t outcome:s started:t worker:s");
    g_free(bus_refusal(h->bus, "org.freedesktop.DBus.Error.PropertyReadOnly",
                       (Target){ path, PROPERTIES, "Set" }, "('" TASK "', 'Priority', <1>)"));
    g_free(bus_refusal(h->bus, ERROR("InvalidState"), (Target){ path, TASK, "Cancel" }, NULL));
}

/* ---- Cancel */

static void test_cancel(Harness *h)
{
    fill(h);
    manager_refuses(h->bus, ERROR("InvalidArgument"), "Cancel", "(@a{sv} {},)"); /* it would be everything */
    manager_refuses(h->bus, ERROR("NoSuchTask"), "Cancel", "({'ids': <[uint64 1, 99]>},)");
    manager_refuses(h->bus, ERROR("NoSuchTask"), "Cancel", "({'ids': <[uint64 0]>},)");
    manager_refuses(h->bus, ERROR("NoSuchTask"), "Cancel", "({'ids': <[uint64 18446744073709551615]>},)");
    manager_refuses(h->bus, ERROR("NoSuchBatch"), "Cancel", "({'batch': <uint64 99>},)");
    g_assert_true(task_is(h->bus, 1, "queued"));
    g_assert_cmpuint(cancel(h->bus, "'name': <'nobody'>"), ==, 0);
    g_assert_cmpuint(cancel(h->bus, "'ids': <@at []>"), ==, 0);
    g_assert_cmpuint(cancel(h->bus, "'ids': <[uint64 2, 2, 8]>"), ==,
                     1); /* 8 has ended: no error among others */
    g_assert_cmpuint(cancel(h->bus, "'ids': <[uint64 2]>"), ==, 0);
    expect_ids(h->bus, "'states': <['cancelled']>", "2 8");
    g_assert_cmpuint(cancel(h->bus, "'batch': <uint64 1>"), ==, 4);
    g_assert_cmpuint(cancel(h->bus, "'tag': <'b'>"), ==, 1);
    g_assert_cmpuint(cancel(h->bus, "'states': <['queued']>"), ==, 1);
    g_assert_cmpuint(queue_count(h->bus, "cancelled"), ==, 8);
    g_assert_cmpuint(queue_count(h->bus, "queued"), ==, 0);
}

/* What runs is killed with its whole tree. */
static void test_cancel_running(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL), *file = harness_path(h, "ticks");
    uint64_t task =
        task_submit_shell(h->bus, "setsid sh -c 'while sleep 0.05; do echo tick >> %s; done' & wait", file);
    g_autofree char *path = task_path(task);

    HARNESS_WAIT(h, access(file, F_OK) == 0);
    g_variant_unref(bus_call(h->bus, (Target){ path, TASK, "Cancel" }, NULL));
    task_wait(h, task, "cancelled");
    g_autofree char *before = harness_read(h, "ticks");
    harness_pause(h, 300);
    g_autofree char *after = harness_read(h, "ticks");
    g_assert_cmpuint(strlen(after), ==, strlen(before));
    g_autofree char *outcome = bus_property_string(h->bus, path, TASK, "Outcome");
    g_assert_cmpstr(outcome, ==, "aborted");
    g_assert_true(worker_is(h->bus, id, "running"));
    g_free(bus_refusal(h->bus, ERROR("InvalidState"), (Target){ path, TASK, "Cancel" }, NULL));
    task_wait(h, task_submit_shell(h->bus, "exit 0"), "succeeded"); /* its slot is free */
}

static void test_cancel_array(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, "'slots': <uint32 2>");

    manager_do(h->bus, "Submit", "([{" SLEEPER ", 'array': <(uint64 0, uint64 99999)>}], @a{sv} {})");
    HARNESS_WAIT(h, queue_count(h->bus, "running") == 2);
    g_assert_cmpuint(cancel(h->bus, "'ids': <[uint64 50000, 99999, 100000]>"), ==, 3);
    g_assert_cmpuint(cancel(h->bus, "'batch': <uint64 1>"), ==, 99997);
    HARNESS_WAIT(h, queue_count(h->bus, "cancelled") == 100000);
    g_assert_cmpuint(queue_count(h->bus, "running"), ==, 0);
    expect_ids(h->bus, "'states': <['running', 'queued']>", "");
}

static void add(void)
{
    harness_add("/listing/filters", NULL, test_filters);
    harness_add("/listing/pages", NULL, test_pages);
    harness_add("/listing/long-list", NULL, test_long_list);
    harness_add("/listing/bad-filters", NULL, test_bad_filters);
    harness_add("/listing/rows", NULL, test_rows);
    harness_add("/listing/task-object", NULL, test_task_object);
    harness_add("/listing/cancel", NULL, test_cancel);
    harness_add("/listing/cancel-running", NULL, test_cancel_running);
    harness_add("/listing/cancel-array", NULL, test_cancel_array);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
