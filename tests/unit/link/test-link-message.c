/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker protocol, written by one end and read by the other; and what no honest worker would say. */
#include "link/link-message.h"

#include <string.h>
#include <sys/socket.h>

#include "dbus/parexec-dbus.h"
#include "util/strv-blob.h"
#include "worker/runner-message.h"

static sd_bus_message *message_new(void)
{
    static sd_bus *bus;
    sd_bus_message *m = NULL;
    int sockets[2];

    if (!bus) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), ==, 0);
        g_assert_cmpint(sd_bus_new(&bus), >=, 0);
        g_assert_cmpint(sd_bus_set_fd(bus, sockets[0], sockets[0]), >=, 0);
        g_assert_cmpint(sd_bus_negotiate_fds(bus, 1), >=, 0);
        g_assert_cmpint(sd_bus_start(bus), >=, 0);
    }
    g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, NULL, "/x", "x.x", "Test"), >=, 0);
    return m;
}

static void turn(sd_bus_message *m)
{
    g_assert_cmpint(sd_bus_message_seal(m, 1, 0), >=, 0);
    g_assert_cmpint(sd_bus_message_rewind(m, true), >=, 0);
}

/* ------------------------------------------------------------------ results */

static void assert_results_equal(const TaskResult *a, const TaskResult *b)
{
    g_assert_cmpuint(a->task, ==, b->task);
    g_assert_cmpuint(a->fence, ==, b->fence);
    g_assert_cmpint(a->outcome, ==, b->outcome);
    g_assert_cmpint(a->exit_status, ==, b->exit_status);
    g_assert_cmpuint(a->memory_peak_bytes, ==, b->memory_peak_bytes);
    g_assert_true(a->data ? b->data && g_bytes_equal(a->data, b->data) : !b->data);
    g_assert_true(a->stderr_tail ? b->stderr_tail && g_bytes_equal(a->stderr_tail, b->stderr_tail) :
                                   !b->stderr_tail);
    g_assert_cmpstr(a->note, ==, b->note);
    g_assert_cmpint(a->oom_cause, ==, b->oom_cause);
    for (int i = 0; i < _STREAM_MAX; i++) {
        g_assert_cmpuint(a->dropped_bytes[i], ==, b->dropped_bytes[i]);
        g_assert_cmpint(a->places[i].packed, ==, b->places[i].packed);
        g_assert_cmpuint(a->places[i].offset, ==, b->places[i].offset);
        g_assert_cmpuint(a->places[i].size, ==, b->places[i].size);
    }
}

static TaskResult full_result(void)
{
    return (TaskResult) {
        .task = 7,
        .fence = 8,
        .outcome = OUTCOME_TIMEOUT,
        .exit_status = 3,
        .memory_peak_bytes = MEMORY_UNKNOWN,
        .stderr_tail = g_bytes_new("\0\xff", 2),
        .data = g_bytes_new_take(g_malloc0(RESULT_BYTES_MAX), RESULT_BYTES_MAX),
        .note = g_strdup("its result has 1.0G"),
        .dropped_bytes = { 0, 5, UINT64_MAX },
        .places = { { 0 }, { true, 0, 0 }, { true, INT64_MAX - 10, 10 } },
    };
}

static GArray *pass_results(ResultQueue *queue)
{
    g_autoptr(sd_bus_message) m = message_new();
    GArray *results = NULL;

    g_assert_cmpint(runner_message_append_results(m, queue), >, 0);
    turn(m);
    g_assert_cmpint(link_read_results(m, &results), ==, 0);
    return results;
}

