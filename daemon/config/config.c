/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration: one table {section, key, parser, offset}, read with GKeyFile; the sections whose names or keys are the
 * administrator's own are in config-sections.c. Of files with the same name the one in the directory of the highest priority
 * counts; drop-ins apply in the order of their names, after the main file. */
#include "config/config.h"

#include <stddef.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "config/config-lines.h"
#include "config/config-parse.h"
#include "config/config-sections.h"
#include "parexec-config.h"
#include "util/log.h"

#define MAIN_FILE "parexecd.conf"
#define DROPIN_DIRECTORY "parexecd.conf.d"
#define PROFILE_PREFIX "Profile "
#define USEC_PER_DAY (UINT64_C(24) * 3600 * USEC_PER_SEC)

static const struct {
    const char *section, *key;
    FieldParser parser;
    size_t offset;
} fields[] = {
    { "Workers", "MaxWorkers", parse_count, offsetof(Settings, max_workers) },
    { "Workers", "MaxUserWorkers", parse_most, offsetof(Settings, max_user_workers) },
    { "Workers", "MaxUserMemory", parse_size, offsetof(Settings, max_user_memory_bytes) },
    { "Workers", "UseSMT", parse_flag, offsetof(Settings, use_smt) },
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
    { "Workers", "IOWeight", parse_number, offsetof(Settings, limits.io_weight) },
    { "Workers", "AllowedCPUs", parse_number_list, offsetof(Settings, limits.allowed_cpus) },
    { "Workers", "AllowedMemoryNodes", parse_number_list, offsetof(Settings, limits.allowed_memory_nodes) },
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
    { "Tasks", "MemoryDefault", parse_memory, offsetof(Settings, memory_default_bytes) },
    { "AutoScale", "Enabled", parse_flag, offsetof(Settings, autoscale.enabled) },
    { "AutoScale", "Min", parse_count_or_none, offsetof(Settings, autoscale.min) },
    { "AutoScale", "Max", parse_count_or_none, offsetof(Settings, autoscale.max) },
    { "AutoScale", "ScaleUpBelow", parse_percent, offsetof(Settings, autoscale.up_below_percent) },
    { "AutoScale", "ScaleDownAbove", parse_percent, offsetof(Settings, autoscale.down_above_percent) },
    { "AutoScale", "PressureBelow", parse_percent, offsetof(Settings, autoscale.pressure_percent) },
    { "AutoScale", "IdleTimeout", parse_span, offsetof(Settings, autoscale.idle_timeout_usec) },
    { "AutoScale", "Interval", parse_positive_span, offsetof(Settings, autoscale.interval_usec) },
    { "Pressure", "Enabled", parse_flag, offsetof(Settings, pressure.enabled) },
    { "Pressure", "Memory", parse_line, offsetof(Settings, pressure.memory_percent) },
    { "Pressure", "CPU", parse_line, offsetof(Settings, pressure.cpu_percent) },
    { "Pressure", "IO", parse_line, offsetof(Settings, pressure.io_percent) },
    { "Pressure", "RecoverFactor", parse_fraction, offsetof(Settings, pressure.recover_factor) },
    { "Pressure", "Step", parse_positive_span, offsetof(Settings, pressure.step_usec) },
    { "Pressure", "Recover", parse_positive_span, offsetof(Settings, pressure.recover_usec) },
    { "Pressure", "Actions", parse_rungs, offsetof(Settings, pressure.rungs) },
    { "Profile", "Active", parse_profile_name, offsetof(Settings, profile) },
};

/* Where what was read so far came from, as far as it is judged only when everything is read. */
typedef struct Loading {
    Settings *settings;
    char *active_path; /* of Active= in [Profile]; NULL: nothing says it */
    unsigned active_line;
} Loading;

static const AutoScaleSettings default_autoscale = {
    .up_below_percent = 70,
    .down_above_percent = 85,
    .pressure_percent = 10,
    .idle_timeout_usec = 300 * USEC_PER_SEC,
    .interval_usec = 5 * USEC_PER_SEC,
};

static const PressureSettings default_pressure = {
    .enabled = true,
    .memory_percent = 20,
    .cpu_percent = 100,
    .io_percent = 100,
    .recover_factor = 0.5,
    .step_usec = 5 * USEC_PER_SEC,
    .recover_usec = 10 * USEC_PER_SEC,
    .rungs = 1U << RUNG_CLOSED | 1U << RUNG_THROTTLE | 1U << RUNG_FREEZE,
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
        .max_user_workers = UINT32_MAX,
        .max_user_memory_bytes = LIMIT_INFINITY,
        .memory_default_bytes = UINT64_C(256) << 20,
        .autoscale = default_autoscale,
        .pressure = default_pressure,
        .profiles = profiles_new(),
    };
    worker_limits_init(&ret->limits);
    ret->limits.memory_max_bytes = UINT64_C(2) << 30;
    task_policy_init(&ret->policy);
}

