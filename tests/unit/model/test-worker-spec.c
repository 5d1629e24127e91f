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
}

static void test_free(void)
{
    WorkerSpec *spec = worker_spec_new();

    spec->limits.allowed_cpus = g_strdup("0");
    spec->environment = g_bytes_new_static("A=1", 4);
    g_assert_null(worker_spec_free(spec));
    g_assert_null(worker_spec_free(NULL));
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
    g_test_add_func("/worker-spec/engines", test_engines);
    return g_test_run();
}
