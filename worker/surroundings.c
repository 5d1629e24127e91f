/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The environment of tasks: the submitter's, overridden by what the worker was told to add, completed by
 * what every program may expect, closed by what names the task. Strings are not copied but pointed to in
 * their blobs; bytes that are no UTF-8 and elements without "=" pass unharmed. */
#include "worker/surroundings.h"

#include <inttypes.h>
#include <pwd.h>
#include <string.h>

#include "util/strv-blob.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

/* Named by the worker for each task: never taken from outside. */
static const char *const reserved[] = { "PAREXEC_TASK_ID",   "PAREXEC_ATTEMPT",     "PAREXEC_BATCH_ID",
                                        "PAREXEC_WORKER_ID", "PAREXEC_ARRAY_INDEX", "PAREXEC_RESULT",
                                        "PAREXEC_INPUTS",    "CREDENTIALS_DIRECTORY", "PAREXEC_GPUS",
                                        "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE" };

/* Each names the GPUs that a program may see to one vendor's library. A task that is told of GPUs has them from us alone. */
static const char *const gpu_variables[] = { "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
                                             "HIP_VISIBLE_DEVICES",  "GPU_DEVICE_ORDINAL",     "ZE_AFFINITY_MASK" };


/* Which variable is it? The length of its name; an element without "=" names none. */
static size_t name_length(const char *variable)
{
    const char *equals = strchr(variable, '=');

    return equals ? (size_t) (equals - variable) : 0;
}

static bool is_named(const char *variable, const char *name)
{
    size_t n = strlen(name);

    return strncmp(variable, name, n) == 0 && variable[n] == '=';
}

static bool is_one_of(const char *variable, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_named(variable, names[i]))
            return true;
    return false;
}

static bool is_reserved(const char *variable)
{
    return is_one_of(variable, reserved, G_N_ELEMENTS(reserved));
}

static bool blob_overrides(GBytes *blob, const char *variable)
{
    size_t size = 0, n = name_length(variable);
    const char *data = blob ? g_bytes_get_data(blob, &size) : NULL, *cursor = NULL;

    while (n > 0 && strv_blob_next(data, size, &cursor))
        if (strncmp(cursor, variable, n + 1) == 0)
            return true;
    return false;
}

static void add_blob(GPtrArray *environment, GBytes *blob, GBytes *stronger)
{
    size_t size = 0;
    const char *data = blob ? g_bytes_get_data(blob, &size) : NULL, *cursor = NULL;

    while (strv_blob_next(data, size, &cursor))
        if (!is_reserved(cursor) && !blob_overrides(stronger, cursor))
            g_ptr_array_add(environment, (char *) cursor);
}

static const char *environment_get(const GPtrArray *environment, const char *name)
{
    for (guint i = 0; i < environment->len; i++)
        if (is_named(environment->pdata[i], name))
            return (const char *) environment->pdata[i] + strlen(name) + 1;
    return NULL;
}

/* {HOME, USER, SHELL} of a user; empty: the user database does not know. */
static const char *const *user_facts(uint32_t uid)
{
    static GHashTable *cache;
    char buffer[4096];
    struct passwd entry, *found = NULL;
    char **facts;

    if (!cache)
        cache = g_hash_table_new(NULL, NULL);
    facts = g_hash_table_lookup(cache, GUINT_TO_POINTER(uid));
    if (facts)
        return (const char *const *) facts;
    facts = g_new0(char *, 4);
    if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found) {
        facts[0] = g_strdup(entry.pw_dir);
        facts[1] = g_strdup(entry.pw_name);
        facts[2] = g_strdup(*entry.pw_shell ? entry.pw_shell : "/bin/sh");
    }
    g_hash_table_insert(cache, GUINT_TO_POINTER(uid), facts);
    return (const char *const *) facts;
}

static void add_defaults(Surroundings *surroundings)
{
    static const struct {
        const char *name;
        int fact;
    } wanted[] = { { "HOME", 0 }, { "USER", 1 }, { "LOGNAME", 1 }, { "SHELL", 2 } };
    GPtrArray *environment = surroundings->environment, *added = surroundings->added;
    const char *const *facts = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
        if (environment_get(environment, wanted[i].name))
            continue;
        if (!facts)
            facts = user_facts(surroundings->context->uid);
        if (facts[wanted[i].fact])
            g_ptr_array_add(added, g_strdup_printf("%s=%s", wanted[i].name, facts[wanted[i].fact]));
    }
    if (!environment_get(environment, "PATH"))
        g_ptr_array_add(added, g_strdup("PATH=" DEFAULT_PATH));
    for (guint i = 0; i < added->len; i++)
        g_ptr_array_add(environment, added->pdata[i]);
}

/* From NAME=/PATH each. */
static void take_credentials(Surroundings *surroundings, GBytes *blob)
{
    size_t size = 0, n = 0;
    const char *data = blob ? g_bytes_get_data(blob, &size) : NULL, *cursor = NULL;

    surroundings->n_credentials = strv_blob_count(data, size);
    surroundings->credentials = g_new(SpawnCredential, surroundings->n_credentials);
    surroundings->credential_names = g_new0(char *, surroundings->n_credentials + 1);
    for (; strv_blob_next(data, size, &cursor); n++) {
        size_t length = name_length(cursor);

        surroundings->credential_names[n] = g_strndup(cursor, length);
        surroundings->credentials[n] =
            (SpawnCredential) { surroundings->credential_names[n], cursor + length + 1 };
    }
}

