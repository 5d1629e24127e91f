/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bus that messages need goes to a socket that nobody reads. */
#include "request-fixture.h"

#include <string.h>
#include <sys/socket.h>

#include "bus/submit-request.h"
#include "tests/bus/gvariant-message.h"

static uint32_t groups[] = { 1000, 27 };
const Peer asker = { .uid = 1000, .gid = 1000, .groups = groups, .n_groups = 2, .known = true };

static sd_bus *bus_get(void)
{
    static sd_bus *bus;
    int sockets[2];

    if (bus)
        return bus;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), ==, 0);
    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_fd(bus, sockets[0], sockets[0]), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    return bus;
}

void message_turn(sd_bus_message *m)
{
    g_assert_cmpint(sd_bus_message_seal(m, 1, 0), >=, 0);
    g_assert_cmpint(sd_bus_message_rewind(m, true), >=, 0);
}

sd_bus_message *message_new_empty(void)
{
    sd_bus_message *m = NULL;

    g_assert_cmpint(sd_bus_message_new_method_call(bus_get(), &m, "org.parexec", "/org/parexec",
                                                   "org.parexec.Manager1", "Test"),
                    >=, 0);
    return m;
}

static sd_bus_message *message_of(GVariant *arguments)
{
    sd_bus_message *m = message_new_empty();

    g_assert_cmpint(message_append_arguments(m, arguments), >=, 0);
    message_turn(m);
    return m;
}

static GVariant *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    GVariant *value = g_variant_parse(NULL, text, NULL, NULL, &error);

    if (!value)
        g_error("%s: %s", text, error->message);
    return value;
}

sd_bus_message *message_new(const char *arguments)
{
    g_autoptr(GVariant) tuple = parse(arguments);

    return message_of(tuple);
}

char *message_text(sd_bus_message *m)
{
    g_autoptr(GVariant) body = NULL;

    g_assert_cmpint(message_to_gvariant(m, &body), >=, 0);
    return g_variant_print(body, FALSE);
}

static GVariant *arguments_of(const char *tasks, const char *options)
{
    g_autofree char *text =
        g_strdup_printf("(@aa{sv} [%s], %s{%s})", tasks, *options ? "" : "@a{sv} ", options);

    return parse(text);
}

Submission *submission_read(const TaskPolicy *policy, const char *tasks, const char *options)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autoptr(GVariant) arguments = arguments_of(tasks, options);
    g_autoptr(sd_bus_message) m = message_of(arguments);
    Submission *submission = NULL;
    TaskPolicy usual;

    task_policy_init(&usual);
    int r = submit_request_read(m, &asker, policy ? policy : &usual, &submission, &error);
    if (r < 0)
        g_error("%s {%s}: %s", tasks, options, error.message);
    return submission;
}

Submission *submission_of(const char *task)
{
    g_autofree char *tasks = g_strdup_printf("{'argv': <[b'true']>, %s}", task);

    return submission_read(NULL, tasks, "");
}

const TaskSpec *submission_task(const Submission *submission, guint number)
{
    g_assert_cmpuint(number, <, submission->tasks->len);
    return submission->tasks->pdata[number];
}

void submission_value_refused(GVariant *arguments, const char *name, const char *snippet)
{
    g_autofree char *full = g_strdup_printf("org.parexec.Error.%s", name);
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    g_autoptr(GVariant) taken = g_variant_take_ref(arguments);
    g_autoptr(sd_bus_message) m = message_of(taken);
    g_autoptr(Submission) submission = NULL;
    g_autofree char *shown = g_variant_print(taken, FALSE);
    TaskPolicy usual;

    task_policy_init(&usual);
    int r = submit_request_read(m, &asker, &usual, &submission, &error);
    if (r >= 0)
        g_error("%s was not refused", shown);
    g_assert_null(submission);
    g_assert_cmpstr(error.name, ==, full);
    if (!strstr(error.message, snippet))
        g_error("%.500s: \"%s\" is not in \"%s\"", shown, snippet, error.message);
}

void submission_refused(const char *tasks, const char *options, const char *name, const char *snippet)
{
    submission_value_refused(arguments_of(tasks, options), name, snippet);
}

void task_refused(const char *task, const char *error, const char *snippet)
{
    g_autofree char *tasks = g_strdup_printf("{'argv': <[b'true']>, %s}", task);

    submission_refused(tasks, "", error, snippet);
}