/* -ENOENT: there is no such key. */
static int apply_value(Loading *loading, Profile *profile, const char *section, const char *key,
                       const char *value)
{
    Settings *settings = loading->settings;

    if (profile)
        return config_profile_set(profile, key, value);
    if (strcmp(section, "Resources") == 0)
        return config_resource_set(&settings->resources, key, value);
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        if (strcmp(fields[i].section, section) == 0 && strcmp(fields[i].key, key) == 0)
            return fields[i].parser(value, (char *) settings + fields[i].offset);
    return -ENOENT;
}

static void apply_key(Loading *loading, const char *path, GKeyFile *file, Profile *profile,
                      const char *section, const char *key)
{
    g_autofree char *value = g_key_file_get_string(file, section, key, NULL);
    int r = value ? apply_value(loading, profile, section, key, g_strstrip(value)) : -EINVAL;

    if (r == -ENOENT) {
        log_warning("%s:%u: unknown key %s= in section [%s], ignoring it.", path, config_line_of(path, section, key),
                    key, section);
    } else if (r < 0) {
        log_warning("%s:%u: %s= does not take \"%s\", ignoring it.", path, config_line_of(path, section, key), key,
                    value ? value : "");
    } else if (strcmp(section, "Profile") == 0) {
        g_free(loading->active_path);
        loading->active_path = g_strdup(path);
        loading->active_line = config_line_of(path, section, key);
    }
}

static void apply_section(Loading *loading, const char *path, GKeyFile *file, const char *section)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file, section, NULL, NULL);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    Profile *profile = NULL;

    if (g_str_has_prefix(section, PROFILE_PREFIX)) {
        profile = config_profile(loading->settings->profiles, section + strlen(PROFILE_PREFIX));
        if (!profile) {
            log_warning(
                "%s:%u: [%s] names no profile (letters, digits, \"-\" and \"_\", at most 64), ignoring the "
                "section.",
                path, config_line_of(path, section, NULL), section);
            return;
        }
    }
    for (char **key = keys; key && *key; key++)
        if (g_hash_table_add(seen, *key)) /* one that stands twice is listed twice, with the last value */
            apply_key(loading, path, file, profile, section, *key);
}

static void apply_file(Loading *loading, const char *path)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) error = NULL;

    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &error)) {
        if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            log_warning("%s: %s, ignoring the file.", path, error->message);
        return;
    }
    config_check_repetition(path);
    g_auto(GStrv) sections = g_key_file_get_groups(file, NULL);
    for (char **section = sections; *section; section++)
        apply_section(loading, path, file, *section);
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

static gboolean apply_dropin(gpointer name, gpointer path, gpointer loading)
{
    apply_file(loading, path);
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

static void check_autoscale(Settings *settings)
{
    g_autofree char *why = NULL;

    if (autoscale_check(&settings->autoscale, &why) >= 0)
        return;
    log_warning("The section [AutoScale] of the configuration does not work (%s), using what is built in.",
                why);
    settings->autoscale = default_autoscale;
}

static void check_pressure(Settings *settings)
{
    g_autofree char *why = NULL;

    if (pressure_settings_check(&settings->pressure, &why) >= 0)
        return;
    log_warning("The section [Pressure] of the configuration does not work (%s), using what is built in.",
                why);
    settings->pressure = default_pressure;
}

/* Only when everything is read is it known which profiles there are. */
static void check_profile(Loading *loading)
{
    Settings *settings = loading->settings;

    if (!settings->profile || profile_find(settings->profiles, settings->profile))
        return;
    log_warning("%s:%u: there is no profile \"%s\", using none.", loading->active_path, loading->active_line,
                settings->profile);
    g_clear_pointer(&settings->profile, g_free);
}

void config_load_from(Settings *ret, const char *const *directories)
{
    g_autofree char *main_file = NULL;
    GTree *dropins = find_dropins(directories);
    Loading loading = { .settings = ret };

    settings_default(ret);
    for (const char *const *d = directories; *d; d++) {
        g_autofree char *path = g_build_filename(*d, MAIN_FILE, NULL);
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            continue;
        g_free(main_file);
        main_file = g_steal_pointer(&path);
    }
    if (main_file)
        apply_file(&loading, main_file);
    g_tree_foreach(dropins, apply_dropin, &loading);
    g_tree_unref(dropins);
    check_limits(ret);
    check_policy(ret);
    check_autoscale(ret);
    check_pressure(ret);
    check_profile(&loading);
    g_free(loading.active_path);
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
