/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Retries, time limits and credentials, as they were asked for. Tables of rules are replaced as a whole and never changed in
 * place: many requests share one. */
#include "bus/policy-request.h"

#include <limits.h>
#include <string.h>

#include "bus/options.h"
#include "dbus/parexec-dbus.h"
#include "util/parse-util.h"
#include "util/sd-bus-util.h"
#include "util/strv-blob.h"

int policy_request_read_retries(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;

    request->retries_given = true;
    return sd_bus_message_read_basic(m, 'u', &request->policy.retries);
}

int policy_request_read_backoff(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskPolicy *policy = &((TaskRequest *) target)->policy;

    return sd_bus_message_read(m, "(ttd)", &policy->backoff_first_usec, &policy->backoff_longest_usec,
                               &policy->backoff_factor);
}

static int add_rule(TaskPolicy *policy, const char *cause, const char *action, sd_bus_error *error)
{
    int r = task_policy_add_rule(policy, cause, action);

    if (r == -E2BIG)
        return options_invalid(error, "on-failure has more than %u lines.", RETRY_RULES_MAX);
    if (r < 0) {
        g_autofree char *shown = format_foreign(cause), *what = format_foreign(action);
        return options_invalid(
            error,
            "on-failure: \"%s\" and \"%s\" are not a cause (exit, exit=N, exit=N-M from 1 to 255, signal, "
            "signal=NAME, timeout, oom, lost, spawn-failed) and an action (retry, fail, hold).",
            shown, what);
    }
    return r;
}

int policy_request_read_on_failure(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskPolicy *policy = &((TaskRequest *) target)->policy;
    const char *cause, *action;
    int r = sd_bus_message_enter_container(m, 'a', "(ss)");

    g_clear_pointer(&policy->rules, g_array_unref);
    while (r >= 0 && (r = sd_bus_message_read(m, "(ss)", &cause, &action)) > 0)
        r = add_rule(policy, cause, action, error);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

int policy_request_read_warn(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskPolicy *policy = &((TaskRequest *) target)->policy;
    int r = sd_bus_message_read(m, "(it)", &policy->warn_signal, &policy->warn_usec);

    if (r >= 0 && policy->warn_signal == 0)
        return options_invalid(error, "warn: there is no signal 0.");
    return r;
}

/* ---- credentials */

static bool credential_name_is_valid(const char *name, size_t length)
{
    if (length == 0 || length > NAME_MAX || strncmp(name, ".", length) == 0 ||
        strncmp(name, "..", MAX(length, 2)) == 0)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!g_ascii_isalnum(name[i]) && !strchr("._-", name[i]))
            return false;
    return true;
}

static int check_credential(const char *credential, size_t number, sd_bus_error *error)
{
    const char *equals = strchr(credential, '=');

    if (!equals || !credential_name_is_valid(credential, (size_t) (equals - credential)))
        return options_invalid(error,
                               "Credential %zu is not of the form NAME=/path with a name of 1 to %d letters, "
                               "digits, \".\", \"_\" and \"-\".",
                               number, NAME_MAX);
    if (equals[1] != '/' || strlen(equals + 1) >= PATH_MAX)
        return options_invalid(error, "Credential %zu does not name an absolute path of at most %d bytes.",
                               number, PATH_MAX - 1);
    return 0;
}

/* Two of one name would be one file. */
static bool name_is_repeated(const char *credential, const char *data, size_t size)
{
    size_t length = strcspn(credential, "=") + 1;
    const char *cursor = NULL;

    while (strv_blob_next(data, size, &cursor) && cursor != credential)
        if (strncmp(cursor, credential, length) == 0)
            return true;
    return false;
}

int policy_request_read_credentials(sd_bus_message *m, const char *option, void *target, sd_bus_error *error)
{
    TaskRequest *request = target;
    const char *cursor = NULL;
    size_t size, n = 0;
    int r = options_read_byte_strv(m, option, &request->credentials, error);

    if (r < 0)
        return r;
    const char *data = g_bytes_get_data(request->credentials, &size);
    while (strv_blob_next(data, size, &cursor)) {
        if (++n > PAREXEC_CREDENTIALS_MAX)
            return options_invalid(error, "A task takes at most %u credentials.", PAREXEC_CREDENTIALS_MAX);
        r = check_credential(cursor, n, error);
        if (r < 0)
            return r;
        if (name_is_repeated(cursor, data, size))
            return options_invalid(error, "Credential %zu has the name of one before it.", n);
    }
    if (n == 0)
        g_clear_pointer(&request->credentials, g_bytes_unref);
    return 0;
}
