/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The methods of org.parexec.Worker.Runner1: each reads its message and hands it to the runner. Stateless. A message that
 * makes no sense is ignored; the daemon is no stranger. */
#include "worker/runner-methods.h"

#include "dbus/parexec-dbus.h"
#include "util/log.h"
#include "worker/runner-message.h"

static int runner_method_run(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    RunnerMethods *methods = userdata;
    g_auto(RunOrder) order = { 0 };
    g_autofree char *why = NULL;

    if (runner_message_read_run(message, &order, &why) < 0) {
        log_error("The daemon sent a message that makes no sense, ignoring: %s", why);
        return 1;
    }
    for (guint i = 0; i < order.contexts->len; i++)
        runner_add_context(methods->runner, order.contexts->pdata[i]);
    g_ptr_array_set_free_func(order.tasks, NULL);
    for (guint i = 0; i < order.tasks->len; i++)
        runner_add(methods->runner, order.tasks->pdata[i]);
    runner_dispatch(methods->runner);
    return 1;
}

static int read_ids(sd_bus_message *message, const uint64_t **ret_ids, size_t *ret_n)
{
    const void *data;
    size_t size;
    int r;

    r = sd_bus_message_read_array(message, 't', &data, &size);
    if (r < 0)
        return log_error_errno(r, "The daemon sent a message that makes no sense, ignoring: %m");
    *ret_ids = data;
    *ret_n = size / sizeof **ret_ids;
    return 0;
}

static int runner_method_recall(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    RunnerMethods *methods = userdata;
    g_autoptr(sd_bus_message) reply = NULL;
    g_autoptr(GArray) given_back = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    const uint64_t *ids = NULL;
    size_t n = 0;
    int r;

    r = read_ids(message, &ids, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        if (runner_recall(methods->runner, ids[i]))
            g_array_append_val(given_back, ids[i]);
    r = sd_bus_message_new_method_return(message, &reply);
    if (r < 0)
        return r;
    r = sd_bus_message_append_array(reply, 't', given_back->data, given_back->len * sizeof(uint64_t));
    if (r < 0)
        return r;
    r = sd_bus_send(NULL, reply, NULL);
    runner_dispatch(methods->runner);
    return r < 0 ? r : 1;
}

static int runner_method_stop(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    RunnerMethods *methods = userdata;
    const uint64_t *ids = NULL;
    const char *word;
    size_t n = 0;
    int outcome;

    if (read_ids(message, &ids, &n) < 0 || sd_bus_message_read(message, "s", &word) < 0)
        return 1;
    outcome = outcome_from_string(word);
    if (outcome != OUTCOME_ABORTED && outcome != OUTCOME_TIMEOUT) {
        log_error("The daemon wants tasks stopped as '%s', ignoring.", word);
        return 1;
    }
    for (size_t i = 0; i < n; i++)
        runner_stop_task(methods->runner, ids[i], (Outcome) outcome);
    return 1;
}

static int runner_method_limit(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    RunnerMethods *methods = userdata;
    g_autofree char *why = NULL;
    LimitOrder order;
    int r = runner_message_read_limit(message, &order);

    if (r < 0)
        return log_error_errno(r, "The daemon sent limits that make no sense, ignoring: %m");
    why = runner_limit(methods->runner, &order);
    return sd_bus_reply_method_return(message, "s", why ? why : "");
}

static int runner_method_freeze(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    RunnerMethods *methods = userdata;
    g_autoptr(sd_bus_message) reply = NULL;
    const uint64_t *ids = NULL;
    size_t n = 0;
    int r, frozen, reclaim;

    r = read_ids(message, &ids, &n);
    if (r >= 0)
        r = sd_bus_message_read(message, "bb", &frozen, &reclaim);
    if (r >= 0)
        r = sd_bus_message_new_method_return(message, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ts)");
    for (size_t i = 0; r >= 0 && i < n; i++) {
        const char *why = runner_freeze(methods->runner, ids[i], frozen != 0, reclaim != 0);
        if (why)
            r = sd_bus_message_append(reply, "(ts)", ids[i], why);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r >= 0)
        r = sd_bus_send(NULL, reply, NULL);
    return r < 0 ? r : 1;
}

static int runner_method_exit(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    RunnerMethods *methods = userdata;

    methods->exit(methods->userdata);
    return 1;
}

static const sd_bus_vtable runner_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("Run",
                            SD_BUS_ARGS("a" PAREXEC_LINK_CONTEXT, contexts, "a" PAREXEC_LINK_TASK, tasks,
                                        "a" PAREXEC_LINK_TASK_FD, fds),
                            SD_BUS_NO_RESULT, runner_method_run,
                            SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_METHOD_WITH_ARGS("Recall", SD_BUS_ARGS("at", tasks), SD_BUS_RESULT("at", given_back),
                            runner_method_recall, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Stop", SD_BUS_ARGS("at", tasks, "s", outcome), SD_BUS_NO_RESULT,
                            runner_method_stop,
                            SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_METHOD_WITH_ARGS("Limit", SD_BUS_ARGS("t", task, "a{sv}", limits), SD_BUS_RESULT("s", why),
                            runner_method_limit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Freeze", SD_BUS_ARGS("at", tasks, "b", frozen, "b", reclaim),
                            SD_BUS_RESULT("a(ts)", failed), runner_method_freeze, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Exit", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, runner_method_exit,
                            SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_METHOD_NO_REPLY),
    SD_BUS_VTABLE_END,
};

int runner_methods_add(sd_bus *bus, RunnerMethods *methods)
{
    return sd_bus_add_object_vtable(bus, NULL, PAREXEC_LINK_PATH, PAREXEC_RUNNER_INTERFACE, runner_vtable, methods);
}