static void test_results(void)
{
    g_autoptr(ResultQueue) queue = result_queue_new();
    TaskResult plain = { .task = 1, .outcome = OUTCOME_EXITED }, full = full_result(), expected = full_result(),
               oom = { .task = 2, .outcome = OUTCOME_OOM, .oom_cause = OOM_OOMD };
    g_autoptr(GArray) results = NULL;

    result_queue_push(queue, &plain);
    result_queue_push(queue, &full);
    result_queue_push(queue, &oom);
    g_assert_null(full.data);
    g_assert_null(full.note);
    results = pass_results(queue);
    g_assert_cmpuint(results->len, ==, 3);
    assert_results_equal(&oom, &g_array_index(results, TaskResult, 2));
    assert_results_equal(&plain, &g_array_index(results, TaskResult, 0));
    assert_results_equal(&expected, &g_array_index(results, TaskResult, 1));
    task_result_done(&expected);
}

/* Notes may have a program's words in them. */
static void test_notes(void)
{
    g_autofree char *words = g_strnfill(300, 'n'), *wide = g_strnfill(254, 'n');
    g_autofree char *cut = g_strconcat(wide, "\xc3\xa4", NULL);
    const struct {
        const char *note, *expected_start;
        size_t length;
    } cases[] = {
        { "one\ntwo\t\x1b[1m", "one two  [1m", 12 },
        { "bad \xff byte", "bad \xef\xbf\xbd byte", 12 },
        { "c1 \xc2\x9b control", "c1 ?? control", 13 },
        { words, "nnn", 255 },
        { cut, "nnn", 254 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(ResultQueue) queue = result_queue_new();
        TaskResult result = { .task = 1, .outcome = OUTCOME_EXITED, .note = g_strdup(cases[i].note) };
        g_autoptr(GArray) results = NULL;

        result_queue_push(queue, &result);
        results = pass_results(queue);
        g_assert_true(g_str_has_prefix(g_array_index(results, TaskResult, 0).note, cases[i].expected_start));
        g_assert_cmpuint(strlen(g_array_index(results, TaskResult, 0).note), ==, cases[i].length);
    }
}

static void test_result_portions(void)
{
    g_autoptr(ResultQueue) queue = result_queue_new();
    unsigned n, total = 0, groups = 0;

    for (int i = 0; i < 1200; i++) {
        TaskResult result = full_result();

        result_queue_push(queue, &result);
    }
    while ((n = runner_message_portion(queue)) > 0) {
        g_autoptr(GArray) results = pass_results(queue);

        g_assert_cmpuint(results->len, ==, n);
        g_assert_cmpuint(n, <=, 130);
        result_queue_sent(queue, n, ++groups);
        total += n;
    }
    g_assert_cmpuint(total, ==, 1200);
}

/* One result with this in its dictionary; what the daemon makes of it. */
static int read_with(sd_bus_message *m, GArray **ret)
{
    g_assert_cmpint(sd_bus_message_close_container(m), >=, 0); /* dictionary */
    g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
    g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
    turn(m);
    return link_read_results(m, ret);
}

static sd_bus_message *hostile(const char *outcome)
{
    sd_bus_message *m = message_new();

    g_assert_cmpint(sd_bus_message_open_container(m, 'a', PAREXEC_LINK_RESULT), >=, 0);
    g_assert_cmpint(sd_bus_message_open_container(m, 'r', "ttsiiittttaya{sv}"), >=, 0);
    g_assert_cmpint(sd_bus_message_append(m, "ttsiiittttay", UINT64_C(1), UINT64_C(1), outcome, -1, -1, -1,
                                          UINT64_MAX, UINT64_C(0), UINT64_C(0), UINT64_C(0), 1, 'x'),
                    >=, 0);
    g_assert_cmpint(sd_bus_message_open_container(m, 'a', "{sv}"), >=, 0);
    return m;
}

#define assert_refused(...)                                                                                  \
    do {                                                                                                     \
        g_autoptr(sd_bus_message) refused = hostile("exited");                                               \
        GArray *none = NULL;                                                                                 \
        g_assert_cmpint(sd_bus_message_append(refused, "{sv}", __VA_ARGS__), >=, 0);                         \
        g_assert_cmpint(read_with(refused, &none), <, 0);                                                    \
        g_assert_null(none);                                                                                 \
    } while (0)

static void test_hostile_results(void)
{
    g_autofree char *text = g_strnfill(256, 'x');
    g_autofree uint8_t *data = g_malloc0(RESULT_BYTES_MAX + 1);
    g_autoptr(sd_bus_message) m = hostile("exited"), unknown = hostile("exited"), word = hostile("exit");
    GArray *results = NULL;

    assert_refused("note", "s", text);
    assert_refused("note", "s", "a\nb");
    assert_refused("note", "s", "\x1b]0;x\x07");
    assert_refused("note", "ay", 1, 'x');
    assert_refused("data", "s", "x");
    assert_refused("data", "at", 1, UINT64_C(1));
    assert_refused("dropped", "t", UINT64_C(1));
    assert_refused("stdout", "(tt)", UINT64_MAX, UINT64_C(1));
    assert_refused("stderr", "(tt)", UINT64_C(1), UINT64_C(1) << 63);
    assert_refused("stderr", "(ut)", 1U, UINT64_C(1));
    g_assert_cmpint(read_with(word, &results), <, 0);

    g_assert_cmpint(sd_bus_message_open_container(m, 'e', "sv"), >=, 0);
    g_assert_cmpint(sd_bus_message_append(m, "s", "data"), >=, 0);
    g_assert_cmpint(sd_bus_message_open_container(m, 'v', "ay"), >=, 0);
    g_assert_cmpint(sd_bus_message_append_array(m, 'y', data, RESULT_BYTES_MAX + 1), >=, 0);
    g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
    g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
    g_assert_cmpint(read_with(m, &results), <, 0);

    /* of a later worker; and said twice */
    g_assert_cmpint(sd_bus_message_append(unknown, "{sv}", "later", "(sav)", "x", 1, "s", "y"), >=, 0);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(sd_bus_message_append(unknown, "{sv}", "note", "s", i ? "second" : "first"), >=, 0);
        g_assert_cmpint(sd_bus_message_append(unknown, "{sv}", "data", "ay", 1, 'a' + i), >=, 0);
    }
    g_assert_cmpint(read_with(unknown, &results), ==, 0);
    g_assert_cmpstr(g_array_index(results, TaskResult, 0).note, ==, "second");
    g_assert_cmpmem(g_bytes_get_data(g_array_index(results, TaskResult, 0).data, NULL), 1, "b", 1);
    g_array_unref(results);
}

