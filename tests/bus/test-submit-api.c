/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Submit: what is taken, what is refused, batches in several calls, defaults; and how tasks end. */
#include <string.h>

#include "calls.h"
#include "recorder.h"

typedef struct Submitted {
    uint64_t batch, first;
    uint32_t count;
} Submitted;

static Submitted submitted(GVariant *reply /* taken */)
{
    Submitted s;

    g_variant_get(reply, "(ttu)", &s.batch, &s.first, &s.count);
    g_variant_unref(reply);
    return s;
}

/* ---- how tasks end */

static void test_outcomes(Harness *h)
{
    static const struct {
        const char *task, *state, *outcome, *key;
        uint64_t value;
    } cases[] = {
        { "'argv': <[b'true']>", "succeeded", "exited", "exit-status", 0 },
        { "'argv': <[b'sh', b'-c', b'exit 42']>", "failed", "exited", "exit-status", 42 },
        { "'argv': <[b'sh', b'-c', b'kill -TERM $$']>", "failed", "signalled", "signal", 15 },
        { "'argv': <[b'/nonexistent/program']>", "failed", "spawn-failed", "errno", ENOENT },
        { "'argv': <[b'/etc']>", "failed", "spawn-failed", "errno", EACCES },
        { "'argv': <[b'true']>, 'cwd': <b'/nonexistent'>", "failed", "spawn-failed", "errno", ENOENT },
        { "'argv': <[b'true']>, 'stdin': <b'/nonexistent'>", "failed", "spawn-failed", "errno", ENOENT },
    };
    g_autofree char *id = worker_add(h->bus, NULL), *path = worker_path(id);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint64_t task = task_submit(h->bus, "%s", cases[i].task);
        task_wait(h, task, cases[i].state);
        g_autoptr(GVariant) row = task_row(h->bus, task);
        g_assert_cmpstr(dict_string(row, "outcome"), ==, cases[i].outcome);
        g_assert_cmpuint(dict_number(row, cases[i].key), ==, cases[i].value);
        g_assert_cmpstr(dict_string(row, "worker"), ==, id);
        g_assert_cmpuint(dict_number(row, "attempt"), ==, 1);
    }
    HARNESS_WAIT(h, bus_property_number(h->bus, path, WORKER, "TasksDone") == 1);
    g_assert_cmpuint(bus_property_number(h->bus, path, WORKER, "TasksFailed"), ==, G_N_ELEMENTS(cases) - 1);
}

/* Bytes are bytes: what is no UTF-8 arrives as it was. */
static void test_bytes(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit(
        h->bus,
        "'argv': <[b'sh', b'-c', b'printf \"%%s|%%s\" \"$0\" \"$X\"', b'a\\377\\200 \"$x\\n']>, 'env': <[b'X=\\376']>");

    task_wait(h, task, "succeeded");
    g_autofree char *output = task_output(h->bus, task, "stdout"), *path = task_path(task);
    g_assert_cmpstr(output, ==, "a\377\200 \"$x\n|\376");
    g_autoptr(GVariant) argv = bus_property(h->bus, path, TASK, "Argv"),
                        environment = bus_property(h->bus, path, TASK, "Environment");
    g_assert_cmpstr(g_variant_get_type_string(argv), ==, "aay");
    g_autoptr(GVariant) last = g_variant_get_child_value(argv, 3);
    g_assert_cmpmem(g_variant_get_data(last), g_variant_get_size(last), "a\377\200 \"$x\n", 8);
    g_assert_cmpuint(g_variant_n_children(environment), ==, 1);
}

static void test_surroundings(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit(
        h->bus, "'argv': <[b'sh', b'-c', b'pwd; echo $GREETING; cat; echo oops >&2']>, 'cwd': <b'/usr'>,"
                "'env': <[b'GREETING=hello']>");

    task_wait(h, task, "succeeded");
    g_autofree char *output = task_output(h->bus, task, "stdout"),
                    *errors = task_output(h->bus, task, "stderr");
    g_assert_cmpstr(output, ==, "/usr\nhello\n");
    g_assert_cmpstr(errors, ==, "oops\n");
}

static void test_priority(Harness *h)
{
    g_autofree char *file = harness_path(h, "order"), *id = NULL;
    static const int priorities[] = { 0, 5, -3, 5, 2147483647, -2147483647 - 1 };
    uint64_t last = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(priorities); i++)
        last = task_submit(h->bus, "'argv': <[b'sh', b'-c', b'echo %zu >> %s']>, 'priority': <%d>", i, file,
                           priorities[i]);
    id = worker_add(h->bus, NULL);
    task_wait(h, last, "succeeded");
    g_autofree char *order = harness_read(h, "order");
    g_assert_cmpstr(order, ==, "4\n1\n3\n0\n2\n5\n");
}

