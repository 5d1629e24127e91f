/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terms of tasks: one table from the names of options and members of job files to what parses them.
 * Owned by the template or the job file's task. Invariant: what is not given holds the defaults of
 * task_policy_init(). */

#include "client/task-terms.h"

#include <glib/gi18n.h>
#include <string.h>

#include "client/begin-time.h"
#include "client/bus-dict.h"
#include "client/demand-terms.h"
#include "client/task-template.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "util/parse-util.h"

#define ENTRY_BYTES 96U /* of a dictionary entry with a number or two */
#define BACKOFF_LONGEST_DEFAULT_USEC (UINT64_C(300) * USEC_PER_SEC)

static const char *const term_key_table[_TERM_KEY_MAX] = {
    [TERM_PRIORITY] = "priority",
    [TERM_MEMORY] = "memory",
    [TERM_RETRY_MEMORY] = "retry-memory",
    [TERM_CPUS] = "cpus",
    [TERM_TASKS_MAX] = "tasks-max",
    [TERM_IO_WEIGHT] = "io-weight",
    [TERM_GPUS] = "gpus",
    [TERM_RESOURCE] = "resource",
    [TERM_RETRIES] = "retries",
    [TERM_BACKOFF] = "backoff",
    [TERM_ON] = "on",
    [TERM_TIMEOUT] = "timeout",
    [TERM_SIGNAL] = "signal",
    [TERM_GRACE] = "grace",
    [TERM_WARN] = "warn",
    [TERM_OUTPUT_MAX] = "output-max",
    [TERM_MERGE] = "merge",
    [TERM_QUEUE] = "queue",
    [TERM_WORKER_CLASS] = "worker-class",
    [TERM_CREDENTIAL] = "credential",
    [TERM_BEGIN] = "begin",
    [TERM_DELAY] = "delay",
    [TERM_HOLD] = "hold",
    [TERM_KEEP_UNSATISFIED] = "keep-unsatisfied",
};
DEFINE_STRING_TABLE(term_key, TermKey)

void task_terms_init(TaskTerms *terms)
{
    *terms = (TaskTerms){ .memory_max_bytes = UINT64_MAX };
    task_policy_init(&terms->policy);
    task_demand_init(&terms->demand);
}

void task_terms_done(TaskTerms *terms)
{
    task_policy_done(&terms->policy);
    task_demand_done(&terms->demand);
    g_clear_pointer(&terms->rules, g_ptr_array_unref);
    g_clear_pointer(&terms->credentials, g_ptr_array_unref);
    g_clear_pointer(&terms->queue, g_free);
    g_clear_pointer(&terms->class, g_free);
}

/* ---- words */

static int parse_u32(const char *word, uint64_t max, uint32_t *ret)
{
    uint64_t value;

    if (parse_uint64(word, &value) < 0 || value > max)
        return -EINVAL;
    *ret = (uint32_t) value;
    return 0;
}

static int parse_span(const char *word, uint64_t *ret)
{
    uint64_t usec;

    if (parse_timespan(word, &usec) < 0 || usec == UINT64_MAX)
        return -EINVAL;
    *ret = usec;
    return 0;
}

static int set_priority(TaskTerms *terms, const char *word)
{
    bool negative = *word == '-';
    uint32_t magnitude;

    if (parse_u32(word + negative, INT32_MAX, &magnitude) < 0)
        return -EINVAL;
    terms->priority = negative ? -(int32_t) magnitude : (int32_t) magnitude;
    return 0;
}

static int set_memory(TaskTerms *terms, const char *word)
{
    terms->demand.memory_auto = strcmp(word, "auto") == 0;
    return terms->demand.memory_auto ? 0 : parse_bytes(word, &terms->memory_max_bytes);
}

static int set_retries(TaskTerms *terms, const char *word)
{
    return parse_u32(word, RETRIES_MAX, &terms->policy.retries);
}

/* FIRST[,LONGEST[,FACTOR]] */
static int set_backoff(TaskTerms *terms, const char *word)
{
    g_auto(GStrv) parts = g_strsplit(word, ",", 4);
    guint n = g_strv_length(parts);
    uint64_t first, longest;
    double factor = 2;
    char *end = NULL;

    if (n < 1 || n > 3 || parse_span(parts[0], &first) < 0)
        return -EINVAL;
    longest = MAX(first, BACKOFF_LONGEST_DEFAULT_USEC);
    if (n > 1 && parse_span(parts[1], &longest) < 0)
        return -EINVAL;
    if (n > 2) {
        factor = g_ascii_strtod(parts[2], &end);
        /* written so that NaN fails, too */
        if (end == parts[2] || *end || !(factor >= 1 && factor <= BACKOFF_FACTOR_MAX))
            return -EINVAL;
    }
    if (first > longest || longest > BACKOFF_LONGEST_USEC)
        return -EINVAL;
    terms->policy.backoff_first_usec = first;
    terms->policy.backoff_longest_usec = longest;
    terms->policy.backoff_factor = factor;
    return 0;
}

