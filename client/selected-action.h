/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/task-list.h"
#include "client/verb.h"

/* What is done to tasks that are selected: Cancel, Hold, Release, Retry and Edit. */

typedef struct ActionOptions {
    Given batch;
    const char *name, *tag;
    GPtrArray *states;
    bool mine;
} ActionOptions;

#define ACTION_OPTIONS(Settings, m)                                                                          \
    VERB_OPTION("batch", 'b', OPTION_NUMBER, Settings, m.batch, N_("N"), N_("the tasks of this batch")),     \
        VERB_OPTION("name", 'n', OPTION_STRING, Settings, m.name, N_("NAME"), N_("the tasks of this name")), \
        VERB_OPTION("tag", 't', OPTION_STRING, Settings, m.tag, N_("TAG"), N_("the tasks with this tag")),   \
        VERB_OPTION("state", 's', OPTION_STRINGS, Settings, m.states, N_("STATE"),                           \
                    N_("of them, only those in this state")),                                                \
        VERB_OPTION("mine", 'm', OPTION_FLAG, Settings, m.mine, NULL,                                        \
                    N_("one's own, all of them; with the above: only one's own"))

typedef struct TaskAction {
    const char *method;
    uint32_t states; /* of what is not named one by one, unless --state is given; 0: any */
    int (*append)(sd_bus_message *m, const void *changes); /* what follows the filter; NULL: nothing */
    const void *changes;
    const char *json_key; /* of the count */
} TaskAction;

/* Does it to what the arguments, or else the options, select. *ret_count: how many tasks were changed.
 * Reports. */
int task_action_run(Client *client, const TaskAction *action, const ActionOptions *options, char **argv,
                    uint64_t *ret_count);

/* Its steps, for who asks in between: do the options select anything; the filter that they are; one call with a
 * filter, and the calls for arguments (states: of them only those in these; 0: any), both adding to *count. They
 * report. */
bool task_action_is_filtered(const ActionOptions *options);
int task_action_filter(Client *client, const ActionOptions *options, uint32_t states, TaskFilter **ret);
int task_action_call(Client *client, const TaskAction *action, const TaskFilter *filter, uint64_t *count);
int task_action_run_selected(Client *client, const TaskAction *action, uint32_t states, char **argv,
                             uint64_t *count);

/* With --json the count as an object; nothing with --quiet; else the text, which ends with a newline. */
void task_action_print(const Client *client, const TaskAction *action, uint64_t count, const char *text);
