/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Policies and their one-line text. A table names each field once, for writing, reading and comparing. */
#include "model/task-policy.h"

#include <math.h>
#include <signal.h>
#include <stddef.h>

#include "util/parse-util.h"

static const char *const retry_action_table[_RETRY_ACTION_MAX] = {
    [RETRY_AGAIN] = "retry",
    [RETRY_FAIL] = "fail",
    [RETRY_HOLD] = "hold",
};
DEFINE_STRING_TABLE(retry_action, RetryAction)

void task_policy_init(TaskPolicy *policy)
{
    *policy = (TaskPolicy){
        .backoff_first_usec = USEC_PER_SEC,
        .backoff_longest_usec = 300 * USEC_PER_SEC,
        .backoff_factor = 2,
        .timeout_usec = UINT64_MAX,
        .stop_signal = SIGTERM,
        .grace_usec = 10 * USEC_PER_SEC,
        .output_max_bytes = UINT64_C(64) << 20,
    };
}

void task_policy_done(TaskPolicy *policy)
{
    g_clear_pointer(&policy->rules, g_array_unref);
}

void task_policy_copy(TaskPolicy *to, const TaskPolicy *from)
{
    GArray *rules = from->rules ? g_array_copy(from->rules) : NULL;

    task_policy_done(to);
    *to = *from;
    to->rules = rules;
}

/* ------------------------------------------------------------------ signals */