/* CAUSE:ACTION */
static int add_rule(TaskTerms *terms, const char *word)
{
    const char *colon = strrchr(word, ':');

    if (!colon)
        return -EINVAL;
    g_autofree char *cause = g_strndup(word, (size_t) (colon - word));
    int r = task_policy_add_rule(&terms->policy, cause, colon + 1);
    if (r < 0)
        return r;
    if (!terms->rules)
        terms->rules = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(terms->rules, g_steal_pointer(&cause));
    g_ptr_array_add(terms->rules, g_strdup(colon + 1));
    return 0;
}

/* A span, or a percentage of the median. */
static int set_timeout(TaskTerms *terms, const char *word)
{
    uint64_t usec = UINT64_MAX;
    uint32_t percent = 0;

    if (g_str_has_suffix(word, "%")) {
        g_autofree char *number = g_strndup(word, strlen(word) - 1);
        if (parse_u32(number, TIMEOUT_PERCENT_MAX, &percent) < 0 || percent == 0)
            return -EINVAL;
    } else if (parse_timespan(word, &usec) < 0 || usec < USEC_PER_MSEC)
        return -EINVAL;
    terms->policy.timeout_usec = usec;
    terms->policy.timeout_percent = percent;
    return 0;
}

static int set_signal(TaskTerms *terms, const char *word)
{
    int number = signal_parse(word);

    if (number < 0)
        return -EINVAL;
    terms->policy.stop_signal = number;
    return 0;
}

static int set_grace(TaskTerms *terms, const char *word)
{
    uint64_t usec;

    if (parse_span(word, &usec) < 0 || usec > GRACE_LONGEST_USEC)
        return -EINVAL;
    terms->policy.grace_usec = usec;
    return 0;
}

/* SIGNAL@SPAN */
static int set_warn(TaskTerms *terms, const char *word)
{
    g_auto(GStrv) parts = g_strsplit(word, "@", 2);
    uint64_t usec;
    int number = parts[0] ? signal_parse(parts[0]) : -EINVAL;

    if (number < 0 || !parts[1] || parse_span(parts[1], &usec) < 0)
        return -EINVAL;
    terms->policy.warn_signal = number;
    terms->policy.warn_usec = usec;
    return 0;
}

static int set_output_max(TaskTerms *terms, const char *word)
{
    uint64_t bytes;

    if (parse_bytes(word, &bytes) < 0 || bytes < OUTPUT_MAX_LEAST_BYTES)
        return -EINVAL;
    terms->policy.output_max_bytes = bytes;
    return 0;
}

static int set_merge(TaskTerms *terms, const char *word)
{
    return parse_boolean(word, &terms->merge);
}

static int set_hold(TaskTerms *terms, const char *word)
{
    return parse_boolean(word, &terms->hold);
}

static int set_keep_unsatisfied(TaskTerms *terms, const char *word)
{
    return parse_boolean(word, &terms->keep_unsatisfied);
}

static int set_name(char **field, const char *word)
{
    if (!*word || !name_is_valid(word))
        return -EINVAL;
    g_free(*field);
    *field = g_strdup(word);
    return 0;
}

static int set_queue(TaskTerms *terms, const char *word)
{
    return set_name(&terms->queue, word);
}

static int set_class(TaskTerms *terms, const char *word)
{
    return set_name(&terms->class, word);
}

/* NAME=FILE; the name is a file's below $CREDENTIALS_DIRECTORY. */
static int add_credential(TaskTerms *terms, const char *word)
{
    const char *equal = strchr(word, '=');

    if (!equal || equal == word || !equal[1] || memchr(word, '/', (size_t) (equal - word)) || *word == '.')
        return -EINVAL;
    g_autofree char *name = g_strndup(word, (size_t) (equal - word)), *path = task_template_path(equal + 1);
    if (!terms->credentials)
        terms->credentials = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(terms->credentials, g_strdup_printf("%s=%s", name, path));
    return 0;
}

