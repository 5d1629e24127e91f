/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error names and exit codes. */

#include "client/error-report.h"

#include "client/output.h"
#include "dbus/parexec-dbus.h"

static void test_exit_codes(void)
{
    static const struct {
        const char *name;
        int code;
    } cases[] = {
        { PAREXEC_ERROR_INSUFFICIENT_MEMORY, 3 },
        { PAREXEC_ERROR_INSUFFICIENT_CORES, 3 },
        { PAREXEC_ERROR_INSUFFICIENT_RESOURCES, 3 },
        { PAREXEC_ERROR_TOO_MANY_WORKERS, 3 },
        { PAREXEC_ERROR_NO_SUCH_NODE, 1 },
        { PAREXEC_ERROR_NO_SUCH_PROFILE, 1 },
        { PAREXEC_ERROR_NOT_AUTHORIZED, 4 },
        { "org.freedesktop.DBus.Error.AccessDenied", 4 },
        { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", 4 },
        { "org.freedesktop.DBus.Error.ServiceUnknown", 5 },
        { "org.freedesktop.DBus.Error.Spawn.ChildExited", 5 },
        { "org.freedesktop.DBus.Error.NoReply", 5 },
        { "org.freedesktop.DBus.Error.UnknownMethod", 1 },
        { PAREXEC_ERROR_NO_SUCH_TASK, 1 },
        { PAREXEC_ERROR_STORAGE_FULL, 1 },
        { "org.parexec.Error.Invented", 1 },
        { NULL, 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(error_exit_code(cases[i].name), ==, cases[i].code);
}

static void test_transient(void)
{
    sd_bus_error gone = SD_BUS_ERROR_MAKE_CONST("org.freedesktop.DBus.Error.NoReply", "x");
    sd_bus_error refused = SD_BUS_ERROR_MAKE_CONST(PAREXEC_ERROR_NO_OUTPUT, "x");
    sd_bus_error none = SD_BUS_ERROR_NULL;

    g_assert_true(error_is_transient(&gone));
    g_assert_false(error_is_transient(&refused));
    g_assert_false(error_is_transient(&none));
}

static void test_report(void)
{
    if (g_test_subprocess()) {
        Client client = {};
        sd_bus_error error =
            SD_BUS_ERROR_MAKE_CONST(PAREXEC_ERROR_INSUFFICIENT_MEMORY, "needs 8.0G, 3.2G free\033[2J");
        g_assert_cmpint(error_report(&client, &error, -EIO), ==, -EIO);
        g_assert_cmpint(client.failure, ==, PARCTL_REFUSED);
        g_assert_cmpint(client_exit_code(&client, -EIO), ==, PARCTL_REFUSED);
        g_assert_cmpint(client_exit_code(&client, 7), ==, 7);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*needs 8.0G, 3.2G free\\x1b*--force*");
}

static void test_hints(void)
{
    static const struct {
        const char *name, *hint, *of_user;
    } cases[] = {
        { PAREXEC_ERROR_NO_SUCH_WORKER, "parctl workers", "parctl --user workers" },
        { PAREXEC_ERROR_NO_SUCH_QUEUE, "parctl queue; to make one: parctl queue add NAME",
          "parctl --user queue; to make one: parctl --user queue add NAME" },
        { PAREXEC_ERROR_WORKER_START_FAILED, ": journalctl -u", ": journalctl --user -u" },
        { "org.freedesktop.DBus.Error.ServiceUnknown", ": systemctl start", ": systemctl --user start" },
        { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "sudo parctl ", "sudo parctl " },
        { PAREXEC_ERROR_TOO_MANY_WORKERS, "MaxUserWorkers=", "over D-Bus MaxWorkers may" },
    };

    for (size_t i = 0; g_test_subprocess() && i < 2 * G_N_ELEMENTS(cases); i++) {
        Client client = { .user = i % 2 > 0 };
        const sd_bus_error error = SD_BUS_ERROR_MAKE_CONST(cases[i / 2].name, "they typed: parctl workers");
        output_set_user(client.user);
        g_assert_cmpint(error_report(&client, &error, -EIO), ==, -EIO);
    }
    if (g_test_subprocess())
        return;
    g_autoptr(GString) pattern = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_string_append_printf(pattern, "*they typed: parctl workers*%s*they typed: parctl workers*%s", cases[i].hint,
                               cases[i].of_user);
    g_string_append_c(pattern, '*');
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr(pattern->str);
}

/* What of a text of ours is a command, and what is not. */
static void test_commands(void)
{
    static const struct {
        const char *text, *of_user;
    } cases[] = {
        { "parctl enable", "parctl --user enable" },
        { "(parctl logs -f waits; parctl %s)", "(parctl --user logs -f waits; parctl --user %s)" },
        { "parctl --user", "parctl --user" },
        { "parctl --help", "parctl --user --help" },
        { "parctl: cannot", "parctl: cannot" },
        { "sudo parctl …", "sudo parctl …" },
        { "myparctl status, my-parctl status", "myparctl status, my-parctl status" },
        { "parctl", "parctl" },
        { "", "" },
    };

    for (size_t i = 0; i < 2 * G_N_ELEMENTS(cases); i++) {
        bool user = i % 2 > 0;
        output_set_user(user);
        g_autofree char *shown = output_commands(cases[i / 2].text);
        g_assert_cmpstr(shown, ==, user ? cases[i / 2].of_user : cases[i / 2].text);
    }
    output_set_user(false);
}

/* The risks stand below the sentence; where they are not asked about they are not told. */
static void test_risks(void)
{
    sd_bus_error risky = SD_BUS_ERROR_MAKE_CONST(
        PAREXEC_ERROR_INSUFFICIENT_CORES,
        "No - really: 2 of 2 cores are taken.\n- It may be slow.\n- Or\033[2J worse.");
    sd_bus_error plain = SD_BUS_ERROR_MAKE_CONST(PAREXEC_ERROR_TOO_MANY_WORKERS, "2 of 2 run.");
    g_autofree char *sentence = error_sentence(&risky), *other = error_sentence(&plain);
    g_auto(GStrv) risks = error_risks(&risky), none = error_risks(&plain);

    g_assert_cmpstr(sentence, ==, "No - really: 2 of 2 cores are taken.");
    g_assert_cmpuint(g_strv_length(risks), ==, 2);
    g_assert_cmpstr(risks[0], ==, "It may be slow.");
    g_assert_cmpstr(risks[1], ==, "Or\\x1b[2J worse.");
    g_assert_cmpstr(other, ==, "2 of 2 run.");
    sd_bus_error refusal =
        SD_BUS_ERROR_MAKE_CONST(PAREXEC_ERROR_INSUFFICIENT_CORES, PAREXEC_NO_WORKER_ADDED "needs 1 core.\n- Slow.");
    g_autofree char *reason = error_refusal_reason(&refusal), *all = error_refusal_reason(&plain);
    g_assert_cmpstr(reason, ==, "needs 1 core.");
    g_assert_cmpstr(all, ==, "2 of 2 run.");
    g_assert_cmpuint(g_strv_length(none), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error-report/exit-codes", test_exit_codes);
    g_test_add_func("/error-report/transient", test_transient);
    g_test_add_func("/error-report/report", test_report);
    g_test_add_func("/error-report/hints", test_hints);
    g_test_add_func("/error-report/commands", test_commands);
    g_test_add_func("/error-report/risks", test_risks);
    return g_test_run();
}
