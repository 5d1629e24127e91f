/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What attempts take of their workers: a plain value, its bounds and its one-line text. */
#include "model/task-demand.h"

#include <math.h>
#include <string.h>

#include "util/parse-util.h"
#include "util/word-list.h"

#define RESOURCE_NAME_MAX 64U

/* ------------------------------------------------------------------ resources */

static void resource_clear(void *resource)
{
    g_free(((Resource *) resource)->name);
}

GArray *resources_new(void)
{
    GArray *resources = g_array_new(FALSE, FALSE, sizeof(Resource));

    g_array_set_clear_func(resources, resource_clear);
    return resources;
}

static int resource_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(((const Resource *) a)->name, ((const Resource *) b)->name);
}

static bool resource_name_is_valid(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++)
        if (!g_ascii_isalnum(name[i]) && !strchr("._-", name[i]))
            return false;
    return length > 0 && length <= RESOURCE_NAME_MAX;
}

/* "licence=3" or, for one, "licence". */
static int resource_parse(const char *word, GArray *resources)
{
    const char *equals = strchr(word, '=');
    g_autofree char *name = equals ? g_strndup(word, (gsize) (equals - word)) : g_strdup(word);
    uint64_t count = 1;

    if (!resource_name_is_valid(name) || (equals && parse_uint64(equals + 1, &count) < 0) || count > UINT32_MAX ||
        resources_count(resources, name) > 0)
        return -EINVAL;
    if (count == 0)
        return 0;
    Resource resource = { g_steal_pointer(&name), (uint32_t) count };
    g_array_append_val(resources, resource);
    return 0;
}

int resources_parse(const char *text, GArray **ret, char **ret_why)
{
    g_autoptr(GArray) resources = resources_new();
    g_auto(GStrv) words = g_strsplit(text, ",", -1);

    for (char **word = words; *word; word++) {
        if (!**word && !words[1])
            break;
        if (resources->len == RESOURCES_MAX) {
            *ret_why = g_strdup_printf("there are more than %u resources", RESOURCES_MAX);
            return -EINVAL;
        }
        if (resource_parse(*word, resources) < 0) {
            g_autofree char *shown = format_foreign(*word);
            *ret_why = g_strdup_printf("\"%s\" is not a resource of the form NAME=COUNT, or comes twice", shown);
            return -EINVAL;
        }
    }
    g_array_sort(resources, resource_compare);
    *ret = g_steal_pointer(&resources);
    return 0;
}

char *resources_format(const GArray *resources)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; resources && i < resources->len; i++) {
        const Resource *resource = &g_array_index(resources, Resource, i);
        g_string_append_printf(text, "%s%s=%u", i > 0 ? "," : "", resource->name, resource->count);
    }
    return g_string_free(text, FALSE);
}

uint32_t resources_count(const GArray *resources, const char *name)
{
    for (guint i = 0; resources && i < resources->len; i++)
        if (strcmp(g_array_index(resources, Resource, i).name, name) == 0)
            return g_array_index(resources, Resource, i).count;
    return 0;
}

int gpus_parse(const char *text, uint32_t *ret_n, bool *ret_optional)
{
    bool optional = g_str_has_suffix(text, "?");
    g_autofree char *number = g_strndup(text, strlen(text) - optional);
    uint64_t n;

    if (parse_uint64(number, &n) < 0 || n > UINT32_MAX)
        return -EINVAL;
    *ret_n = (uint32_t) n;
    *ret_optional = optional;
    return 0;
}

/* ------------------------------------------------------------------ the value */

void task_demand_init(TaskDemand *demand)
{
    *demand = (TaskDemand){ .cpu_quota_usec_per_sec = LIMIT_INFINITY, .tasks_max = LIMIT_INFINITY };
}

void task_demand_done(TaskDemand *demand)
{
    g_clear_pointer(&demand->resources, g_array_unref);
}

static GArray *resources_copy(const GArray *resources)
{
    GArray *copy = resources ? resources_new() : NULL;

    for (guint i = 0; resources && i < resources->len; i++) {
        const Resource *resource = &g_array_index(resources, Resource, i);
        Resource own = { g_strdup(resource->name), resource->count };
        g_array_append_val(copy, own);
    }
    return copy;
}