static int set_begin(TaskTerms *terms, const char *word)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    BeginTime begin;

    if (begin_time_parse(word, now, &begin) < 0)
        return -EINVAL;
    terms->not_before_usec = begin.relative ? 0 : begin.usec;
    terms->delay_usec = begin.relative ? begin.usec : 0;
    return 0;
}

static int set_delay(TaskTerms *terms, const char *word)
{
    return parse_span(word, &terms->delay_usec);
}

static const struct {
    int (*set)(TaskTerms *terms, const char *word);
    const char *form;
    bool flag;
} term_kinds[_TERM_KEY_MAX] = {
    [TERM_PRIORITY] = { set_priority, N_("a number from -2147483647 to 2147483647"), false },
    [TERM_MEMORY] = { set_memory, N_("a size such as 512M, 2G or 1.5G, or auto"), false },
    [TERM_RETRY_MEMORY] = { demand_terms_set_retry_memory,
                            N_("a factor of more than 1x and at most 64x, such as 2x, or up to 16 growing sizes such "
                               "as 4G,8G,16G"),
                            false },
    [TERM_CPUS] = { demand_terms_set_cpus, N_("a number of CPUs from 0.01, such as 2, 0.5 or 50%"), false },
    [TERM_TASKS_MAX] = { demand_terms_set_tasks_max, N_("a number from 1 to 4194304"), false },
    [TERM_IO_WEIGHT] = { demand_terms_set_io_weight, N_("a number from 1 to 10000"), false },
    [TERM_GPUS] = { demand_terms_set_gpus, N_("a number of GPUs such as 1, or 1? if none will do as well"),
                    false },
    [TERM_RESOURCE] = { demand_terms_add_resource, N_("NAME or NAME=COUNT, each name once: licence=1,tape=2"),
                        false },
    [TERM_RETRIES] = { set_retries, N_("a number from 0 to 1000000"), false },
    [TERM_BACKOFF] = { set_backoff,
                       N_("FIRST[,LONGEST[,FACTOR]]: spans of time up to 7 days, such as 1s,5min, and a "
                          "factor from 1 to 100"),
                       false },
    [TERM_ON] = { add_rule,
                  N_("CAUSE:ACTION: exit, exit=N, exit=N-M, signal, signal=NAME, timeout, oom, lost or "
                     "spawn-failed, and retry, fail or hold, at most 64 times"),
                  false },
    [TERM_TIMEOUT] = { set_timeout,
                       N_("a span of time such as 90s or 1h 30min, or a percentage of the median such as "
                          "200%"),
                       false },
    [TERM_SIGNAL] = { set_signal, N_("a signal such as TERM, INT or RTMIN+1"), false },
    [TERM_GRACE] = { set_grace, N_("a span of time of at most a day, such as 10s"), false },
    [TERM_WARN] = { set_warn, N_("SIGNAL@SPAN such as USR1@60s"), false },
    [TERM_OUTPUT_MAX] = { set_output_max, N_("a size of at least 64K, such as 10M or infinity"), false },
    [TERM_MERGE] = { set_merge, N_("yes or no"), true },
    [TERM_QUEUE] = { set_queue, N_("the name of a queue: 1 to 255 bytes of UTF-8 without control characters"),
                     false },
    [TERM_WORKER_CLASS] = { set_class,
                            N_("the name of a class: 1 to 255 bytes of UTF-8 without control characters"),
                            false },
    [TERM_CREDENTIAL] = { add_credential,
                          N_("NAME=FILE; the name is that of a file, not beginning with a dot"), false },
    [TERM_BEGIN] = { set_begin, N_("a time such as 2026-12-01 08:00, 08:00, tomorrow, +30min or @1700000000"),
                     false },
    [TERM_DELAY] = { set_delay, N_("a span of time such as 90s or 1h 30min"), false },
    [TERM_HOLD] = { set_hold, N_("yes or no"), true },
    [TERM_KEEP_UNSATISFIED] = { set_keep_unsatisfied, N_("yes or no"), true },
};

int task_terms_set(TaskTerms *terms, TermKey key, const char *word)
{
    if (term_kinds[key].set(terms, word) < 0)
        return -EINVAL;
    terms->given |= 1U << key;
    return 0;
}

const char *task_term_form(TermKey key)
{
    return _(term_kinds[key].form);
}

bool task_term_is_flag(TermKey key)
{
    return term_kinds[key].flag;
}

static bool has(const TaskTerms *terms, TermKey key)
{
    return terms->given & 1U << key;
}