/* ------------------------------------------------------------------ Run */

static GBytes *bytes_of(const char *text)
{
    return g_bytes_new(text, strlen(text));
}

static TaskSpec *make_spec(uint64_t id, TaskContext *context)
{
    char *argv[] = { (char *) "true", (char *) "x y", NULL };
    TaskSpec *spec = task_spec_new();

    spec->id = id;
    spec->fence = id + 1;
    spec->attempts = 2;
    spec->argv = strv_blob_new(argv);
    spec->context = task_context_ref(context);
    return spec;
}

static void add_input(TaskSpec *spec, const char *name, GBytes *data)
{
    TaskInput *input = g_new(TaskInput, 1);

    if (!spec->inputs)
        spec->inputs = task_inputs_new();
    *input = (TaskInput) { g_strdup(name), data };
    g_ptr_array_add(spec->inputs, input);
}

static TaskContext *make_context(void)
{
    char *environment[] = { (char *) "A=1", NULL };
    char *credentials[] = { (char *) "token=/etc/token", (char *) "b=/x=y", NULL };
    TaskContext *context = task_context_new();

    context->id = 5;
    context->uid = 1000;
    context->gid = 1001;
    context->cwd = g_bytes_new("/tmp", 5);
    context->environment = strv_blob_new(environment);
    context->credentials = strv_blob_new(credentials);
    context->policy.timeout_usec = 1234567;
    context->policy.grace_usec = 0;
    context->policy.stop_signal = 2;
    context->policy.merge = true;
    g_assert_cmpint(task_policy_add_rule(&context->policy, "exit=3", "retry"), ==, 0);
    return context;
}

