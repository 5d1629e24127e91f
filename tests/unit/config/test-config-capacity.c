/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parexecd.conf: cores and users, scaling, pressure, profiles and resources; what is said of nonsense, with file and line; and
 * that the file which is installed shows the defaults. */
#include "config/config.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>

#include "util/log.h"

static char *directory;

static void write_file(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(directory, name, NULL), *parent = g_path_get_dirname(path);

    g_assert_cmpint(g_mkdir_with_parents(parent, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void remove_file(const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);

    g_assert_cmpint(g_unlink(path), ==, 0);
}

/* What is said while it is read, the directory left out. */
static char *load(Settings *ret)
{
    const char *directories[] = { directory, NULL };
    g_autofree char *path = g_build_filename(directory, "said", NULL), *said = NULL,
                    *prefix = g_strconcat(directory, "/", NULL);
    _cleanup_close_ int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3),
                        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    g_assert_cmpint(dup2(fd, STDERR_FILENO), >=, 0);
    config_load_from(ret, directories);
    g_assert_cmpint(dup2(saved, STDERR_FILENO), >=, 0);
    g_assert_true(g_file_get_contents(path, &said, NULL, NULL));
    remove_file("said");
    g_auto(GStrv) parts = g_strsplit(said, prefix, -1);
    return g_strjoinv("", parts);
}

static char *describe_profiles(const Settings *settings)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < settings->profiles->len; i++) {
        const Profile *p = settings->profiles->pdata[i];
        g_string_append_printf(text, "%s workers=%u factor=%g timeout=%" G_GUINT64_FORMAT " memory=%" G_GUINT64_FORMAT
                                     " ahead=%u\n", p->name, p->workers, p->cores_factor, p->timeout_usec, p->memory_max_bytes, p->ahead);
    }
    return g_string_free(text, FALSE);
}

/* Everything that this test looks at, as text; a line for each section. */
static char *describe(const Settings *settings)
{
    const AutoScaleSettings *a = &settings->autoscale;
    const PressureSettings *p = &settings->pressure;
    const WorkerLimits *l = &settings->limits;
    g_autofree char *profiles = describe_profiles(settings), *resources = resources_format(settings->resources);

    return g_strdup_printf(
        "workers: smt=%d users=%u share=%" G_GUINT64_FORMAT " io=%" G_GUINT64_FORMAT " nodes=%s cpus=%s max=%u memory=%" G_GUINT64_FORMAT "\n"
        "tasks: memory=%" G_GUINT64_FORMAT "\n"
        "autoscale: %d %u…%u up=%g down=%g pressure=%g idle=%" G_GUINT64_FORMAT " interval=%" G_GUINT64_FORMAT "\n"
        "pressure: %d memory=%g cpu=%g io=%g factor=%g step=%" G_GUINT64_FORMAT " recover=%" G_GUINT64_FORMAT " rungs=%#x\n"
        "active: %s\nresources: %s\n%s",
        settings->use_smt, settings->max_user_workers, settings->max_user_memory_bytes, l->io_weight, l->allowed_memory_nodes, l->allowed_cpus,
        settings->max_workers, l->memory_max_bytes, settings->memory_default_bytes, a->enabled, a->min, a->max,
        a->up_below_percent, a->down_above_percent, a->pressure_percent, a->idle_timeout_usec, a->interval_usec, p->enabled,
        p->memory_percent, p->cpu_percent, p->io_percent, p->recover_factor, p->step_usec, p->recover_usec, p->rungs,
        settings->profile, resources, profiles);
}

static const char defaults[] =
    "workers: smt=0 users=4294967295 share=18446744073709551615 io=0 nodes=(null) cpus=(null) max=64 memory=2147483648\n"
    "tasks: memory=268435456\n"
    "autoscale: 0 0…0 up=70 down=85 pressure=10 idle=300000000 interval=5000000\n"
    "pressure: 1 memory=20 cpu=100 io=100 factor=0.5 step=5000000 recover=10000000 rungs=0xe\n"
    "active: (null)\nresources: \n"
    "conservative workers=2 factor=0 timeout=600000000 memory=268435456 ahead=5\n"
    "balanced workers=0 factor=0.5 timeout=300000000 memory=536870912 ahead=10\n"
    "performance workers=0 factor=1 timeout=180000000 memory=1073741824 ahead=20\n"
    "maximum workers=0 factor=2 timeout=120000000 memory=2147483648 ahead=50\n";

