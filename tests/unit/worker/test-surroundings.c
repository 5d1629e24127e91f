/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker/surroundings.h"

#include <pwd.h>
#include <string.h>

#include "util/strv-blob.h"

static GBytes *blob(const char *const *strv)
{
    return strv_blob_new((char *const *) strv);
}

static Surroundings *make(const char *const *environment, GBytes *worker_environment)
{
    g_autoptr(TaskContext) context = task_context_new();

    context->uid = getuid();
    context->environment = blob(environment);
    return surroundings_new(context, worker_environment);
}

static const char *get(char *const *environment, const char *name)
{
    const char *found = NULL;
    size_t n = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=') {
            g_assert_null(found); /* once */
            found = *environment + n + 1;
        }
    return found;
}

static void test_layers(void)
{
    const char *const theirs[] = {
        "A=task",     "B=task", "PAREXEC_TASK_ID=9", "PAREXEC_ARRAY_INDEX=4", "PATH=/p", "bare", "=odd",
        "N=\xff\xfe", NULL
    };
    const char *const ours[] = { "B=worker", "C=worker", "PAREXEC_WORKER_ID=forged", NULL };
    g_autoptr(GBytes) worker_environment = blob(ours);
    g_autoptr(Surroundings) surroundings = make(theirs, worker_environment);
    const TaskIdentity identity = {
        .task = 17, .batch = 3, .array_index = ARRAY_INDEX_NONE, .attempt = 2, .worker = "w5"
    };
    g_autofree char *added = NULL;
    g_autofree char **environment = surroundings_environment(surroundings, &identity, &added);

    g_assert_cmpstr(get(environment, "A"), ==, "task");
    g_assert_cmpstr(get(environment, "B"), ==, "worker");
    g_assert_cmpstr(get(environment, "C"), ==, "worker");
    g_assert_cmpstr(get(environment, "N"), ==, "\xff\xfe");
    g_assert_true(g_strv_contains((const char *const *) environment, "bare"));
    g_assert_true(g_strv_contains((const char *const *) environment, "=odd"));
    g_assert_cmpstr(get(environment, "PAREXEC_TASK_ID"), ==, "17");
    g_assert_cmpstr(get(environment, "PAREXEC_BATCH_ID"), ==, "3");
    g_assert_cmpstr(get(environment, "PAREXEC_ATTEMPT"), ==, "2");
    g_assert_cmpstr(get(environment, "PAREXEC_WORKER_ID"), ==, "w5");
    g_assert_null(get(environment, "PAREXEC_ARRAY_INDEX"));
    g_assert_cmpstr(surroundings->search_path, ==, "/p");
}

static void test_array(void)
{
    const char *const none[] = { NULL };
    g_autoptr(Surroundings) surroundings = make(none, NULL);
    const TaskIdentity identity = {
        .task = UINT64_MAX, .batch = 1, .array_index = 0, .attempt = 1, .worker = "w1"
    };
    g_autofree char *added = NULL;
    g_autofree char **environment = surroundings_environment(surroundings, &identity, &added);

    g_assert_cmpstr(get(environment, "PAREXEC_ARRAY_INDEX"), ==, "0");
    g_assert_cmpstr(get(environment, "PAREXEC_TASK_ID"), ==, "18446744073709551615");
}

static void test_defaults(void)
{
    const char *const theirs[] = { "HOME=/elsewhere", "USERX=1", NULL };
    g_autoptr(Surroundings) surroundings = make(theirs, NULL);
    const TaskIdentity identity = {
        .task = 1, .batch = 1, .array_index = ARRAY_INDEX_NONE, .attempt = 1, .worker = "w1"
    };
    g_autofree char *added = NULL;
    g_autofree char **environment = surroundings_environment(surroundings, &identity, &added);
    const struct passwd *entry = getpwuid(getuid());

    g_assert_cmpstr(get(environment, "HOME"), ==, "/elsewhere");
    g_assert_cmpstr(get(environment, "PATH"), ==, "/usr/local/bin:/usr/bin:/bin");
    g_assert_cmpstr(get(environment, "USER"), ==, entry ? entry->pw_name : NULL);
    g_assert_cmpstr(get(environment, "LOGNAME"), ==, entry ? entry->pw_name : NULL);
    g_assert_cmpstr(surroundings->search_path, ==, "/usr/local/bin:/usr/bin:/bin");
    g_assert_cmpstr(surroundings->cwd, ==, "/");
}

