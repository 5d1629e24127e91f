/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration: one table {section, key, parser, offset}, read with GKeyFile. Of files with the same name the one in
 * the directory of the highest priority counts; drop-ins apply in the order of their names, after the main file. */
#include "config/config.h"

#include <stddef.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "parexec-config.h"
#include "util/log.h"
#include "util/parse-util.h"

#define MAIN_FILE "parexecd.conf"
#define DROPIN_DIRECTORY "parexecd.conf.d"
#define USEC_PER_DAY (UINT64_C(24) * 3600 * USEC_PER_SEC)

/* Writes into the field on success; -EINVAL or -ERANGE otherwise. */
typedef int (*FieldParser)(const char *value, void *field);

static int parse_between(const char *value, uint32_t least, uint32_t most, void *field)
{
    uint64_t number;
    int r = parse_uint64(value, &number);

    if (r < 0)
        return r;
    if (number < least || number > most)
        return -ERANGE;
    *(uint32_t *) field = (uint32_t) number;
    return 0;
}

static int parse_count(const char *value, void *field)
{
    return parse_between(value, 1, WORKER_SLOTS_MAX, field);
}

static int parse_size(const char *value, void *field)
{
    return parse_bytes(value, field);
}

static int parse_positive_span(const char *value, void *field)
{
    uint64_t usec;
    int r = parse_timespan(value, &usec);

    if (r < 0)
        return r;
    if (usec < 100 * USEC_PER_MSEC)
        return -ERANGE;
    *(uint64_t *) field = usec;
    return 0;
}

static int parse_span(const char *value, void *field)
{
    return parse_timespan(value, field);
}

static int parse_quota(const char *value, void *field)
{
    return parse_cpus(value, field);
}

static int parse_number(const char *value, void *field)
{
    if (strcmp(value, "infinity") == 0) {
        *(uint64_t *) field = LIMIT_INFINITY;
        return 0;
    }
    return parse_uint64(value, field);
}

static int parse_cpu_list(const char *value, void *field)
{
    if (!cpu_list_valid(value))
        return -EINVAL;
    g_free(*(char **) field);
    *(char **) field = g_strdup(value);
    return 0;
}

static int parse_engine(const char *value, void *field)
{
    int kind = engine_kind_from_string(value);

    if (kind < 0)
        return kind;
    *(EngineKind *) field = (EngineKind) kind;
    return 0;
}

static int parse_retries(const char *value, void *field)
{
    return parse_between(value, 0, RETRIES_MAX, field);
}

static int parse_factor(const char *value, void *field)
{
    char *end;
    double factor = g_ascii_strtod(value, &end);

    if (end == value || *end)
        return -EINVAL;
    if (!(factor >= 1 && factor <= BACKOFF_FACTOR_MAX)) /* not a number, too */
        return -ERANGE;
    *(double *) field = factor;
    return 0;
}

static int parse_signal(const char *value, void *field)
{
    int number = signal_parse(value);

    if (number < 0)
        return number;
    *(int *) field = number;
    return 0;
}

/* "exit=75:retry oom:fail": all of it or nothing; the rules of an earlier file are forgotten. */
static int parse_rules(const char *value, void *field)
{
    g_auto(GStrv) words = g_strsplit_set(value, " \t", -1);
    TaskPolicy parsed;
    int r = 0;

    task_policy_init(&parsed);
    for (char **word = words; r >= 0 && *word; word++) {
        char *colon = strrchr(*word, ':');
        if (!**word)
            continue;
        if (!colon) {
            r = -EINVAL;
            break;
        }
        *colon = '\0';
        r = task_policy_add_rule(&parsed, *word, colon + 1);
    }
    if (r >= 0) {
        g_clear_pointer((GArray **) field, g_array_unref);
        *(GArray **) field = g_steal_pointer(&parsed.rules);
    }
    task_policy_done(&parsed);
    return r;
}

