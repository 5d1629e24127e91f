/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/client.h"

/* A verb of parctl: one file defines it, parctl.c lists it. Its options are a table; their values go into
 * a struct of the verb, all zero before the command line is read. */

typedef enum OptionKind {
    OPTION_FLAG,    /* bool: set */
    OPTION_UNFLAG,  /* bool: cleared again; for --no-… */
    OPTION_STRING,  /* const char *, into argv */
    OPTION_STRINGS, /* GPtrArray * of const char *, into argv: may be given several times */
    OPTION_BYTES,   /* Given: "8G" */
    OPTION_MEMORY,  /* Given: the same, or "auto": .automatic, and the value is UINT64_MAX */
    OPTION_CPUS,    /* Given: "0.5", "50%", as microseconds per second */
    OPTION_UINT,    /* Given: a number from 1 to 2^32-1 */
    OPTION_NUMBER,  /* Given: a number, 0 too */
    OPTION_INT,     /* Given: a signed 32-bit number in .number */
} OptionKind;

/* A quantity that may be left out. */
typedef struct Given {
    bool given, automatic;
    uint64_t value;
    int32_t number;
} Given;

typedef struct VerbOption {
    const char *name; /* "memory"; NULL ends the table */
    char letter;      /* 0: none */
    OptionKind kind;
    size_t offset;        /* in the verb's struct */
    const char *argument; /* what it takes, for the help; NULL: nothing */
    const char *help;     /* marked with N_() */
} VerbOption;

typedef struct Verb {
    const char *name;
    const char *arguments;     /* for the usage line, marked with N_(); may be "" */
    int min, max;              /* how many arguments; max < 0: any number */
    bool takes_command;        /* the first argument that is no option ends the options */
    const VerbOption *options; /* NULL: none but the common ones */
    size_t settings_size;      /* of the verb's struct */
    /* Ends with an exit code, or a negative errno after it was reported. argv holds the arguments and a
     * NULL. */
    int (*run)(Client *client, const void *settings, char **argv);
    const char *summary;         /* one line, N_() */
    const char *details;         /* paragraphs below the usage, separated by newlines; N_(); NULL: none */
    const char *const *examples; /* "command", N_("what it does"), …, NULL */
} Verb;

#define VERB_OPTION(name_, letter_, kind_, Settings, member, argument_, help_)                               \
    {                                                                                                        \
        .name = name_, .letter = letter_, .kind = kind_, .offset = offsetof(Settings, member),               \
        .argument = argument_, .help = help_                                                                 \
    }

extern const Verb verb_abort, verb_add_worker, verb_cancel, verb_disable, verb_drain, verb_enable, verb_edit,
    verb_events, verb_freeze, verb_hold, verb_logs, verb_map, verb_priority, verb_profile, verb_queue,
    verb_release, verb_retry, verb_run, verb_scale, verb_set, verb_show, verb_stats, verb_status, verb_submit,
    verb_tasks, verb_thaw, verb_topology, verb_wait, verb_why, verb_workers;

const Verb *const *verb_list(void); /* closed by NULL */
const Verb *verb_find(const char *name);

/* Prints what "parctl help" and "parctl help VERB" say. */
void verb_help_all(void);
void verb_help(const Verb *verb);

/* What the options that every verb takes have asked for instead of its work. */
typedef struct CommonOptions {
    bool help, version;
    int color; /* ColorMode */
} CommonOptions;

/* Reads the options in front of the verb (verb is NULL), or those after it. Returns the index of the first
 * argument that is none; negative errno after it was reported. For verbs that take a command, reading
 * stops at its first word. */
int verb_parse_options(Client *client, const Verb *verb, int argc, char **argv, CommonOptions *common,
                       void *settings);
void verb_free_settings(const Verb *verb, void *settings);
