/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program itself, run without a daemon: help, usage errors, no bus. $PARCTL names it. */

#include <glib.h>
#include <locale.h>
#include <string.h>
#include <sys/wait.h>

#include "client/text.h"

static const char *const verbs[] = {
    "status", "workers", "add-worker", "drain",  "abort",  "submit",  "run",   "map",     "tasks", "show",
    "logs",   "wait",    "cancel",     "events", "enable", "disable", "hold",  "release", "retry", "edit",
    "why",    "queue",   "priority",   "set",    "freeze", "thaw",    "scale", "profile", "stats", "topology",
};

/* Runs "parctl LINE"; the exit code. */
static int run(const char *line, char **ret_out, char **ret_err)
{
    g_autofree char *out = NULL, *err = NULL,
                    *whole = g_strdup_printf("%s%s%s", g_getenv("PARCTL"), *line ? " " : "", line);
    g_auto(GStrv) argv = g_strsplit(whole, " ", -1), environment = g_get_environ();
    g_autoptr(GError) error = NULL;
    int status;

    environment = g_environ_setenv(environment, "DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", TRUE);
    environment = g_environ_setenv(environment, "DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent", TRUE);
    environment = g_environ_setenv(environment, "LC_ALL", "C.UTF-8", TRUE);
    if (!g_spawn_sync(NULL, argv, environment, G_SPAWN_DEFAULT, NULL, NULL, &out, &err, &status, &error))
        g_error("cannot run %s: %s", whole, error->message);
    g_assert_true(WIFEXITED(status));
    if (ret_out)
        *ret_out = g_steal_pointer(&out);
    if (ret_err)
        *ret_err = g_steal_pointer(&err);
    return WEXITSTATUS(status);
}

static void check_help(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    g_assert_true(g_str_has_prefix(text, "Usage: parctl"));
    for (size_t i = 0; lines[i]; i++)
        g_assert_cmpuint(text_width(lines[i]), <=, 80);
}

static void test_help(void)
{
    g_autofree char *all = NULL;

    g_assert_cmpint(run("--help", &all, NULL), ==, 0);
    check_help(all);
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
        g_autofree char *option = g_strdup_printf("%s --help", verbs[i]),
                        *verb = g_strdup_printf("help %s", verbs[i]);
        g_autofree char *entry = g_strdup_printf("\n  %s ", verbs[i]), *one = NULL, *two = NULL;
        g_assert_cmpint(run(option, &one, NULL), ==, 0);
        g_assert_cmpint(run(verb, &two, NULL), ==, 0);
        g_assert_cmpstr(one, ==, two);
        check_help(one);
        g_assert_nonnull(strstr(all, entry));
    }
}

static void test_version(void)
{
    g_autofree char *out = NULL;

    g_assert_cmpint(run("--version", &out, NULL), ==, 0);
    g_assert_true(g_str_has_prefix(out, "parctl "));
}

static const char *const wrong_lines[] = {
    "nonsense",
    "--nonsense",
    "help nonsense",
    "submit",
    "run",
    "show",
    "logs",
    "logs --batch",
    "drain",
    "cancel",
    "add-worker extra",
    "wait w1",
    "submit --array 3-1 true",
    "submit --array x true",
    "submit --array 1-2 --each-line x true",
    "tasks --state odd",
    "status 5",
    "status --watch 0",
    "drain --all w1",
    "cancel --mine 4",
    "map",
    "map :::",
    "add-worker --memory much",
    "submit --export PAREXEC_TEST_UNSET true",
    "submit --env some true",
    "submit --after afterok: true",
    "submit --after afterok:x true",
    "submit --after sometimes:1 true",
    "submit --begin 25:00 true",
    "submit --begin 08:00 --delay 1s true",
    "submit --retries 4294967296 true",
    "submit --backoff 1s,5s,0 true",
    "submit --backoff 1s,5s,nan true",
    "submit --on exit=300:retry true",
    "submit --on exit:dance true",
    "submit --timeout 0% true",
    "submit --signal NONE true",
    "submit --warn USR1 true",
    "submit --grace 2d true",
    "submit --output-max 1 true",
    "submit --credential x true",
    "submit --credential ../x=/y true",
    "submit --max-fails 0 true",
    "submit --halt now true",
    "submit --halt later,fail=1 true",
    "submit --array 0-9%0 true",
    "submit --from-json x true",
    "submit --dry-run true",
    "submit --joblog x true",
    "map --resume echo ::: a",
    "map --delay x echo ::: a",
    "hold",
    "retry --batch 1 4",
    "priority",
    "priority high 1",
    "edit 1",
    "edit --priority x 1",
    "why",
    "queue dance",
    "queue add",
    "queue list x",
    "queue set x",
    "add-worker --exec true",
    "add-worker --worker-class x",
    "add-worker --exec \"x --worker-class x",
    "map --cpus 0 echo ::: a",
    "map echo {%} ::: a",
    "map -j 2 --timeout 200% echo ::: a",
    "map echo :::+ a",
    "map echo ::::",
    "map echo :::: ::: a",
    "wait --json --tag",
    "logs --attempt 0 1",
    "add-worker --env X=Y --env Z",
    "add-worker --count none",
    "add-worker --count 0",
    "add-worker --count all --force",
    "add-worker --gpus few",
    "add-worker --gpus 0?",
    "add-worker --resource a=b",
    "add-worker --memory auto",
    "run --retries 1 true",
    "run --backoff 1s true",
    "run --retry-memory 2x true",
    "submit --cpus 0 true",
    "submit --tasks-max 0 true",
    "submit --io-weight 10001 true",
    "submit --memory some true",
    "submit --retry-memory 0.5x true",
    "submit --retry-memory 2G,1G true",
    "submit --retry-memory 2x true",
    "submit --memory infinity --retry-memory 2x true",
    "submit --memory 64M --retry-memory 32M,64M true",
    "map --retry-memory 2x true ::: a",
    "map --workers 1 --memory 64M --retry-memory 2x true ::: a",
    "submit --gpus ? true",
    "submit --resource a=1 --resource a=2 true",
    "set w1",
    "set memory=1G cpu=1",
    "set w1 memory",
    "set w1 memory=",
    "set w1 memory=much",
    "set w1 slots=2",
    "set w1 memory=64M memory=65M",
    "set w1 memory=1M",
    "set w1 cpu=0.5%",
    "set w1 cpu-weight=0",
    "set 17 memory-high=1G",
    "freeze",
    "freeze w1x",
    "thaw --reclaim w1",
    "scale many",
    "scale -1",
    "scale 4294967295",
    "scale 1 2",
    "profile a b",
};