static const struct {
    const char *section, *key;
    FieldParser parser;
    size_t offset;
} fields[] = {
    { "Workers", "MaxWorkers", parse_count, offsetof(Settings, max_workers) },
    { "Workers", "MemoryReserve", parse_size, offsetof(Settings, memory_reserve_bytes) },
    { "Workers", "WorkerStartTimeout", parse_positive_span, offsetof(Settings, worker_start_timeout_usec) },
    { "Workers", "HeartbeatInterval", parse_positive_span, offsetof(Settings, heartbeat_usec) },
    { "Workers", "StalledAfter", parse_positive_span, offsetof(Settings, stalled_after_usec) },
    { "Workers", "KeepFailed", parse_span, offsetof(Settings, keep_failed_usec) },
    { "Workers", "OrphanTimeout", parse_span, offsetof(Settings, orphan_timeout_usec) },
    { "Workers", "MemoryMax", parse_size, offsetof(Settings, limits.memory_max_bytes) },
    { "Workers", "MemoryHigh", parse_size, offsetof(Settings, limits.memory_high_bytes) },
    { "Workers", "CPUQuota", parse_quota, offsetof(Settings, limits.cpu_quota_usec_per_sec) },
    { "Workers", "CPUWeight", parse_number, offsetof(Settings, limits.cpu_weight) },
    { "Workers", "AllowedCPUs", parse_cpu_list, offsetof(Settings, limits.allowed_cpus) },
    { "Workers", "TasksMax", parse_number, offsetof(Settings, limits.tasks_max) },
    { "Workers", "Slots", parse_count, offsetof(Settings, slots) },
    { "Workers", "Engine", parse_engine, offsetof(Settings, engine) },
    { "Tasks", "Retries", parse_retries, offsetof(Settings, policy.retries) },
    { "Tasks", "BackoffFirst", parse_span, offsetof(Settings, policy.backoff_first_usec) },
    { "Tasks", "BackoffLongest", parse_span, offsetof(Settings, policy.backoff_longest_usec) },
    { "Tasks", "BackoffFactor", parse_factor, offsetof(Settings, policy.backoff_factor) },
    { "Tasks", "OnFailure", parse_rules, offsetof(Settings, policy.rules) },
    { "Tasks", "Timeout", parse_span, offsetof(Settings, policy.timeout_usec) },
    { "Tasks", "StopSignal", parse_signal, offsetof(Settings, policy.stop_signal) },
    { "Tasks", "Grace", parse_span, offsetof(Settings, policy.grace_usec) },
    { "Tasks", "OutputMax", parse_size, offsetof(Settings, policy.output_max_bytes) },
    { "Tasks", "KeepOutput", parse_span, offsetof(Settings, keep_output_usec) },
    { "Tasks", "KeepHistory", parse_span, offsetof(Settings, keep_history_usec) },
    { "Tasks", "OutputQuota", parse_size, offsetof(Settings, output_quota_bytes) },
};

static void settings_default(Settings *ret)
{
    struct sysinfo info = { 0 };

    (void) sysinfo(&info);
    *ret = (Settings){
        .max_workers = 64,
        /* a twentieth of the memory, but at least half a GiB: what a desktop or sshd needs to stay usable */
        .memory_reserve_bytes = MAX((uint64_t) info.totalram * info.mem_unit / 20, UINT64_C(512) << 20),
        .worker_start_timeout_usec = 30 * USEC_PER_SEC,
        .heartbeat_usec = 30 * USEC_PER_SEC,
        .stalled_after_usec = 180 * USEC_PER_SEC,
        .keep_failed_usec = 300 * USEC_PER_SEC,
        .orphan_timeout_usec = 600 * USEC_PER_SEC,
        .slots = 1,
        .engine = ENGINE_SYSTEMD,
        .keep_output_usec = 7 * USEC_PER_DAY,
        .keep_history_usec = 30 * USEC_PER_DAY,
        .output_quota_bytes = UINT64_C(10) << 30,
    };
    worker_limits_init(&ret->limits);
    ret->limits.memory_max_bytes = UINT64_C(2) << 30;
    task_policy_init(&ret->policy);
}

/* GKeyFile does not tell lines; a linear search does, and is only made for what is wrong. */
static unsigned line_of(const char *path, const char *section, const char *key)
{
    g_autofree char *text = NULL, *header = g_strdup_printf("[%s]", section);
    g_auto(GStrv) lines = NULL;
    bool inside = false;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        const char *line = g_strstrip(lines[i]);
        if (line[0] == '[')
            inside = strcmp(line, header) == 0;
        if (inside && key && g_str_has_prefix(line, key) && strchr(" =\t", line[strlen(key)]))
            return i + 1;
        if (inside && !key)
            return i + 1;
    }
    return 0;
}

