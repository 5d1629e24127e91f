/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tests' words for calling the daemon. */
#include "calls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gvariant-message.h"

#define CALL_USEC (25 * USEC_PER_SEC)

static GVariant *parse(const char *arguments, va_list ap)
{
    g_autoptr(GError) error = NULL;

    if (!arguments)
        return NULL;
    g_autofree char *text = g_strdup_vprintf(arguments, ap);
    GVariant *value = g_variant_parse(NULL, text, NULL, NULL, &error);
    if (!value)
        g_error("bad arguments in the test: %s: %s", error->message, text);
    return value;
}

static sd_bus_message *message_of(sd_bus *bus, Target target, const char *text, va_list ap)
{
    sd_bus_message *m = NULL;
    g_autoptr(GVariant) arguments = parse(text, ap);

    g_assert_cmpint(sd_bus_message_new_method_call(bus, &m,
                                                   target.destination ? target.destination : "org.parexec",
                                                   target.path, target.interface, target.member),
                    >=, 0);
    g_assert_cmpint(message_append_arguments(m, arguments), >=, 0);
    return m;
}

sd_bus_message *bus_message(sd_bus *bus, Target target, const char *arguments, ...)
{
    va_list ap;

    va_start(ap, arguments);
    sd_bus_message *m = message_of(bus, target, arguments, ap);
    va_end(ap);
    return m;
}

GVariant *bus_call(sd_bus *bus, Target target, const char *arguments, ...)
{
    g_autoptr(sd_bus_message) reply = NULL;
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    GVariant *body;
    va_list ap;

    va_start(ap, arguments);
    g_autoptr(sd_bus_message) m = message_of(bus, target, arguments, ap);
    va_end(ap);
    if (sd_bus_call(bus, m, CALL_USEC, &error, &reply) < 0)
        g_error("%s.%s on %s: %s: %s", target.interface, target.member, target.path, error.name,
                error.message);
    g_assert_cmpint(message_to_gvariant(reply, &body), >=, 0);
    return body;
}

/* "Drain ('w1',) on /org/parexec" */
static char *describe(Target target, sd_bus_message *m)
{
    g_autoptr(GVariant) body = NULL;

    g_assert_cmpint(message_to_gvariant(m, &body), >=, 0);
    g_autofree char *text = g_variant_print(body, TRUE);
    return g_strdup_printf("%s %s on %s", target.member, text, target.path);
}

/* Ours are sentences, those of sd-bus are what they are. A refusal of AddWorker has the risks below, each on a line. */
static void check_sentence(const char *name, const char *sentence)
{
    g_auto(GStrv) lines = g_strsplit(sentence, "\n", -1);

    if (!g_str_has_prefix(name, "org.parexec."))
        return;
    for (size_t i = 0; lines[i]; i++) {
        g_assert_true(strlen(lines[i]) > 10 && g_str_has_suffix(lines[i], "."));
        g_assert_true(i == 0 || g_str_has_prefix(lines[i], "- "));
    }
}

char *bus_refusal(sd_bus *bus, const char *wanted, Target target, const char *arguments, ...)
{
    g_autoptr(sd_bus_message) reply = NULL;
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    va_list ap;

    va_start(ap, arguments);
    g_autoptr(sd_bus_message) m = message_of(bus, target, arguments, ap);
    va_end(ap);
    int r = sd_bus_call(bus, m, CALL_USEC, &error, &reply);
    g_autofree char *call = describe(target, m);
    if (r >= 0)
        g_error("%s was not refused", call);
    if (strcmp(error.name, wanted) != 0)
        g_error("%s: wanted %s, got %s: %s", call, wanted, error.name, error.message);
    check_sentence(error.name, error.message);
    return g_strdup(error.message);
}

/* ---- without waiting */

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
    Pending *pending = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(m);

    pending->done = true;
    if (error) {
        pending->error = g_strdup(error->name);
        pending->sentence = g_strdup(error->message);
    } else
        g_assert_cmpint(message_to_gvariant(m, &pending->reply), >=, 0);
    return 0;
}

Pending *bus_call_later(sd_bus *bus, Target target, const char *arguments, ...)
{
    Pending *pending = g_new0(Pending, 1);
    va_list ap;

    va_start(ap, arguments);
    g_autoptr(sd_bus_message) m = message_of(bus, target, arguments, ap);
    va_end(ap);
    g_assert_cmpint(sd_bus_call_async(bus, NULL, m, on_reply, pending, 2 * CALL_USEC), >=, 0);
    return pending;
}

void pending_free(Pending *pending)
{
    if (!pending)
        return;
    g_assert_true(pending->done); /* else the answer would find no one */
    g_free(pending->error);
    g_free(pending->sentence);
    g_clear_pointer(&pending->reply, g_variant_unref);
    g_free(pending);
}

/* ---- numbers of any type */