void task_demand_copy(TaskDemand *to, const TaskDemand *from)
{
    GArray *resources = resources_copy(from->resources);

    task_demand_done(to);
    *to = *from;
    to->resources = resources;
}

bool task_demand_equal(const TaskDemand *a, const TaskDemand *b)
{
    g_autofree char *x = task_demand_to_text(a), *y = task_demand_to_text(b);

    return strcmp(x, y) == 0;
}

int task_demand_check(const TaskDemand *demand, char **ret_why)
{
    if (limit_check_cpu_quota("cpu-quota", demand->cpu_quota_usec_per_sec, LIMIT_INFINITY, ret_why) < 0)
        return -EINVAL;
    if (demand->tasks_max == 0)
        *ret_why = g_strdup("tasks-max is 0; the task itself is one");
    else if (demand->io_weight > 10000)
        *ret_why = g_strdup_printf("io-weight is %u; it must lie between 1 and 10000", demand->io_weight);
    else if (demand->memory_factor != 0 &&
             !(demand->memory_factor > 1 && demand->memory_factor <= MEMORY_FACTOR_MAX))
        *ret_why = g_strdup_printf("retry-memory is %gx; more than 1x and at most %gx", demand->memory_factor,
                                   MEMORY_FACTOR_MAX);
    else
        return 0;
    return -EINVAL;
}

/* ------------------------------------------------------------------ retry-memory */

int task_demand_check_growth(const TaskDemand *demand, uint64_t memory_max_bytes, char **ret_why)
{
    bool grows = demand->memory_factor != 0 || demand->n_memory_steps > 0;

    if (!grows || demand->memory_auto) /* what it finds out may be anything */
        return 0;
    if (memory_max_bytes == LIMIT_INFINITY) {
        *ret_why = g_strdup("retry-memory says how a limit of memory grows, and the task has none");
        return -EINVAL;
    }
    uint64_t last = demand->n_memory_steps > 0 ? demand->memory_steps[demand->n_memory_steps - 1] : UINT64_MAX;
    if (last > memory_max_bytes)
        return 0;
    g_autofree char *most = format_bytes(last), *limit = format_bytes(memory_max_bytes);
    *ret_why = g_strdup_printf("retry-memory goes up to %s, no more than the task's limit of memory, which is %s: "
                               "it would change nothing",
                               most, limit);
    return -EINVAL;
}

static int parse_factor(const char *text, TaskDemand *demand, char **ret_why)
{
    char *end;
    double factor = g_ascii_strtod(text, &end);

    if (end == text || (strcmp(end, "x") != 0) || !(factor > 1 && factor <= MEMORY_FACTOR_MAX)) {
        g_autofree char *shown = format_foreign(text);
        *ret_why = g_strdup_printf("\"%s\" is not a factor of more than 1x and at most %gx", shown, MEMORY_FACTOR_MAX);
        return -EINVAL;
    }
    demand->memory_factor = factor;
    demand->n_memory_steps = 0;
    return 0;
}

int task_demand_parse_retry_memory(const char *text, TaskDemand *demand, char **ret_why)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    uint64_t steps[MEMORY_STEPS_MAX];
    uint32_t n = 0;

    if (g_str_has_suffix(text, "x"))
        return parse_factor(text, demand, ret_why);
    if (!*words) {
        *ret_why = g_strdup("retry-memory is empty; a factor such as 2x or sizes such as 4G,8G");
        return -EINVAL;
    }
    for (char **word = words; *word; word++) {
        g_autofree char *shown = format_foreign(*word);
        if (n == MEMORY_STEPS_MAX)
            *ret_why = g_strdup_printf("retry-memory has more than %u steps", MEMORY_STEPS_MAX);
        else if (parse_bytes(*word, &steps[n]) < 0 || steps[n] == LIMIT_INFINITY)
            *ret_why = g_strdup_printf("\"%s\" is neither a factor such as 2x nor a size such as 4G", shown);
        else if (n > 0 && steps[n] <= steps[n - 1])
            *ret_why = g_strdup_printf("\"%s\" is not more than the step before it", shown);
        else {
            n++;
            continue;
        }
        return -EINVAL;
    }
    memcpy(demand->memory_steps, steps, n * sizeof *steps);
    demand->n_memory_steps = n;
    demand->memory_factor = 0;
    return 0;
}

