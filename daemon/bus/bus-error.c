/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* errno → name and sentence, in one table. */
#include "bus/bus-error.h"

#include "dbus/parexec-dbus.h"
#include "util/macro.h"
#include "util/sd-bus-util.h"

static const struct {
    int error;
    const char *name, *format; /* format: takes the subject */
} errors[] = {
    { ESRCH, PAREXEC_ERROR_NO_SUCH_WORKER, "There is no %s." },
    { ENOENT, PAREXEC_ERROR_NO_SUCH_TASK, "There is no %s." },
    { ENOKEY, PAREXEC_ERROR_NO_SUCH_BATCH, "There is no open %s of yours." },
    { EALREADY, PAREXEC_ERROR_INVALID_STATE, "The %s has already ended." },
    { ENOSPC, PAREXEC_ERROR_STORAGE_FULL,
      "The %s could not be stored: the disk is full. What runs goes on." },
    { EDQUOT, PAREXEC_ERROR_STORAGE_FULL,
      "The %s could not be stored: the disk quota is used up. What runs goes on." },
    { E2BIG, PAREXEC_ERROR_TOO_LARGE, "The %s is too large." },
    { EIO, PAREXEC_ERROR_STORAGE_FAILED, "The %s could not be stored: input/output error." },
};

int bus_error_set(sd_bus_error *error, int r, const char *subject)
{
    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++)
        if (errors[i].error == -r) {
            (void) sd_bus_error_setf(error, errors[i].name, errors[i].format, subject);
            return r;
        }
    (void) sd_bus_error_setf(error, PAREXEC_ERROR_FAILED, "The %s: %s.", subject, g_strerror(-r));
    return r;
}

void bus_error_reply(sd_bus_message *m, int r, const char *subject)
{
    g_auto(sd_bus_error) error = SD_BUS_ERROR_NULL;

    (void) bus_error_set(&error, r, subject);
    (void) sd_bus_reply_method_error(m, &error);
}