static uint64_t number_of(GVariant *value)
{
    switch (g_variant_classify(value)) {
    case G_VARIANT_CLASS_UINT64:
        return g_variant_get_uint64(value);
    case G_VARIANT_CLASS_UINT32:
        return g_variant_get_uint32(value);
    case G_VARIANT_CLASS_INT32:
        return (uint64_t) g_variant_get_int32(value);
    case G_VARIANT_CLASS_BOOLEAN:
        return g_variant_get_boolean(value);
    default:
        g_error("no number: %s", g_variant_get_type_string(value));
    }
}

/* ---- properties */

GVariant *bus_property(sd_bus *bus, const char *path, const char *interface, const char *name)
{
    g_autoptr(GVariant) reply =
        bus_call(bus, (Target){ path, PROPERTIES, "Get" }, "('%s', '%s')", interface, name),
                        value = NULL;

    g_variant_get(reply, "(v)", &value);
    return g_steal_pointer(&value);
}

uint64_t bus_property_number(sd_bus *bus, const char *path, const char *interface, const char *name)
{
    g_autoptr(GVariant) value = bus_property(bus, path, interface, name);

    return number_of(value);
}

char *bus_property_string(sd_bus *bus, const char *path, const char *interface, const char *name)
{
    g_autoptr(GVariant) value = bus_property(bus, path, interface, name);

    return g_variant_dup_string(value, NULL);
}

void manager_set(sd_bus *bus, const char *property, const char *value)
{
    g_variant_unref(bus_call(bus, (Target){ "/org/parexec", PROPERTIES, "Set" },
                             "('" MANAGER "', '%s', <%s>)", property, value));
}

uint64_t manager_number(sd_bus *bus, const char *property)
{
    return bus_property_number(bus, "/org/parexec", MANAGER, property);
}

/* ---- dictionaries */

static GVariant *dict_get(GVariant *dict, const char *key)
{
    GVariant *value = g_variant_lookup_value(dict, key, NULL);

    if (!value) {
        g_autofree char *text = g_variant_print(dict, FALSE);
        g_error("no \"%s\" in %s", key, text);
    }
    return value;
}

uint64_t dict_number(GVariant *dict, const char *key)
{
    g_autoptr(GVariant) value = dict_get(dict, key);

    return number_of(value);
}

const char *dict_string(GVariant *dict, const char *key)
{
    g_autoptr(GVariant) value = dict_get(dict, key);

    g_assert_true(g_variant_is_of_type(value, G_VARIANT_TYPE_STRING));
    return g_variant_get_string(value, NULL); /* lives in the dictionary */
}

bool dict_has(GVariant *dict, const char *key)
{
    g_autoptr(GVariant) value = g_variant_lookup_value(dict, key, NULL);

    return value != NULL;
}

static int compare_strings(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

char *dict_shape(GVariant *dict)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(g_free);
    GVariantIter iter;
    const char *key;
    GVariant *value;

    g_variant_iter_init(&iter, dict);
    while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
        g_ptr_array_add(entries, g_strdup_printf("%s:%s", key, g_variant_get_type_string(value)));
    g_ptr_array_sort(entries, compare_strings);
    g_ptr_array_add(entries, NULL);
    return g_strjoinv(" ", (char **) entries->pdata);
}

/* ---- the fakes */

static Target polkit_target(const char *member)
{
    return (Target){ "/org/freedesktop/PolicyKit1/Authority", "org.parexec.Test.Polkit1", member,
                     "org.freedesktop.PolicyKit1" };
}

static Target systemd_target(const char *member)
{
    return (Target){ "/org/freedesktop/systemd1", "org.parexec.Test.Systemd1", member,
                     "org.freedesktop.systemd1" };
}

void polkit_answer(Harness *harness, const char *action, const char *answer)
{
    g_variant_unref(bus_call(harness->bus, polkit_target("SetAnswer"), "('%s', '%s')", action, answer));
}

GVariant *polkit_checks(Harness *harness)
{
    g_autoptr(GVariant) reply = bus_call(harness->bus, polkit_target("GetChecks"), NULL);

    return g_variant_get_child_value(reply, 0);
}

void systemd_behave(Harness *harness, const char *behaviour)
{
    g_variant_unref(bus_call(harness->bus, systemd_target("SetBehaviour"), "('%s',)", behaviour));
}

void systemd_end_jobs(Harness *harness, const char *result)
{
    g_variant_unref(bus_call(harness->bus, systemd_target("EndJobs"), "('%s',)", result));
}

bool systemd_was_asked(Harness *harness, const char *call)
{
    g_autoptr(GVariant) reply = bus_call(harness->bus, systemd_target("GetCalls"), NULL);
    g_autofree const char **calls = NULL;

    g_variant_get(reply, "(^a&s)", &calls);
    return g_strv_contains(calls, call);
}

GVariant *systemd_properties(Harness *harness)
{
    g_autoptr(GVariant) reply = bus_call(harness->bus, systemd_target("GetProperties"), NULL);

    return g_variant_get_child_value(reply, 0);
}

/* ---- workers */

