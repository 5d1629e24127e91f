/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking polkit (org.freedesktop.PolicyKit1.Authority.CheckAuthorization). The subject is the unique bus name: polkit itself
 * asks the bus who that is, so nothing that the client says about itself counts. */
#include "bus/authorize.h"

#include "dbus/parexec-dbus.h"
#include "util/log.h"
#include "util/sd-bus-util.h"

#define ALLOW_USER_INTERACTION 1U
#define TIMEOUT_USEC (120 * USEC_PER_SEC) /* a person may be typing a password */

static CallAuthorization read_answer(sd_bus_message *m)
{
    int granted, challenge;

    if (sd_bus_message_is_method_error(m, NULL)) {
        log_warning("polkit gives no answer: %s", sd_bus_message_get_error(m)->message);
        return AUTHORIZATION_FAILED;
    }
    if (sd_bus_message_enter_container(m, 'r', "bba{ss}") < 0 ||
        sd_bus_message_read(m, "bb", &granted, &challenge) < 0)
        return AUTHORIZATION_FAILED;
    return granted ? AUTHORIZATION_GRANTED : challenge ? AUTHORIZATION_CHALLENGE : AUTHORIZATION_DENIED;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Call *call = userdata;

    call->authorization = read_answer(m);
    call_resume(call);
    return 0;
}

static int ask(Call *call, const Peer *peer, const char *action)
{
    g_autoptr(sd_bus_message) m = NULL;
    sd_bus *bus = sd_bus_message_get_bus(call->m);
    uint32_t flags =
        sd_bus_message_get_allow_interactive_authorization(call->m) > 0 ? ALLOW_USER_INTERACTION : 0;
    int r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");

    if (r >= 0)
        r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s", peer->name,
                                  action, 0, flags, "");
    if (r >= 0)
        r = sd_bus_call_async(bus, NULL, m, on_answer, call, TIMEOUT_USEC);
    return r;
}

static int refuse(CallAuthorization authorization, const Peer *peer, const char *action, sd_bus_error *error)
{
    static const char *const sentences[] = {
        [AUTHORIZATION_DENIED] = "User %u is not allowed to do this (polkit action %s).",
        [AUTHORIZATION_CHALLENGE] =
            "User %u needs an administrator's password for this (polkit action %s), and there is no way to ask for it "
            "here; use sudo, or a polkit rule.",
        [AUTHORIZATION_FAILED] = "User %u cannot be authorised: polkit gives no answer (action %s).",
    };

    (void) sd_bus_error_setf(error, PAREXEC_ERROR_NOT_AUTHORIZED, sentences[authorization], peer->uid,
                             action);
    return -EACCES;
}

int authorize(Calls *calls, sd_bus_message *m, const Peer *peer, const char *action, bool user_mode,
              sd_bus_error *error)
{
    if (peer->uid == 0 || (user_mode && peer->uid == geteuid()))
        return 1;
    Call *call = call_of(calls, m);
    switch (call->authorization) {
    case AUTHORIZATION_UNASKED:
        if (user_mode || ask(call, peer, action) < 0)
            return refuse(AUTHORIZATION_FAILED, peer, action, error);
        call->authorization = AUTHORIZATION_ASKED;
        return 0;
    case AUTHORIZATION_ASKED:
        return 0;
    case AUTHORIZATION_GRANTED:
        return 1;
    case AUTHORIZATION_DENIED:
    case AUTHORIZATION_CHALLENGE:
    case AUTHORIZATION_FAILED:
        return refuse(call->authorization, peer, action, error);
    }
    g_assert_not_reached();
}