static const struct {
    const char *name;
    int number;
} signals[] = {
    { "HUP", SIGHUP },       { "INT", SIGINT },   { "QUIT", SIGQUIT },   { "ILL", SIGILL },
    { "TRAP", SIGTRAP },     { "ABRT", SIGABRT }, { "BUS", SIGBUS },     { "FPE", SIGFPE },
    { "KILL", SIGKILL },     { "USR1", SIGUSR1 }, { "SEGV", SIGSEGV },   { "USR2", SIGUSR2 },
    { "PIPE", SIGPIPE },     { "ALRM", SIGALRM }, { "TERM", SIGTERM },   { "CHLD", SIGCHLD },
    { "CONT", SIGCONT },     { "STOP", SIGSTOP }, { "TSTP", SIGTSTP },   { "TTIN", SIGTTIN },
    { "TTOU", SIGTTOU },     { "URG", SIGURG },   { "XCPU", SIGXCPU },   { "XFSZ", SIGXFSZ },
    { "VTALRM", SIGVTALRM }, { "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO },
    { "PWR", SIGPWR },       { "SYS", SIGSYS },
};

int signal_parse(const char *word)
{
    const char *name = g_str_has_prefix(word, "SIG") ? word + 3 : word;
    uint64_t number;

    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        if (strcmp(signals[i].name, name) == 0)
            return signals[i].number;
    if (g_str_has_prefix(name, "RTMIN+") && parse_uint64(name + strlen("RTMIN+"), &number) >= 0 &&
        number <= (uint64_t) (SIGRTMAX - SIGRTMIN))
        return SIGRTMIN + (int) number;
    if (parse_uint64(word, &number) >= 0 && number >= 1 && number <= (uint64_t) SIGRTMAX)
        return (int) number;
    return -EINVAL;
}

char *signal_format(int number)
{
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        if (signals[i].number == number)
            return g_strdup(signals[i].name);
    if (number >= SIGRTMIN && number <= SIGRTMAX)
        return g_strdup_printf("RTMIN+%d", number - SIGRTMIN);
    return g_strdup_printf("%d", number);
}

/* ------------------------------------------------------------------ rules */

static const struct {
    const char *word;
    Outcome outcome;
} causes[] = {
    { "exit", OUTCOME_EXITED }, { "signal", OUTCOME_SIGNALLED }, { "timeout", OUTCOME_TIMEOUT },
    { "oom", OUTCOME_OOM },     { "lost", OUTCOME_LOST },        { "spawn-failed", OUTCOME_SPAWN_FAILED },
};

static int parse_statuses(const char *text, RetryRule *rule)
{
    g_auto(GStrv) ends = g_strsplit(text, "-", 2);
    uint64_t first, last;

    if (!ends[0] || parse_uint64(ends[0], &first) < 0)
        return -EINVAL;
    last = first;
    if (ends[1] && parse_uint64(ends[1], &last) < 0)
        return -EINVAL;
    if (first > last || first < 1 || last > 255)
        return -EINVAL;
    rule->first = (int) first;
    rule->last = (int) last;
    return 0;
}

static int parse_cause(const char *cause, RetryRule *rule)
{
    g_auto(GStrv) parts = g_strsplit(cause, "=", 2);

    for (size_t i = 0; parts[0] && i < G_N_ELEMENTS(causes); i++) {
        if (strcmp(causes[i].word, parts[0]) != 0)
            continue;
        *rule = (RetryRule){ .outcome = causes[i].outcome };
        if (rule->outcome == OUTCOME_EXITED) {
            rule->first = 1;
            rule->last = 255;
            return parts[1] ? parse_statuses(parts[1], rule) : 0;
        }
        if (rule->outcome == OUTCOME_SIGNALLED) {
            rule->first = 1;
            rule->last = SIGRTMAX;
            if (parts[1])
                rule->first = rule->last = signal_parse(parts[1]);
            return rule->first < 0 ? -EINVAL : 0;
        }
        return parts[1] ? -EINVAL : 0;
    }
    return -EINVAL;
}

static char *format_cause(const RetryRule *rule)
{
    for (size_t i = 0; i < G_N_ELEMENTS(causes); i++) {
        if (causes[i].outcome != rule->outcome)
            continue;
        if (rule->outcome == OUTCOME_EXITED && (rule->first > 1 || rule->last < 255))
            return rule->first == rule->last ? g_strdup_printf("exit=%d", rule->first)
                                             : g_strdup_printf("exit=%d-%d", rule->first, rule->last);
        if (rule->outcome == OUTCOME_SIGNALLED && rule->first == rule->last) {
            g_autofree char *name = signal_format(rule->first);
            return g_strdup_printf("signal=%s", name);
        }
        return g_strdup(causes[i].word);
    }
    return g_strdup("?");
}

int task_policy_add_rule(TaskPolicy *policy, const char *cause, const char *action)
{
    RetryRule rule;
    int number = retry_action_from_string(action);

    if (number < 0 || parse_cause(cause, &rule) < 0)
        return -EINVAL;
    if (policy->rules && policy->rules->len >= RETRY_RULES_MAX)
        return -E2BIG;
    rule.action = (RetryAction) number;
    if (!policy->rules)
        policy->rules = g_array_new(FALSE, FALSE, sizeof(RetryRule));
    g_array_append_val(policy->rules, rule);
    return 0;
}

/* ------------------------------------------------------------------ text */

typedef enum FieldType { FIELD_U32, FIELD_U64, FIELD_INT, FIELD_DOUBLE, FIELD_BOOL } FieldType;

static const struct {
    const char *key;
    FieldType type;
    size_t offset;
} fields[] = {
    { "retries", FIELD_U32, offsetof(TaskPolicy, retries) },
    { "backoff-first", FIELD_U64, offsetof(TaskPolicy, backoff_first_usec) },
    { "backoff-longest", FIELD_U64, offsetof(TaskPolicy, backoff_longest_usec) },
    { "backoff-factor", FIELD_DOUBLE, offsetof(TaskPolicy, backoff_factor) },
    { "timeout", FIELD_U64, offsetof(TaskPolicy, timeout_usec) },
    { "timeout-percent", FIELD_U32, offsetof(TaskPolicy, timeout_percent) },
    { "stop-signal", FIELD_INT, offsetof(TaskPolicy, stop_signal) },
    { "grace", FIELD_U64, offsetof(TaskPolicy, grace_usec) },
    { "warn-signal", FIELD_INT, offsetof(TaskPolicy, warn_signal) },
    { "warn", FIELD_U64, offsetof(TaskPolicy, warn_usec) },
    { "output-max", FIELD_U64, offsetof(TaskPolicy, output_max_bytes) },
    { "merge", FIELD_BOOL, offsetof(TaskPolicy, merge) },
};

static size_t field_size(FieldType type)
{
    static const size_t sizes[] = {
        [FIELD_U32] = sizeof(uint32_t),  [FIELD_U64] = sizeof(uint64_t), [FIELD_INT] = sizeof(int),
        [FIELD_DOUBLE] = sizeof(double), [FIELD_BOOL] = sizeof(bool),
    };

    return sizes[type];
}

static bool rule_equal(const RetryRule *a, const RetryRule *b)
{
    return a->outcome == b->outcome && a->first == b->first && a->last == b->last && a->action == b->action;
}

bool task_policy_equal(const TaskPolicy *a, const TaskPolicy *b)
{
    guint n = a->rules ? a->rules->len : 0;

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        if (memcmp((const char *) a + fields[i].offset, (const char *) b + fields[i].offset,
                   field_size(fields[i].type)) != 0)
            return false;
    if (n != (b->rules ? b->rules->len : 0))
        return false;
    for (guint i = 0; i < n; i++)
        if (!rule_equal(&g_array_index(a->rules, RetryRule, i), &g_array_index(b->rules, RetryRule, i)))
            return false;
    return true;
}

static char *field_format(const TaskPolicy *policy, size_t i)
{
    const void *field = (const char *) policy + fields[i].offset;
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];

    switch (fields[i].type) {
    case FIELD_U32:
        return g_strdup_printf("%u", *(const uint32_t *) field);
    case FIELD_U64:
        return g_strdup_printf("%" G_GUINT64_FORMAT, *(const uint64_t *) field);
    case FIELD_INT:
        return g_strdup_printf("%d", *(const int *) field);
    case FIELD_DOUBLE:
        return g_strdup(g_ascii_dtostr(buffer, sizeof buffer, *(const double *) field));
    case FIELD_BOOL:
        return g_strdup(*(const bool *) field ? "1" : "0");
    }
    g_assert_not_reached();
}

