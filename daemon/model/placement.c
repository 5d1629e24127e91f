/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a worker is: a plain value and its one-line text. */
#include "model/placement.h"

#include <string.h>

#include "util/parse-util.h"
#include "util/word-list.h"

void placement_init(Placement *placement)
{
    *placement = (Placement){ .numa = NUMA_NONE };
}

void placement_done(Placement *placement)
{
    g_clear_pointer(&placement->gpu_list, g_free);
    g_clear_pointer(&placement->resources, g_array_unref);
}

void placement_copy(Placement *to, const Placement *from)
{
    g_autofree char *text = placement_to_text(from);

    placement_done(to);
    placement_init(to);
    if (placement_from_text(text, to) < 0)
        g_assert_not_reached();
}

char *placement_to_text(const Placement *placement)
{
    g_autofree char *resources = resources_format(placement->resources);
    GString *text = g_string_new(NULL);

    if (placement->pin)
        g_string_append(text, " pin=1");
    if (placement->own_cores > 0)
        g_string_append_printf(text, " own-cores=%u", placement->own_cores);
    if (placement->numa == NUMA_AUTO)
        g_string_append(text, " numa=auto");
    else if (placement->numa >= 0)
        g_string_append_printf(text, " numa=%d", placement->numa);
    if (placement->gpus > 0)
        g_string_append_printf(text, " gpus=%u%s", placement->gpus, placement->gpus_optional ? "?" : "");
    if (placement->gpu_list)
        g_string_append_printf(text, " gpu-list=%s", placement->gpu_list);
    if (*resources)
        g_string_append_printf(text, " resources=%s", resources);
    if (text->len > 0)
        g_string_erase(text, 0, 1);
    return g_string_free(text, FALSE);
}

static int read_pin(void *fields, char *value)
{
    Placement *placement = fields;

    placement->pin = strcmp(value, "1") == 0;
    return 0;
}

static int read_own_cores(void *fields, char *value)
{
    Placement *placement = fields;
    uint64_t n;

    if (parse_uint64(value, &n) < 0 || n > UINT32_MAX)
        return -EINVAL;
    placement->own_cores = (uint32_t) n;
    return 0;
}

static int read_numa(void *fields, char *value)
{
    Placement *placement = fields;
    uint64_t node = 0;
    int r = strcmp(value, "auto") == 0 ? 0 : parse_uint64(value, &node);

    if (r < 0 || node > INT32_MAX)
        return -EINVAL;
    placement->numa = strcmp(value, "auto") == 0 ? NUMA_AUTO : (int) node;
    return 0;
}

static int read_gpus(void *fields, char *value)
{
    Placement *placement = fields;

    return gpus_parse(value, &placement->gpus, &placement->gpus_optional);
}

static int read_gpu_list(void *fields, char *value)
{
    Placement *placement = fields;

    g_free(placement->gpu_list);
    placement->gpu_list = g_strdup(value);
    return 0;
}

static int read_resources(void *fields, char *value)
{
    Placement *placement = fields;
    g_autofree char *why = NULL;

    g_clear_pointer(&placement->resources, g_array_unref);
    return resources_parse(value, &placement->resources, &why);
}

int placement_from_text(const char *text, Placement *placement)
{
    static const WordKey keys[] = {
        { "pin", read_pin },   { "own-cores", read_own_cores }, { "numa", read_numa },
        { "gpus", read_gpus }, { "gpu-list", read_gpu_list },   { "resources", read_resources },
    };

    return word_list_read(text, keys, G_N_ELEMENTS(keys), placement);
}