static void test_run(void)
{
    g_autoptr(TaskContext) context = make_context(), plain = task_context_new();
    g_autoptr(TaskSpec) first = make_spec(1, context), second = make_spec(2, plain);
    TaskSpec *specs[] = { first, second };
    g_autoptr(sd_bus_message) m = message_new();
    g_auto(RunOrder) order = { 0 };
    g_autofree char *why = NULL;

    plain->environment = g_bytes_new(NULL, 0);
    add_input(first, "one", bytes_of("1\n"));
    add_input(first, "two", bytes_of(""));
    g_assert_cmpint(link_append_run(m, specs, 2), >=, 0);
    turn(m);
    g_assert_cmpint(runner_message_read_run(m, &order, &why), ==, 0);
    g_assert_cmpuint(order.contexts->len, ==, 2);
    g_assert_true(task_context_equal(order.contexts->pdata[0], context));
    g_assert_true(task_policy_equal(&((TaskContext *) order.contexts->pdata[0])->policy, &context->policy));
    g_assert_true(task_context_equal(order.contexts->pdata[1], plain));
    const RunnerTask *task = order.tasks->pdata[0];
    g_assert_cmpuint(task->attempt, ==, 3);
    g_assert_cmpuint(task->inputs->len, ==, 2);
    const TaskInput *input = task->inputs->pdata[0];
    g_assert_cmpstr(input->name, ==, "one");
    g_assert_cmpmem(g_bytes_get_data(input->data, NULL), g_bytes_get_size(input->data), "1\n", 2);
    g_assert_null(((RunnerTask *) order.tasks->pdata[1])->inputs);
}

/* What a daemon would never say is refused as a whole. */
static void test_hostile_run(void)
{
    static const struct { const char *name, *credential; } cases[] = {
        { "", NULL },      { ".", NULL },     { "..", NULL },        { "a/b", NULL }, { NULL, "x" },
        { NULL, "x=rel" }, { NULL, "=/abs" }, { NULL, "../x=/abs" }, { NULL, "..=/abs" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TaskContext) context = make_context();
        g_autoptr(TaskSpec) spec = make_spec(1, context);
        char *credentials[] = { (char *) cases[i].credential, NULL };
        g_autoptr(sd_bus_message) m = message_new();
        g_auto(RunOrder) order = { 0 };
        g_autofree char *why = NULL;

        g_clear_pointer(&context->credentials, g_bytes_unref);
        if (cases[i].name)
            add_input(spec, cases[i].name, bytes_of("x"));
        else
            context->credentials = strv_blob_new(credentials);
        g_assert_cmpint(link_append_run(m, (TaskSpec *const[]) { spec }, 1), >=, 0);
        turn(m);
        g_assert_cmpint(runner_message_read_run(m, &order, &why), ==, -EBADMSG);
        g_assert_nonnull(why);
    }
}

static void spec_free(void *spec)
{
    (void) task_spec_free(spec);
}

/* Inputs are large; no message may come near the limits of D-Bus. */
static void test_run_portions(void)
{
    g_autoptr(TaskContext) context = make_context();
    g_autoptr(GPtrArray) specs = g_ptr_array_new_with_free_func(spec_free);
    size_t n = 20, portions = 0;

    for (uint64_t i = 0; i < n; i++) {
        g_ptr_array_add(specs, make_spec(i + 1, context));
        if (i % 2 == 0)
            add_input(specs->pdata[i], "large", g_bytes_new_take(g_malloc0(INPUTS_BYTES_MAX), INPUTS_BYTES_MAX));
    }
    for (TaskSpec **at = (TaskSpec **) specs->pdata; n > 0; portions++) {
        size_t portion = link_run_portion(at, n);

        g_assert_cmpuint(portion, >, 0);
        g_assert_cmpuint(portion, <=, n);
        at += portion;
        n -= portion;
    }
    g_assert_cmpuint(portions, ==, 10);
    g_clear_pointer(&specs, g_ptr_array_unref);
    specs = g_ptr_array_new_with_free_func(spec_free);
    for (uint64_t i = 0; i < 1000; i++)
        g_ptr_array_add(specs, make_spec(i + 1, context));
    g_assert_cmpuint(link_run_portion((TaskSpec **) specs->pdata, 1000), ==, 1000); /* the usual */
}

