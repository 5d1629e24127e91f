/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What workers are told. Nothing waits: what has an answer is a question that lives until the answer, or until its connection
 * goes. */
#include "dbus/parexec-dbus.h"
#include "link/link-internal.h"
#include "link/link-message.h"
#include "util/log.h"
#include "util/sd-bus-util.h"

static int call_new(Link *link, uint32_t worker, const char *member, Connection **ret_connection,
                    sd_bus_message **ret)
{
    Connection *connection = link_find_connection(link, worker);

    if (!connection)
        return -ENOTCONN;
    *ret_connection = connection;
    return sd_bus_message_new_method_call(connection->bus, ret, NULL, PAREXEC_LINK_PATH,
                                          PAREXEC_RUNNER_INTERFACE, member);
}

/* A message that does not get out means that the connection is gone: the worker comes back, and tells what it holds. */
static void sent(Connection *connection, int r, const char *member)
{
    if (r >= 0 || r == -ENOTCONN)
        return;
    log_warning_errno(r, "Cannot send %s to a worker, dropping the connection: %m", member);
    connection_drop(connection);
}

/* A call that begins with tasks. */
static int call_about(Link *link, uint32_t worker, const char *member, const uint64_t *tasks, size_t n,
                      Connection **ret_connection, sd_bus_message **ret)
{
    int r = call_new(link, worker, member, ret_connection, ret);

    return r < 0 ? r : sd_bus_message_append_array(*ret, 't', tasks, n * sizeof *tasks);
}

/* r: how filling the message went. */
static int send_call(Connection *connection, sd_bus_message *m, int r, const char *member)
{
    if (r >= 0)
        r = sd_bus_message_set_expect_reply(m, 0);
    if (r >= 0)
        r = sd_bus_send(connection->bus, m, NULL);
    if (connection)
        sent(connection, r, member);
    return r;
}

static int send_run(Link *link, uint32_t worker, TaskSpec *const *tasks, size_t n)
{
    g_autoptr(sd_bus_message) m = NULL;
    Connection *connection = NULL;
    int r = call_new(link, worker, "Run", &connection, &m);

    if (r >= 0)
        r = link_append_run(m, tasks, n);
    return send_call(connection, m, r, "Run");
}

static void link_run(LinkPort *port, uint32_t worker, TaskSpec *const *tasks, size_t n)
{
    size_t portion;

    for (int r = 0; r >= 0 && n > 0; tasks += portion, n -= portion) {
        portion = link_run_portion(tasks, n);
        r = send_run((Link *) port, worker, tasks, portion);
    }
}

static int on_given_back(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Connection *connection = userdata;
    const void *ids;
    size_t size;

    if (sd_bus_message_is_method_error(m, NULL) || connection->worker == 0)
        return 0;
    Worker *worker = manager_find_worker(connection->link->manager, connection->worker);
    if (worker && sd_bus_message_read_array(m, 't', &ids, &size) >= 0)
        manager_tasks_given_back(connection->link->manager, worker, ids, size / sizeof(uint64_t));
    return 0;
}

static void link_recall(LinkPort *port, uint32_t worker, const uint64_t *tasks, size_t n)
{
    g_autoptr(sd_bus_message) m = NULL;
    Connection *connection = NULL;
    int r = call_about((Link *) port, worker, "Recall", tasks, n, &connection, &m);

    if (r >= 0)
        r = sd_bus_call_async(connection->bus, NULL, m, on_given_back, connection, UINT64_MAX);
    if (connection)
        sent(connection, r, "Recall");
}

static void link_stop(LinkPort *port, uint32_t worker, const uint64_t *tasks, size_t n, Outcome outcome)
{
    g_autoptr(sd_bus_message) m = NULL;
    Connection *connection = NULL;
    int r = call_about((Link *) port, worker, "Stop", tasks, n, &connection, &m);

    if (r >= 0)
        r = sd_bus_message_append(m, "s", outcome_to_string(outcome));
    (void) send_call(connection, m, r, "Stop");
}

/* ---- with an answer */

static const char no_answer[] = "its worker does not answer, or is of an earlier version",
                  no_sense[] = "its worker has given an answer that makes no sense";

/* What was asked, until it is answered. */
typedef struct Question {
    Connection *connection;
    GArray *tasks; /* uint64_t */
    bool frozen;
} Question;

static void question_free(void *data)
{
    Question *question = data;

    g_array_unref(question->tasks);
    g_free(question);
}

