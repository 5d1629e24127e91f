/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines by tables: the options of all verbs and those of one are read by getopt_long(3), values go
 * to the verb's struct by offset. Reading stops at the first argument that is no option, so that "parctl
 * run ls -l" works; the verbs that take ids and names allow options behind them, too. */

#include <getopt.h>
#include <string.h>

#include "client/output.h"
#include "client/verb.h"
#include "util/parse-util.h"

#define OPTIONS_MAX 64
#define FIRST_VERB_OPTION 1000 /* getopt's values: 1000 + the index in the verb's table */

enum {
    COMMON_USER = 256,
    COMMON_JSON,
    COMMON_VERSION,
    COMMON_COLOR,
    COMMON_NO_ASK,
};

static const struct option common_options[] = {
    { "help", no_argument, NULL, 'h' },
    { "quiet", no_argument, NULL, 'q' },
    { "user", no_argument, NULL, COMMON_USER },
    { "json", no_argument, NULL, COMMON_JSON },
    { "version", no_argument, NULL, COMMON_VERSION },
    { "color", required_argument, NULL, COMMON_COLOR },
    { "no-ask", no_argument, NULL, COMMON_NO_ASK },
};

static int parse_color(Client *client, const char *value, int *ret)
{
    static const char *const words[] = {
        [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"
    };

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (strcmp(words[i], value) == 0) {
            *ret = (int) i;
            return 0;
        }
    return output_usage_error(client, _("--color takes auto, always or never, not \"%s\""), value);
}

static int common_option(Client *client, int which, const char *value, CommonOptions *common)
{
    switch (which) {
    case 'h':
        common->help = true;
        return 0;
    case 'q':
        client->quiet = true;
        return 0;
    case COMMON_USER:
        client->user = true;
        output_set_user(true);
        return 0;
    case COMMON_JSON:
        client->json = true;
        return 0;
    case COMMON_VERSION:
        common->version = true;
        return 0;
    case COMMON_NO_ASK:
        client->no_ask = true;
        return 0;
    case COMMON_COLOR:
        return parse_color(client, value, &common->color);
    }
    return -EINVAL;
}

static int parse_int32(const char *value, int32_t *ret)
{
    uint64_t magnitude;
    bool negative = *value == '-';
    int r = parse_uint64(value + negative, &magnitude);

    if (r < 0)
        return r;
    if (magnitude > (uint64_t) INT32_MAX)
        return -ERANGE;
    *ret = negative ? -(int32_t) magnitude : (int32_t) magnitude;
    return 0;
}

static int parse_count(const char *value, uint64_t *ret)
{
    uint64_t count;
    int r = parse_uint64(value, &count);

    if (r < 0)
        return r;
    if (count == 0 || count > UINT32_MAX)
        return -ERANGE;
    *ret = count;
    return 0;
}

static int parse_memory(const char *value, Given *given)
{
    given->automatic = strcmp(value, "auto") == 0;
    if (!given->automatic)
        return parse_bytes(value, &given->value);
    given->value = UINT64_MAX;
    return 0;
}

static int parse_given(OptionKind kind, const char *value, Given *given)
{
    given->given = true;
    switch (kind) {
    case OPTION_BYTES:
        return parse_bytes(value, &given->value);
    case OPTION_MEMORY:
        return parse_memory(value, given);
    case OPTION_CPUS:
        return parse_cpus(value, &given->value);
    case OPTION_UINT:
        return parse_count(value, &given->value);
    case OPTION_NUMBER:
        return parse_uint64(value, &given->value);
    case OPTION_INT:
        return parse_int32(value, &given->number);
    case OPTION_FLAG:
    case OPTION_UNFLAG:
    case OPTION_STRING:
    case OPTION_STRINGS:
        break;
    }
    return -EINVAL;
}

static const char *quantity_form(OptionKind kind)
{
    switch (kind) {
    case OPTION_BYTES:
        return _("a size such as 512M, 2G or 1.5G");
    case OPTION_MEMORY:
        return _("a size such as 512M, 2G or 1.5G, or auto");
    case OPTION_CPUS:
        return _("a number of CPUs such as 2, 0.5 or 50%");
    case OPTION_UINT:
        return _("a number from 1 to 4294967295");
    case OPTION_INT:
        return _("a number from -2147483647 to 2147483647");
    case OPTION_NUMBER:
    case OPTION_FLAG:
    case OPTION_UNFLAG:
    case OPTION_STRING:
    case OPTION_STRINGS:
        break;
    }
    return _("a number");
}

static int verb_option(Client *client, const VerbOption *option, char *value, void *settings)
{
    void *field = (char *) settings + option->offset;

    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *) field = true;
        return 0;
    case OPTION_UNFLAG:
        *(bool *) field = false;
        return 0;
    case OPTION_STRING:
        *(const char **) field = value;
        return 0;
    case OPTION_STRINGS:
        if (!*(GPtrArray **) field)
            *(GPtrArray **) field = g_ptr_array_new();
        g_ptr_array_add(*(GPtrArray **) field, value);
        return 0;
    case OPTION_BYTES:
    case OPTION_MEMORY:
    case OPTION_CPUS:
    case OPTION_UINT:
    case OPTION_NUMBER:
    case OPTION_INT:
        break;
    }
    if (parse_given(option->kind, value, field) < 0)
        return output_usage_error(client, _("--%s takes %s, not \"%s\""), option->name,
                                  quantity_form(option->kind), value);
    return 0;
}

