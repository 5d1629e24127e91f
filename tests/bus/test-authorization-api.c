/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what: the daemon in system mode, with a polkit whose answers the test gives. */
#include <string.h>

#include "calls.h"

#define SUBMIT "org.parexec.submit"
#define MANAGE_WORKERS "org.parexec.manage-workers"
#define MANAGE_TASKS "org.parexec.manage-tasks"
#define CONFIGURE "org.parexec.configure"
#define ROOT_PATH "/org/parexec"
#define WORKER_PATH ROOT_PATH "/worker/w1"

/* Every call that polkit is asked about. What it then says of a worker that is not there does not matter here. */
static const struct {
    const char *action;
    Target target;
    const char *arguments;
} guarded[] = {
    { MANAGE_WORKERS, { ROOT_PATH, MANAGER, "AddWorker" }, "(@a{sv} {},)" },
    { MANAGE_WORKERS, { ROOT_PATH, MANAGER, "Drain" }, "('w1',)" },
    { MANAGE_WORKERS, { WORKER_PATH, WORKER, "Drain" }, NULL },
    { SUBMIT, { ROOT_PATH, MANAGER, "Submit" }, "([{'argv': <[b'true']>}], @a{sv} {})" },
    { CONFIGURE, { ROOT_PATH, MANAGER, "Reload" }, NULL },
    { CONFIGURE, { ROOT_PATH, MANAGER, "SetQueue" }, "('q', {'parallel': <uint32 2>})" },
    { CONFIGURE, { ROOT_PATH, MANAGER, "RemoveQueue" }, "('q',)" },
    { CONFIGURE, { ROOT_PATH, PROPERTIES, "Set" }, "('" MANAGER "', 'Enabled', <true>)" },
    { CONFIGURE, { ROOT_PATH, PROPERTIES, "Set" }, "('" MANAGER "', 'MaxWorkers', <uint32 9>)" },
    { CONFIGURE, { ROOT_PATH, PROPERTIES, "Set" }, "('" MANAGER "', 'Profile', <''>)" },
    { CONFIGURE, { ROOT_PATH, PROPERTIES, "Set" }, "('" MANAGER "', 'AutoScale', <false>)" },
    { MANAGE_WORKERS, { ROOT_PATH, MANAGER, "Scale" }, "(uint32 1,)" },
    { MANAGE_WORKERS, { ROOT_PATH, MANAGER, "Unscale" }, NULL },
    { MANAGE_WORKERS, { WORKER_PATH, WORKER, "SetLimits" }, "({'cpu-weight': <uint64 50>},)" },
    { MANAGE_WORKERS, { WORKER_PATH, WORKER, "Freeze" }, "(@a{sv} {},)" },
    { MANAGE_WORKERS, { WORKER_PATH, WORKER, "Thaw" }, NULL },
    { MANAGE_TASKS, { ROOT_PATH, MANAGER, "Statistics" }, "({'all': <true>},)" },
    { MANAGE_WORKERS, { WORKER_PATH, WORKER, "Abort" }, NULL },
    { MANAGE_WORKERS, { ROOT_PATH, MANAGER, "Abort" }, "('w1',)" }, /* last: the worker may go */
};

static void add_worker(Harness *h)
{
    polkit_answer(h, MANAGE_WORKERS, "yes");
    g_autofree char *id = worker_add(h->bus, NULL);
    polkit_answer(h, MANAGE_WORKERS, "no");
}

static gsize n_checks(Harness *h)
{
    g_autoptr(GVariant) checks = polkit_checks(h);

    return g_variant_n_children(checks);
}

/* ---- the answers */

static void refused_by(Harness *h, const char *answer, const char *in_sentence)
{
    sd_bus *stranger = harness_connect_stranger(h);
    static const char *const actions[] = { SUBMIT, MANAGE_WORKERS, MANAGE_TASKS, CONFIGURE };

    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++)
        polkit_answer(h, actions[i], answer);
    for (size_t i = 0; i < G_N_ELEMENTS(guarded); i++) {
        gsize before = n_checks(h);
        g_autofree char *sentence =
            bus_refusal(stranger, ERROR("NotAuthorized"), guarded[i].target, guarded[i].arguments, NULL);
        g_assert_nonnull(strstr(sentence, guarded[i].action));
        g_assert_nonnull(strstr(sentence, in_sentence));
        g_assert_cmpuint(n_checks(h), ==, before + 1); /* asked once, however often the handler ran */
    }
    g_assert_true(worker_is(stranger, "w1", "running"));
    g_assert_cmpuint(manager_number(stranger, "MaxWorkers"), ==, 64);
    g_assert_cmpuint(manager_number(stranger, "QueueLength"), ==, 0);
}

