/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parexecd.conf: the defaults, each key of [Tasks], which file counts, and what becomes of nonsense. */
#include "config/config.h"

#include <glib/gstdio.h>

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

static void load(Settings *ret)
{
    const char *directories[] = { directory, NULL };

    config_load_from(ret, directories);
}

/* What the section [Tasks] with these lines makes of the policy, as text. */
static char *policy_of(const char *lines)
{
    g_autofree char *text = g_strdup_printf("[Tasks]\n%s\n", lines);
    Settings settings;

    write_file("parexecd.conf", text);
    load(&settings);
    char *policy = task_policy_to_text(&settings.policy);
    settings_done(&settings);
    remove_file("parexecd.conf");
    return policy;
}

static void test_defaults(void)
{
    Settings settings;

    load(&settings);
    g_autofree char *policy = task_policy_to_text(&settings.policy);
    g_assert_cmpstr(policy, ==, "");
    g_assert_cmpuint(settings.keep_output_usec, ==, UINT64_C(7) * 24 * 3600 * USEC_PER_SEC);
    g_assert_cmpuint(settings.keep_history_usec, ==, UINT64_C(30) * 24 * 3600 * USEC_PER_SEC);
    g_assert_cmpuint(settings.output_quota_bytes, ==, UINT64_C(10) << 30);
    g_assert_cmpuint(settings.slots, ==, 1);
    settings_done(&settings);
}

static void test_policy(void)
{
    static const struct {
        const char *lines, *policy;
    } cases[] = {
        { "Retries=3", "retries=3" },
        { "Retries=1000000", "retries=1000000" },
        { "BackoffFirst=100ms", "backoff-first=100000" },
        { "BackoffLongest=1h", "backoff-longest=3600000000" },
        { "BackoffFactor=1.5", "backoff-factor=1.5" },
        { "Timeout=2h", "timeout=7200000000" },
        { "Timeout=infinity", "" },
        { "StopSignal=INT", "stop-signal=2" },
        { "StopSignal=SIGHUP", "stop-signal=1" },
        { "Grace=0", "grace=0" },
        { "OutputMax=1M", "output-max=1048576" },
        { "OutputMax=infinity", "output-max=18446744073709551615" },
        { "OnFailure=exit=75:retry oom:fail", "on=exit=75:retry on=oom:fail" },
        { "OnFailure=  signal=SEGV:hold \t lost:retry ", "on=signal=SEGV:hold on=lost:retry" },
        { "OnFailure=", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *policy = policy_of(cases[i].lines);
        g_assert_cmpstr(policy, ==, cases[i].policy);
    }
}

/* A value that is none is passed over, and nothing else with it. */
static void test_bad_policy(void)
{
    static const char *const bad[] = {
        "Retries=-1",
        "Retries=4294967296",
        "Retries=1000001",
        "Retries=many",
        "BackoffFactor=0",
        "BackoffFactor=nan",
        "BackoffFactor=inf",
        "BackoffFactor=2x",
        "BackoffFactor=",
        "BackoffFirst=soon",
        "Timeout=-1",
        "StopSignal=NONE",
        "StopSignal=0",
        "StopSignal=99",
        "OutputMax=much",
        "OnFailure=oom",
        "OnFailure=oom:retry exit=0:fail",
        "OnFailure=oom:panic",
        "OnFailure=:",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *lines = g_strdup_printf("Grace=1s\n%s", bad[i]), *policy = policy_of(lines);
        g_assert_cmpstr(policy, ==, "grace=1000000");
    }
}

/* Each by itself would do; together they are given up for what is built in. The rest of the file holds. */
static void test_bad_combination(void)
{
    static const char *const bad[] = {
        "BackoffFirst=10min\nRetries=3",
        "BackoffLongest=500ms",
        "BackoffLongest=30d",
        "Timeout=0\nRetries=3",
        "Grace=2d",
        "OutputMax=4K",
        "Grace=infinity",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *policy = policy_of(bad[i]);
        g_assert_cmpstr(policy, ==, "");
    }
    g_autofree char *good = policy_of("BackoffFirst=10min\nBackoffLongest=20min");
    g_assert_cmpstr(good, ==, "backoff-first=600000000 backoff-longest=1200000000");
}

static void test_keeping(void)
{
    Settings settings;

    write_file("parexecd.conf", "[Tasks]\nKeepOutput=1d\nKeepHistory=infinity\nOutputQuota=512M\nGrace=2d\n");
    load(&settings);
    g_assert_cmpuint(settings.keep_output_usec, ==, UINT64_C(24) * 3600 * USEC_PER_SEC);
    g_assert_cmpuint(settings.keep_history_usec, ==, UINT64_MAX);
    g_assert_cmpuint(settings.output_quota_bytes, ==, UINT64_C(512) << 20);
    settings_done(&settings);
    remove_file("parexecd.conf");
}

/* The later file wins, key by key; a table of causes is replaced as a whole, or taken back. */
static void test_dropins(void)
{
    Settings settings;

    write_file("parexecd.conf", "[Tasks]\nRetries=1\nGrace=1s\nOnFailure=oom:fail lost:hold\n");
    write_file("parexecd.conf.d/10-a.conf", "[Tasks]\nRetries=2\nOnFailure=exit=3:retry\n");
    load(&settings);
    g_autofree char *policy = task_policy_to_text(&settings.policy);
    g_assert_cmpstr(policy, ==, "retries=2 grace=1000000 on=exit=3:retry");
    settings_done(&settings);
    write_file("parexecd.conf.d/20-b.conf", "[Tasks]\nOnFailure=\n[Workers]\nSlots=4\nRetries=9\n");
    load(&settings);
    g_autofree char *without = task_policy_to_text(&settings.policy);
    g_assert_cmpstr(without, ==, "retries=2 grace=1000000");
    g_assert_cmpuint(settings.slots, ==, 4);
    settings_done(&settings);
    remove_file("parexecd.conf.d/20-b.conf");
    remove_file("parexecd.conf.d/10-a.conf");
    remove_file("parexecd.conf");
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    log_set_max_level(LOG_ERR);
    directory = g_dir_make_tmp("parexec-config-XXXXXX", NULL);
    g_assert_nonnull(directory);
    g_test_add_func("/config/defaults", test_defaults);
    g_test_add_func("/config/policy", test_policy);
    g_test_add_func("/config/bad-policy", test_bad_policy);
    g_test_add_func("/config/bad-combination", test_bad_combination);
    g_test_add_func("/config/keeping", test_keeping);
    g_test_add_func("/config/dropins", test_dropins);
    int r = g_test_run();
    g_autofree char *dropins = g_build_filename(directory, "parexecd.conf.d", NULL);
    (void) g_rmdir(dropins);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
    g_free(directory);
    return r;
}