static void test_array(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, "'slots': <uint32 2>");
    Submitted s = submitted(manager_call(h->bus, "Submit",
                                         "([{'argv': <[b'sh', b'-c', b'echo $PAREXEC_ARRAY_INDEX']>,"
                                         "'array': <(uint64 7, uint64 16)>, 'name': <'ten'>}], @a{sv} {})"));

    g_assert_cmpuint(s.count, ==, 10);
    HARNESS_WAIT(h, queue_count(h->bus, "succeeded") == 10);
    for (uint64_t i = 0; i < s.count; i++) {
        g_autofree char *output = task_output(h->bus, s.first + i, "stdout"),
                        *wanted = g_strdup_printf("%" G_GUINT64_FORMAT "\n", i + 7);
        g_autoptr(GVariant) row = task_row(h->bus, s.first + i);
        g_assert_cmpstr(output, ==, wanted);
        g_assert_cmpuint(dict_number(row, "array-index"), ==, i + 7);
        g_assert_cmpuint(dict_number(row, "batch"), ==, s.batch);
    }
}

/* ---- what is refused */

static void test_bad_tasks(Harness *h)
{
    static const struct {
        const char *error, *task;
    } cases[] = {
        { ERROR("UnknownOption"), "'argv': <[b'true']>, 'colour': <'red'>" },
        { ERROR("InvalidArgument"), "'name': <'without argv'>" },
        { ERROR("InvalidArgument"), "'argv': <@aay []>" },
        { ERROR("InvalidArgument"), "'argv': <[b'']>" },
        { ERROR("InvalidArgument"), "'argv': <'true'>" },
        { ERROR("InvalidArgument"), "'argv': <['true']>" },
        { ERROR("InvalidArgument"), "'argv': <[[byte 97, 0, 98]]>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'cwd': <b'relative'>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'cwd': <b''>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'cwd': <'/'>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'env': <[b'NAME']>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'env': <[b'=value']>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'stdin': <'/dev/null'>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'stdout': <b'output'>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'name': <'two\\nlines'>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'tags': <['']>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'tags': <['a\\nb']>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'tags': <'a'>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'priority': <uint32 1>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'array': <(uint64 1, uint64 0)>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'array': <(uint64 0, uint64 100000000)>" },
        { ERROR("InvalidArgument"),
          "'argv': <[b'true']>, 'array': <(uint64 0, uint64 18446744073709551615)>" },
        { ERROR("InvalidArgument"),
          "'argv': <[b'true']>, 'array': <(uint64 18446744073709551615, uint64 18446744073709551615)>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'memory-max': <uint64 0>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'memory-max': <uint64 1>" },
        { ERROR("InvalidArgument"), "'argv': <[b'true']>, 'memory-max': <uint64 18446744073709551614>" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        manager_refuses(h->bus, cases[i].error, "Submit", "([{%s}], @a{sv} {})", cases[i].task);
        /* one bad apple: nothing of the call is taken */
        manager_refuses(h->bus, cases[i].error, "Submit", "([{'argv': <[b'true']>}, {%s}], @a{sv} {})",
                        cases[i].task);
    }
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 0);
}

