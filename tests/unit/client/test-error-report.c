/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error names and exit codes. */

#include "client/error-report.h"

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
    g_assert_cmpuint(g_strv_length(none), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error-report/exit-codes", test_exit_codes);
    g_test_add_func("/error-report/transient", test_transient);
    g_test_add_func("/error-report/report", test_report);
    g_test_add_func("/error-report/risks", test_risks);
    return g_test_run();
}