/* The tables of getopt: both lists of options in one. */
typedef struct OptionTable {
    struct option longs[OPTIONS_MAX];
    char shorts[2 * OPTIONS_MAX + 4];
} OptionTable;

static void option_table_fill(OptionTable *table, const Verb *verb)
{
    size_t n = G_N_ELEMENTS(common_options), used;

    *table = (OptionTable){};
    memcpy(table->longs, common_options, sizeof common_options);
    /* "+": stop at the first other argument; ":": tell a missing value from an unknown option */
    used = g_strlcpy(table->shorts, !verb || verb->takes_command ? "+:hq" : ":hq", sizeof table->shorts);
    for (size_t i = 0; verb && verb->options && verb->options[i].name; i++) {
        const VerbOption *option = &verb->options[i];
        int value = option->letter ? option->letter : FIRST_VERB_OPTION + (int) i;
        g_assert(n + 1 < OPTIONS_MAX);
        table->longs[n++] =
            (struct option){ option->name, option->argument ? required_argument : no_argument, NULL, value };
        if (option->letter) {
            table->shorts[used++] = option->letter;
            if (option->argument)
                table->shorts[used++] = ':';
        }
    }
}

static const VerbOption *verb_option_find(const Verb *verb, int value)
{
    for (size_t i = 0; verb && verb->options && verb->options[i].name; i++)
        if (value == verb->options[i].letter || value == FIRST_VERB_OPTION + (int) i)
            return &verb->options[i];
    return NULL;
}

static int report_bad_option(Client *client, const Verb *verb, int what, char **argv)
{
    const char *word = argv[optind - 1];
    int r;

    if (what == ':')
        r = output_usage_error(client, _("%s needs a value"), word);
    else if (optopt > 0 && strncmp(word, "--", 2) == 0) /* known, but written as --option=value */
        r = output_usage_error(client, _("%.*s takes no value"), (int) strcspn(word, "="), word);
    else if (optopt > 0)
        r = output_usage_error(client, _("there is no option -%c"), optopt);
    else
        r = output_usage_error(client, _("there is no option %s, or several begin like this"), word);
    if (verb)
        output_hint(_("To see the options: parctl %s --help"), verb->name);
    else
        output_hint(_("To see the options: parctl --help"));
    return r;
}

int verb_parse_options(Client *client, const Verb *verb, int argc, char **argv, CommonOptions *common,
                       void *settings)
{
    OptionTable table;
    int c, r;

    option_table_fill(&table, verb);
    optind = 0; /* glibc: begin anew, and look at the first character of shorts again */
    opterr = 0;
    while ((c = getopt_long(argc, argv, table.shorts, table.longs, NULL)) >= 0) {
        const VerbOption *option = verb_option_find(verb, c);
        if (c == '?' || c == ':')
            return report_bad_option(client, verb, c, argv);
        r = option ? verb_option(client, option, optarg, settings) : common_option(client, c, optarg, common);
        if (r < 0)
            return r;
    }
    return optind;
}

void verb_free_settings(const Verb *verb, void *settings)
{
    for (size_t i = 0; verb->options && verb->options[i].name; i++)
        if (verb->options[i].kind == OPTION_STRINGS)
            g_clear_pointer((GPtrArray **) ((char *) settings + verb->options[i].offset), g_ptr_array_unref);
    g_free(settings);
}