static void test_no(Harness *h)
{
    add_worker(h);
    refused_by(h, "no", "is not allowed");
}

static void test_challenge(Harness *h)
{
    add_worker(h);
    refused_by(h, "challenge", "administrator");
}

static void test_error(Harness *h)
{
    add_worker(h);
    refused_by(h, "error", "no answer");
}

/* No polkit on the machine: nobody but root may do anything, and everybody is told. */
static void test_absent(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);

    for (size_t i = 0; i < G_N_ELEMENTS(guarded); i++)
        if (strcmp(guarded[i].target.interface, WORKER) != 0)
            g_free(
                bus_refusal(stranger, ERROR("NotAuthorized"), guarded[i].target, guarded[i].arguments, NULL));
    manager_do(stranger, "Status", NULL);
}

static bool is_answered_well(sd_bus *bus, size_t i)
{
    g_autoptr(sd_bus_message) m = bus_message(bus, guarded[i].target, guarded[i].arguments, NULL),
                              reply = NULL;
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call(bus, m, 10 * USEC_PER_SEC, &error, &reply);

    return r >= 0 || sd_bus_error_has_name(&error, ERROR("InvalidState")) ||
           sd_bus_error_has_name(&error, ERROR("NoSuchWorker")) ||
           sd_bus_error_has_name(&error, "org.freedesktop.DBus.Error.UnknownObject");
}

static void allowed_by(Harness *h, const char *answer)
{
    sd_bus *stranger = harness_connect_stranger(h);
    const char *unique, *action, *subject;
    uint32_t flags;

    g_assert_cmpint(sd_bus_get_unique_name(stranger, &unique), >=, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(guarded); i++) {
        gsize before = n_checks(h);
        polkit_answer(h, guarded[i].action, answer);
        if (!is_answered_well(stranger, i))
            g_error("%s was refused though polkit said %s", guarded[i].target.member, answer);
        polkit_answer(h, guarded[i].action, "no");
        g_autoptr(GVariant) checks = polkit_checks(h);
        g_assert_cmpuint(g_variant_n_children(checks), <=,
                         before + 1); /* of an object that is gone it is not asked */
        g_variant_get_child(checks, g_variant_n_children(checks) - 1, "(&s&su)", &action, &subject, &flags);
        g_assert_cmpstr(subject, ==, unique);
        g_assert_cmpuint(flags, ==, 0); /* nobody said that a person may be asked */
        if (g_variant_n_children(checks) > before)
            g_assert_cmpstr(action, ==, guarded[i].action);
    }
}

static void test_yes(Harness *h)
{
    allowed_by(h, "yes");
    g_assert_cmpuint(manager_number(h->bus, "MaxWorkers"), ==, 9);
}

static void test_slow(Harness *h)
{
    allowed_by(h, "slow");
}

static void test_interactive(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);
    g_autoptr(sd_bus_message) m = bus_message(stranger, (Target){ ROOT_PATH, MANAGER, "Reload" }, NULL);
    uint32_t flags;

    polkit_answer(h, CONFIGURE, "yes");
    g_assert_cmpint(sd_bus_message_set_allow_interactive_authorization(m, 1), >=, 0);
    g_assert_cmpint(sd_bus_call(stranger, m, 0, NULL, NULL), >=, 0);
    g_autoptr(GVariant) checks = polkit_checks(h);
    g_variant_get_child(checks, 0, "(ssu)", NULL, NULL, &flags);
    g_assert_cmpuint(flags, ==, 1);
}

/* ---- while polkit thinks */

