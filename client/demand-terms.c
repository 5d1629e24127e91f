/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a task takes of its worker: words to a TaskDemand, and that to a message. Part of the terms of tasks, which own it. */

#include "client/demand-terms.h"

#include <string.h>

#include "client/bus-dict.h"
#include "util/parse-util.h"

#define GPUS_MAX 1024U
#define TASKS_MOST UINT64_C(4194304) /* PID_MAX_LIMIT: no kernel has more processes */

int demand_terms_set_cpus(TaskTerms *terms, const char *word)
{
    uint64_t quota;

    if (parse_cpus(word, &quota) < 0 || quota < LIMIT_CPU_QUOTA_MIN_USEC)
        return -EINVAL;
    terms->demand.cpu_quota_usec_per_sec = quota;
    return 0;
}

static int parse_tasks_max(const char *word, uint64_t *ret)
{
    uint64_t number = LIMIT_INFINITY;

    if (strcmp(word, "infinity") != 0 &&
        (parse_uint64(word, &number) < 0 || number == 0 || number > TASKS_MOST))
        return -EINVAL;
    *ret = number;
    return 0;
}

int demand_terms_set_tasks_max(TaskTerms *terms, const char *word)
{
    return parse_tasks_max(word, &terms->demand.tasks_max);
}

int demand_terms_set_io_weight(TaskTerms *terms, const char *word)
{
    uint64_t weight;

    if (parse_uint64(word, &weight) < 0 || weight == 0 || weight > 10000)
        return -EINVAL;
    terms->demand.io_weight = (uint32_t) weight;
    return 0;
}

int demand_terms_set_retry_memory(TaskTerms *terms, const char *word)
{
    g_autofree char *why = NULL;

    return task_demand_parse_retry_memory(word, &terms->demand, &why);
}

int demand_terms_check_growth(const TaskTerms *terms, char **ret_why)
{
    const uint32_t both = 1U << TERM_MEMORY | 1U << TERM_RETRY_MEMORY;

    /* one without the other may come from the defaults */
    return (terms->given & both) == both ? task_demand_check_growth(&terms->demand, terms->memory_max_bytes, ret_why)
                                         : 0;
}

int demand_gpus_parse(const char *word, uint32_t *ret_gpus, bool *ret_optional)
{
    uint32_t gpus;
    bool optional;

    if (gpus_parse(word, &gpus, &optional) < 0 || gpus > GPUS_MAX || (optional && gpus == 0))
        return -EINVAL;
    *ret_gpus = gpus;
    *ret_optional = optional;
    return 0;
}

int demand_terms_set_gpus(TaskTerms *terms, const char *word)
{
    return demand_gpus_parse(word, &terms->demand.gpus, &terms->demand.gpus_optional);
}

/* Those before and this one have to be a list together: a name stands in it once. */
int demand_terms_add_resource(TaskTerms *terms, const char *word)
{
    g_autofree char *before = resources_format(terms->demand.resources), *why = NULL;
    g_autofree char *list = *before ? g_strconcat(before, ",", word, NULL) : g_strdup(word);
    GArray *resources;
    int r = *word ? resources_parse(list, &resources, &why) : -EINVAL;

    if (r < 0)
        return r;
    g_clear_pointer(&terms->demand.resources, g_array_unref);
    terms->demand.resources = resources;
    return 0;
}

void demand_terms_merge(TaskDemand *to, const TaskDemand *from, uint32_t wanted)
{
    if (wanted & 1U << TERM_CPUS)
        to->cpu_quota_usec_per_sec = from->cpu_quota_usec_per_sec;
    if (wanted & 1U << TERM_TASKS_MAX)
        to->tasks_max = from->tasks_max;
    if (wanted & 1U << TERM_IO_WEIGHT)
        to->io_weight = from->io_weight;
    if (wanted & 1U << TERM_MEMORY)
        to->memory_auto = from->memory_auto;
    if (wanted & 1U << TERM_RETRY_MEMORY) {
        to->memory_factor = from->memory_factor;
        memcpy(to->memory_steps, from->memory_steps, sizeof to->memory_steps);
        to->n_memory_steps = from->n_memory_steps;
    }
    if (wanted & 1U << TERM_GPUS) {
        to->gpus = from->gpus;
        to->gpus_optional = from->gpus_optional;
    }
    if (wanted & 1U << TERM_RESOURCE) {
        g_clear_pointer(&to->resources, g_array_unref);
        to->resources = from->resources ? g_array_ref(from->resources) : NULL;
    }
}

/* "2x", "4294967296,8589934592": sizes as the daemon reads them, too */
static char *retry_memory_text(const TaskDemand *demand)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    GString *text = g_string_new(NULL);

    if (demand->memory_factor > 0)
        g_string_append_printf(text, "%sx", g_ascii_dtostr(buffer, sizeof buffer, demand->memory_factor));
    for (uint32_t i = 0; i < demand->n_memory_steps; i++)
        g_string_append_printf(text, "%s%" G_GUINT64_FORMAT, i > 0 ? "," : "", demand->memory_steps[i]);
    return g_string_free(text, FALSE);
}

static int append_memory(const TaskTerms *terms, sd_bus_message *m)
{
    g_autofree char *growth = retry_memory_text(&terms->demand);
    bool given = terms->given & 1U << TERM_MEMORY;
    int r = 0;

    if (given && terms->demand.memory_auto)
        r = dict_append(m, "memory-auto", "b", 1);
    else if (given)
        r = dict_append(m, "memory-max", "t", terms->memory_max_bytes);
    if (r >= 0 && terms->given & 1U << TERM_RETRY_MEMORY)
        r = dict_append(m, "retry-memory", "s", growth);
    return r;
}

static int append_limits(const TaskTerms *terms, sd_bus_message *m)
{
    int r = 0;

    if (terms->given & 1U << TERM_CPUS)
        r = dict_append(m, "cpu-quota", "t", terms->demand.cpu_quota_usec_per_sec);
    if (r >= 0 && terms->given & 1U << TERM_TASKS_MAX)
        r = dict_append(m, "tasks-max", "t", terms->demand.tasks_max);
    if (r >= 0 && terms->given & 1U << TERM_IO_WEIGHT)
        r = dict_append(m, "io-weight", "t", (uint64_t) terms->demand.io_weight);
    return r;
}

int demand_terms_append(const TaskTerms *terms, sd_bus_message *m)
{
    g_autofree char *resources = resources_format(terms->demand.resources);
    int r = append_memory(terms, m);

    if (r >= 0)
        r = append_limits(terms, m);
    if (r >= 0 && terms->given & 1U << TERM_GPUS)
        r = dict_append(m, "gpus", "u", terms->demand.gpus);
    if (r >= 0 && terms->given & 1U << TERM_GPUS)
        r = dict_append(m, "gpus-optional", "b", (int) terms->demand.gpus_optional);
    if (r >= 0 && terms->given & 1U << TERM_RESOURCE)
        r = dict_append(m, "resources", "s", resources);
    return r;
}