static void test_bad_options(Harness *h)
{
    static const struct {
        const char *error, *tasks, *options;
    } cases[] = {
        { ERROR("InvalidArgument"), "@aa{sv} []", "@a{sv} {}" },
        { ERROR("InvalidArgument"), "@aa{sv} []", "{'commit': <false>}" },
        { ERROR("UnknownOption"), "[{'argv': <[b'true']>}]", "{'colour': <'red'>}" },
        { ERROR("InvalidArgument"), "[{'argv': <[b'true']>}]", "{'batch': <'last'>}" },
        { ERROR("InvalidArgument"), "[{'argv': <[b'true']>}]", "{'commit': <1>}" },
        { ERROR("NoSuchBatch"), "[{'argv': <[b'true']>}]", "{'batch': <uint64 99>}" },
        { ERROR("NoSuchBatch"), "[{'argv': <[b'true']>}]", "{'batch': <uint64 18446744073709551615>}" },
        { ERROR("NoSuchBatch"), "@aa{sv} []", "{'batch': <uint64 99>}" },
        { ERROR("InvalidArgument"), "[{'argv': <[b'true']>}]",
          "{'defaults': <{'array': <(uint64 0, uint64 1)>}>}" },
        { ERROR("InvalidArgument"), "[{'argv': <[b'true']>}]", "{'defaults': <{'cwd': <b'relative'>}>}" },
        { ERROR("InvalidArgument"), "[{'argv': <[b'true']>}]", "{'defaults': <{'stdin': <handle 0>}>}" },
        { ERROR("UnknownOption"), "[{'argv': <[b'true']>}]", "{'defaults': <{'colour': <'red'>}>}" },
        { ERROR("InvalidArgument"), "[{'argv': <[b'true']>}]", "{'defaults': <'none'>}" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        manager_refuses(h->bus, cases[i].error, "Submit", "(%s, %s)", cases[i].tasks, cases[i].options);
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 0);
}

/* 10 MB of argv, a name of 256 bytes, 65 tags, a path that no system takes. */
static void test_too_large(Harness *h)
{
    g_autofree char *argv = g_strnfill(10000000, 'a'), *name = g_strnfill(256, 'n'),
                    *path = g_strnfill(5000, 'p'), *tags = NULL;
    g_auto(GStrv) list = g_new0(char *, 66);

    manager_refuses(h->bus, ERROR("TooLarge"), "Submit", "([{'argv': <[b'true', b'%s']>}], @a{sv} {})", argv);
    manager_refuses(h->bus, ERROR("InvalidArgument"), "Submit",
                    "([{'argv': <[b'true']>, 'name': <'%s'>}], @a{sv} {})", name);
    manager_refuses(h->bus, ERROR("InvalidArgument"), "Submit",
                    "([{'argv': <[b'true']>, 'cwd': <b'/%s'>}], @a{sv} {})", path);
    for (unsigned i = 0; i < 65; i++)
        list[i] = g_strdup_printf("'t%u'", i);
    tags = g_strjoinv(",", list);
    manager_refuses(h->bus, ERROR("InvalidArgument"), "Submit",
                    "([{'argv': <[b'true']>, 'tags': <[%s]>}], @a{sv} {})", tags);
    name[255] = 0;
    g_assert_cmpuint(task_submit(h->bus, "'argv': <[b'true']>, 'name': <'%s'>", name), >, 0);
}

/* ---- defaults */

static void test_defaults(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    Submitted s = submitted(manager_call(
        h->bus, "Submit",
        "([@a{sv} {}, {'name': <'mine'>, 'cwd': <b'/usr'>}, {'argv': <[b'sh', b'-c', b'exit 3']>}],"
        "{'defaults': <{'argv': <[b'sh', b'-c', b'pwd; echo $A']>, 'cwd': <b'/etc'>, 'env': <[b'A=b']>,"
        "'name': <'all'>, 'tags': <['t']>, 'priority': <4>, 'memory-max': <uint64 67108864>}>})"));

    g_assert_cmpuint(s.count, ==, 3);
    task_wait(h, s.first, "succeeded");
    task_wait(h, s.first + 1, "succeeded");
    task_wait(h, s.first + 2, "failed");
    g_autofree char *first = task_output(h->bus, s.first, "stdout"),
                    *second = task_output(h->bus, s.first + 1, "stdout");
    g_assert_cmpstr(first, ==, "/etc\nb\n");
    g_assert_cmpstr(second, ==, "/usr\nb\n");
    g_autoptr(GVariant) row = task_row(h->bus, s.first), own = task_row(h->bus, s.first + 1);
    g_autoptr(GVariant) tags = g_variant_lookup_value(row, "tags", G_VARIANT_TYPE_STRING_ARRAY);
    g_autofree char *path = task_path(s.first + 2);
    g_assert_cmpstr(dict_string(row, "name"), ==, "all");
    g_assert_cmpstr(dict_string(own, "name"), ==, "mine");
    g_assert_cmpuint(dict_number(row, "priority"), ==, 4);
    g_assert_cmpuint(g_variant_n_children(tags), ==, 1);
    g_assert_cmpuint(bus_property_number(h->bus, path, TASK, "MemoryMax"), ==, 67108864);
}

/* ---- batches */

static Submitted submit_open(sd_bus *bus, uint64_t batch)
{
    if (batch == 0)
        return submitted(manager_call(bus, "Submit", "([{'argv': <[b'true']>}], {'commit': <false>})"));
    return submitted(manager_call(
        bus, "Submit",
        "([{'argv': <[b'true']>}], {'commit': <false>, 'batch': <uint64 %" G_GUINT64_FORMAT ">})", batch));
}

static void test_batch(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    Submitted one = submit_open(h->bus, 0), two = submit_open(h->bus, one.batch),
              other = submit_open(h->bus, 0);

    g_assert_cmpuint(two.batch, ==, one.batch);
    g_assert_cmpuint(other.batch, !=, one.batch);
    harness_pause(h, 150);
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 0); /* it is seen when it is complete */
    g_assert_cmpuint(queue_count(h->bus, "succeeded"), ==, 0);
    g_autofree char *tasks =
        g_strdup_printf("(@aa{sv} [], {'batch': <uint64 %" G_GUINT64_FORMAT ">})", one.batch);
    manager_do(h->bus, "Submit", "%s", tasks);
    HARNESS_WAIT(h, queue_count(h->bus, "succeeded") == 2);
    manager_refuses(h->bus, ERROR("NoSuchBatch"), "Submit", "%s", tasks); /* it is committed */
    harness_pause(h, 100);
    g_assert_cmpuint(queue_count(h->bus, "succeeded"), ==, 2);
}

