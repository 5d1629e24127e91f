/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker is to be: a plain value, owned by the worker (or by its record in the store). */
#include "model/worker-spec.h"

static const char *const engine_kind_table[_ENGINE_MAX] = {
    [ENGINE_SYSTEMD] = "systemd",
    [ENGINE_CGROUP] = "cgroup",
};
DEFINE_STRING_TABLE(engine_kind, EngineKind)

WorkerSpec *worker_spec_new(void)
{
    WorkerSpec *spec = g_new0(WorkerSpec, 1);

    spec->name = g_strdup("");
    worker_limits_init(&spec->limits);
    spec->slots = 1;
    spec->user = UID_ANYBODY;
    spec->recycle_memory_bytes = LIMIT_INFINITY;
    return spec;
}

static GBytes *blob_ref(GBytes *blob)
{
    return blob ? g_bytes_ref(blob) : NULL;
}

WorkerSpec *worker_spec_copy(const WorkerSpec *spec)
{
    WorkerSpec *copy = g_memdup2(spec, sizeof *spec);

    copy->name = g_strdup(spec->name);
    worker_limits_init(&copy->limits);
    worker_limits_copy(&copy->limits, &spec->limits);
    copy->environment = blob_ref(spec->environment);
    copy->exec = blob_ref(spec->exec);
    copy->class = g_strdup(spec->class);
    return copy;
}

WorkerSpec *worker_spec_free(WorkerSpec *spec)
{
    if (!spec)
        return NULL;
    g_free(spec->name);
    worker_limits_done(&spec->limits);
    g_clear_pointer(&spec->environment, g_bytes_unref);
    g_clear_pointer(&spec->exec, g_bytes_unref);
    g_free(spec->class);
    g_free(spec);
    return NULL;
}