static char *outcome_of(const char *text, char **ret_said)
{
    Settings settings;

    write_file("parexecd.conf", text);
    *ret_said = load(&settings);
    char *outcome = describe(&settings);
    settings_done(&settings);
    remove_file("parexecd.conf");
    return outcome;
}

static void test_defaults(void)
{
    g_autofree char *said = NULL, *outcome = outcome_of("", &said);

    g_assert_cmpstr(outcome, ==, defaults);
    g_assert_cmpstr(said, ==, "");
}

/* Each key, and what of the defaults it replaces. */
static void test_keys(void)
{
    static const struct {
        const char *text, *before, *after;
    } cases[] = {
        { "[Workers]\nUseSMT=yes", "smt=0", "smt=1" },
        { "[Workers]\nMaxUserWorkers=3\nMaxUserMemory=8G", "4294967295 share=18446744073709551615", "3 share=8589934592" },
        { "[Workers]\nMaxUserWorkers=0", "users=4294967295", "users=0" },
        { "[Workers]\nMaxUserWorkers=infinity", "", "" },
        { "[Workers]\nIOWeight=500", "io=0", "io=500" },
        { "[Workers]\nAllowedMemoryNodes=0-1", "nodes=(null)", "nodes=0-1" },
        { "[Workers]\nAllowedMemoryNodes=", "", "" },
        { "[Workers]\nAllowedCPUs=0-3,8", "cpus=(null)", "cpus=0-3,8" },
        { "[Workers]\nAllowedCPUs=", "", "" },
        { "[Tasks]\nMemoryDefault=1G", "tasks: memory=268435456", "tasks: memory=1073741824" },
        { "[Tasks]\nMemoryDefault=infinity", "tasks: memory=268435456", "tasks: memory=18446744073709551615" },
        { "[AutoScale]\nEnabled=yes", "autoscale: 0", "autoscale: 1" },
        { "[AutoScale]\nMin=2\nMax=6", "0…0", "2…6" },
        { "[AutoScale]\nMin=9", "0…0", "9…0" },
        { "[AutoScale]\nScaleUpBelow=50%", "up=70", "up=50" },
        { "[AutoScale]\nScaleDownAbove=92.5", "down=85", "down=92.5" },
        { "[AutoScale]\nPressureBelow = 0 ", "pressure=10", "pressure=0" },
        { "[AutoScale]\nIdleTimeout=1h", "idle=300000000", "idle=3600000000" },
        { "[AutoScale]\nInterval=100ms", "interval=5000000", "interval=100000" },
        { "[Pressure]\nEnabled=no", "pressure: 1", "pressure: 0" },
        { "[Pressure]\nMemory=5%", "memory=20 ", "memory=5 " },
        { "[Pressure]\nCPU=90", "cpu=100 ", "cpu=90 " },
        { "[Pressure]\nIO=0.5%", "io=100 ", "io=0.5 " },
        { "[Pressure]\nRecoverFactor=1", "factor=0.5 step", "factor=1 step" },
        { "[Pressure]\nStep=2s", "step=5000000", "step=2000000" },
        { "[Pressure]\nRecover=1min", "recover=10000000", "recover=60000000" },
        { "[Pressure]\nActions=", "rungs=0xe", "rungs=0x2" },
        { "[Pressure]\nActions=closed", "rungs=0xe", "rungs=0x2" },
        { "[Pressure]\nActions=kill  freeze\tthrottle requeue", "rungs=0xe", "rungs=0x3e" },
        { "[Profile]\nActive=balanced", "active: (null)", "active: balanced" },
        { "[Profile]\nActive=", "", "" },
        { "[Profile maximum]\nWorkers=3\nTimeout=1h", "maximum workers=0 factor=2 timeout=120000000",
          "maximum workers=3 factor=0 timeout=3600000000" },
        { "[Profile conservative]\nWorkers=cores/4\nMemoryMax=8M\nBatchSize=0",
          "conservative workers=2 factor=0 timeout=600000000 memory=268435456 ahead=5",
          "conservative workers=0 factor=0.25 timeout=600000000 memory=8388608 ahead=0" },
        { "[Profile balanced]\nWorkers=cores*1.5", "factor=0.5 timeout", "factor=1.5 timeout" },
        { "[Profile performance]\nWorkers=half", "performance workers=0 factor=1 ", "performance workers=0 factor=0.5 " },
        { "[Profile balanced]\nWorkers=cores\nTimeout=infinity", "factor=0.5 timeout=300000000",
          "factor=1 timeout=18446744073709551615" },
        { "[Resources]\nlicence=3", "resources: \n", "resources: licence=3\n" },
        { "[Resources]\ntape=2\nlicence=3\nrobot=1", "resources: \n", "resources: licence=3,robot=1,tape=2\n" },
        { "[Resources]\ntape=0", "", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *said = NULL, *outcome = outcome_of(cases[i].text, &said);
        g_auto(GStrv) parts = *cases[i].before ? g_strsplit(defaults, cases[i].before, -1) : g_strsplit(defaults, "\t", -1);
        g_autofree char *expected = g_strjoinv(cases[i].after, parts);
        g_test_message("%s", cases[i].text);
        g_assert_cmpuint(g_strv_length(parts), ==, *cases[i].before ? 2 : 1);
        g_assert_cmpstr(outcome, ==, expected);
        g_assert_cmpstr(said, ==, "");
    }
}

/* A profile of one's own, made active in another file than it is in, and read before. */
static void test_own_profile(void)
{
    Settings settings;

    write_file("parexecd.conf", "[Profile]\nActive=night-shift_2\n");
    write_file("parexecd.conf.d/50-night.conf", "[Profile night-shift_2]\nWorkers=12\n[Profile plain]\n");
    write_file("parexecd.conf.d/60-night.conf", "[Profile night-shift_2]\nBatchSize=7\n[Resources]\nlicence=1\ntape=1\n");
    write_file("parexecd.conf.d/70-none.conf", "[Resources]\nlicence=0\n");
    g_autofree char *said = load(&settings), *profiles = describe_profiles(&settings);
    g_assert_cmpstr(said, ==, "");
    g_assert_cmpstr(settings.profile, ==, "night-shift_2");
    g_assert_true(g_str_has_suffix(
        profiles, "\nnight-shift_2 workers=12 factor=0 timeout=18446744073709551615 memory=2147483648 ahead=7\n"
                  "plain workers=0 factor=1 timeout=18446744073709551615 memory=2147483648 ahead=0\n"));
    g_assert_cmpuint(resources_count(settings.resources, "licence"), ==, 0);
    g_assert_cmpuint(resources_count(settings.resources, "tape"), ==, 1);
    settings_done(&settings);
    remove_file("parexecd.conf");
    remove_file("parexecd.conf.d/50-night.conf");
    remove_file("parexecd.conf.d/60-night.conf");
    remove_file("parexecd.conf.d/70-none.conf");
}

/* ------------------------------------------------------------------ nonsense */

static const struct {
    const char *section, *key, *value;
} bad[] = {
    { "Workers", "UseSMT", "perhaps" },
    { "Workers", "MaxUserWorkers", "-1" },
    { "Workers", "MaxUserMemory", "8Q" },
    { "Workers", "MaxUserWorkers", "1025" },
    { "Workers", "MaxUserWorkers", "" },
    { "Workers", "AllowedMemoryNodes", "first" },
    { "Workers", "AllowedMemoryNodes", "0-" },
    { "Workers", "IOWeight", "much" },
    { "Tasks", "MemoryDefault", "0" },
    { "Tasks", "MemoryDefault", "7M" },
    { "Tasks", "MemoryDefault", "auto" },
    { "AutoScale", "Enabled", "" },
    { "AutoScale", "Min", "-1" },
    { "AutoScale", "Max", "1025" },
    { "AutoScale", "Max", "18446744073709551616" },
    { "AutoScale", "ScaleUpBelow", "101%" },
    { "AutoScale", "ScaleUpBelow", "70%%" },
    { "AutoScale", "ScaleDownAbove", "nan" },
    { "AutoScale", "ScaleDownAbove", "inf" },
    { "AutoScale", "ScaleDownAbove", "1e2" },
    { "AutoScale", "PressureBelow", "-5%" },
    { "AutoScale", "PressureBelow", "0x10" },
    { "AutoScale", "PressureBelow", "%" },
    { "AutoScale", "IdleTimeout", "soon" },
    { "AutoScale", "Interval", "0" },
    { "AutoScale", "Interval", "99ms" },
    { "Pressure", "Enabled", "2" },
    { "Pressure", "Memory", "100.1" },
    { "Pressure", "Memory", "0" },
    { "Pressure", "CPU", "" },
    { "Pressure", "IO", "1,5" },
    { "Pressure", "RecoverFactor", "0" },
    { "Pressure", "RecoverFactor", "1.1" },
    { "Pressure", "RecoverFactor", "50%" },
    { "Pressure", "Step", "0" },
    { "Pressure", "Recover", "-1s" },
    { "Pressure", "Actions", "throttle, freeze" },
    { "Pressure", "Actions", "calm" },
    { "Pressure", "Actions", "panic" },
    { "Profile", "Active", "two words" },
    { "Profile", "Active", "a/b" },
    { "Profile balanced", "Workers", "0" },
    { "Profile balanced", "Workers", "1025" },
    { "Profile balanced", "Workers", "" },
    { "Profile balanced", "Workers", "cores/0" },
    { "Profile balanced", "Workers", "cores*65" },
    { "Profile balanced", "Workers", "cores*" },
    { "Profile balanced", "Workers", "cores*inf" },
    { "Profile balanced", "Workers", "cores+1" },
    { "Profile balanced", "Workers", "cores*-2" },
    { "Profile balanced", "Workers", "4x" },
    { "Profile balanced", "Timeout", "0" },
    { "Profile balanced", "MemoryMax", "1M" },
    { "Profile balanced", "BatchSize", "10001" },
    { "Resources", "licence", "many" },
    { "Resources", "licence", "" },
    { "Resources", "licence", "-1" },
    { "Resources", "licence", "4294967296" },
    { "Resources", "licence", "1,tape=1" },
    { "Resources", "a,b", "1" },
    { "Resources", "a b", "1" },
};

/* A value that is none: what is said, with file and line, and that all stays as it was. */
static void test_bad_values(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *said = NULL, *text = g_strdup_printf("# first line\n[%s]\n\n%s=%s\n", bad[i].section, bad[i].key,
                                                              bad[i].value),
                        *outcome = outcome_of(text, &said),
                        *expected = g_strdup_printf("<4>parexecd.conf:4: %s= does not take \"%s\", ignoring it.\n", bad[i].key,
                                                    bad[i].value);
        g_assert_cmpstr(said, ==, expected);
        g_assert_cmpstr(outcome, ==, defaults);
    }
}