static int ask(Connection *connection, sd_bus_message *m, const uint64_t *tasks, size_t n, bool frozen,
               sd_bus_message_handler_t on_answer)
{
    Question *question = g_new(Question, 1);
    sd_bus_slot *slot = NULL;
    int r;

    *question = (Question){ connection, g_array_new(FALSE, FALSE, sizeof(uint64_t)), frozen };
    g_array_append_vals(question->tasks, tasks, (guint) n);
    r = sd_bus_call_async(connection->bus, &slot, m, on_answer, question, UINT64_MAX);
    if (r < 0) {
        question_free(question);
        return r;
    }
    (void) sd_bus_slot_set_destroy_callback(slot, question_free);
    r = sd_bus_slot_set_floating(slot, 1);
    sd_bus_slot_unref(slot);
    return r;
}

/* NULL: the connection is gone, which the core knows. */
static Worker *asked_worker(const Connection *connection)
{
    return connection->worker > 0 ? manager_find_worker(connection->link->manager, connection->worker) : NULL;
}

static int on_limited(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const Question *question = userdata;
    Worker *worker = asked_worker(question->connection);
    const char *why = NULL;

    if (!worker)
        return 0;
    if (sd_bus_message_is_method_error(m, NULL))
        why = no_answer;
    else if (sd_bus_message_read(m, "s", &why) < 0)
        why = no_sense;
    manager_task_limited(question->connection->link->manager, worker, g_array_index(question->tasks, uint64_t, 0),
                         *why ? why : NULL);
    return 0;
}

static void link_limit(LinkPort *port, uint32_t worker, const TaskLimits *limits)
{
    g_autoptr(sd_bus_message) m = NULL;
    Connection *connection = NULL;
    int r = call_new((Link *) port, worker, "Limit", &connection, &m);

    if (r >= 0)
        r = link_append_limits(m, limits);
    if (r >= 0)
        r = ask(connection, m, &limits->task, 1, false, on_limited);
    if (connection)
        sent(connection, r, "Limit");
}

/* Those of the tasks that are not among the failures. */
static GArray *without_failures(const GArray *tasks, const GArray *failures)
{
    GArray *rest = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    for (guint i = 0; i < tasks->len; i++) {
        uint64_t id = g_array_index(tasks, uint64_t, i);
        bool failed = false;

        for (guint j = 0; j < failures->len && !failed; j++)
            failed = g_array_index(failures, FrozenFailure, j).task == id;
        if (!failed)
            g_array_append_val(rest, id);
    }
    return rest;
}

/* A worker of an earlier version does not know the method, one whose connection ends does not answer. */
static GArray *all_failed(const GArray *tasks, const char *why)
{
    GArray *failures = g_array_new(FALSE, FALSE, sizeof(FrozenFailure));

    for (guint i = 0; i < tasks->len; i++) {
        FrozenFailure failure = { g_array_index(tasks, uint64_t, i), why };
        g_array_append_val(failures, failure);
    }
    return failures;
}

static int on_frozen(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const Question *question = userdata;
    g_autoptr(GArray) failures = NULL, done = NULL;
    Worker *worker = asked_worker(question->connection);

    if (!worker)
        return 0;
    if (sd_bus_message_is_method_error(m, NULL))
        failures = all_failed(question->tasks, no_answer);
    else if (link_read_failures(m, &failures) < 0)
        failures = all_failed(question->tasks, no_sense);
    done = without_failures(question->tasks, failures);
    manager_tasks_frozen(question->connection->link->manager, worker, (uint64_t *) (void *) done->data, done->len,
                         question->frozen, (FrozenFailure *) (void *) failures->data, failures->len);
    return 0;
}

static void link_freeze(LinkPort *port, uint32_t worker, const uint64_t *tasks, size_t n, bool frozen, bool reclaim)
{
    g_autoptr(sd_bus_message) m = NULL;
    Connection *connection = NULL;
    int r = call_about((Link *) port, worker, "Freeze", tasks, n, &connection, &m);

    if (r >= 0)
        r = sd_bus_message_append(m, "bb", frozen, reclaim);
    if (r >= 0)
        r = ask(connection, m, tasks, n, frozen, on_frozen);
    if (connection)
        sent(connection, r, "Freeze");
}

/* ---- the connection itself */

static void link_exit(LinkPort *port, uint32_t worker)
{
    g_autoptr(sd_bus_message) m = NULL;
    Connection *connection = NULL;
    int r = call_new((Link *) port, worker, "Exit", &connection, &m);

    (void) send_call(connection, m, r, "Exit");
}

static void link_drop(LinkPort *port, uint32_t worker)
{
    Connection *connection = link_find_connection((Link *) port, worker);

    if (connection)
        connection_drop(connection);
}

void link_set_port(Link *link)
{
    link->port = (LinkPort){ .run = link_run, .recall = link_recall, .stop = link_stop, .limit = link_limit,
                             .freeze = link_freeze, .exit = link_exit, .drop = link_drop };
}