char *worker_add(sd_bus *bus, const char *options, ...)
{
    const char *path;
    va_list ap;

    va_start(ap, options);
    g_autofree char *text = options ? g_strdup_vprintf(options, ap) : NULL;
    va_end(ap);
    /* how many the machine carries is a question of tests of its own */
    const char *force = text && strstr(text, "'force'") ? ""
                        : text && *text                 ? ", 'force': <true>"
                                                        : "'force': <true>";
    g_autoptr(GVariant) reply = manager_call(bus, "AddWorker", "(@a{sv} {%s%s},)", text ? text : "", force);
    g_variant_get(reply, "(&o)", &path);
    g_assert_true(g_str_has_prefix(path, "/org/parexec/worker/"));
    return g_strdup(strrchr(path, '/') + 1);
}

char *worker_path(const char *id)
{
    return g_strconcat("/org/parexec/worker/", id, NULL);
}

GVariant *worker_status(sd_bus *bus, const char *id)
{
    g_autoptr(GVariant) reply = manager_call(bus, "Status", NULL),
                        status = g_variant_get_child_value(reply, 0);
    g_autoptr(GVariant) workers = dict_get(status, "workers");

    for (gsize i = 0; i < g_variant_n_children(workers); i++) {
        g_autoptr(GVariant) worker = g_variant_get_child_value(workers, i);
        if (strcmp(dict_string(worker, "id"), id) == 0)
            return g_steal_pointer(&worker);
    }
    return NULL;
}

bool worker_is(sd_bus *bus, const char *id, const char *state)
{
    g_autoptr(GVariant) worker = worker_status(bus, id);

    return strcmp(worker ? dict_string(worker, "state") : "", state) == 0;
}

/* ---- tasks */

static uint64_t submit(sd_bus *bus, const char *task)
{
    g_autoptr(GVariant) reply = manager_call(bus, "Submit", "([{%s}], @a{sv} {})", task);
    uint64_t batch, first;
    uint32_t count;

    g_variant_get(reply, "(ttu)", &batch, &first, &count);
    g_assert_true(batch > 0 && first > 0 && count > 0);
    return first;
}

uint64_t task_submit(sd_bus *bus, const char *task, ...)
{
    va_list ap;

    va_start(ap, task);
    g_autofree char *text = g_strdup_vprintf(task, ap);
    va_end(ap);
    return submit(bus, text);
}

uint64_t task_submit_shell(sd_bus *bus, const char *script, ...)
{
    va_list ap;

    va_start(ap, script);
    g_autofree char *text = g_strdup_vprintf(script, ap);
    va_end(ap);
    g_autofree char *task = g_strdup_printf("'argv': <[b'sh', b'-c', b\"%s\"]>", text);
    return submit(bus, task);
}

char *task_path(uint64_t id)
{
    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, id);
    char *path = NULL;

    g_assert_cmpint(sd_bus_path_encode("/org/parexec/task", number, &path), >=, 0);
    return path;
}

GVariant *task_row(sd_bus *bus, uint64_t id)
{
    g_autoptr(GVariant) reply =
        manager_call(bus, "ListTasks", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},)", id);
    g_autoptr(GVariant) rows = g_variant_get_child_value(reply, 0);

    g_assert_cmpuint(g_variant_n_children(rows), ==, 1);
    return g_variant_get_child_value(rows, 0);
}

bool task_is(sd_bus *bus, uint64_t id, const char *state)
{
    g_autoptr(GVariant) row = task_row(bus, id);

    return strcmp(dict_string(row, "state"), state) == 0;
}

void task_wait(Harness *harness, uint64_t id, const char *state)
{
    gint64 until = g_get_monotonic_time() + 15 * G_USEC_PER_SEC;

    while (!task_is(harness->bus, id, state)) {
        if (g_get_monotonic_time() > until) {
            g_autoptr(GVariant) row = task_row(harness->bus, id);
            g_autofree char *text = g_variant_print(row, FALSE);
            g_error("task %" G_GUINT64_FORMAT " did not become %s: %s", id, state, text);
        }
        harness_pause(harness, 10);
    }
}

char *task_output(sd_bus *bus, uint64_t id, const char *stream)
{
    g_autoptr(sd_bus_message) reply = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    char buffer[4096];
    int fd;

    if (sd_bus_call_method(bus, "org.parexec", "/org/parexec", MANAGER, "OpenOutput", &error, &reply,
                           "tsa{sv}", id, stream, 0) < 0)
        g_error("OpenOutput: %s: %s", error.name, error.message);
    g_assert_cmpint(sd_bus_message_read(reply, "h", &fd), >=, 0);
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
        g_string_append_len(text, buffer, n);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

uint64_t queue_count(sd_bus *bus, const char *state)
{
    g_autoptr(GVariant) reply = manager_call(bus, "Status", NULL),
                        status = g_variant_get_child_value(reply, 0);
    g_autoptr(GVariant) queue = dict_get(status, "queue");

    return dict_number(queue, state);
}
