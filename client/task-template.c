/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tasks of a submission share: directory, environment, streams, name. A verb makes one from its
 * options and keeps it for as long as it submits. Paths and environment are byte strings and stay what
 * they are. */

#include "client/task-template.h"

#include <string.h>

#include "client/bus-dict.h"
#include "client/output.h"
#include "client/task-list.h"
#include "dbus/parexec-dbus.h"
#include "model/ids.h"
#include "util/parse-util.h"

#define ENTRY_BYTES 64U /* of a dictionary entry beside its value: key, signature, lengths, padding */
#define ENTRIES_MAX 14U
#define CONDITION_BYTES 192U /* of a dependency with its options */

static const char *const environment_choice_table[_ENVIRONMENT_CHOICE_MAX] = {
    [ENVIRONMENT_NONE] = "none",
    [ENVIRONMENT_SELECTED] = "selected",
    [ENVIRONMENT_ALL] = "all",
};
DEFINE_STRING_TABLE(environment_choice, EnvironmentChoice)

static bool has_name(const char *variable, const char *name, size_t n)
{
    return strncmp(variable, name, n) == 0 && variable[n] == '=';
}

static const char *variable_find(char *const *environment, const char *name)
{
    for (size_t i = 0; environment && environment[i]; i++)
        if (has_name(environment[i], name, strlen(name)))
            return environment[i];
    return NULL;
}

static void variable_set(GPtrArray *to, const char *variable)
{
    size_t n = strcspn(variable, "=");

    for (guint i = 0; i < to->len; i++)
        if (has_name(to->pdata[i], variable, n)) {
            g_free(to->pdata[i]);
            to->pdata[i] = g_strdup(variable);
            return;
        }
    g_ptr_array_add(to, g_strdup(variable));
}

static bool is_chosen(const char *variable, EnvironmentChoice choice)
{
    static const char *const selected[] = { "PATH", "HOME", "LANG", "USER" };

    if (choice == ENVIRONMENT_ALL)
        return strchr(variable, '=') > variable;
    if (choice == ENVIRONMENT_NONE)
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(selected); i++)
        if (has_name(variable, selected[i], strlen(selected[i])))
            return true;
    return g_str_has_prefix(variable, "LC_") && strchr(variable, '=');
}

char **task_environment(char *const *environment, char *const *exported, EnvironmentChoice choice,
                        const char **ret_missing)
{
    g_autoptr(GPtrArray) result = g_ptr_array_new_with_free_func(g_free);

    for (size_t i = 0; environment && environment[i]; i++)
        if (is_chosen(environment[i], choice))
            g_ptr_array_add(result, g_strdup(environment[i]));
    for (size_t i = 0; exported && exported[i]; i++) {
        const char *variable =
            strchr(exported[i], '=') ? exported[i] : variable_find(environment, exported[i]);
        if (!variable || *variable == '=') {
            *ret_missing = exported[i];
            return NULL;
        }
        variable_set(result, variable);
    }
    g_ptr_array_add(result, NULL);
    return (char **) g_ptr_array_free(g_steal_pointer(&result), FALSE);
}

char *task_template_path(const char *path)
{
    if (!path)
        return NULL;
    if (*path == '/')
        return g_strdup(path);
    g_autofree char *here = g_get_current_dir();
    return g_build_filename(here, path, NULL);
}

int task_array_parse(const char *text, uint64_t *ret_first, uint64_t *ret_last, uint32_t *ret_parallel)
{
    g_auto(GStrv) parts = g_strsplit(text, "%", 3);
    guint n = g_strv_length(parts);
    g_auto(GStrv) ends = n >= 1 && n <= 2 ? g_strsplit(parts[0], "-", 3) : NULL;
    uint64_t first, last, parallel = 0;

    if (!ends || g_strv_length(ends) != 2 || parse_uint64(ends[0], &first) < 0 ||
        parse_uint64(ends[1], &last) < 0 || last < first || last - first >= PAREXEC_ARRAY_TASKS_MAX)
        return -EINVAL;
    if (n == 2 && (parse_uint64(parts[1], &parallel) < 0 || parallel == 0 || parallel > UINT32_MAX))
        return -EINVAL;
    *ret_first = first;
    *ret_last = last;
    *ret_parallel = (uint32_t) parallel;
    return 0;
}

