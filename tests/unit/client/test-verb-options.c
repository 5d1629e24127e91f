/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines. */

#include "client/verb.h"

#include <string.h>

typedef struct Settings {
    bool flag;
    const char *text;
    GPtrArray *many;
    Given bytes, cpus, count, number, priority;
} Settings;

static const VerbOption options[] = {
    VERB_OPTION("flag", 'f', OPTION_FLAG, Settings, flag, NULL, "x"),
    VERB_OPTION("text", 't', OPTION_STRING, Settings, text, "T", "x"),
    VERB_OPTION("many", 0, OPTION_STRINGS, Settings, many, "M", "x"),
    VERB_OPTION("bytes", 'b', OPTION_BYTES, Settings, bytes, "B", "x"),
    VERB_OPTION("cpus", 0, OPTION_CPUS, Settings, cpus, "C", "x"),
    VERB_OPTION("count", 0, OPTION_UINT, Settings, count, "N", "x"),
    VERB_OPTION("number", 0, OPTION_NUMBER, Settings, number, "N", "x"),
    VERB_OPTION("priority", 'p', OPTION_INT, Settings, priority, "N", "x"),
    {},
};

static const Verb command_verb = { .name = "run",
                                   .arguments = "",
                                   .max = -1,
                                   .takes_command = true,
                                   .options = options,
                                   .settings_size = sizeof(Settings) };
static const Verb list_verb = {
    .name = "show", .arguments = "", .max = -1, .options = options, .settings_size = sizeof(Settings)
};

typedef struct Line {
    Client client;
    CommonOptions common;
    Settings *settings;
    char **argv;
    int first;
} Line;

static void line_parse(Line *line, const Verb *verb, const char *text)
{
    *line = (Line){ .settings = g_new0(Settings, 1), .argv = g_strsplit(text, " ", -1) };
    line->first = verb_parse_options(&line->client, verb, (int) g_strv_length(line->argv), line->argv,
                                     &line->common, line->settings);
}

static void line_done(Line *line)
{
    verb_free_settings(&list_verb, line->settings);
    g_strfreev(line->argv);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Line, line_done)

/* The command begins at the first word that is no option, whatever follows. */
static void test_command(void)
{
    g_auto(Line) plain, dashes, options_of_its_own;

    line_parse(&plain, &command_verb, "run -f ls -l --text x");
    g_assert_cmpint(plain.first, ==, 2);
    g_assert_true(plain.settings->flag);
    g_assert_null(plain.settings->text);
    line_parse(&dashes, &command_verb, "run -- -f");
    g_assert_cmpint(dashes.first, ==, 2);
    g_assert_false(dashes.settings->flag);
    line_parse(&options_of_its_own, &command_verb, "run sh -q --json");
    g_assert_false(options_of_its_own.client.quiet);
    g_assert_false(options_of_its_own.client.json);
}

static void test_anywhere(void)
{
    g_auto(Line) line;

    line_parse(&line, &list_verb, "show 17 -q 18 --json");
    g_assert_true(line.client.quiet);
    g_assert_true(line.client.json);
    g_assert_cmpint(line.first, ==, 3);
    g_assert_cmpstr(line.argv[3], ==, "17");
    g_assert_cmpstr(line.argv[4], ==, "18");
}

static void test_values(void)
{
    g_auto(Line) line;

    line_parse(
        &line, &list_verb,
        "show --text=a --many x --many=y -b 1.5G --cpus 50% --count 3 --number 0 -p -5 --color never "
        "--user --no-ask");
    g_assert_cmpint(line.first, >=, 0);
    g_assert_cmpstr(line.settings->text, ==, "a");
    g_assert_cmpuint(line.settings->many->len, ==, 2);
    g_assert_cmpstr(line.settings->many->pdata[1], ==, "y");
    g_assert_true(line.settings->bytes.given);
    g_assert_cmpuint(line.settings->bytes.value, ==, UINT64_C(3) << 29);
    g_assert_cmpuint(line.settings->cpus.value, ==, 500000);
    g_assert_cmpuint(line.settings->count.value, ==, 3);
    g_assert_true(line.settings->number.given);
    g_assert_cmpint(line.settings->priority.number, ==, -5);
    g_assert_true(line.client.user);
    g_assert_true(line.client.no_ask);
}

static void test_refused(void)
{
    static const char *const lines[] = {
        "show --nonsense",
        "show -z",
        "show --text",
        "show --flag=1",
        "show --bytes 12Q",
        "show --count 0",
        "show --count -1",
        "show --count 4294967296",
        "show --priority 2147483648",
        "show --priority x",
        "show --color blue",
        "show --cpus fast",
        "show --number 1.5",
    };

    if (g_test_subprocess()) {
        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
            g_auto(Line) line;
            line_parse(&line, &list_verb, lines[i]);
            g_test_message("%s", lines[i]);
            g_assert_cmpint(line.first, <, 0);
            g_assert_cmpint(line.client.failure, ==, PARCTL_USAGE);
        }
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/verb-options/command", test_command);
    g_test_add_func("/verb-options/anywhere", test_anywhere);
    g_test_add_func("/verb-options/values", test_values);
    g_test_add_func("/verb-options/refused", test_refused);
    return g_test_run();
}