/* Who waits for a person's password blocks nobody; a client that loses patience does no harm. */
static void test_never(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h), *impatient = harness_connect_stranger(h);

    polkit_answer(h, CONFIGURE, "never");
    polkit_answer(h, SUBMIT, "yes");
    g_autoptr(Pending) waits = manager_call_later(stranger, "Reload", NULL);
    g_autoptr(sd_bus_message) m = bus_message(impatient, (Target){ ROOT_PATH, MANAGER, "Reload" }, NULL);
    g_assert_cmpint(sd_bus_send(impatient, m, NULL), >=, 0);
    harness_pause(h, 100);
    harness_disconnect(h, impatient);
    for (unsigned i = 0; i < 20; i++) {
        g_autoptr(GVariant) status = manager_call(stranger, "Status", NULL);
        g_assert_cmpuint(task_submit(stranger, "'argv': <[b'true']>"), >, 0);
    }
    g_assert_false(waits->done);
    g_assert_cmpint(harness_stop_daemon(h), ==, 0); /* it does not wait for polkit either */
    HARNESS_WAIT(h, waits->done);
    g_assert_cmpstr(waits->error, ==, "org.freedesktop.DBus.Error.NoReply");
}

/* A hundred at once, of which each is asked about once. */
static void test_many(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);
    Pending *pending[100];
    unsigned done = 0;

    polkit_answer(h, SUBMIT, "slow");
    for (size_t i = 0; i < G_N_ELEMENTS(pending); i++)
        pending[i] = manager_call_later(stranger, "Submit", "([{'argv': <[b'true']>}], @a{sv} {})");
    while (done < G_N_ELEMENTS(pending)) {
        HARNESS_WAIT(h, pending[done]->done);
        g_assert_null(pending[done]->error);
        pending_free(pending[done++]);
    }
    g_assert_cmpuint(n_checks(h), ==, G_N_ELEMENTS(pending));
    g_assert_cmpuint(manager_number(h->bus, "QueueLength"), ==, G_N_ELEMENTS(pending));
}

/* ---- what needs nobody's leave */

static void test_free(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);

    polkit_answer(h, SUBMIT, "yes");
    uint64_t task = task_submit_shell(stranger, "exit 0");
    gsize before = n_checks(h);
    manager_do(stranger, "Status", NULL);
    manager_do(stranger, "ListTasks", "(@a{sv} {},)");
    manager_do(stranger, "Subscribe", NULL);
    manager_do(stranger, "Unsubscribe", NULL);
    manager_do(stranger, "Cancel", "({'ids': <[uint64 %" G_GUINT64_FORMAT "]>},)", task); /* one's own */
    manager_refuses(stranger, ERROR("NoOutput"), "OpenOutput",
                    "(uint64 %" G_GUINT64_FORMAT ", 'stdout', @a{sv} {})", task);
    manager_number(stranger, "QueueLength");
    g_assert_cmpuint(n_checks(h), ==, before);
}

static void test_root(Harness *h)
{
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task = task_submit_shell(h->bus, "exit 0");

    task_wait(h, task, "succeeded");
    manager_set(h->bus, "MaxWorkers", "uint32 9");
    manager_do(h->bus, "Reload", NULL);
    manager_do(h->bus, "Abort", "('%s',)", id);
    g_assert_cmpuint(n_checks(h), ==, 0);
}

/* ---- other users' tasks */

static void test_privacy(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);
    g_autofree char *id = worker_add(h->bus, NULL);
    uint64_t task =
        task_submit(h->bus, "'argv': <[b'echo', b'secret']>, 'env': <[b'PASSWORD=x']>, 'cwd': <b'/etc'>");
    g_autofree char *path = task_path(task);

    task_wait(h, task, "succeeded");
    g_autoptr(GVariant) own = task_row(h->bus, task), others = task_row(stranger, task);
    g_assert_true(dict_has(own, "argv") && dict_has(own, "cwd"));
    g_assert_false(dict_has(others, "argv") || dict_has(others, "cwd"));
    g_assert_cmpstr(dict_string(others, "state"), ==, "succeeded");
    static const char *const private[] = { "Argv", "Environment", "WorkingDirectory" };
    for (size_t i = 0; i < G_N_ELEMENTS(private); i++) {
        g_autoptr(GVariant) mine = bus_property(h->bus, path, TASK, private[i]),
                            theirs = bus_property(stranger, path, TASK, private[i]);
        g_assert_cmpuint(g_variant_n_children(mine), >, 0);
        g_assert_cmpuint(g_variant_n_children(theirs), ==, 0);
    }
    const char *arguments = "(uint64 %" G_GUINT64_FORMAT ", 'stdout', @a{sv} {})";
    g_autofree char *sentence =
        manager_refusal(stranger, ERROR("NotAuthorized"), "OpenOutput", arguments, task);
    g_assert_nonnull(strstr(sentence, MANAGE_TASKS));
    polkit_answer(h, MANAGE_TASKS, "yes");
    g_autofree char *output = task_output(stranger, task, "stdout");
    g_assert_cmpstr(output, ==, "secret\n");
}