static void test_unknown_user(void)
{
    const char *const none[] = { NULL };
    g_autoptr(TaskContext) context = task_context_new();
    const TaskIdentity identity = {
        .task = 1, .batch = 1, .array_index = ARRAY_INDEX_NONE, .attempt = 1, .worker = "w1"
    };
    g_autofree char *added = NULL;
    g_autofree char **environment = NULL;
    g_autoptr(Surroundings) surroundings = NULL;

    context->uid = 3999999999;
    context->environment = blob(none);
    surroundings = surroundings_new(context, NULL);
    environment = surroundings_environment(surroundings, &identity, &added);
    g_assert_null(get(environment, "USER"));
    g_assert_nonnull(get(environment, "PATH"));
}

/* GPUs come from outside, unless the worker has some to give, or none; of pressure the worker alone knows. */
static void test_gpus_and_pressure(void)
{
    const char *const theirs[] = { "CUDA_VISIBLE_DEVICES=9", "CUDA_DEVICE_ORDER=FASTEST_FIRST", "MEMORY_PRESSURE_WATCH=/else", "PAREXEC_GPUS=9", NULL };
    const char *const ours[] = { "HIP_VISIBLE_DEVICES=8", NULL };
    g_autoptr(GBytes) worker_environment = blob(ours);
    g_autoptr(Surroundings) surroundings = make(theirs, worker_environment);
    TaskIdentity identity = { .task = 1, .batch = 1, .array_index = ARRAY_INDEX_NONE, .attempt = 1, .worker = "w1" };
    g_autofree char *added = NULL, *added_gpus = NULL, *added_none = NULL;
    g_autofree char **environment = surroundings_environment(surroundings, &identity, &added), **gpus = NULL, **none = NULL;

    g_assert_cmpstr(get(environment, "CUDA_VISIBLE_DEVICES"), ==, "9");
    g_assert_cmpstr(get(environment, "HIP_VISIBLE_DEVICES"), ==, "8");
    g_assert_null(get(environment, "PAREXEC_GPUS"));
    g_assert_null(get(environment, "MEMORY_PRESSURE_WATCH"));
    identity.gpus = "0,2";
    identity.pressure = "/sys/x";
    gpus = surroundings_environment(surroundings, &identity, &added_gpus);
    g_assert_cmpstr(get(gpus, "CUDA_VISIBLE_DEVICES"), ==, "0,2");
    g_assert_cmpstr(get(gpus, "CUDA_DEVICE_ORDER"), ==, "PCI_BUS_ID");
    g_assert_cmpstr(get(gpus, "HIP_VISIBLE_DEVICES"), ==, "0,2");
    g_assert_cmpstr(get(gpus, "ZE_AFFINITY_MASK"), ==, "0,2");
    g_assert_cmpstr(get(gpus, "PAREXEC_GPUS"), ==, "0,2");
    g_assert_cmpstr(get(gpus, "MEMORY_PRESSURE_WATCH"), ==, "/sys/x");
    g_assert_cmpstr(get(gpus, "MEMORY_PRESSURE_WRITE"), ==, "c29tZSAyMDAwMDAgMjAwMDAwMA==");
    identity.gpus = "";
    none = surroundings_environment(surroundings, &identity, &added_none);
    g_assert_cmpstr(get(none, "CUDA_VISIBLE_DEVICES"), ==, "");
    g_assert_cmpstr(get(none, "NVIDIA_VISIBLE_DEVICES"), ==, "");
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/surroundings/layers", test_layers);
    g_test_add_func("/surroundings/array", test_array);
    g_test_add_func("/surroundings/defaults", test_defaults);
    g_test_add_func("/surroundings/unknown-user", test_unknown_user);
    g_test_add_func("/surroundings/gpus-and-pressure", test_gpus_and_pressure);
    return g_test_run();
}