static void apply_key(Settings *settings, const char *path, GKeyFile *file, const char *section,
                      const char *key)
{
    g_autofree char *value = g_key_file_get_string(file, section, key, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (strcmp(fields[i].section, section) != 0 || strcmp(fields[i].key, key) != 0)
            continue;
        if (!value || fields[i].parser(g_strstrip(value), (char *) settings + fields[i].offset) < 0)
            log_warning("%s:%u: %s= does not take \"%s\", ignoring it.", path, line_of(path, section, key),
                        key, value ? value : "");
        return;
    }
    log_warning("%s:%u: unknown key %s= in section [%s], ignoring it.", path, line_of(path, section, key),
                key, section);
}

static void apply_file(Settings *settings, const char *path)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;

    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &error)) {
        if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            log_warning("%s: %s, ignoring the file.", path, error->message);
        return;
    }
    g_auto(GStrv) sections = g_key_file_get_groups(file, NULL);
    for (char **section = sections; *section; section++) {
        g_auto(GStrv) keys = g_key_file_get_keys(file, *section, NULL, NULL);
        for (char **key = keys; key && *key; key++)
            apply_key(settings, path, file, *section, *key);
    }
}

static int compare_names(gconstpointer a, gconstpointer b, gpointer unused)
{
    return strcmp(a, b);
}

/* Name → path of every drop-in; a later directory hides the same name in an earlier one. */
static GTree *find_dropins(const char *const *directories)
{
    GTree *found = g_tree_new_full(compare_names, NULL, g_free, g_free);

    for (; *directories; directories++) {
        g_autofree char *directory = g_build_filename(*directories, DROPIN_DIRECTORY, NULL);
        g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
        const char *name;
        while (dir && (name = g_dir_read_name(dir)))
            if (g_str_has_suffix(name, ".conf"))
                g_tree_replace(found, g_strdup(name), g_build_filename(directory, name, NULL));
    }
    return found;
}

static gboolean apply_dropin(gpointer name, gpointer path, gpointer settings)
{
    apply_file(settings, path);
    return FALSE;
}

static void check_limits(Settings *settings)
{
    g_autofree char *why = NULL;

    if (worker_limits_check(&settings->limits, &why) >= 0)
        return;
    log_warning("The limits in the configuration do not work (%s), using the built-in ones.", why);
    Settings fallback;
    settings_default(&fallback);
    worker_limits_copy(&settings->limits, &fallback.limits);
    settings_done(&fallback);
}

/* Each value by itself has been judged; some do not go together. */
static void check_policy(Settings *settings)
{
    g_autofree char *why = NULL;

    if (task_policy_check(&settings->policy, &why) >= 0)
        return;
    log_warning("The section [Tasks] of the configuration does not work (%s), using what is built in.", why);
    task_policy_done(&settings->policy);
    task_policy_init(&settings->policy);
}

void config_load_from(Settings *ret, const char *const *directories)
{
    g_autofree char *main_file = NULL;
    GTree *dropins = find_dropins(directories);

    settings_default(ret);
    for (const char *const *d = directories; *d; d++) {
        g_autofree char *path = g_build_filename(*d, MAIN_FILE, NULL);
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            continue;
        g_free(main_file);
        main_file = g_steal_pointer(&path);
    }
    if (main_file)
        apply_file(ret, main_file);
    g_tree_foreach(dropins, apply_dropin, ret);
    g_tree_unref(dropins);
    check_limits(ret);
    check_policy(ret);
}

void config_load(Settings *ret, bool user)
{
    g_autofree char *home = g_build_filename(g_get_user_config_dir(), "parexec", NULL);
    const char *of_system[] = { PAREXEC_PREFIX "/lib/parexec", "/run/parexec", PAREXEC_SYSCONFDIR "/parexec",
                                NULL };
    const char *of_user[] = { PAREXEC_PREFIX "/lib/parexec/user", home, NULL };
    const char *override = g_getenv("PAREXEC_CONFIG_DIR"); /* for a daemon run from the build tree */
    const char *given[] = { override, NULL };

    config_load_from(ret, override ? given : user ? of_user : of_system);
}