/* GKeyFile knows only the last of several; a line that does not count is not passed over in silence. */
static void test_repetition(void)
{
#define AGAIN(at, key, section, line)                                                                                              \
    "<4>parexecd.conf:" at ": " key "= stands in section [" section "] again, in line " line "; the last one counts.\n"
    static const struct {
        const char *text, *before, *after, *said;
    } cases[] = {
        { "[Workers]\nMaxUserWorkers=3\nMaxUserWorkers=infinity", "", "", AGAIN("2", "MaxUserWorkers", "Workers", "3") },
        { "[Workers]\nMaxUserWorkers=-7\n# both\nMaxUserWorkers = 5", "users=4294967295", "users=5",
          AGAIN("2", "MaxUserWorkers", "Workers", "4") },
        { "[Workers]\nMaxUserWorkers=3\nMaxUserWorkers=many\n", "", "",
          AGAIN("2", "MaxUserWorkers", "Workers", "3") "<4>parexecd.conf:3: MaxUserWorkers= does not take \"many\", ignoring it.\n" },
        { "[Workers]\nUseSMT=x\nUseSMT=y\nUseSMT=yes\n", "smt=0", "smt=1",
          AGAIN("2", "UseSMT", "Workers", "3") AGAIN("3", "UseSMT", "Workers", "4") },
        { "[Workers]\nAllowedMemoryNodes=0\nAllowedMemoryNodes=", "", "", AGAIN("2", "AllowedMemoryNodes", "Workers", "3") },
        { "[Resources]\ntape=2\n\n[Resources] \ntape=0", "", "", AGAIN("2", "tape", "Resources", "5") },
        { "[Pressure]\nEnabled=yes\n[AutoScale]\nEnabled=no\n", "", "", "" }, /* another key */
        { "[Workers]\nMax=1\nMaxWorkers=64\n\nMaxWorkers=0\n", "", "",
          AGAIN("3", "MaxWorkers", "Workers", "5") "<4>parexecd.conf:2: unknown key Max= in section [Workers], ignoring it.\n"
          "<4>parexecd.conf:5: MaxWorkers= does not take \"0\", ignoring it.\n" },
    };
#undef AGAIN

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *said = NULL, *outcome = outcome_of(cases[i].text, &said);
        g_auto(GStrv) parts = *cases[i].before ? g_strsplit(defaults, cases[i].before, -1) : g_strsplit(defaults, "\t", -1);
        g_autofree char *expected = g_strjoinv(cases[i].after, parts);
        g_test_message("%s", cases[i].text);
        g_assert_cmpstr(outcome, ==, expected);
        g_assert_cmpstr(said, ==, cases[i].said);
    }
}