int task_terms_check(const TaskTerms *terms, char **ret_why)
{
    if (has(terms, TERM_BEGIN) && has(terms, TERM_DELAY)) {
        *ret_why = g_strdup(_("begin and delay cannot be had together"));
        return -EINVAL;
    }
    if (terms->credentials && terms->credentials->len > PAREXEC_CREDENTIALS_MAX) {
        *ret_why = g_strdup_printf(_("%u credentials are too many: at most %u"), terms->credentials->len,
                                   PAREXEC_CREDENTIALS_MAX);
        return -EINVAL;
    }
    if (task_demand_check(&terms->demand, ret_why) < 0 || demand_terms_check_growth(terms, ret_why) < 0)
        return -EINVAL;
    if (has(terms, TERM_WARN) && !has(terms, TERM_TIMEOUT)) /* there may be one in the configuration */
        return 0;
    return task_policy_check(&terms->policy, ret_why);
}

/* ---- merging */

static GPtrArray *strings_copy(GPtrArray *strings)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < strings->len; i++)
        g_ptr_array_add(copy, g_strdup(strings->pdata[i]));
    return copy;
}

static void merge_strings(TaskTerms *terms, const TaskTerms *other, uint32_t wanted)
{
    if (wanted & 1U << TERM_QUEUE)
        terms->queue = g_strdup(other->queue);
    if (wanted & 1U << TERM_WORKER_CLASS)
        terms->class = g_strdup(other->class);
    if (wanted & 1U << TERM_CREDENTIAL)
        terms->credentials = strings_copy(other->credentials);
    if (wanted & 1U << TERM_ON) {
        terms->rules = strings_copy(other->rules);
        for (guint i = 0; i + 1 < terms->rules->len; i += 2)
            (void) !task_policy_add_rule(&terms->policy, terms->rules->pdata[i], terms->rules->pdata[i + 1]);
    }
}

static void merge_policy(TaskPolicy *to, const TaskPolicy *from, uint32_t wanted)
{
    if (wanted & 1U << TERM_RETRIES)
        to->retries = from->retries;
    if (wanted & 1U << TERM_BACKOFF) {
        to->backoff_first_usec = from->backoff_first_usec;
        to->backoff_longest_usec = from->backoff_longest_usec;
        to->backoff_factor = from->backoff_factor;
    }
    if (wanted & 1U << TERM_TIMEOUT) {
        to->timeout_usec = from->timeout_usec;
        to->timeout_percent = from->timeout_percent;
    }
    if (wanted & 1U << TERM_SIGNAL)
        to->stop_signal = from->stop_signal;
    if (wanted & 1U << TERM_GRACE)
        to->grace_usec = from->grace_usec;
    if (wanted & 1U << TERM_WARN) {
        to->warn_signal = from->warn_signal;
        to->warn_usec = from->warn_usec;
    }
    if (wanted & 1U << TERM_OUTPUT_MAX)
        to->output_max_bytes = from->output_max_bytes;
}

void task_terms_merge(TaskTerms *terms, const TaskTerms *other, uint32_t keys)
{
    const uint32_t times = TERM_BITS_BEGIN;
    uint32_t wanted = other->given & ~terms->given & keys;

    if (terms->given & times) /* the two say the same thing */
        wanted &= ~times;
    if (wanted & 1U << TERM_PRIORITY)
        terms->priority = other->priority;
    if (wanted & 1U << TERM_MEMORY)
        terms->memory_max_bytes = other->memory_max_bytes;
    if (wanted & 1U << TERM_MERGE)
        terms->merge = other->merge;
    if (wanted & 1U << TERM_HOLD)
        terms->hold = other->hold;
    if (wanted & 1U << TERM_KEEP_UNSATISFIED)
        terms->keep_unsatisfied = other->keep_unsatisfied;
    if (wanted & times) {
        terms->not_before_usec = other->not_before_usec;
        terms->delay_usec = other->delay_usec;
    }
    merge_policy(&terms->policy, &other->policy, wanted);
    demand_terms_merge(&terms->demand, &other->demand, wanted);
    merge_strings(terms, other, wanted);
    terms->given |= wanted;
}

void task_terms_drop(TaskTerms *terms, uint32_t keys)
{
    g_auto(TaskTerms) all = *terms;

    task_terms_init(terms);
    task_terms_merge(terms, &all, ~keys);
}

/* ---- messages */

