/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker is to be: a plain value, owned by the worker (or by its record in the store). */
#include "model/worker-spec.h"

#include <string.h>

#include "util/parse-util.h"

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
    placement_init(&spec->placement);
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
    placement_init(&copy->placement);
    placement_copy(&copy->placement, &spec->placement);
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
    placement_done(&spec->placement);
    g_free(spec);
    return NULL;
}

char *worker_spec_slice(const WorkerSpec *spec, const char *above)
{
    g_autofree char *stem = g_strndup(above, strlen(above) - strlen(".slice"));

    if (spec->user == UID_ANYBODY)
        return g_strconcat(stem, "-shared.slice", NULL);
    return g_strdup_printf("%s-u%u.slice", stem, spec->user);
}

char *worker_spec_terms(const WorkerSpec *spec)
{
    g_autofree char *placement = placement_to_text(&spec->placement);
    GString *text = g_string_new(placement);

    if (spec->limits.allowed_memory_nodes)
        g_string_append_printf(text, " memory-nodes=%s", spec->limits.allowed_memory_nodes);
    if (spec->limits.io_weight > 0)
        g_string_append_printf(text, " io-weight=%" G_GUINT64_FORMAT, spec->limits.io_weight);
    if (spec->scaled)
        g_string_append(text, " scaled=1");
    return g_string_free(text, FALSE);
}

int worker_spec_read_terms(WorkerSpec *spec, const char *terms)
{
    g_auto(GStrv) words = g_strsplit(terms, " ", -1);
    int r = placement_from_text(terms, &spec->placement);

    for (char **word = words; r >= 0 && *word; word++) {
        if (g_str_has_prefix(*word, "memory-nodes="))
            spec->limits.allowed_memory_nodes = g_strdup(*word + strlen("memory-nodes="));
        else if (g_str_has_prefix(*word, "io-weight="))
            r = parse_uint64(*word + strlen("io-weight="), &spec->limits.io_weight);
        else if (strcmp(*word, "scaled=1") == 0)
            spec->scaled = true;
    }
    return r;
}