static void test_bad_files(void)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        { "[Workers]\nMaxWorkers=64\n[Profile maximum]\nColour=red\n",
          "<4>parexecd.conf:4: unknown key Colour= in section [Profile maximum], ignoring it.\n" },
        { "[AutoScale]\nMinimum=3\n", "<4>parexecd.conf:2: unknown key Minimum= in section [AutoScale], ignoring it.\n" },
        { "[Profile]\nName=3\n", "<4>parexecd.conf:2: unknown key Name= in section [Profile], ignoring it.\n" },
        { "[profile x]\nWorkers=3\n", "<4>parexecd.conf:2: unknown key Workers= in section [profile x], ignoring it.\n" },
        { "\n[Profile a b]\nWorkers=3\n",
          "<4>parexecd.conf:2: [Profile a b] names no profile (letters, digits, \"-\" and \"_\", at most 64), ignoring the section.\n" },
        { "[Profile ]\nWorkers=3\n",
          "<4>parexecd.conf:1: [Profile ] names no profile (letters, digits, \"-\" and \"_\", at most 64), ignoring the section.\n" },
        { "[Profile]\n\nActive=turbo\n", "<4>parexecd.conf:3: there is no profile \"turbo\", using none.\n" },
        { "[Profile]\nActive=Balanced\n", "<4>parexecd.conf:2: there is no profile \"Balanced\", using none.\n" },
        { "[AutoScale]\nMin=7\nMax=3\nEnabled=yes\nInterval=1s\n",
          "<4>The section [AutoScale] of the configuration does not work (Min is 7, more than Max, 3), using what is built in.\n" },
        { "[AutoScale]\nScaleUpBelow=90%\n",
          "<4>The section [AutoScale] of the configuration does not work (ScaleUpBelow is 90 %, more than ScaleDownAbove, 85 %), "
          "using what is built in.\n" },
        { "[Workers]\nIOWeight=10001\nMemoryMax=1G\n",
          "<4>The limits in the configuration do not work (io-weight is 10001; it must lie between 1 and 10000), using the "
          "built-in ones.\n" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *said = NULL, *outcome = outcome_of(cases[i].text, &said);
        g_assert_cmpstr(said, ==, cases[i].said);
        g_assert_cmpstr(outcome, ==, defaults);
    }
}