static void test_usage_errors(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(wrong_lines); i++) {
        g_autofree char *out = NULL, *err = NULL;
        g_test_message("%s", wrong_lines[i]);
        int code = run(wrong_lines[i], &out, &err);
        /* what needs the bus before it looks at its arguments ends with 5 */
        g_assert_cmpint(code, ==, 2);
        g_assert_cmpstr(out, ==, "");
        g_assert_true(g_str_has_prefix(err, "parctl: "));
    }
}

/* What was typed is named as it was typed. */
static void test_words(void)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
        { "set w1 memory=64M cpu=1 memory=65M", "parctl: memory stands twice\n" },
        { "set w1 memory=1M", "parctl: memory takes a size from 8M such as 6G or 512M, or infinity, not \"1M\"\n" },
        { "set 17 cpu=0.5%",
          "parctl: cpu takes a number of CPUs from 0.01 such as 2, 0.5 or 50%, or infinity, not \"0.5%\"\n" },
        { "submit --memory 64M --retry-memory 32M,64M true",
          "parctl: retry-memory goes up to 64.0M, no more than the task's limit of memory, which is 64.0M: it would "
          "change nothing\n" },
        { "--user dance", "parctl: there is no verb \"dance\"\n  To see the verbs: parctl --user --help\n" },
        { "dance", "parctl: there is no verb \"dance\"\n  To see the verbs: parctl --help\n" },
        { "set --user", "parctl: set needs more arguments: parctl --user set WORKER" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *err = NULL;
        g_test_message("%s", cases[i].line);
        g_assert_cmpint(run(cases[i].line, NULL, &err), ==, 2);
        if (!g_str_has_prefix(err, cases[i].said))
            g_assert_cmpstr(err, ==, cases[i].said);
    }
}

static void test_no_bus(void)
{
    static const char *const lines[] = {
        "",
        "status",
        "workers",
        "add-worker",
        "drain w1",
        "submit true",
        "run true",
        "map echo ::: a",
        "tasks",
        "show 1",
        "logs 1",
        "wait",
        "cancel 1",
        "events",
        "enable",
        "status --json",
        "--user status",
        "hold 1",
        "release 1",
        "retry 1",
        "priority 1 1",
        "edit 1 -- x",
        "why 1",
        "queue",
        "queue add x",
        "submit --after afterok:1 true",
        "map echo ::: a ::: b",
        "set w1 memory=1G",
        "set 17 cpu=50%",
        "freeze w1",
        "thaw 17",
        "scale",
        "scale 2",
        "scale off",
        "scale auto",
        "profile",
        "profile none",
        "stats",
        "topology",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *out = NULL, *err = NULL;
        g_test_message("%s", lines[i]);
        g_assert_cmpint(run(lines[i], &out, &err), ==, 5);
        g_assert_nonnull(strstr(err, "D-Bus"));
    }
}

static void test_empty_file(void)
{
    g_autofree char *err = NULL;

    g_assert_cmpint(run("submit --each-line /dev/null -- echo {}", NULL, &err), ==, 1);
    g_assert_nonnull(strstr(err, "has no lines: nothing submitted"));
}

int main(int argc, char **argv)
{
    (void) setlocale(LC_ALL, "C.UTF-8");
    g_test_init(&argc, &argv, NULL);
    if (!g_getenv("PARCTL"))
        return 77;
    g_test_add_func("/parctl-usage/help", test_help);
    g_test_add_func("/parctl-usage/version", test_version);
    g_test_add_func("/parctl-usage/usage-errors", test_usage_errors);
    g_test_add_func("/parctl-usage/words", test_words);
    g_test_add_func("/parctl-usage/no-bus", test_no_bus);
    g_test_add_func("/parctl-usage/empty-file", test_empty_file);
    return g_test_run();
}