Surroundings *surroundings_new(TaskContext *context, GBytes *worker_environment)
{
    Surroundings *surroundings = g_new0(Surroundings, 1);

    g_atomic_ref_count_init(&surroundings->refs);
    surroundings->context = task_context_ref(context);
    surroundings->cwd = g_strdup(context->cwd ? g_bytes_get_data(context->cwd, NULL) : "/");
    for (int i = 0; i < _STREAM_MAX; i++)
        if (context->streams[i])
            surroundings->streams[i] = g_bytes_get_data(context->streams[i], NULL);
    surroundings->environment = g_ptr_array_new();
    surroundings->added = g_ptr_array_new_with_free_func(g_free);
    add_blob(surroundings->environment, context->environment, worker_environment);
    add_blob(surroundings->environment, worker_environment, NULL);
    add_defaults(surroundings);
    take_credentials(surroundings, context->credentials);
    surroundings->search_path = environment_get(surroundings->environment, "PATH");
    return surroundings;
}

Surroundings *surroundings_ref(Surroundings *surroundings)
{
    g_atomic_ref_count_inc(&surroundings->refs);
    return surroundings;
}

void surroundings_unref(Surroundings *surroundings)
{
    if (!surroundings || !g_atomic_ref_count_dec(&surroundings->refs))
        return;
    task_context_unref(surroundings->context);
    g_ptr_array_unref(surroundings->environment);
    g_ptr_array_unref(surroundings->added);
    g_free(surroundings->credentials);
    g_strfreev(surroundings->credential_names);
    g_free(surroundings->cwd);
    g_free(surroundings);
}

static bool is_about_gpus(const char *variable)
{
    return is_named(variable, "CUDA_DEVICE_ORDER") ||
           is_one_of(variable, gpu_variables, G_N_ELEMENTS(gpu_variables));
}

static void append_gpus(GString *text, const char *gpus)
{
    g_string_append_printf(text, "PAREXEC_GPUS=%s%c", gpus, '\0');
    g_string_append_printf(text, "CUDA_DEVICE_ORDER=PCI_BUS_ID%c", '\0'); /* as we count them; CUDA's own order is by speed */
    for (size_t i = 0; i < G_N_ELEMENTS(gpu_variables); i++)
        g_string_append_printf(text, "%s=%s%c", gpu_variables[i], gpus, '\0');
}

/* What is to be written to the file that MEMORY_PRESSURE_WATCH names, in Base64: "some 200000 2000000", µs in so many µs. That
 * is systemd's own default, see its "Memory Pressure Handling in systemd". */
#define MEMORY_PRESSURE_WRITE "c29tZSAyMDAwMDAgMjAwMDAwMA=="

static GString *added_variables(const TaskIdentity *identity)
{
    GString *text = g_string_sized_new(256);

    if (identity->task > 0)
        g_string_append_printf(text,
                               "PAREXEC_TASK_ID=%" PRIu64 "%cPAREXEC_ATTEMPT=%" PRIu32 "%cPAREXEC_BATCH_ID=%" PRIu64
                               "%c",
                               identity->task, '\0', identity->attempt, '\0', identity->batch, '\0');
    g_string_append_printf(text, "PAREXEC_WORKER_ID=%s%c", identity->worker, '\0');
    if (identity->array_index != ARRAY_INDEX_NONE)
        g_string_append_printf(text, "PAREXEC_ARRAY_INDEX=%" PRIu64 "%c", identity->array_index, '\0');
    if (identity->result)
        g_string_append_printf(text, "PAREXEC_RESULT=%s%c", identity->result, '\0');
    if (identity->inputs)
        g_string_append_printf(text, "PAREXEC_INPUTS=%s%c", identity->inputs, '\0');
    if (identity->credentials)
        g_string_append_printf(text, "CREDENTIALS_DIRECTORY=%s%c", identity->credentials, '\0');
    if (identity->pressure)
        g_string_append_printf(text, "MEMORY_PRESSURE_WATCH=%s%cMEMORY_PRESSURE_WRITE=%s%c", identity->pressure, '\0',
                               MEMORY_PRESSURE_WRITE, '\0');
    if (identity->gpus)
        append_gpus(text, identity->gpus);
    return text;
}

char **surroundings_environment(const Surroundings *surroundings, const TaskIdentity *identity,
                                char **ret_added)
{
    const GPtrArray *shared = surroundings->environment;
    char **environment =
        g_new(char *, shared->len + G_N_ELEMENTS(reserved) + G_N_ELEMENTS(gpu_variables) + 2), *at;
    GString *text = added_variables(identity);
    size_t n = 0;

    for (guint i = 0; i < shared->len; i++)
        if (!identity->gpus || !is_about_gpus(shared->pdata[i]))
            environment[n++] = shared->pdata[i];
    at = text->str;
    for (size_t left = text->len; left > 0;) {
        size_t size = strlen(at) + 1;

        environment[n++] = at;
        at += size;
        left -= size;
    }
    environment[n] = NULL;
    *ret_added = g_string_free(text, FALSE);
    return environment;
}
