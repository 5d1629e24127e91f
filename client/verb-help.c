/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The help texts, laid out in 80 columns from the tables of the verbs. */

#include <string.h>

#include "client/output.h"
#include "client/text.h"
#include "client/verb.h"

#define HELP_COLUMNS 80
#define OPTION_COLUMN 28

static const VerbOption common_help[] = {
    { .name = "json", .help = N_("print JSON") },
    { .name = "quiet", .letter = 'q', .help = N_("print ids alone, and no remarks") },
    { .name = "user", .help = N_("talk to parexecd on the session bus") },
    { .name = "color", .argument = N_("WHEN"), .help = N_("colors: auto, always or never") },
    { .name = "no-ask", .help = N_("ask neither questions nor for a password") },
    { .name = "help", .letter = 'h', .help = N_("show this") },
    { .name = "version", .help = N_("show the version") },
    {},
};

/* "  LEFT   TEXT", the text wrapped in a column of its own. */
static void print_entry(const char *left, const char *text, unsigned column)
{
    g_autofree char *wrapped = text_wrap(text, HELP_COLUMNS, column);
    unsigned width = text_width(left);

    if (width + 4 > column)
        printf("  %s\n%*s%s\n", left, (int) column, "", wrapped);
    else
        printf("  %s%*s%s\n", left, (int) (column - width - 2), "", wrapped);
}

static void print_option(const VerbOption *option)
{
    g_autofree char *left = NULL;
    const char *space = option->argument ? " " : "";
    const char *argument = option->argument ? _(option->argument) : "";

    if (option->letter)
        left = g_strdup_printf("-%c, --%s%s%s", option->letter, option->name, space, argument);
    else
        left = g_strdup_printf("    --%s%s%s", option->name, space, argument);
    print_entry(left, _(option->help), OPTION_COLUMN);
}

static void print_options(const char *title, const VerbOption *options)
{
    printf("\n%s%s%s\n", color_begin(COLOR_BOLD), title, color_end(COLOR_BOLD));
    for (; options->name; options++)
        print_option(options);
}

static void print_paragraphs(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (size_t i = 0; lines[i]; i++) {
        g_autofree char *wrapped = text_wrap(lines[i], HELP_COLUMNS, 0);
        printf("%s\n", wrapped);
    }
}

static void print_examples(const char *const *examples)
{
    printf("\n%s%s%s\n", color_begin(COLOR_BOLD), _("Examples:"), color_end(COLOR_BOLD));
    for (size_t i = 0; examples[i]; i += 2) {
        g_autofree char *what = text_wrap(_(examples[i + 1]), HELP_COLUMNS, 6);
        printf("  %s\n      %s\n", examples[i], what);
    }
}

void verb_help(const Verb *verb)
{
    const char *arguments = *verb->arguments ? _(verb->arguments) : "";
    g_autofree char *usage =
        g_strdup_printf("parctl %s %s%s%s", verb->name, _("[OPTIONS]"), *arguments ? " " : "", arguments);
    g_autofree char *wrapped = text_wrap(usage, HELP_COLUMNS, (unsigned) text_width(_("Usage:")) + 1);

    printf("%s %s\n\n", _("Usage:"), wrapped);
    print_paragraphs(_(verb->summary));
    if (verb->details) {
        printf("\n");
        print_paragraphs(_(verb->details));
    }
    if (verb->options)
        print_options(_("Options:"), verb->options);
    print_options(_("Options of all verbs:"), common_help);
    if (verb->examples)
        print_examples(verb->examples);
}

void verb_help_all(void)
{
    printf("%s parctl %s\n\n", _("Usage:"), _("[OPTIONS] [VERB [OPTIONS] [ARGUMENTS]]"));
    print_paragraphs(
        _("Runs commands on this machine within limits: workers take tasks from a queue that lasts. "
          "Without a verb: shows the status."));
    printf("\n%s%s%s\n", color_begin(COLOR_BOLD), _("Verbs:"), color_end(COLOR_BOLD));
    for (const Verb *const *verb = verb_list(); *verb; verb++)
        print_entry((*verb)->name, _((*verb)->summary), 16);
    print_options(_("Options:"), common_help);
    printf("\n");
    print_paragraphs(_("To read more: parctl help VERB, and the manual page parctl(1)."));
}