static int append_rules(const TaskTerms *terms, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', "on-failure");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "a(ss)");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(ss)");
    for (guint i = 0; r >= 0 && i + 1 < terms->rules->len; i += 2)
        r = sd_bus_message_append(m, "(ss)", terms->rules->pdata[i], terms->rules->pdata[i + 1]);
    for (int level = 0; r >= 0 && level < 3; level++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_credentials(const TaskTerms *terms, sd_bus_message *m)
{
    g_autoptr(GPtrArray) ended = g_ptr_array_copy(terms->credentials, NULL, NULL);

    g_ptr_array_set_free_func(ended, NULL);
    g_ptr_array_add(ended, NULL);
    return dict_append_byte_strings(m, "credentials", (char **) ended->pdata);
}

static int append_retries(const TaskTerms *terms, sd_bus_message *m)
{
    const TaskPolicy *policy = &terms->policy;
    int r = 0;

    if (has(terms, TERM_RETRIES))
        r = dict_append(m, "retries", "u", policy->retries);
    if (r >= 0 && has(terms, TERM_BACKOFF))
        r = dict_append(m, "backoff", "(ttd)", policy->backoff_first_usec, policy->backoff_longest_usec,
                        policy->backoff_factor);
    if (r >= 0 && terms->rules)
        r = append_rules(terms, m);
    return r;
}

static int append_limits(const TaskTerms *terms, sd_bus_message *m)
{
    const TaskPolicy *policy = &terms->policy;
    int r = 0;

    if (has(terms, TERM_TIMEOUT) && policy->timeout_percent == 0)
        r = dict_append(m, "timeout", "t", policy->timeout_usec);
    if (r >= 0 && has(terms, TERM_TIMEOUT) && policy->timeout_percent > 0)
        r = dict_append(m, "timeout-percent", "u", policy->timeout_percent);
    if (r >= 0 && has(terms, TERM_SIGNAL))
        r = dict_append(m, "stop-signal", "i", policy->stop_signal);
    if (r >= 0 && has(terms, TERM_GRACE))
        r = dict_append(m, "grace", "t", policy->grace_usec);
    if (r >= 0 && has(terms, TERM_WARN))
        r = dict_append(m, "warn", "(it)", policy->warn_signal, policy->warn_usec);
    if (r >= 0 && has(terms, TERM_OUTPUT_MAX))
        r = dict_append(m, "output-max", "t", policy->output_max_bytes);
    if (r >= 0 && has(terms, TERM_MERGE))
        r = dict_append(m, "merge", "b", (int) terms->merge);
    return r;
}

static int append_gate(const TaskTerms *terms, sd_bus_message *m)
{
    int r = 0;

    if (has(terms, TERM_PRIORITY))
        r = dict_append(m, "priority", "i", terms->priority);
    if (r >= 0 && has(terms, TERM_QUEUE))
        r = dict_append(m, "queue", "s", terms->queue);
    if (r >= 0 && has(terms, TERM_WORKER_CLASS))
        r = dict_append(m, "worker-class", "s", terms->class);
    if (r >= 0 && terms->not_before_usec > 0)
        r = dict_append(m, "not-before", "t", terms->not_before_usec);
    if (r >= 0 && terms->delay_usec > 0)
        r = dict_append(m, "delay", "t", terms->delay_usec);
    if (r >= 0 && has(terms, TERM_HOLD))
        r = dict_append(m, "hold", "b", (int) terms->hold);
    if (r >= 0 && has(terms, TERM_KEEP_UNSATISFIED))
        r = dict_append(m, "keep-unsatisfied", "b", (int) terms->keep_unsatisfied);
    return r;
}

int task_terms_append(const TaskTerms *terms, sd_bus_message *m)
{
    int r = append_gate(terms, m);

    if (r >= 0)
        r = demand_terms_append(terms, m);
    if (r >= 0)
        r = append_limits(terms, m);
    if (r >= 0)
        r = append_retries(terms, m);
    if (r >= 0 && terms->credentials)
        r = append_credentials(terms, m);
    return r;
}

static size_t strings_bytes(const GPtrArray *strings)
{
    size_t sum = 0;

    for (guint i = 0; strings && i < strings->len; i++)
        sum += strlen(strings->pdata[i]) + 16;
    return sum;
}

static size_t resources_bytes(const TaskDemand *demand)
{
    g_autofree char *resources = resources_format(demand->resources);

    return strlen(resources) + demand->n_memory_steps * (size_t) 20;
}

size_t task_terms_bytes(const TaskTerms *terms)
{
    size_t entries = (size_t) __builtin_popcount(terms->given);

    return ENTRY_BYTES * (entries + 1) + resources_bytes(&terms->demand) + strings_bytes(terms->rules) +
           strings_bytes(terms->credentials) + (terms->queue ? strlen(terms->queue) : 0) +
           (terms->class ? strlen(terms->class) : 0);
}