static bool no_task(sd_bus *bus)
{
    g_autoptr(GVariant) reply = manager_call(bus, "ListTasks", "(@a{sv} {},)"),
                        rows = g_variant_get_child_value(reply, 0);

    return g_variant_n_children(rows) == 0;
}

static void test_batch_dropped(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    sd_bus *client = harness_connect(h);
    Submitted s = submit_open(client, 0);

    harness_disconnect(h, client);
    HARNESS_WAIT(h, no_task(h->bus));
    manager_refuses(h->bus, ERROR("NoSuchBatch"), "Submit",
                    "(@aa{sv} [], {'batch': <uint64 %" G_GUINT64_FORMAT ">})", s.batch);
    g_assert_cmpuint(task_submit_shell(h->bus, "exit 0"), >, s.first); /* its ids are not used again */
}

/* The client goes while its batch is on the way to the disk. */
static void test_batch_dropped_at_once(Harness *h)
{
    for (unsigned i = 0; i < 20; i++) {
        sd_bus *client = harness_connect(h);
        g_autoptr(sd_bus_message) m = bus_message(client, (Target){ "/org/parexec", MANAGER, "Submit" },
                                                  "([{'argv': <[b'true']>}], {'commit': <false>})");
        g_assert_cmpint(sd_bus_send(client, m, NULL), >=, 0);
        g_assert_cmpint(sd_bus_flush(client), >=, 0);
        harness_pause(h, i);
        harness_disconnect(h, client);
    }
    harness_pause(h, 200);
    /* Of those that were stored, none is open any more: who guesses its number, as the same user, cannot add to it. */
    for (unsigned batch = 1; batch <= 20; batch++)
        manager_refuses(h->bus, ERROR("NoSuchBatch"), "Submit", "(@aa{sv} [], {'batch': <uint64 %u>})",
                        batch);
}

static void test_foreign_batch(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);
    polkit_answer(h, "org.parexec.submit", "yes");
    Submitted s = submit_open(h->bus, 0);

    manager_refuses(stranger, ERROR("NoSuchBatch"), "Submit",
                    "([{'argv': <[b'true']>}], {'batch': <uint64 %" G_GUINT64_FORMAT ">})", s.batch);
    manager_refuses(stranger, ERROR("NoSuchBatch"), "Submit",
                    "(@aa{sv} [], {'batch': <uint64 %" G_GUINT64_FORMAT ">})", s.batch);
    g_assert_cmpuint(submit_open(h->bus, s.batch).batch, ==, s.batch);
}

/* Ten thousand in one call, with what they share said once. */
static void test_many(Harness *h)
{
    g_autoptr(GString) tasks = g_string_new("{'name': <'n0'>}");

    for (unsigned i = 1; i < 10000; i++)
        g_string_append_printf(tasks, ",{'name': <'n%u'>}", i);
    Submitted s = submitted(
        manager_call(h->bus, "Submit", "([%s], {'defaults': <{'argv': <[b'true']>}>})", tasks->str));
    g_assert_cmpuint(s.count, ==, 10000);
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, 10000);
    g_autoptr(GVariant) row = task_row(h->bus, s.first + 9999);
    g_assert_cmpstr(dict_string(row, "name"), ==, "n9999");
}

static void add(void)
{
    static const HarnessOptions two_users = { .needs_root = true, .system = true, .polkit = true };

    harness_add("/submit/outcomes", NULL, test_outcomes);
    harness_add("/submit/bytes", NULL, test_bytes);
    harness_add("/submit/surroundings", NULL, test_surroundings);
    harness_add("/submit/priority", NULL, test_priority);
    harness_add("/submit/array", NULL, test_array);
    harness_add("/submit/bad-tasks", NULL, test_bad_tasks);
    harness_add("/submit/bad-options", NULL, test_bad_options);
    harness_add("/submit/too-large", NULL, test_too_large);
    harness_add("/submit/defaults", NULL, test_defaults);
    harness_add("/submit/batch", NULL, test_batch);
    harness_add("/submit/batch-dropped", NULL, test_batch_dropped);
    harness_add("/submit/batch-dropped-at-once", NULL, test_batch_dropped_at_once);
    harness_add("/submit/foreign-batch", &two_users, test_foreign_batch);
    harness_add("/submit/many", NULL, test_many);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