/* ------------------------------------------------------------------ Limit and Freeze */

static LimitOrder pass_limits(const TaskLimits *limits)
{
    g_autoptr(sd_bus_message) m = message_new();
    LimitOrder order;

    g_assert_cmpint(link_append_limits(m, limits), >=, 0);
    turn(m);
    g_assert_true(sd_bus_message_has_signature(m, "ta{sv}"));
    g_assert_cmpint(runner_message_read_limit(m, &order), ==, 0);
    return order;
}

static void test_limits(void)
{
    const TaskLimits all = { .task = 7, .set_memory = true, .set_cpu = true, .set_tasks = true, .set_io = true,
                             .memory_max_bytes = UINT64_MAX, .cpu_quota_usec_per_sec = 500000, .tasks_max = 9,
                             .io_weight = 10000 },
                     one = { .task = 8, .set_io = true, .memory_max_bytes = 5 }, none = { .task = 9 };
    LimitOrder order = pass_limits(&all);

    g_assert_true(order.task == 7 && order.set_memory && order.set_cpu && order.set_tasks && order.set_io);
    g_assert_cmpuint(order.limits.memory_max_bytes, ==, UINT64_MAX);
    g_assert_cmpuint(order.limits.cpu_quota_usec_per_sec, ==, 500000);
    g_assert_cmpuint(order.limits.tasks_max, ==, 9);
    g_assert_cmpuint(order.limits.io_weight, ==, 10000);
    order = pass_limits(&one);
    g_assert_true(order.task == 8 && !order.set_memory && !order.set_cpu && !order.set_tasks && order.set_io);
    g_assert_cmpuint(order.limits.io_weight, ==, 0);
    order = pass_limits(&none);
    g_assert_true(order.task == 9 && !order.set_memory && !order.set_cpu && !order.set_tasks && !order.set_io);
}

static void test_failures(void)
{
    g_autoptr(sd_bus_message) m = message_new(), bad = message_new(), other = message_new();
    g_autoptr(GArray) failures = NULL;

    g_assert_cmpint(sd_bus_message_append(m, "a(ts)", 2, UINT64_C(3), "it has not started", UINT64_C(5), ""), >=, 0);
    turn(m);
    g_assert_cmpint(link_read_failures(m, &failures), ==, 0);
    g_assert_cmpuint(failures->len, ==, 2);
    g_assert_cmpuint(g_array_index(failures, FrozenFailure, 1).task, ==, 5);
    g_assert_cmpstr(g_array_index(failures, FrozenFailure, 0).why, ==, "it has not started");
    g_assert_cmpint(sd_bus_message_append(bad, "a(ts)", 1, UINT64_C(3), "\x1b[1m"), >=, 0);
    turn(bad);
    g_assert_cmpint(link_read_failures(bad, &failures), ==, -EBADMSG);
    g_assert_cmpint(sd_bus_message_append(other, "s", "x"), >=, 0);
    turn(other);
    g_assert_cmpint(link_read_failures(other, &failures), <, 0);
    g_assert_cmpuint(failures->len, ==, 2); /* untouched */
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/link-message/results", test_results);
    g_test_add_func("/link-message/notes", test_notes);
    g_test_add_func("/link-message/result-portions", test_result_portions);
    g_test_add_func("/link-message/hostile-results", test_hostile_results);
    g_test_add_func("/link-message/limits", test_limits);
    g_test_add_func("/link-message/failures", test_failures);
    g_test_add_func("/link-message/run", test_run);
    g_test_add_func("/link-message/hostile-run", test_hostile_run);
    g_test_add_func("/link-message/run-portions", test_run_portions);
    return g_test_run();
}
