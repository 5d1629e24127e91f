/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A systemd1 Manager that does what the test says: org.parexec.Test.Systemd1.SetBehaviour(…), with
 *   "done", "failed", "timeout" …   StartTransientUnit is answered, and JobRemoved comes with that result
 *   "never"                         it is answered, and JobRemoved comes when EndJobs(result) is called
 *   "mute"                          it is not answered until EndJobs()
 *   "exists"                        UnitExists, of every name
 *   "refuse"                        AccessDenied, with a sentence
 *   "no-oom-policy"                 as "failed", but OOMPolicy is not known
 * No process is moved anywhere: a scope that is up holds nobody. GetCalls tells what it was asked ("StopUnit w1.scope"),
 * GetProperties what the latest StartTransientUnit said. */
#include "fake-service.h"

#include <string.h>

#include "gvariant-message.h"

#define NAME "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define MANAGER NAME ".Manager"

typedef struct Systemd {
    char *behaviour;
    GPtrArray *calls;     /* strings */
    GVariant *properties; /* of the latest start */
    GPtrArray *jobs;      /* Job, whose end is owed */
    unsigned n_jobs;
} Systemd;

typedef struct Job {
    Systemd *systemd;
    char *path, *unit;
    char *result;               /* with which it ends by itself */
    sd_bus_message *unanswered; /* the start; NULL: answered */
} Job;

static void job_free(gpointer data)
{
    Job *job = data;

    sd_bus_message_unref(job->unanswered);
    g_free(job->path);
    g_free(job->unit);
    g_free(job->result);
    g_free(job);
}

static void note(Systemd *systemd, const char *member, const char *argument)
{
    g_ptr_array_add(systemd->calls, g_strdup_printf("%s %s", member, argument));
}

static void job_end(Job *job, const char *result)
{
    if (job->unanswered)
        (void) sd_bus_reply_method_return(job->unanswered, "o", job->path);
    g_assert_cmpint(sd_bus_emit_signal(fake_service_bus(), PATH, MANAGER, "JobRemoved", "uoss", 1, job->path,
                                       job->unit, result),
                    >=, 0);
    g_ptr_array_remove(job->systemd->jobs, job);
}

static void end_by_itself(void *userdata)
{
    Job *job = userdata;

    job_end(job, job->result);
}

/* ---- org.freedesktop.systemd1.Manager */

static bool says_oom_policy(GVariant *properties)
{
    GVariantIter iter;
    const char *name;

    g_variant_iter_init(&iter, properties);
    while (g_variant_iter_next(&iter, "(&sv)", &name, NULL))
        if (strcmp(name, "OOMPolicy") == 0)
            return true;
    return false;
}

static int start(Systemd *systemd, sd_bus_message *m, const char *unit)
{
    Job *job = g_new0(Job, 1);

    job->systemd = systemd;
    job->unit = g_strdup(unit);
    job->path = g_strdup_printf(PATH "/job/%u", ++systemd->n_jobs);
    g_ptr_array_add(systemd->jobs, job);
    if (strcmp(systemd->behaviour, "mute") == 0) {
        job->unanswered = sd_bus_message_ref(m);
        return 1;
    }
    if (strcmp(systemd->behaviour, "never") != 0) {
        job->result =
            g_strdup(strcmp(systemd->behaviour, "no-oom-policy") == 0 ? "failed" : systemd->behaviour);
        fake_service_later(20, end_by_itself, job);
    }
    return sd_bus_reply_method_return(m, "o", job->path);
}

static int method_start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Systemd *systemd = userdata;
    g_autoptr(GVariant) body = NULL;
    const char *unit, *mode;
    int r = message_to_gvariant(m, &body);

    if (r < 0)
        return r;
    g_clear_pointer(&systemd->properties, g_variant_unref);
    g_variant_get(body, "(&s&s@a(sv)@a(sa(sv)))", &unit, &mode, &systemd->properties, NULL);
    note(systemd, "StartTransientUnit", unit);
    if (strcmp(mode, "fail") != 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Mode %s.", mode);
    if (strcmp(systemd->behaviour, "exists") == 0)
        return sd_bus_error_setf(error, NAME ".UnitExists",
                                 "Unit %s was already loaded or has a fragment file.", unit);
    if (strcmp(systemd->behaviour, "refuse") == 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Nobody may start %s today", unit);
    if (strcmp(systemd->behaviour, "no-oom-policy") == 0 && says_oom_policy(systemd->properties))
        return sd_bus_error_set(error, SD_BUS_ERROR_PROPERTY_READ_ONLY,
                                "Cannot set property OOMPolicy, or unknown property.");
    return start(systemd, m, unit);
}

static int method_note(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *unit = "";

    if (sd_bus_message_has_signature(m, "ss") || sd_bus_message_has_signature(m, "s") ||
        sd_bus_message_has_signature(m, "ssi"))
        (void) sd_bus_message_read_basic(m, 's', &unit);
    note(userdata, sd_bus_message_get_member(m), unit);
    return sd_bus_reply_method_return(m, strcmp(sd_bus_message_get_member(m), "StopUnit") == 0 ? "o" : NULL,
                                      PATH "/job/1000");
}

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Subscribe", NULL, NULL, method_note, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", method_start, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("KillUnit", "ssi", NULL, method_note, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("StopUnit", "ss", "o", method_note, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ResetFailedUnit", "s", NULL, method_note, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
    SD_BUS_VTABLE_END,
};

/* ---- org.parexec.Test.Systemd1 */

static int method_set_behaviour(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Systemd *systemd = userdata;
    const char *behaviour;
    int r = sd_bus_message_read(m, "s", &behaviour);

    if (r < 0)
        return r;
    g_free(systemd->behaviour);
    systemd->behaviour = g_strdup(behaviour);
    return sd_bus_reply_method_return(m, NULL);
}

static int method_end_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Systemd *systemd = userdata;
    const char *result;
    int r = sd_bus_message_read(m, "s", &result);

    if (r < 0)
        return r;
    while (systemd->jobs->len > 0)
        job_end(systemd->jobs->pdata[0], result);
    return sd_bus_reply_method_return(m, NULL);
}

static int method_get_calls(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const Systemd *systemd = userdata;
    g_autoptr(sd_bus_message) reply = NULL;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "s");
    for (guint i = 0; r >= 0 && i < systemd->calls->len; i++)
        r = sd_bus_message_append_basic(reply, 's', systemd->calls->pdata[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_get_properties(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const Systemd *systemd = userdata;
    g_autoptr(sd_bus_message) reply = NULL;
    int r = sd_bus_message_new_method_return(m, &reply);

    if (r >= 0)
        r = systemd->properties ? message_append_gvariant(reply, systemd->properties) : -ENODATA;
    return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static const sd_bus_vtable test_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("SetBehaviour", "s", NULL, method_set_behaviour, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("EndJobs", "s", NULL, method_end_jobs, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetCalls", NULL, "as", method_get_calls, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("GetProperties", NULL, "a(sv)", method_get_properties, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

int main(void)
{
    Systemd systemd = {
        .behaviour = g_strdup("done"),
        .calls = g_ptr_array_new_with_free_func(g_free),
        .jobs = g_ptr_array_new_with_free_func(job_free),
    };
    const FakeObject objects[] = { { PATH, MANAGER, manager_vtable },
                                   { PATH, "org.parexec.Test.Systemd1", test_vtable },
                                   { 0 } };

    return fake_service_run(NAME, objects, &systemd);
}
