/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Policies in words. What this version does not know is passed over, as the model's parser does. Pure. */

#include "client/policy-words.h"

#include <glib/gi18n.h>
#include <inttypes.h>
#include <string.h>

#include "model/task-demand.h"
#include "model/task-policy.h"
#include "util/parse-util.h"

static void add(GString *text, char *words /* taken */)
{
    g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", words);
    g_free(words);
}

static void add_retries(GString *text, const TaskPolicy *policy)
{
    g_autofree char *first = format_timespan(policy->backoff_first_usec),
                    *longest = format_timespan(policy->backoff_longest_usec);

    if (policy->retries == 0)
        return;
    add(text, g_strdup_printf(ngettext("%u retry", "%u retries", policy->retries), policy->retries));
    add(text, g_strdup_printf(_("delays from %s to %s, times %g"), first, longest, policy->backoff_factor));
}

static void add_timeout(GString *text, const TaskPolicy *policy)
{
    g_autofree char *span = format_timespan(policy->timeout_usec), *warn = format_timespan(policy->warn_usec);

    if (policy->timeout_usec != UINT64_MAX)
        add(text, g_strdup_printf(_("timeout %s"), span));
    if (policy->timeout_percent > 0)
        add(text, g_strdup_printf(_("timeout %u %% of the batch's median"), policy->timeout_percent));
    if (policy->warn_signal > 0) {
        g_autofree char *name = signal_format(policy->warn_signal);
        add(text, g_strdup_printf(_("warned with %s %s before"), name, warn));
    }
}

static void add_stopping(GString *text, const TaskPolicy *policy, const TaskPolicy *usual)
{
    g_autofree char *signal = signal_format(policy->stop_signal),
                    *grace = format_timespan(policy->grace_usec);

    if (policy->stop_signal != usual->stop_signal || policy->grace_usec != usual->grace_usec)
        add(text, g_strdup_printf(_("stopped with %s, killed after %s"), signal, grace));
}

static void add_output(GString *text, const TaskPolicy *policy, const TaskPolicy *usual)
{
    g_autofree char *max = format_bytes(policy->output_max_bytes);

    if (policy->output_max_bytes != usual->output_max_bytes)
        add(text, g_strdup_printf(_("output up to %s"), max));
    if (policy->merge)
        add(text, g_strdup(_("stderr merged")));
}

/* The rules stand in the text as they were given. */
static void add_rules(GString *text, const char *policy)
{
    g_auto(GStrv) words = g_strsplit(policy, " ", -1);

    for (size_t i = 0; words[i]; i++)
        if (g_str_has_prefix(words[i], "on="))
            add(text, g_strdup_printf(_("on %s"), words[i] + strlen("on=")));
}

static void add_memory_demand(GString *text, const TaskDemand *demand)
{
    g_autoptr(GString) steps = g_string_new(NULL);

    if (demand->memory_auto)
        add(text, g_strdup(_("memory as its like took before")));
    if (demand->memory_factor > 0)
        add(text, g_strdup_printf(_("%g times the memory when it ran out"), demand->memory_factor));
    for (uint32_t i = 0; i < demand->n_memory_steps; i++) {
        g_autofree char *step = format_bytes(demand->memory_steps[i]);
        g_string_append_printf(steps, "%s%s", i > 0 ? ", " : "", step);
    }
    if (steps->len > 0)
        add(text, g_strdup_printf(_("when memory ran out: %s"), steps->str));
}

static void add_demand(GString *text, const TaskDemand *demand)
{
    g_autofree char *resources = resources_format(demand->resources);

    add_memory_demand(text, demand);
    if (demand->cpu_quota_usec_per_sec != LIMIT_INFINITY)
        add(text, g_strdup_printf(_("%g CPUs"), (double) demand->cpu_quota_usec_per_sec / USEC_PER_SEC));
    if (demand->tasks_max != LIMIT_INFINITY)
        add(text, g_strdup_printf(_("up to %" PRIu64 " processes and threads"), demand->tasks_max));
    if (demand->io_weight > 0)
        add(text, g_strdup_printf(_("I/O weight %u"), demand->io_weight));
    if (demand->gpus > 0)
        add(text, g_strdup_printf(demand->gpus_optional
                                      ? ngettext("%u GPU, or none", "%u GPUs, or fewer", demand->gpus)
                                      : ngettext("%u GPU", "%u GPUs", demand->gpus),
                                  demand->gpus));
    if (*resources)
        add(text, g_strdup(resources));
}

char *demand_in_words(const char *terms)
{
    GString *text = g_string_new(NULL);
    TaskDemand demand;

    task_demand_init(&demand);
    if (task_demand_from_text(terms, &demand) >= 0)
        add_demand(text, &demand);
    task_demand_done(&demand);
    return g_string_free(text, FALSE);
}

char *policy_in_words(const char *policy)
{
    GString *text = g_string_new(NULL);
    TaskPolicy parsed, usual;

    task_policy_init(&parsed);
    task_policy_init(&usual);
    if (task_policy_from_text(policy, &parsed) >= 0) {
        add_retries(text, &parsed);
        add_rules(text, policy);
        add_timeout(text, &parsed);
        add_stopping(text, &parsed, &usual);
        add_output(text, &parsed, &usual);
    } else
        g_string_append(text, policy);
    task_policy_done(&parsed);
    task_policy_done(&usual);
    return g_string_free(text, FALSE);
}