static void test_cancel_foreign(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);
    uint64_t roots = task_submit(h->bus, "'argv': <[b'true']>, 'name': <'x'>");

    polkit_answer(h, SUBMIT, "yes");
    uint64_t own = task_submit(stranger, "'argv': <[b'true']>, 'name': <'x'>");
    g_autofree char *path = task_path(roots);
    manager_refuses(stranger, ERROR("NotAuthorized"), "Cancel", "({'name': <'x'>},)");
    g_free(bus_refusal(stranger, ERROR("NotAuthorized"), (Target){ path, TASK, "Cancel" }, NULL));
    g_assert_true(task_is(h->bus, own, "queued")); /* all or nothing */
    g_autoptr(GVariant) mine =
        manager_call(stranger, "Cancel", "({'name': <'x'>, 'owner': <uint32 65534>},)");
    g_assert_true(task_is(h->bus, own, "cancelled") && task_is(h->bus, roots, "queued"));
    g_autofree char *count = g_variant_print(mine, TRUE);
    g_assert_cmpstr(count, ==, "(uint32 1,)");
    polkit_answer(h, MANAGE_TASKS, "yes");
    g_autoptr(GVariant) all = manager_call(stranger, "Cancel", "({'name': <'x'>},)");
    g_assert_true(task_is(h->bus, roots, "cancelled"));
}

/* A task of theirs runs as they, not as we. */
static void test_runs_as(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);
    g_autofree char *id = worker_add(h->bus, NULL);

    polkit_answer(h, SUBMIT, "yes");
    uint64_t task = task_submit_shell(stranger, "id -u; id -g; cat /etc/shadow");
    task_wait(h, task, "failed");
    g_autofree char *output = task_output(stranger, task, "stdout"),
                    *errors = task_output(stranger, task, "stderr");
    g_assert_cmpstr(output, ==, "65534\n65534\n");
    g_assert_nonnull(strstr(errors, "denied"));
}

/* ---- in user mode there is nobody to ask */

static void test_user_mode(Harness *h)
{
    sd_bus *stranger = harness_connect_stranger(h);

    for (size_t i = 0; i < G_N_ELEMENTS(guarded); i++)
        if (strcmp(guarded[i].target.interface, WORKER) != 0)
            g_free(
                bus_refusal(stranger, ERROR("NotAuthorized"), guarded[i].target, guarded[i].arguments, NULL));
    manager_do(stranger, "Status", NULL);
}

static void add(void)
{
    static const HarnessOptions polkit = { .system = true, .polkit = true }, absent = { .system = true };
    static const HarnessOptions two_users = { .system = true, .polkit = true, .needs_root = true },
                                user = { .needs_root = true };

    harness_add("/authorization/no", &polkit, test_no);
    harness_add("/authorization/challenge", &polkit, test_challenge);
    harness_add("/authorization/error", &polkit, test_error);
    harness_add("/authorization/absent", &absent, test_absent);
    harness_add("/authorization/yes", &polkit, test_yes);
    harness_add("/authorization/slow", &polkit, test_slow);
    harness_add("/authorization/interactive", &polkit, test_interactive);
    harness_add("/authorization/never", &polkit, test_never);
    harness_add("/authorization/many", &polkit, test_many);
    harness_add("/authorization/free", &polkit, test_free);
    harness_add("/authorization/root", &two_users, test_root);
    harness_add("/authorization/privacy", &two_users, test_privacy);
    harness_add("/authorization/cancel-foreign", &two_users, test_cancel_foreign);
    harness_add("/authorization/runs-as", &two_users, test_runs_as);
    harness_add("/authorization/user-mode", &user, test_user_mode);
}

int main(int argc, char *argv[])
{
    return harness_main(argc, argv, add);
}
