/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* worker-spec.c: the values of a new one, the words of the engines. */
#include "model/worker-spec.h"

static void test_new(void)
{
    g_autoptr(WorkerSpec) spec = worker_spec_new();
    g_autofree char *why = NULL;

    g_assert_cmpstr(spec->name, ==, "");
    g_assert_cmpuint(spec->slots, ==, 1);
    g_assert_cmpuint(spec->user, ==, UID_ANYBODY);
    g_assert_cmpint(spec->engine, ==, ENGINE_SYSTEMD);
    g_assert_false(spec->forced);
    g_assert_cmpint(worker_limits_check(&spec->limits, &why), ==, 0);
    g_assert_cmpuint(spec->limits.memory_max_bytes, ==, LIMIT_INFINITY);
    g_assert_cmpuint(spec->recycle_memory_bytes, ==, LIMIT_INFINITY);
}

static void test_free(void)
{
    WorkerSpec *spec = worker_spec_new();

    spec->limits.allowed_cpus = g_strdup("0");
    spec->environment = g_bytes_new_static("A=1", 4);
    g_assert_null(worker_spec_free(spec));
    g_assert_null(worker_spec_free(NULL));
}

static void test_copy(void)
{
    g_autoptr(WorkerSpec) spec = worker_spec_new(), copy = NULL, plain = worker_spec_copy(spec);

    g_assert_null(plain->exec);
    g_assert_null(plain->class);
    g_free(spec->name);
    spec->name = g_strdup("first");
    spec->limits.allowed_cpus = g_strdup("0");
    spec->limits.tasks_max = 7;
    spec->slots = 3;
    spec->user = 5;
    spec->environment = g_bytes_new_static("A=1", 4);
    spec->exec = g_bytes_new_static("/bin/model", 11);
    spec->class = g_strdup("models");
    spec->recycle = 9;
    spec->recycle_memory_bytes = 11;
    copy = worker_spec_copy(spec);
    g_clear_pointer(&spec, worker_spec_free);
    g_assert_cmpstr(copy->name, ==, "first");
    g_assert_cmpstr(copy->limits.allowed_cpus, ==, "0");
    g_assert_cmpuint(copy->limits.tasks_max, ==, 7);
    g_assert_cmpuint(copy->slots, ==, 3);
    g_assert_cmpuint(copy->user, ==, 5);
    g_assert_cmpstr(g_bytes_get_data(copy->environment, NULL), ==, "A=1");
    g_assert_cmpstr(g_bytes_get_data(copy->exec, NULL), ==, "/bin/model");
    g_assert_cmpstr(copy->class, ==, "models");
    g_assert_cmpuint(copy->recycle, ==, 9);
    g_assert_cmpuint(copy->recycle_memory_bytes, ==, 11);
}

static void test_slice(void)
{
    g_autoptr(WorkerSpec) spec = worker_spec_new();

    g_autofree char *shared = worker_spec_slice(spec, "parexec.slice");
    g_assert_cmpstr(shared, ==, "parexec-shared.slice");
    spec->user = 1000;
    g_autofree char *private = worker_spec_slice(spec, "parexec.slice");
    g_assert_cmpstr(private, ==, "parexec-u1000.slice");
    spec->user = 0;
    g_autofree char *of_root = worker_spec_slice(spec, "a-b.slice");
    g_assert_cmpstr(of_root, ==, "a-b-u0.slice");
}

static void test_engines(void)
{
    static const char *const words[_ENGINE_MAX] = { "systemd", "cgroup" };

    for (int kind = 0; kind < _ENGINE_MAX; kind++) {
        g_assert_cmpstr(engine_kind_to_string((EngineKind) kind), ==, words[kind]);
        g_assert_cmpint(engine_kind_from_string(words[kind]), ==, kind);
    }
    g_assert_cmpint(engine_kind_from_string("docker"), ==, -EINVAL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/worker-spec/new", test_new);
    g_test_add_func("/worker-spec/free", test_free);
    g_test_add_func("/worker-spec/copy", test_copy);
    g_test_add_func("/worker-spec/slice", test_slice);
    g_test_add_func("/worker-spec/engines", test_engines);
    return g_test_run();
}