static int check_words(Client *client, const TaskOptions *options)
{
    if (options->name && !name_is_valid(options->name))
        return output_usage_error(client,
                                  _("a name is at most 255 bytes of UTF-8 without control characters"));
    for (guint i = 0; options->tags && i < options->tags->len; i++)
        if (!name_is_valid(options->tags->pdata[i]) || *(const char *) options->tags->pdata[i] == '\0')
            return output_usage_error(client,
                                      _("a tag is 1 to 255 bytes of UTF-8 without control characters"));
    if (options->tags && options->tags->len > PAREXEC_TAGS_MAX)
        return output_usage_error(client, _("%u tags are too many: at most %u"), options->tags->len,
                                  PAREXEC_TAGS_MAX);
    return 0;
}

static size_t strings_bytes(char *const *strings)
{
    size_t sum = 0;

    for (size_t i = 0; strings && strings[i]; i++)
        sum += strlen(strings[i]) + 8;
    return sum;
}

static char **with_end(GPtrArray *strings)
{
    if (!strings)
        return NULL;
    g_ptr_array_add(strings, NULL);
    return (char **) strings->pdata;
}

static int set_environment(TaskTemplate *template, Client *client, const TaskOptions *options)
{
    int choice = options->env ? environment_choice_from_string(options->env) : ENVIRONMENT_SELECTED;
    const char *missing = NULL;

    if (choice < 0)
        return output_usage_error(
            client, _("--env takes none, selected or all, not \"%s\"; to set a variable: --export"),
            options->env);
    template->env =
        task_environment(environ, with_end(options->export), (EnvironmentChoice) choice, &missing);
    if (!template->env)
        return output_usage_error(
            client, _("--export %s: there is no such variable to pass on; or give NAME=VALUE"), missing);
    return 0;
}

static int set_term(TaskTerms *terms, Client *client, TermKey key, const char *word)
{
    if (!word || task_terms_set(terms, key, word) >= 0)
        return 0;
    return output_usage_error(client, _("--%s takes %s, not \"%s\""), term_key_to_string(key),
                              task_term_form(key), word);
}

static int set_terms_repeated(TaskTerms *terms, Client *client, TermKey key, const GPtrArray *words)
{
    int r = 0;

    for (guint i = 0; r >= 0 && words && i < words->len; i++)
        r = set_term(terms, client, key, words->pdata[i]);
    return r;
}

static int set_terms(TaskTerms *terms, Client *client, const TaskOptions *options)
{
    const struct {
        TermKey key;
        const char *word;
    } words[] = {
        { TERM_BEGIN, options->begin },
        { TERM_DELAY, options->delay },
        { TERM_RETRIES, options->retries },
        { TERM_BACKOFF, options->backoff },
        { TERM_TIMEOUT, options->timeout },
        { TERM_SIGNAL, options->signal },
        { TERM_GRACE, options->grace },
        { TERM_WARN, options->warn },
        { TERM_OUTPUT_MAX, options->output_max },
        { TERM_QUEUE, options->queue },
        { TERM_WORKER_CLASS, options->class },
        { TERM_HOLD, options->hold ? "yes" : NULL },
        { TERM_MERGE, options->merge ? "yes" : NULL },
        { TERM_KEEP_UNSATISFIED, options->keep_unsatisfied ? "yes" : NULL },
        { TERM_RETRY_MEMORY, options->retry_memory },
        { TERM_TASKS_MAX, options->tasks_max },
        { TERM_IO_WEIGHT, options->io_weight },
        { TERM_GPUS, options->gpus },
    };
    g_autofree char *why = NULL;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(words); i++)
        r = set_term(terms, client, words[i].key, words[i].word);
    if (r >= 0)
        r = set_terms_repeated(terms, client, TERM_ON, options->on);
    if (r >= 0)
        r = set_terms_repeated(terms, client, TERM_CREDENTIAL, options->credentials);
    if (r >= 0)
        r = set_terms_repeated(terms, client, TERM_RESOURCE, options->resources);
    if (r < 0)
        return r;
    if (options->priority.given) {
        terms->priority = options->priority.number;
        terms->given |= 1U << TERM_PRIORITY;
    }
    if (options->memory.given) {
        terms->memory_max_bytes = options->memory.value;
        terms->demand.memory_auto = options->memory.automatic;
        terms->given |= 1U << TERM_MEMORY;
    }
    if (options->cpus.given) {
        terms->demand.cpu_quota_usec_per_sec = options->cpus.value;
        terms->given |= 1U << TERM_CPUS;
    }
    return task_terms_check(terms, &why) < 0 ? output_usage_error(client, "%s", why) : 0;
}