char *task_policy_to_text(const TaskPolicy *policy)
{
    GString *text = g_string_new(NULL);
    TaskPolicy usual;

    task_policy_init(&usual);
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        g_autofree char *value = field_format(policy, i), *ordinary = field_format(&usual, i);
        if (strcmp(value, ordinary) != 0)
            g_string_append_printf(text, "%s%s=%s", text->len > 0 ? " " : "", fields[i].key, value);
    }
    for (guint i = 0; policy->rules && i < policy->rules->len; i++) {
        const RetryRule *rule = &g_array_index(policy->rules, RetryRule, i);
        g_autofree char *cause = format_cause(rule);
        g_string_append_printf(text, "%son=%s:%s", text->len > 0 ? " " : "", cause,
                               retry_action_to_string(rule->action));
    }
    return g_string_free(text, FALSE);
}

static int field_parse(TaskPolicy *policy, size_t i, const char *value)
{
    void *field = (char *) policy + fields[i].offset;
    uint64_t number = 0;
    char *end;

    if (fields[i].type == FIELD_DOUBLE) {
        double real = g_ascii_strtod(value, &end);
        if (end == value || *end || !isfinite(real))
            return -EINVAL;
        *(double *) field = real;
        return 0;
    }
    if (parse_uint64(value, &number) < 0)
        return -EINVAL;
    if (fields[i].type == FIELD_U64)
        *(uint64_t *) field = number;
    else if (number > (fields[i].type == FIELD_U32 ? UINT32_MAX : (uint64_t) INT32_MAX))
        return -ERANGE;
    else if (fields[i].type == FIELD_BOOL)
        *(bool *) field = number != 0;
    else if (fields[i].type == FIELD_INT)
        *(int *) field = (int) number;
    else
        *(uint32_t *) field = (uint32_t) number;
    return 0;
}

static int word_parse(TaskPolicy *policy, const char *word)
{
    g_auto(GStrv) pair = g_strsplit(word, "=", 2);

    if (!pair[0] || !pair[1])
        return -EINVAL;
    if (strcmp(pair[0], "on") == 0) {
        char *colon = strrchr(pair[1], ':');
        if (!colon)
            return -EINVAL;
        *colon = '\0';
        return task_policy_add_rule(policy, pair[1], colon + 1);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        if (strcmp(fields[i].key, pair[0]) == 0)
            return field_parse(policy, i, pair[1]);
    return 0;
}

int task_policy_from_text(const char *text, TaskPolicy *policy)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    int r = 0;

    for (char **word = words; r >= 0 && *word; word++)
        if (**word)
            r = word_parse(policy, *word);
    return r;
}

/* ------------------------------------------------------------------ ranges */

int task_policy_check(const TaskPolicy *policy, char **ret_why)
{
    if (policy->retries > RETRIES_MAX)
        *ret_why = g_strdup_printf("retries is %u; at most %u", policy->retries, RETRIES_MAX);
    else if (!isfinite(policy->backoff_factor) || policy->backoff_factor < 1 ||
             policy->backoff_factor > BACKOFF_FACTOR_MAX)
        *ret_why = g_strdup_printf("the factor of the backoff is %g; from 1 to %g", policy->backoff_factor,
                                   BACKOFF_FACTOR_MAX);
    else if (policy->backoff_first_usec > policy->backoff_longest_usec)
        *ret_why = g_strdup("the first delay of the backoff is longer than its longest");
    else if (policy->backoff_longest_usec > BACKOFF_LONGEST_USEC)
        *ret_why = g_strdup("the longest delay of the backoff is over 7 days");
    else if (policy->timeout_usec < USEC_PER_MSEC)
        *ret_why = g_strdup("the timeout is below 1 ms");
    else if (policy->timeout_percent > TIMEOUT_PERCENT_MAX)
        *ret_why = g_strdup_printf("the timeout is %u %% of the median; at most %u %%",
                                   policy->timeout_percent, TIMEOUT_PERCENT_MAX);
    else if (policy->stop_signal < 1 || policy->stop_signal > SIGRTMAX || policy->warn_signal < 0 ||
             policy->warn_signal > SIGRTMAX)
        *ret_why = g_strdup_printf("signals are numbered from 1 to %d", SIGRTMAX);
    else if (policy->grace_usec > GRACE_LONGEST_USEC)
        *ret_why = g_strdup("the grace is over a day");
    else if (policy->warn_signal > 0 && policy->timeout_usec == UINT64_MAX && policy->timeout_percent == 0)
        *ret_why = g_strdup("a warning goes before a timeout, and there is none");
    else if (policy->output_max_bytes < OUTPUT_MAX_LEAST_BYTES)
        *ret_why = g_strdup_printf("output-max is %" G_GUINT64_FORMAT " bytes; at least %" G_GUINT64_FORMAT,
                                   policy->output_max_bytes, OUTPUT_MAX_LEAST_BYTES);
    else
        return 0;
    return -EINVAL;
}
