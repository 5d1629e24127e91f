/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* task-spec.c: contexts are equal when every field is, and then only have the same digest; copies; descriptors. */
#include "model/task-spec.h"

#include <fcntl.h>
#include <string.h>

#include "model/limits.h"

static TaskContext *example(void)
{
    static const uint32_t groups[] = { 1000, 27 };
    TaskContext *context = task_context_new();

    context->uid = 1000;
    context->gid = 1001;
    context->groups = g_memdup2(groups, sizeof groups);
    context->n_groups = G_N_ELEMENTS(groups);
    context->cwd = g_bytes_new_static("/tmp", 5);
    context->environment = g_bytes_new_static("A=1\0", 4);
    context->streams[STREAM_STDOUT] = g_bytes_new_static("/out", 5);
    context->memory_max_bytes = 1 << 30;
    return context;
}

static void replace(GBytes **field, const char *text)
{
    g_clear_pointer(field, g_bytes_unref);
    *field = text ? g_bytes_new(text, strlen(text) + 1) : NULL;
}

static void change_uid(TaskContext *c) { c->uid++; }
static void change_gid(TaskContext *c) { c->gid++; }
static void swap_ids(TaskContext *c) { c->uid = 1001; c->gid = 1000; }
static void change_group(TaskContext *c) { c->groups[1]++; }
static void drop_group(TaskContext *c) { c->n_groups--; }
static void drop_groups(TaskContext *c) { c->n_groups = 0; }
static void change_cwd(TaskContext *c) { replace(&c->cwd, "/tmpx"); }
static void change_environment(TaskContext *c) { replace(&c->environment, "A=2"); }
static void empty_environment(TaskContext *c) { g_bytes_unref(c->environment); c->environment = g_bytes_new_static("", 0); }
static void drop_environment(TaskContext *c) { replace(&c->environment, NULL); }
static void change_stdout(TaskContext *c) { replace(&c->streams[STREAM_STDOUT], "/other"); }
static void drop_stdout(TaskContext *c) { replace(&c->streams[STREAM_STDOUT], NULL); }
static void add_stdin(TaskContext *c) { replace(&c->streams[STREAM_STDIN], "/in"); }
static void change_memory(TaskContext *c) { c->memory_max_bytes = LIMIT_INFINITY; }
/* the same bytes, one field on */
static void shift_stdout(TaskContext *c)
{
    c->streams[STREAM_STDERR] = g_steal_pointer(&c->streams[STREAM_STDOUT]);
}

static void (*const changes[])(TaskContext *) = {
    change_uid, change_gid, swap_ids, change_group, drop_group, drop_groups, change_cwd, change_environment, empty_environment,
    drop_environment, change_stdout, drop_stdout, add_stdin, change_memory, shift_stdout,
};

static void test_context_equal(void)
{
    g_autoptr(TaskContext) a = example(), b = example();
    g_autofree char *digest_a = task_context_digest(a), *digest_b = NULL;

    b->id = 77; /* does not count */
    digest_b = task_context_digest(b);
    g_assert_true(task_context_equal(a, a));
    g_assert_true(task_context_equal(a, b));
    g_assert_cmpstr(digest_a, ==, digest_b);
    g_assert_cmpuint(strlen(digest_a), ==, 64);
}

static void test_context_different(void)
{
    g_autoptr(TaskContext) original = example();
    g_autoptr(GHashTable) digests = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    g_hash_table_add(digests, task_context_digest(original));
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(TaskContext) changed = example();
        changes[i](changed);
        g_assert_false(task_context_equal(original, changed));
        g_assert_false(task_context_equal(changed, original));
        g_assert_true(g_hash_table_add(digests, task_context_digest(changed))); /* unlike all before */
    }
}

static void test_context_empty(void)
{
    g_autoptr(TaskContext) a = task_context_new(), b = task_context_new();
    g_autofree char *digest = task_context_digest(a);

    g_assert_true(task_context_equal(a, b));
    g_assert_cmpuint(a->memory_max_bytes, ==, LIMIT_INFINITY);
    g_assert_cmpuint(strlen(digest), ==, 64);
    task_context_unref(NULL);
}