/* ---- --after */

/* The task that this user submitted last. */
static int find_latest(Client *client, uint64_t *ret)
{
    g_autoptr(TaskFilter) filter = task_filter_new();
    g_autoptr(GPtrArray) rows = task_rows_new();
    uint64_t cursor;

    filter->owner = getuid();
    filter->reverse = true;
    filter->limit = 1;
    int r = task_list_page(client, filter, rows, &cursor);
    if (r < 0)
        return r;
    if (rows->len == 0)
        return output_failure(client, ENOENT,
                              _("there is no \"last\" task: you have submitted none, or all are forgotten"));
    *ret = ((const TaskInfo *) rows->pdata[0])->id;
    return 0;
}

typedef struct AfterLookup {
    Client *client;
    uint64_t latest; /* 0: not asked for yet */
    bool reported;
} AfterLookup;

static int look_up(const char *word, Dependency *dependency, void *userdata)
{
    AfterLookup *lookup = userdata;

    dependency->target = TARGET_TASK;
    if (strcmp(word, "last") != 0)
        return parse_uint64(word, &dependency->id) < 0 || dependency->id == 0 ? -ENOENT : 0;
    if (lookup->latest == 0 && find_latest(lookup->client, &lookup->latest) < 0) {
        lookup->reported = true;
        return -ESRCH;
    }
    dependency->id = lookup->latest;
    return 0;
}

static int set_after(TaskTemplate *template, Client *client, const char *text)
{
    AfterLookup lookup = { .client = client };
    g_autofree char *why = NULL;

    if (!text)
        return 0;
    int r = dependency_parse(text, look_up, &lookup, &template->after, &why);
    if (r < 0 && lookup.reported)
        return r;
    return r < 0 ? output_usage_error(client, "--after: %s", why) : 0;
}

static void count_bytes(TaskTemplate *template)
{
    const TaskOptions *options = template->options;

    template->bytes = ENTRIES_MAX *ENTRY_BYTES + strings_bytes(template->env) + strlen(template->cwd) +
                      (options->name ? strlen(options->name) : 0) +
                      strings_bytes(options->tags ? (char **) options->tags->pdata : NULL) +
                      task_terms_bytes(&template->terms);
    for (int i = 0; i < _STREAM_MAX; i++)
        template->bytes += template->paths[i] ? strlen(template->paths[i]) : 0;
}

int task_template_init(TaskTemplate *template, Client *client, const TaskOptions *options)
{
    int r = check_words(client, options);

    *template = (TaskTemplate){ .options = options, .fds = { -EBADF, -EBADF, -EBADF } };
    task_terms_init(&template->terms);
    batch_limits_init(&template->limits);
    if (r < 0)
        return r;
    template->cwd = options->chdir ? task_template_path(options->chdir) : g_get_current_dir();
    r = set_environment(template, client, options);
    if (r >= 0)
        r = set_terms(&template->terms, client, options);
    if (r >= 0)
        r = set_after(template, client, options->after);
    if (r < 0)
        return r;
    if (options->tags)
        (void) with_end(options->tags);
    count_bytes(template);
    return 0;
}

int task_template_check_growth(const TaskTemplate *template, Client *client)
{
    const uint32_t given = template->terms.given;

    if (!(given & 1U << TERM_RETRY_MEMORY) || given & 1U << TERM_MEMORY)
        return 0;
    return output_usage_error(client, _("--retry-memory says how a limit of memory grows: there has to be one of the "
                                        "tasks, --memory SIZE or --memory auto"));
}

