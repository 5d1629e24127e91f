/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* [Profile NAME] and [Resources]: sections whose names or keys are the administrator's own. */
#include "config/config-sections.h"

#include <stddef.h>
#include <string.h>

#include "config/config-parse.h"
#include "model/task-demand.h"
#include "model/worker-spec.h"
#include "util/parse-util.h"

#define NAME_MAX_LENGTH 64U
#define CORES_FACTOR_MAX 64.0
#define NEW_MEMORY_BYTES (UINT64_C(2) << 30) /* as a worker has that is told nothing */

/* ------------------------------------------------------------------ profiles */

static bool name_is_valid(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++)
        if (!g_ascii_isalnum(name[i]) && !strchr("-_", name[i]))
            return false;
    return length > 0 && length <= NAME_MAX_LENGTH;
}

int parse_profile_name(const char *value, void *field)
{
    if (*value && !name_is_valid(value))
        return -EINVAL;
    g_free(*(char **) field);
    *(char **) field = *value ? g_strdup(value) : NULL;
    return 0;
}

Profile *config_profile(GPtrArray *profiles, const char *name)
{
    Profile *profile = profile_find(profiles, name);

    if (profile || !name_is_valid(name))
        return profile;
    profile = g_new(Profile, 1);
    *profile = (Profile){ .name = g_strdup(name),
                          .cores_factor = 1,
                          .timeout_usec = UINT64_MAX,
                          .memory_max_bytes = NEW_MEMORY_BYTES };
    g_ptr_array_add(profiles, profile);
    return profile;
}

/* "cores", "half", "cores/4", "cores*1.5" → the factor. */
static int parse_cores_factor(const char *value, double *ret)
{
    char *end = NULL;
    double number;

    if (strcmp(value, "half") == 0 || strcmp(value, "cores") == 0) {
        *ret = *value == 'h' ? 0.5 : 1;
        return 0;
    }
    if (!g_str_has_prefix(value, "cores/") && !g_str_has_prefix(value, "cores*"))
        return -EINVAL;
    const char *digits = value + strlen("cores/");
    number = g_ascii_strtod(digits, &end);
    if (end == digits || *end || strspn(digits, "0123456789.") != strlen(digits))
        return -EINVAL;
    if (number <= 0)
        return -ERANGE;
    number = value[strlen("cores")] == '/' ? 1 / number : number;
    if (number < 1 / CORES_FACTOR_MAX || number > CORES_FACTOR_MAX)
        return -ERANGE;
    *ret = number;
    return 0;
}

static int parse_workers(const char *value, void *field)
{
    Profile *profile = field;
    uint32_t workers = 0;
    double factor = 0;
    int r = g_ascii_isdigit(*value) ? parse_between(value, 1, WORKER_SLOTS_MAX, &workers)
                                    : parse_cores_factor(value, &factor);

    if (r < 0)
        return r;
    profile->workers = workers;
    profile->cores_factor = factor;
    return 0;
}

int config_profile_set(Profile *profile, const char *key, const char *value)
{
    static const struct {
        const char *key;
        FieldParser parser;
        size_t offset;
    } fields[] = {
        { "Workers", parse_workers, 0 },
        { "Timeout", parse_timeout, offsetof(Profile, timeout_usec) },
        { "MemoryMax", parse_memory, offsetof(Profile, memory_max_bytes) },
        { "BatchSize", parse_batch_size, offsetof(Profile, ahead) },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        if (strcmp(fields[i].key, key) == 0)
            return fields[i].parser(value, (char *) profile + fields[i].offset);
    return -ENOENT;
}

/* ------------------------------------------------------------------ resources */

static void append_others(GString *text, const GArray *resources, const char *name)
{
    for (guint i = 0; resources && i < resources->len; i++) {
        const Resource *resource = &g_array_index(resources, Resource, i);
        if (strcmp(resource->name, name) != 0)
            g_string_append_printf(text, ",%s=%u", resource->name, resource->count);
    }
}

int config_resource_set(GArray **resources, const char *name, const char *value)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *why = NULL;
    GArray *changed = NULL;

    g_string_printf(text, "%s=%s", name, value);
    if (strchr(text->str, ','))
        return -EINVAL;
    append_others(text, *resources, name);
    int r = resources_parse(text->str, &changed, &why);
    if (r < 0)
        return r;
    g_clear_pointer(resources, g_array_unref);
    if (changed->len > 0)
        *resources = changed;
    else
        g_array_unref(changed);
    return 0;
}
