/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A polkit that answers what the test says: org.parexec.Test.Polkit1.SetAnswer(action, answer), with "yes", "no",
 * "challenge" (not without a password), "error", "never" and "slow" (yes, after half a second). GetChecks tells what it was
 * asked: action, bus name of the subject, flags. */
#include "fake-service.h"

#include <string.h>

#define PATH "/org/freedesktop/PolicyKit1/Authority"
#define SLOW_MSEC 500

typedef struct Check {
    char *action, *subject;
    uint32_t flags;
} Check;

typedef struct Polkit {
    GHashTable *answers; /* action → answer; else "no" */
    GArray *checks;      /* Check */
} Polkit;

static int reply(sd_bus_message *m, bool granted, bool challenge)
{
    return sd_bus_reply_method_return(m, "(bba{ss})", (int) granted, (int) challenge, 0);
}

static void reply_slowly(void *userdata)
{
    g_autoptr(sd_bus_message) m = userdata;

    g_assert_cmpint(reply(m, true, false), >=, 0);
}

static int answer_check(sd_bus_message *m, const char *answer)
{
    if (g_strcmp0(answer, "yes") == 0)
        return reply(m, true, false);
    if (g_strcmp0(answer, "challenge") == 0)
        return reply(m, false, true);
    if (g_strcmp0(answer, "error") == 0)
        return sd_bus_reply_method_errorf(m, "org.freedesktop.PolicyKit1.Error.Failed",
                                          "The authority is out to lunch.");
    if (g_strcmp0(answer, "slow") == 0)
        fake_service_later(SLOW_MSEC, reply_slowly, sd_bus_message_ref(m));
    else if (g_strcmp0(answer, "never") == 0)
        (void) sd_bus_message_ref(m); /* as one who thinks for ever */
    else
        return reply(m, false, false);
    return 1;
}

static int method_check(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Polkit *polkit = userdata;
    const char *kind, *key, *subject, *action, *cancellation;
    uint32_t flags;

    int r = sd_bus_message_read(m, "(sa{sv})", &kind, 1, &key, "s", &subject);
    if (r >= 0)
        r = sd_bus_message_read(m, "s", &action);
    if (r >= 0)
        r = sd_bus_message_skip(m, "a{ss}");
    if (r >= 0)
        r = sd_bus_message_read(m, "us", &flags, &cancellation);
    if (r < 0)
        return r;
    if (strcmp(kind, "system-bus-name") != 0 || strcmp(key, "name") != 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Subject %s, %s.", kind, key);
    Check check = { g_strdup(action), g_strdup(subject), flags };
    g_array_append_val(polkit->checks, check);
    return answer_check(m, g_hash_table_lookup(polkit->answers, action));
}

static int method_set_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Polkit *polkit = userdata;
    const char *action, *answer;
    int r = sd_bus_message_read(m, "ss", &action, &answer);

    if (r < 0)
        return r;
    g_hash_table_replace(polkit->answers, g_strdup(action), g_strdup(answer));
    return sd_bus_reply_method_return(m, NULL);
}

static int method_get_checks(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const Polkit *polkit = userdata;
    g_autoptr(sd_bus_message) answer = NULL;
    int r = sd_bus_message_new_method_return(m, &answer);

    if (r >= 0)
        r = sd_bus_message_open_container(answer, 'a', "(ssu)");
    for (guint i = 0; r >= 0 && i < polkit->checks->len; i++) {
        const Check *check = &g_array_index(polkit->checks, Check, i);
        r = sd_bus_message_append(answer, "(ssu)", check->action, check->subject, check->flags);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(answer);
    return r < 0 ? r : sd_bus_send(NULL, answer, NULL);
}

static const sd_bus_vtable authority_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", method_check,
                  SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static const sd_bus_vtable test_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("SetAnswer", "ss", NULL, method_set_answer, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetChecks", NULL, "a(ssu)", method_get_checks, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

int main(void)
{
    Polkit polkit = {
        .answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
        .checks = g_array_new(FALSE, FALSE, sizeof(Check)),
    };
    const FakeObject objects[] = {
        { PATH, "org.freedesktop.PolicyKit1.Authority", authority_vtable },
        { PATH, "org.parexec.Test.Polkit1", test_vtable },
        { 0 },
    };

    return fake_service_run("org.freedesktop.PolicyKit1", objects, &polkit);
}