static void append_retry_memory(GString *text, const TaskDemand *demand)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];

    if (demand->memory_factor != 0)
        g_string_append_printf(text, " retry-memory=%sx",
                               g_ascii_dtostr(buffer, sizeof buffer, demand->memory_factor));
    for (uint32_t i = 0; i < demand->n_memory_steps; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i == 0 ? " retry-memory=" : ",",
                               demand->memory_steps[i]);
}

/* ------------------------------------------------------------------ text */

char *task_demand_to_text(const TaskDemand *demand)
{
    g_autofree char *resources = resources_format(demand->resources);
    GString *text = g_string_new(NULL);

    if (demand->cpu_quota_usec_per_sec != LIMIT_INFINITY)
        g_string_append_printf(text, " cpu-quota=%" G_GUINT64_FORMAT, demand->cpu_quota_usec_per_sec);
    if (demand->tasks_max != LIMIT_INFINITY)
        g_string_append_printf(text, " tasks-max=%" G_GUINT64_FORMAT, demand->tasks_max);
    if (demand->io_weight > 0)
        g_string_append_printf(text, " io-weight=%u", demand->io_weight);
    if (demand->memory_auto)
        g_string_append(text, " memory=auto");
    append_retry_memory(text, demand);
    if (demand->gpus > 0)
        g_string_append_printf(text, " gpus=%u%s", demand->gpus, demand->gpus_optional ? "?" : "");
    if (*resources)
        g_string_append_printf(text, " resources=%s", resources);
    if (text->len > 0)
        g_string_erase(text, 0, 1);
    return g_string_free(text, FALSE);
}

static int read_number(const char *value, uint64_t most, uint64_t *ret)
{
    uint64_t number;
    int r = parse_uint64(value, &number);

    if (r < 0)
        return r;
    if (number > most)
        return -ERANGE;
    *ret = number;
    return 0;
}

static int read_cpu_quota(void *fields, char *value)
{
    TaskDemand *demand = fields;

    return read_number(value, UINT64_MAX, &demand->cpu_quota_usec_per_sec);
}

static int read_tasks_max(void *fields, char *value)
{
    TaskDemand *demand = fields;

    return read_number(value, UINT64_MAX, &demand->tasks_max);
}

static int read_io_weight(void *fields, char *value)
{
    TaskDemand *demand = fields;
    uint64_t weight = 0;
    int r = read_number(value, 10000, &weight);

    demand->io_weight = (uint32_t) weight;
    return r;
}

static int read_memory(void *fields, char *value)
{
    TaskDemand *demand = fields;

    demand->memory_auto = strcmp(value, "auto") == 0;
    return demand->memory_auto ? 0 : -EINVAL;
}

static int read_retry_memory(void *fields, char *value)
{
    TaskDemand *demand = fields;
    g_autofree char *why = NULL;

    return task_demand_parse_retry_memory(value, demand, &why);
}

static int read_gpus(void *fields, char *value)
{
    TaskDemand *demand = fields;

    return gpus_parse(value, &demand->gpus, &demand->gpus_optional);
}

static int read_resources(void *fields, char *value)
{
    TaskDemand *demand = fields;
    g_autofree char *why = NULL;
    GArray *resources;
    int r = resources_parse(value, &resources, &why);

    if (r < 0)
        return r;
    task_demand_done(demand);
    demand->resources = resources;
    return 0;
}

int task_demand_from_text(const char *text, TaskDemand *demand)
{
    static const WordKey keys[] = {
        { "cpu-quota", read_cpu_quota }, { "tasks-max", read_tasks_max },       { "io-weight", read_io_weight },
        { "memory", read_memory },       { "retry-memory", read_retry_memory }, { "gpus", read_gpus },
        { "resources", read_resources },
    };

    return word_list_read(text, keys, G_N_ELEMENTS(keys), demand);
}