int task_template_set_limits(TaskTemplate *template, Client *client, const BatchOptions *options)
{
    if (options->halt && batch_limits_parse_halt(&template->limits, options->halt) < 0)
        return output_usage_error(
            client,
            _("--halt takes now, soon or never, and with a cause now,fail=1, soon,fail=20%% or "
              "now,success=1, not \"%s\""),
            options->halt);
    if (options->max_fails && batch_limits_parse_fails(&template->limits, options->max_fails) < 0)
        return output_usage_error(
            client, _("--max-fails takes a number from 1 or a percentage such as 10%%, not \"%s\""),
            options->max_fails);
    if (options->halt && strcmp(options->halt, "never") != 0 && !batch_limits_given(&template->limits))
        return output_usage_error(client, _("--halt %s needs a cause: --max-fails 3, or --halt %s,fail=3"),
                                  options->halt, options->halt);
    return 0;
}

void task_template_done(TaskTemplate *template)
{
    g_clear_pointer(&template->cwd, g_free);
    g_clear_pointer(&template->env, g_strfreev);
    for (size_t i = 0; i < _STREAM_MAX; i++)
        g_clear_pointer(&template->paths[i], g_free);
    task_terms_done(&template->terms);
    dependency_list_done(&template->after);
}

void task_template_set_path(TaskTemplate *template, StdStream stream, const char *path)
{
    g_free(template->paths[stream]);
    template->paths[stream] = task_template_path(path);
    count_bytes(template);
}

void task_template_add_variables(TaskTemplate *template, char *const *variables)
{
    const char *missing = NULL;
    char **all = task_environment(template->env, variables, ENVIRONMENT_ALL, &missing);

    g_assert(all);
    g_strfreev(template->env);
    template->env = all;
    count_bytes(template);
}

void task_template_merge_terms(TaskTemplate *template, const TaskTerms *terms)
{
    task_terms_merge(&template->terms, terms, TERM_BITS_ALL);
    count_bytes(template);
}

/* ---- messages */

static const DependencyList *entry_after(const TaskTemplate *template, const TaskEntry *entry)
{
    const DependencyList *after = entry->after ?: &template->after;

    return after->singleton || (after->conditions && after->conditions->len > 0) ? after : NULL;
}

size_t task_template_task_bytes(const TaskTemplate *template, const TaskEntry *entry)
{
    const DependencyList *after = entry_after(template, entry);
    /* argv, array, descriptors, delay, parallel, after */
    size_t sum = ENTRY_BYTES * (6 + _STREAM_MAX) + strings_bytes(entry->argv);

    sum += entry->name ? ENTRY_BYTES + strlen(entry->name) : 0;
    sum += entry->cwd ? ENTRY_BYTES + strlen(entry->cwd) : 0;
    sum += entry->tags ? ENTRY_BYTES + strings_bytes(entry->tags) : 0;
    sum += entry->env ? ENTRY_BYTES + strings_bytes(entry->env) : 0;
    for (int i = 0; i < _STREAM_MAX; i++)
        sum += entry->paths[i] ? ENTRY_BYTES + strlen(entry->paths[i]) : 0;
    sum += entry->terms ? task_terms_bytes(entry->terms) : 0;
    if (after && after->conditions)
        sum += CONDITION_BYTES * (after->conditions->len + 1);
    return sum;
}

uint64_t task_template_task_count(const TaskTemplate *template, const TaskEntry *entry)
{
    if (entry->array)
        return entry->array_last - entry->array_first + 1;
    return template->array ? template->array_last - template->array_first + 1 : 1;
}

static int append_paths(char *const *paths, sd_bus_message *m)
{
    int r = 0;

    for (int i = 0; r >= 0 && i < _STREAM_MAX; i++)
        if (paths[i])
            r = dict_append_byte_string(m, std_stream_to_string((StdStream) i), paths[i]);
    return r;
}

static int append_words(sd_bus_message *m, const char *name, char *const *tags)
{
    int r = name ? dict_append(m, "name", "s", name) : 0;

    return r >= 0 && tags ? dict_append_strings(m, "tags", tags) : r;
}