/* Seventeen of them are one too many; the others stay. */
static void test_too_many_resources(void)
{
    g_autoptr(GString) text = g_string_new("[Resources]\n");
    Settings settings;

    for (unsigned i = 0; i <= RESOURCES_MAX; i++)
        g_string_append_printf(text, "r%u=%u\n", i, i + 1);
    write_file("parexecd.conf", text->str);
    g_autofree char *said = load(&settings);
    g_assert_cmpstr(said, ==, "<4>parexecd.conf:18: r16= does not take \"17\", ignoring it.\n");
    g_assert_cmpuint(settings.resources->len, ==, RESOURCES_MAX);
    g_assert_cmpuint(resources_count(settings.resources, "r15"), ==, 16);
    settings_done(&settings);
    remove_file("parexecd.conf");
}

/* ------------------------------------------------------------------ the file that is installed */

/* It shows the built-in defaults: with all of it switched on nothing changes, but for what depends on the machine. */
static void test_installed(void)
{
    g_autofree char *text = NULL, *said = NULL;
    g_autoptr(GString) on = g_string_new(NULL);
    Settings settings, usual;

    g_assert_true(g_file_get_contents(TOP "/systemd/parexecd.conf", &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        bool key = **line == '#' && (*line)[1] != ' ';
        g_string_append_printf(on, "%s\n", key ? *line + 1 : *line);
    }
    g_free(load(&usual));
    write_file("parexecd.conf", on->str);
    said = load(&settings);
    g_autofree char *shown = describe(&settings), *built_in = describe(&usual);
    g_assert_cmpstr(said, ==, "");
    g_assert_cmpstr(shown, ==, built_in);
    g_assert_true(task_policy_equal(&settings.policy, &usual.policy));
    g_assert_cmpuint(settings.keep_output_usec, ==, usual.keep_output_usec);
    g_assert_cmpuint(settings.keep_history_usec, ==, usual.keep_history_usec);
    g_assert_cmpuint(settings.output_quota_bytes, ==, usual.output_quota_bytes);
    g_assert_cmpuint(settings.worker_start_timeout_usec, ==, usual.worker_start_timeout_usec);
    g_assert_cmpuint(settings.heartbeat_usec, ==, usual.heartbeat_usec);
    g_assert_cmpuint(settings.stalled_after_usec, ==, usual.stalled_after_usec);
    g_assert_cmpuint(settings.keep_failed_usec, ==, usual.keep_failed_usec);
    g_assert_cmpuint(settings.orphan_timeout_usec, ==, usual.orphan_timeout_usec);
    g_assert_cmpuint(settings.slots, ==, usual.slots);
    g_assert_cmpint(settings.engine, ==, usual.engine);
    g_assert_cmpuint(settings.limits.memory_high_bytes, ==, usual.limits.memory_high_bytes);
    g_assert_cmpuint(settings.limits.cpu_quota_usec_per_sec, ==, usual.limits.cpu_quota_usec_per_sec);
    g_assert_cmpuint(settings.limits.cpu_weight, ==, usual.limits.cpu_weight);
    g_assert_cmpuint(settings.limits.tasks_max, ==, usual.limits.tasks_max);
    settings_done(&settings);
    settings_done(&usual);
    remove_file("parexecd.conf");
    /* each key that there is */
    static const char *const keys[] = {
        "UseSMT=", "MaxUserWorkers=", "IOWeight=", "AllowedMemoryNodes=", "MemoryDefault=", "Min=", "Max=", "ScaleUpBelow=",
        "ScaleDownAbove=", "PressureBelow=", "IdleTimeout=", "Interval=", "Memory=", "CPU=", "IO=", "RecoverFactor=", "Step=",
        "Recover=", "Actions=", "Active=", "Workers=", "BatchSize=", "Retries=", "MaxWorkers=",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *line = g_strconcat("\n", keys[i], NULL);
        g_test_message("%s", keys[i]);
        g_assert_nonnull(strstr(on->str, line));
    }
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    log_set_max_level(LOG_WARNING);
    directory = g_dir_make_tmp("parexec-config-XXXXXX", NULL);
    g_assert_nonnull(directory);
    g_test_add_func("/config-capacity/defaults", test_defaults);
    g_test_add_func("/config-capacity/keys", test_keys);
    g_test_add_func("/config-capacity/own-profile", test_own_profile);
    g_test_add_func("/config-capacity/bad-values", test_bad_values);
    g_test_add_func("/config-capacity/bad-files", test_bad_files);
    g_test_add_func("/config-capacity/repetition", test_repetition);
    g_test_add_func("/config-capacity/too-many-resources", test_too_many_resources);
    g_test_add_func("/config-capacity/installed", test_installed);
    int r = g_test_run();
    g_autofree char *dropins = g_build_filename(directory, "parexecd.conf.d", NULL);
    (void) g_rmdir(dropins);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
    g_free(directory);
    return r;
}