static gpointer ref_and_unref(gpointer context)
{
    for (unsigned i = 0; i < 20000; i++)
        task_context_unref(task_context_ref(context));
    return NULL;
}

static void test_context_threads(void)
{
    g_autoptr(TaskContext) context = example();
    GThread *threads[3];

    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("ref", ref_and_unref, context);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    g_assert_true(g_atomic_ref_count_compare(&context->refs, 1));
}

static TaskSpec *example_spec(void)
{
    TaskSpec *spec = task_spec_new();

    spec->id = 17;
    spec->name = (g_free(spec->name), g_strdup("name"));
    spec->tags = g_strdup("a\nb");
    spec->argv = g_bytes_new_static("true\0", 5);
    spec->context = example();
    spec->priority = -3;
    spec->fds = task_fds_new();
    spec->has_fds = true;
    return spec;
}

static void test_copy(void)
{
    TaskSpec *spec = example_spec();
    g_autoptr(TaskSpec) copy = task_spec_copy(spec);

    g_assert_null(task_spec_free(spec));
    g_assert_cmpuint(copy->id, ==, 17);
    g_assert_cmpstr(copy->name, ==, "name");
    g_assert_cmpstr(copy->tags, ==, "a\nb");
    g_assert_cmpint(copy->priority, ==, -3);
    g_assert_cmpuint(g_bytes_get_size(copy->argv), ==, 5);
    g_assert_cmpuint(copy->context->uid, ==, 1000);
    g_assert_null(copy->fds);
    g_assert_true(copy->has_fds);
}

static void test_new(void)
{
    g_autoptr(TaskSpec) spec = task_spec_new();

    g_assert_cmpuint(spec->array_index, ==, ARRAY_INDEX_NONE);
    g_assert_cmpuint(spec->array_count, ==, 1);
    g_assert_cmpstr(spec->name, ==, "");
    g_assert_null(spec->tags);
    g_assert_null(task_spec_free(NULL));
}

static void test_fds(void)
{
    TaskSpec *spec = example_spec();
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    g_assert_cmpint(spec->fds->fds[STREAM_STDIN], ==, -EBADF);
    spec->fds->fds[STREAM_STDOUT] = fds[1];
    spec->fds->fds[STREAM_STDIN] = fds[0];
    task_spec_free(spec);
    g_assert_cmpint(fcntl(fds[0], F_GETFD), ==, -1);
    g_assert_cmpint(fcntl(fds[1], F_GETFD), ==, -1);
    g_assert_null(task_fds_free(NULL));
}

static void test_success(void)
{
    for (int outcome = OUTCOME_NONE; outcome < _OUTCOME_MAX; outcome++) {
        TaskResult zero = { .outcome = (Outcome) outcome }, one = { .outcome = (Outcome) outcome, .exit_status = 1 };
        g_assert_cmpint(task_result_is_success(&zero), ==, outcome == OUTCOME_EXITED);
        g_assert_false(task_result_is_success(&one));
    }
}

static void test_streams(void)
{
    static const char *const words[_STREAM_MAX] = { "stdin", "stdout", "stderr" };

    for (int stream = 0; stream < _STREAM_MAX; stream++) {
        g_assert_cmpstr(std_stream_to_string((StdStream) stream), ==, words[stream]);
        g_assert_cmpint(std_stream_from_string(words[stream]), ==, stream);
    }
    g_assert_cmpint(std_stream_from_string("out"), ==, -EINVAL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/task-spec/context/equal", test_context_equal);
    g_test_add_func("/task-spec/context/different", test_context_different);
    g_test_add_func("/task-spec/context/empty", test_context_empty);
    g_test_add_func("/task-spec/context/threads", test_context_threads);
    g_test_add_func("/task-spec/new", test_new);
    g_test_add_func("/task-spec/copy", test_copy);
    g_test_add_func("/task-spec/fds", test_fds);
    g_test_add_func("/task-spec/success", test_success);
    g_test_add_func("/task-spec/streams", test_streams);
    return g_test_run();
}