int task_template_append_defaults(const TaskTemplate *template, sd_bus_message *m)
{
    const TaskOptions *options = template->options;
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0)
        r = dict_append_byte_string(m, "cwd", template->cwd);
    if (r >= 0)
        r = dict_append_byte_strings(m, "env", template->env);
    if (r >= 0)
        r = append_paths(template->paths, m);
    if (r >= 0)
        r = append_words(m, options->name, options->tags ? (char **) options->tags->pdata : NULL);
    if (r >= 0)
        r = task_terms_append(&template->terms, m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Does a clause have alternatives? If none does, the clauses need no numbers. */
static bool has_alternatives(const GArray *conditions)
{
    for (guint i = 1; i < conditions->len; i++)
        if (g_array_index(conditions, Dependency, i).clause ==
            g_array_index(conditions, Dependency, i - 1).clause)
            return true;
    return false;
}

static int append_condition(sd_bus_message *m, const Dependency *d, bool numbered)
{
    int r = sd_bus_message_open_container(m, 'r', "sta{sv}");

    if (r >= 0)
        r = sd_bus_message_append(m, "st", dependency_kind_to_string(d->kind), d->id);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    if (r >= 0 && d->target == TARGET_BATCH)
        r = dict_append(m, "batch", "b", 1);
    if (r >= 0 && d->target == TARGET_LOCAL)
        r = dict_append(m, "local", "b", 1);
    if (r >= 0 && d->kind == DEPENDENCY_EXIT)
        r = dict_append(m, "status", "i", d->status);
    if (r >= 0 && numbered)
        r = dict_append(m, "clause", "u", d->clause);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_after(sd_bus_message *m, const DependencyList *after)
{
    bool numbered = after->conditions && has_alternatives(after->conditions);
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', "after");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "a(sta{sv})");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sta{sv})");
    for (guint i = 0; r >= 0 && after->conditions && i < after->conditions->len; i++)
        r = append_condition(m, &g_array_index(after->conditions, Dependency, i), numbered);
    if (r >= 0 && after->singleton)
        r = sd_bus_message_append(m, "(sta{sv})", "singleton", UINT64_C(0), 0);
    for (int level = 0; r >= 0 && level < 3; level++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_array(const TaskTemplate *template, sd_bus_message *m, const TaskEntry *entry)
{
    uint32_t parallel = entry->array ? entry->parallel : template->parallel;
    int r = 0;

    if (entry->array)
        r = dict_append(m, "array", "(tt)", entry->array_first, entry->array_last);
    else if (template->array)
        r = dict_append(m, "array", "(tt)", template->array_first, template->array_last);
    if (r >= 0 && parallel > 0)
        r = dict_append(m, "parallel", "u", parallel);
    return r;
}

static int append_own(sd_bus_message *m, const TaskEntry *entry)
{
    int r = append_words(m, entry->name, entry->tags);

    if (r >= 0 && entry->cwd)
        r = dict_append_byte_string(m, "cwd", entry->cwd);
    if (r >= 0 && entry->env)
        r = dict_append_byte_strings(m, "env", entry->env);
    if (r >= 0)
        r = append_paths((char *const *) entry->paths, m);
    if (r >= 0 && entry->terms)
        r = task_terms_append(entry->terms, m);
    if (r >= 0 && entry->delay_usec > 0)
        r = dict_append(m, "delay", "t", entry->delay_usec);
    return r;
}

int task_template_append(const TaskTemplate *template, sd_bus_message *m, const TaskEntry *entry)
{
    const DependencyList *after = entry_after(template, entry);
    int r = sd_bus_message_open_container(m, 'a', "{sv}");

    if (r >= 0)
        r = dict_append_byte_strings(m, "argv", entry->argv);
    if (r >= 0)
        r = append_own(m, entry);
    for (int i = 0; r >= 0 && i < _STREAM_MAX; i++)
        if (template->fds[i] >= 0)
            r = dict_append(m, std_stream_to_string((StdStream) i), "h", template->fds[i]);
    if (r >= 0)
        r = append_array(template, m, entry);
    if (r >= 0 && after)
        r = append_after(m, after);
    return r < 0 ? r : sd_bus_message_close_container(m);
}
